# Stands around every script of the agent. The script's answer comes as one line of JSON between two lines that name this very
# run, so that nothing else that is printed, and no PowerShell that is only a stub, can be taken for an answer.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$VerbosePreference = 'SilentlyContinue'
$InformationPreference = 'SilentlyContinue'
[Threading.Thread]::CurrentThread.CurrentCulture = [Globalization.CultureInfo]::InvariantCulture
[Threading.Thread]::CurrentThread.CurrentUICulture = [Globalization.CultureInfo]::InvariantCulture
[Console]::OutputEncoding = New-Object -TypeName Text.UTF8Encoding -ArgumentList $false

function Use-ADSync {
    # The module of the engine that is installed, not of one that happens to be on the path.
    $location = (Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\AD Sync' -Name 'Location').Location
    Import-Module -Name (Join-Path -Path $location -ChildPath 'Bin\ADSync\ADSync.psd1') -DisableNameChecking
}

function Format-Utc($Time) {
    # Times of PowerShell depend on the culture and on the kind of the value; text in UTC does not.
    if ($null -eq $Time) { $null } else { ([datetime]$Time).ToUniversalTime().ToString('o') }
}

function Write-Answer([string]$End, $Value) {
    [Console]::Out.WriteLine('syncferry-begin @RUN@')
    [Console]::Out.WriteLine((ConvertTo-Json -InputObject $Value -Depth 6 -Compress))
    [Console]::Out.WriteLine("syncferry-$End @RUN@")
    [Console]::Out.Flush()
}

try {
    $answer = & {
@SCRIPT@
    }
    Write-Answer -End 'end' -Value $answer
    exit 0
}
catch {
    Write-Answer -End 'failed' -Value @{
        message = [string]$_.Exception.Message
        kind    = [string]$_.Exception.GetType().FullName
        id      = [string]$_.FullyQualifiedErrorId
    }
    exit 70
}
