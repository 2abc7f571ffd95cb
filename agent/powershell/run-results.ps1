# The newest runs of every connector.
Use-ADSync
@(Get-ADSyncConnector | ForEach-Object {
    Get-ADSyncRunProfileResult -ConnectorId $_.Identifier -NumberRequested 5 | ForEach-Object {
        @{
            ConnectorName  = [string]$_.ConnectorName
            RunProfileName = [string]$_.RunProfileName
            RunNumber      = [int]$_.RunNumber
            IsRunComplete  = [bool]$_.IsRunComplete
            Result         = [string]$_.Result
            StartDate      = Format-Utc $_.StartDate
            EndDate        = Format-Utc $_.EndDate
        }
    }
})
