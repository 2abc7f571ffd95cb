# Features of the tenant as the engine sees them. Asks Microsoft Entra ID.
Use-ADSync
$features = Get-ADSyncAADCompanyFeature
$answer = @{}
foreach ($property in $features.PSObject.Properties) {
    if ($property.Value -is [bool]) { $answer[$property.Name] = $property.Value }
}
$answer
