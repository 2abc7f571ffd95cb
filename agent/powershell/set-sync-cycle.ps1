# Switches the scheduler's cycle. The cmdlet prints nothing; what it did is looked up.
Use-ADSync
Set-ADSyncScheduler -SyncCycleEnabled $@ENABLED@
@{ SyncCycleEnabled = [bool](Get-ADSyncScheduler).SyncCycleEnabled }
