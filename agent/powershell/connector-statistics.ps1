# How many objects every connector has, and how many changes wait.
Use-ADSync
@(Get-ADSyncConnector | ForEach-Object {
    $statistics = Get-ADSyncConnectorStatistics -ConnectorName $_.Name
    $counts = @{ ConnectorName = [string]$_.Name }
    # The names of the numbers differ between versions: all that are numbers.
    foreach ($property in $statistics.PSObject.Properties) {
        if ($property.Value -is [int] -or $property.Value -is [long] -or $property.Value -is [uint32] -or $property.Value -is [uint64]) {
            $counts[$property.Name] = [long]$property.Value
        }
    }
    $counts
})
