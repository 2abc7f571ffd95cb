# What kind of identity the Entra connector has. Its credential is not read.
Use-ADSync
@{ ConnectorIdentityType = [string](Get-ADSyncEntraConnectorCredential).ConnectorIdentityType }
