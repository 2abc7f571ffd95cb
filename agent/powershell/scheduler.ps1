# How the scheduler is set, and whether a cycle runs.
Use-ADSync
$scheduler = Get-ADSyncScheduler
@{
    SyncCycleEnabled            = [bool]$scheduler.SyncCycleEnabled
    MaintenanceEnabled          = [bool]$scheduler.MaintenanceEnabled
    StagingModeEnabled          = [bool]$scheduler.StagingModeEnabled
    SchedulerSuspended          = [bool]$scheduler.SchedulerSuspended
    SyncCycleInProgress         = [bool]$scheduler.SyncCycleInProgress
    NextSyncCyclePolicyType     = [string]$scheduler.NextSyncCyclePolicyType
    NextSyncCycleStartTimeInUTC = Format-Utc $scheduler.NextSyncCycleStartTimeInUTC
}
