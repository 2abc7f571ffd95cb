# Connectors that are flagged for a full import or a full synchronisation.
Use-ADSync
@(Get-ADSyncConnector | ForEach-Object {
    $override = Get-ADSyncSchedulerConnectorOverride -ConnectorIdentifier $_.Identifier
    @{
        ConnectorName      = [string]$_.Name
        FullImportRequired = [bool]$override.FullImportRequired
        FullSyncRequired   = [bool]$override.FullSyncRequired
    }
})
