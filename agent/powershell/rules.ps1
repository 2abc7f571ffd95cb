# How many synchronisation rules there are, and the custom ones by name: those without an immutable tag.
Use-ADSync
$rules = @(Get-ADSyncRule)
@{
    Count  = $rules.Count
    Custom = @($rules | Where-Object { [string]::IsNullOrEmpty([string]$_.ImmutableTag) } | ForEach-Object {
        @{
            Name       = [string]$_.Name
            Direction  = [string]$_.Direction
            Precedence = [int]$_.Precedence
            Disabled   = [bool]$_.Disabled
        }
    })
}
