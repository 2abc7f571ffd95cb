# Whether Connect upgrades itself.
Use-ADSync
@{ State = [string](Get-ADSyncAutoUpgrade) }
