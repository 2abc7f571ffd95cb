# Which database the engine uses.
Use-ADSync
$database = Get-ADSyncDatabaseConfiguration
@{
    IsLocalDBInstalled    = [bool]$database.IsLocalDBInstalled
    LocalDBUsedSpaceInMb  = [double]$database.LocalDBUsedSpaceInMb
    SqlServerName         = [string]$database.SqlServerName
    SqlServerInstanceName = [string]$database.SqlServerInstanceName
    SqlServerDBName       = [string]$database.SqlServerDBName
}
