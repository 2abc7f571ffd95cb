//! What PowerShell prints.

use syncferry_agent::connect::powershell_json::{connectors, scheduler};

/// Reads an answer as each of the cmdlets'.
pub fn read(bytes: &[u8]) -> bool {
    let (scheduler, connectors) = (scheduler(bytes), connectors(bytes));
    for error in [scheduler.as_ref().err(), connectors.as_ref().err()]
        .into_iter()
        .flatten()
    {
        assert!(error.to_string().len() < 1_000, "an error is for people: {error}");
    }
    scheduler.is_ok() || connectors.is_ok()
}

/// A scheduler, a list of connectors, one connector.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"SyncCycleEnabled":true,"StagingModeEnabled":false,"SchedulerSuspended":false,"SyncCycleInProgress":true,"NextSyncCyclePolicyType":"Delta"}"#,
        r#"[{"Name":"contoso.com","Identifier":"0f","ConnectorTypeName":"AD"},{"Name":"contoso - AAD"}]"#,
        "\u{feff}{\"Name\":\"contoso.com\"}\r\n",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}
