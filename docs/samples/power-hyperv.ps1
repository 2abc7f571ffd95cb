# Says whether a virtual machine on this Hyper-V host is off. An example for [power] in the agent's configuration: only looks,
# and changes nothing. Called as: power-hyperv.ps1 <computer name> <VM id>. Run it by hand once before you rely on it.
#
# The agent's account needs to be in the local group "Hyper-V Administrators". On a cluster, run it on a host that sees every
# node, and ask with Get-ClusterGroup for the owner first: a machine that moved is not on this host, and that is an error here.
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true, Position = 0)] [string] $Machine,
    [Parameter(Mandatory = $true, Position = 1)] [guid] $Id
)
$ErrorActionPreference = 'Stop'
try {
    $vm = Get-VM -Id $Id
    # Off is the only word that counts. Saved and Paused machines go on where they were: they are not off.
    $state = if ($vm.State -eq [Microsoft.HyperV.PowerShell.VMState]::Off) { 'off' } else { "$($vm.State)".ToLowerInvariant() }
    [ordered]@{
        syncferry = 'power/1'
        id        = $vm.Id.ToString()
        state     = $state
        machine   = $Machine
        vm        = $vm.Name
        host      = $env:COMPUTERNAME
        uptime_s  = [int64] $vm.Uptime.TotalSeconds
    } | ConvertTo-Json -Compress
    exit 0
} catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    exit 1
}
