# The connectors. Their connectivity parameters are not asked for: some of them are secret.
Use-ADSync
@(Get-ADSyncConnector | ForEach-Object {
    @{
        Name              = [string]$_.Name
        Identifier        = [string]$_.Identifier
        ConnectorTypeName = [string]$_.ConnectorTypeName
        Subtype           = [string]$_.Subtype
    }
})
