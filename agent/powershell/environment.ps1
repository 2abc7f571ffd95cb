# What this PowerShell is.
@{
    Version      = $PSVersionTable.PSVersion.ToString()
    Edition      = [string]$PSVersionTable.PSEdition
    LanguageMode = [string]$ExecutionContext.SessionState.LanguageMode
    Is64Bit      = [Environment]::Is64BitProcess
}
