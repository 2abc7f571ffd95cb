//! Scripts for Windows PowerShell 5.1: a file each below `agent/powershell`, one frame around them, and how an answer is told
//! from everything else that may be printed. Pure: `os/windows` runs them.
//!
//! An exit code alone proves nothing (a stub ends with 0 and prints nothing), and neither does a marker: both must say the same.

use data_encoding::BASE64;
use serde_json::Value;

use super::powershell_json::{self, PowerShellError};

const FRAME: &str = include_str!("../../powershell/frame.ps1");
/// How a failed script ends.
const FAILED: i32 = 70;

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// The name of its file.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $id:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $id: Script = Script {
            name: $file,
            text: include_str!(concat!("../../powershell/", $file, ".ps1")),
        };)*
        /// All of them.
        pub const ALL: &[Script] = &[$($id),*];
    };
}

scripts! {
    /// `Get-ADSyncScheduler`.
    SCHEDULER = "scheduler";
    /// `Set-ADSyncScheduler -SyncCycleEnabled`; `@ENABLED@` is `true` or `false`.
    SET_SYNC_CYCLE = "set-sync-cycle";
    /// `Get-ADSyncConnector`.
    CONNECTORS = "connectors";
    /// `Get-ADSyncGlobalSettings`.
    GLOBAL_SETTINGS = "global-settings";
    /// `Get-ADSyncDatabaseConfiguration`.
    DATABASE_CONFIGURATION = "database-configuration";
    /// `Get-ADSyncConnectorRunStatus`.
    RUN_STATUS = "run-status";
    /// `Get-ADSyncRunProfileResult`.
    RUN_RESULTS = "run-results";
    /// `Get-ADSyncConnectorStatistics`.
    CONNECTOR_STATISTICS = "connector-statistics";
    /// `Get-ADSyncRule`.
    RULES = "rules";
    /// `Get-ADSyncAutoUpgrade`.
    AUTO_UPGRADE = "auto-upgrade";
    /// `Get-ADSyncSchedulerConnectorOverride`.
    CONNECTOR_OVERRIDES = "connector-overrides";
    /// `Get-ADSyncAADCompanyFeature`.
    COMPANY_FEATURES = "company-features";
    /// `Get-ADSyncExportDeletionThreshold`.
    DELETION_THRESHOLD = "deletion-threshold";
    /// `Get-ADSyncEntraConnectorCredential`.
    ENTRA_CONNECTOR = "entra-connector";
    /// What a service account is, and whether this machine may use it; `@ACCOUNT@` and `@SPNS@` are base 64.
    SERVICE_ACCOUNT = "service-account";
    /// What this PowerShell is.
    ENVIRONMENT = "environment";
}

/// Why a script gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The script ran, and a cmdlet in it failed.
    #[error("{message} ({id})")]
    Failed {
        /// What PowerShell says.
        message: String,
        /// `FullyQualifiedErrorId`, which does not depend on the language.
        id: String,
    },
    /// It said that all is well, and gave no answer.
    #[error(
        "it ended with {exit_code} and without an answer; is this Windows PowerShell 5.1, and may it run scripts here? It printed: '{printed}'"
    )]
    NoAnswer {
        /// The exit code.
        exit_code: i32,
        /// The beginning of what was printed.
        printed: String,
    },
    /// The exit code and the answer contradict each other.
    #[error("it gave an answer and ended with {exit_code}; both must say the same")]
    Contradiction {
        /// The exit code.
        exit_code: i32,
    },
    /// The answer cannot be read.
    #[error(transparent)]
    Json(#[from] PowerShellError),
}

impl Script {
    /// The whole text to run, with values for its placeholders. `run` is new for each run. A value is a name of PowerShell's own
    /// (`true`) or base 64, and never anything else: what comes from outside must not become PowerShell.
    pub fn framed(&self, run: &str, values: &[(&str, &str)]) -> String {
        let mut script = self.text.to_string();
        let harmless = |v: &str| v.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        for (name, value) in values.iter().filter(|(_, v)| harmless(v)) {
            script = script.replace(&format!("@{name}@"), value);
        }
        FRAME.replace("@RUN@", run).replace("@SCRIPT@", script.trim_end())
    }
}

/// What `-EncodedCommand` takes: UTF-16LE in base 64.
pub fn encoded(text: &str) -> String {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    BASE64.encode(&bytes)
}

/// Finds the answer of a run in what was printed.
pub fn answer(run: &str, exit_code: i32, stdout: &[u8]) -> Result<Value, ScriptError> {
    let text = String::from_utf8_lossy(stdout);
    let (begin, end, failed) = (
        format!("syncferry-begin {run}"),
        format!("syncferry-end {run}"),
        format!("syncferry-failed {run}"),
    );
    let lines: Vec<&str> = text.lines().map(|l| l.trim_start_matches('\u{feff}').trim()).collect();
    let found = lines
        .windows(3)
        .rev()
        .find(|w| w[0] == begin && (w[2] == end || w[2] == failed));
    let Some([_, json, last]) = found else {
        return Err(ScriptError::NoAnswer {
            exit_code,
            printed: text.chars().filter(|c| !c.is_control()).take(120).collect(),
        });
    };
    let value = powershell_json::value(json.as_bytes())?;
    match (*last == end, exit_code) {
        (true, 0) => Ok(value),
        (false, FAILED) => {
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("unknown").to_string();
            Err(ScriptError::Failed {
                message: text("message"),
                id: text("id"),
            })
        }
        (_, exit_code) => Err(ScriptError::Contradiction { exit_code }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(json: &str, end: &str) -> Vec<u8> {
        format!("WARNING: something\r\nsyncferry-begin r1\r\n{json}\r\nsyncferry-{end} r1\r\n").into_bytes()
    }

    #[test]
    fn an_answer_needs_marker_and_exit_code() {
        let good = printed("{\"A\":1}", "end");
        assert_eq!(answer("r1", 0, &good).unwrap()["A"], 1);
        assert_eq!(answer("r1", 1, &good), Err(ScriptError::Contradiction { exit_code: 1 }));
        assert!(
            matches!(answer("r2", 0, &good), Err(ScriptError::NoAnswer { .. })),
            "of another run"
        );
        assert!(
            matches!(answer("r1", 0, b""), Err(ScriptError::NoAnswer { exit_code: 0, .. })),
            "a stub"
        );
        let half = b"syncferry-begin r1\r\n{\"A\":1}\r\n";
        assert!(
            matches!(answer("r1", 0, half), Err(ScriptError::NoAnswer { .. })),
            "cut off"
        );
        assert!(matches!(
            answer("r1", 0, &printed("{\"A\":", "end")),
            Err(ScriptError::Json(_))
        ));
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_powershell() {
        let failed = printed(
            r#"{"message":"Zugriff verweigert.","kind":"X","id":"AccessDenied,Get"}"#,
            "failed",
        );
        let e = answer("r1", 70, &failed).unwrap_err();
        assert_eq!(e.to_string(), "Zugriff verweigert. (AccessDenied,Get)");
        assert_eq!(
            answer("r1", 0, &failed),
            Err(ScriptError::Contradiction { exit_code: 0 })
        );
    }

    #[test]
    fn every_script_is_framed_whole_and_fits_a_command_line() {
        for script in ALL {
            let text = script.framed("0123456789abcdef0123456789abcdef", &[("ENABLED", "true")]);
            assert!(
                !text.contains('@')
                    || !text.contains("@ENABLED@") && !text.contains("@RUN@") && !text.contains("@SCRIPT@")
            );
            assert!(
                text.is_ascii(),
                "{}: what is not ASCII depends on the code page",
                script.name
            );
            // CreateProcess takes 32,767 units.
            assert!(encoded(&text).len() < 30_000, "{} is too long", script.name);
        }
        assert!(
            SET_SYNC_CYCLE
                .framed("r", &[("ENABLED", "false")])
                .contains("-SyncCycleEnabled $false\n")
        );
    }

    #[test]
    fn every_script_stands_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/powershell");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().file_name().to_string_lossy().replace(".ps1", ""))
            .filter(|f| f != "frame")
            .collect();
        let mut names: Vec<&str> = ALL.iter().map(|s| s.name).collect();
        files.sort();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn the_encoding_is_the_one_of_powershell() {
        assert_eq!(encoded("dir"), "ZABpAHIA");
    }

    proptest! {
        #[test]
        fn nothing_printed_makes_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..400), code in any::<i32>()) {
            let _ = answer("r1", code, &bytes);
        }

        #[test]
        fn noise_around_an_answer_changes_nothing(before in "[ -~\r\n]{0,80}", after in "[ -~\r\n]{0,80}") {
            let text = format!("{before}\nsyncferry-begin r1\n[1]\nsyncferry-end r1\n{after}");
            prop_assert_eq!(answer("r1", 0, text.as_bytes()).unwrap(), serde_json::json!([1]));
        }
    }
}
