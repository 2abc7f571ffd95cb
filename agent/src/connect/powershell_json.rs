//! What Windows PowerShell prints when it is asked for JSON (`… | ConvertTo-Json`). Pure: the text that was printed goes in.
//! Success without output is no answer: a PowerShell that is only a stub exits with 0 and prints nothing.
//!
//! `ConvertTo-Json` of Windows PowerShell 5.1 writes one object where a list has one entry, enumerations as numbers, and may
//! begin with a byte-order mark. Names come in the console's code page; what is not UTF-8 there is shown as U+FFFD.

use serde_json::Value;
use syncferry_shared::inventory::SchedulerFacts;

/// More than any answer that we ask for.
const LONGEST: usize = 4 << 20;

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PowerShellError {
    /// Nothing was printed.
    #[error("it is empty")]
    Empty,
    /// Too much was printed.
    #[error("it has {0} bytes")]
    TooLong(usize),
    /// What was printed is no JSON.
    #[error("it is no JSON ({reason}); it begins with '{begin}'")]
    NotJson {
        /// What the reader says.
        reason: String,
        /// How the output begins.
        begin: String,
    },
    /// The JSON is of another shape.
    #[error("{0}")]
    Shape(String),
}

/// Reads an answer.
pub fn value(stdout: &[u8]) -> Result<Value, PowerShellError> {
    if stdout.len() > LONGEST {
        return Err(PowerShellError::TooLong(stdout.len()));
    }
    let text = String::from_utf8_lossy(stdout);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(PowerShellError::Empty);
    }
    serde_json::from_str(text).map_err(|e| PowerShellError::NotJson {
        reason: e.to_string(),
        begin: text.chars().take(60).filter(|c| !c.is_control()).collect(),
    })
}

/// Reads `Get-ADSyncScheduler`.
pub fn scheduler(stdout: &[u8]) -> Result<SchedulerFacts, PowerShellError> {
    scheduler_of(&value(stdout)?)
}

/// Reads the properties of `Get-ADSyncScheduler`.
pub fn scheduler_of(value: &Value) -> Result<SchedulerFacts, PowerShellError> {
    let flag = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_bool)
            .ok_or_else(|| PowerShellError::Shape(format!("{name} is missing, or neither true nor false")))
    };
    Ok(SchedulerFacts {
        sync_cycle_enabled: flag("SyncCycleEnabled")?,
        staging_mode: flag("StagingModeEnabled")?,
        suspended: flag("SchedulerSuspended")?,
        cycle_in_progress: flag("SyncCycleInProgress")?,
        // For people only. An enumeration comes as its number.
        next_policy: match value.get("NextSyncCyclePolicyType") {
            Some(Value::String(policy)) => policy.clone(),
            Some(Value::Number(policy)) => policy.to_string(),
            _ => String::new(),
        },
    })
}

/// Reads the names of `Get-ADSyncConnector`.
pub fn connectors(stdout: &[u8]) -> Result<Vec<String>, PowerShellError> {
    connectors_of(&value(stdout)?)
}

/// Reads a list of connectors; one connector may come without the list around it.
pub fn connectors_of(value: &Value) -> Result<Vec<String>, PowerShellError> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(PowerShellError::Shape("it is no list".to_string())),
    };
    list.iter()
        .map(|connector| {
            let name = connector.get("Name").and_then(Value::as_str).filter(|n| !n.is_empty());
            name.map(str::to_string)
                .ok_or_else(|| PowerShellError::Shape("a connector has no name".to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEDULER: &str = r#"{"SyncCycleEnabled":true,"StagingModeEnabled":false,"SchedulerSuspended":false,
        "SyncCycleInProgress":true,"NextSyncCyclePolicyType":"Delta","PurgeRunHistoryInterval":{"Ticks":6048000000000,"Days":7}}"#;
    const CONNECTORS: &str =
        r#"[{"Name":"contoso.com","Identifier":"0f","ConnectorTypeName":"AD"},{"Name":"contoso - AAD"}]"#;

    #[test]
    fn what_the_cmdlets_print_is_read() {
        let facts = scheduler(SCHEDULER.as_bytes()).unwrap();
        assert!(facts.sync_cycle_enabled && facts.cycle_in_progress && !facts.staging_mode && !facts.suspended);
        assert_eq!(facts.next_policy, "Delta");
        assert_eq!(
            connectors(CONNECTORS.as_bytes()),
            Ok(vec!["contoso.com".to_string(), "contoso - AAD".to_string()])
        );
        // One connector is no list in Windows PowerShell 5.1, and a byte-order mark may come first.
        assert_eq!(
            connectors("\u{feff}{\"Name\":\"x\"}\r\n".as_bytes()),
            Ok(vec!["x".to_string()])
        );
        let numbered = SCHEDULER.replace("\"Delta\"", "1");
        assert_eq!(scheduler(numbered.as_bytes()).unwrap().next_policy, "1");
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        assert_eq!(scheduler(b""), Err(PowerShellError::Empty));
        assert_eq!(connectors(b" \r\n"), Err(PowerShellError::Empty));
        let error = scheduler(b"WARNING: something").unwrap_err().to_string();
        assert!(error.ends_with("it begins with 'WARNING: something'"), "{error}");
        let error = scheduler(b"{\"SyncCycleEnabled\":\"yes\"}").unwrap_err().to_string();
        assert_eq!(error, "SyncCycleEnabled is missing, or neither true nor false");
        assert!(connectors(b"[{\"Name\":\"\"}]").is_err() && connectors(b"7").is_err());
        assert_eq!(
            value(&vec![b' '; LONGEST + 1]),
            Err(PowerShellError::TooLong(LONGEST + 1))
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (scheduler(&bytes), connectors(&bytes));
        }

        #[test]
        fn a_cut_answer_is_refused(at in any::<prop::sample::Index>()) {
            let text = SCHEDULER.as_bytes();
            prop_assert!(scheduler(&text[..at.index(text.len())]).is_err());
            let text = CONNECTORS.as_bytes();
            prop_assert!(connectors(&text[..at.index(text.len())]).is_err());
        }

        #[test]
        fn a_flipped_byte_never_turns_a_switch(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let mut text = SCHEDULER.as_bytes().to_vec();
            let at = at.index(text.len());
            text[at] ^= by;
            if let Ok(facts) = scheduler(&text) {
                prop_assert!(facts.sync_cycle_enabled && facts.cycle_in_progress);
                prop_assert!(!facts.staging_mode && !facts.suspended);
            }
        }
    }
}
