# How many deletions an export may hold. From 2.4.18 on it asks for a sign-in; then it is a failure, and says so.
Use-ADSync
$threshold = Get-ADSyncExportDeletionThreshold
@{ State = [string]$threshold.DeletionPrevention; Threshold = [int]$threshold.ThresholdCount }
