# Connectors that run right now; none when the engine is idle.
Use-ADSync
@(Get-ADSyncConnectorRunStatus | ForEach-Object {
    @{ ConnectorName = [string]$_.ConnectorName; RunState = [string]$_.RunState }
})
