# What a service account is, and whether this machine may use it. Nothing is changed, and no password is asked for or shown.
$name = [Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('@ACCOUNT@'))
$wanted = [Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('@SPNS@'))
$unknown = New-Object -TypeName Collections.ArrayList
function Add-Unknown([string]$Fact, $Record) {
    [void]$unknown.Add(@{ Fact = [string]$Fact; Why = [string]$Record.Exception.Message })
}
function Find-Entry([string]$Filter) {
    # The global catalogue knows every account of the forest.
    $forest = [DirectoryServices.ActiveDirectory.Forest]::GetCurrentForest()
    $searcher = New-Object -TypeName DirectoryServices.DirectorySearcher
    $searcher.SearchRoot = New-Object -TypeName DirectoryServices.DirectoryEntry -ArgumentList ('GC://' + $forest.Name)
    $searcher.Filter = $Filter
    [void]$searcher.PropertiesToLoad.Add('distinguishedName')
    , @($searcher.FindAll())
}
function Get-Name([string]$Sid) {
    try { (New-Object -TypeName Security.Principal.SecurityIdentifier -ArgumentList $Sid).Translate([Security.Principal.NTAccount]).Value }
    catch { $Sid }
}
function Get-Holders([string]$Right) {
    # LsaEnumerateAccountsWithUserRight: who has a right on this machine.
    $source = @'
using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Security.Principal;
public static class SyncferryRights {
  [StructLayout(LayoutKind.Sequential)] public struct Text { public ushort Length; public ushort Most; public IntPtr Buffer; }
  [StructLayout(LayoutKind.Sequential)] public struct Attributes { public int Length; public IntPtr Root; public IntPtr Name; public int Flags; public IntPtr Security; public IntPtr Quality; }
  [DllImport("advapi32.dll")] static extern int LsaOpenPolicy(IntPtr system, ref Attributes attributes, int access, out IntPtr policy);
  [DllImport("advapi32.dll")] static extern int LsaEnumerateAccountsWithUserRight(IntPtr policy, ref Text right, out IntPtr buffer, out int count);
  [DllImport("advapi32.dll")] static extern int LsaFreeMemory(IntPtr buffer);
  [DllImport("advapi32.dll")] static extern int LsaClose(IntPtr policy);
  [DllImport("advapi32.dll")] static extern int LsaNtStatusToWinError(int status);
  [DllImport("logoncli.dll", CharSet = CharSet.Unicode)] static extern int NetQueryServiceAccount(string server, string account, int level, out IntPtr buffer);
  [DllImport("netapi32.dll")] static extern int NetApiBufferFree(IntPtr buffer);
  public static string[] Holders(string right) {
    var attributes = new Attributes(); attributes.Length = Marshal.SizeOf(typeof(Attributes));
    var policy = IntPtr.Zero; int status = LsaOpenPolicy(IntPtr.Zero, ref attributes, 0x801, out policy);
    if (status != 0) { throw new Win32Exception(LsaNtStatusToWinError(status)); }
    var found = new List<string>();
    var text = new Text(); text.Buffer = Marshal.StringToHGlobalUni(right);
    text.Length = (ushort)(right.Length * 2); text.Most = (ushort)(right.Length * 2 + 2);
    try {
      var buffer = IntPtr.Zero; int count; status = LsaEnumerateAccountsWithUserRight(policy, ref text, out buffer, out count);
      // STATUS_NO_MORE_ENTRIES: nobody has it.
      if (status == unchecked((int)0x8000001A)) { return found.ToArray(); }
      if (status != 0) { throw new Win32Exception(LsaNtStatusToWinError(status)); }
      for (int i = 0; i < count; i++) { found.Add(new SecurityIdentifier(Marshal.ReadIntPtr(buffer, i * IntPtr.Size)).Value); }
      LsaFreeMemory(buffer);
    } finally { Marshal.FreeHGlobal(text.Buffer); LsaClose(policy); }
    return found.ToArray();
  }
  public static int State(string account) {
    var buffer = IntPtr.Zero; int status = NetQueryServiceAccount(null, account, 0, out buffer);
    if (status != 0) { throw new Win32Exception(LsaNtStatusToWinError(status)); }
    try { return Marshal.ReadInt32(buffer); } finally { NetApiBufferFree(buffer); }
  }
}
'@
    if (-not ('SyncferryRights' -as [type])) { Add-Type -TypeDefinition $source }
    , [string[]]([SyncferryRights]::Holders($Right))
}
function Get-PathOf($Found) {
    # A slash in a name separates parts of a path.
    'LDAP://' + ([string]$Found.Properties['distinguishedname'][0]).Replace('/', '\/')
}
$exists = $null
$sid = $null
$domain = $name.Split([char]92)[0]
$local = ($domain -eq '.') -or ($domain -eq [Environment]::MachineName)
if ($domain -eq '.') { $name = [Environment]::MachineName + $name.Substring(1) }
try {
    $sid = (New-Object -TypeName Security.Principal.NTAccount -ArgumentList $name).Translate([Security.Principal.SecurityIdentifier]).Value
    $exists = $true
}
catch [Security.Principal.IdentityNotMappedException] {
    # A machine that reaches no domain controller knows no account either.
    try {
        if (-not $local) { [void][DirectoryServices.ActiveDirectory.Forest]::GetCurrentForest() }
        $exists = $false
    }
    catch { Add-Unknown -Fact 'service account' -Record $_ }
}
catch { Add-Unknown -Fact 'service account' -Record $_ }
$classes = $null
$disabled = $null
$retrieve = $null
$sids = @($sid | Where-Object { $_ })
if ($sid -and $sid.StartsWith('S-1-5-21-') -and -not $local) {
    try {
        $results = Find-Entry -Filter "(objectSid=$sid)"
        if ($results.Count -eq 1) {
            $entry = New-Object -TypeName DirectoryServices.DirectoryEntry -ArgumentList (Get-PathOf -Found $results[0])
            $entry.RefreshCache([string[]]('objectClass', 'userAccountControl', 'tokenGroups', 'msDS-GroupMSAMembership'))
            $classes = @($entry.Properties['objectClass'] | ForEach-Object { [string]$_ })
            $disabled = ([int]$entry.Properties['userAccountControl'][0] -band 2) -ne 0
            $sids += @($entry.Properties['tokenGroups'] | ForEach-Object { (New-Object -TypeName Security.Principal.SecurityIdentifier -ArgumentList ([byte[]]$_), 0).Value })
            if ($entry.Properties['msDS-GroupMSAMembership'].Count -gt 0) {
                $descriptor = New-Object -TypeName Security.AccessControl.RawSecurityDescriptor -ArgumentList ([byte[]]$entry.Properties['msDS-GroupMSAMembership'][0]), 0
                $retrieve = @($descriptor.DiscretionaryAcl | ForEach-Object { Get-Name -Sid $_.SecurityIdentifier.Value })
            }
        }
        else {
            $count = $results.Count
            [void]$unknown.Add(@{ Fact = 'account kind'; Why = [string]"the forest has $count entries with its SID, $sid" })
        }
    }
    catch { Add-Unknown -Fact 'account kind' -Record $_ }
}
$sids += @('S-1-1-0', 'S-1-5-11', 'S-1-5-6')
$logon = $null
$denied = $null
try {
    $logon = Get-Holders -Right 'SeServiceLogonRight'
    $denied = Get-Holders -Right 'SeDenyServiceLogonRight'
}
catch { Add-Unknown -Fact 'log on as a service' -Record $_ }
$state = 0
if ($name.EndsWith('$')) {
    try {
        $plain = $name.Split([char]92)[-1].TrimEnd([char]36)
        $state = [SyncferryRights]::State($plain)
    }
    catch { Add-Unknown -Fact 'password of the managed account' -Record $_ }
}
$spns = New-Object -TypeName Collections.ArrayList
foreach ($spn in @($wanted.Split([char]10) | Where-Object { $_ })) {
    try {
        $found = Find-Entry -Filter "(servicePrincipalName=$spn)"
        $accounts = @($found | ForEach-Object { [string]$_.Properties['distinguishedname'][0] })
        [void]$spns.Add(@{ Spn = [string]$spn; Accounts = @($accounts) })
    }
    catch { Add-Unknown -Fact "registration of $spn" -Record $_ }
}
@{
    Exists           = [object]$exists
    Disabled         = [object]$disabled
    State            = [int]$state
    Classes          = [object]$classes
    Retrieve         = [object]$retrieve
    Sids             = @($sids)
    ServiceLogon     = [object]$logon
    DenyServiceLogon = [object]$denied
    Spns             = @($spns)
    Unknown          = @($unknown)
}
