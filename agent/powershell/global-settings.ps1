# Version and settings of the engine. Only settings that are known to hold no secret.
Use-ADSync
$settings = Get-ADSyncGlobalSettings
$wanted = '^Microsoft\.(Synchronize|OptionalFeature|UserSignIn|Version|DirectoryExtension|GroupWriteBack|UserWriteBack|DeviceWriteBack)\.'
@{
    Version          = [string]$settings.Version
    InstanceId       = [string]$settings.InstanceId
    SqlSchemaVersion = [string]$settings.SqlSchemaVersion
    Parameters       = @($settings.Parameters | Where-Object { $_.Name -match $wanted } | ForEach-Object {
        @{ Name = [string]$_.Name; Value = [string]$_.Value }
    })
}
