//! `[power]`: a program of the site that knows whether a machine is off, and for which machines it may be asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::power::PowerProbe;

/// Longer than this, nobody waits for two answers.
const LONGEST_S: u64 = 60;

/// Whether machines are off, asked of a hypervisor by a program of the site. Without this section nobody is told that a
/// machine is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerConfig {
    /// The program, by its whole path, and its first arguments; the machine's name and its id follow. No shell reads it.
    pub probe: Vec<String>,
    /// How many seconds one answer may take.
    #[serde(default = "PowerConfig::timeout_s")]
    pub timeout_s: u64,
    /// The computer names for which it may be asked, each with the id under which the hypervisor knows that machine.
    pub machines: BTreeMap<String, String>,
}

impl PowerConfig {
    fn timeout_s() -> u64 {
        20
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field: &str, reason: String| Err(ConfigError::value(format!("power.{field}"), reason));
        let Some(program) = self.probe.first() else {
            return wrong("probe", "is empty".into());
        };
        if !is_whole_path(program) {
            let reason = format!("begins with '{program}', which is not the whole path of a program on this machine");
            return wrong("probe", reason);
        }
        let lower = program.to_ascii_lowercase();
        if lower.ends_with(".bat") || lower.ends_with(".cmd") {
            let reason = format!("begins with '{program}', which Windows gives to a shell; name a program");
            return wrong("probe", reason);
        }
        if !(1..=LONGEST_S).contains(&self.timeout_s) {
            return wrong(
                "timeout_s",
                format!("is {}, not between 1 and {LONGEST_S}", self.timeout_s),
            );
        }
        if self.machines.is_empty() {
            return wrong("machines", "names no machine".into());
        }
        for (at, (name, id)) in self.machines.iter().enumerate() {
            for text in [name, id] {
                // An argument that begins with a dash would be an option of the program.
                if text.trim().is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
                    return wrong(
                        "machines",
                        format!("has '{name} = {id}', which cannot be a name and an id"),
                    );
                }
            }
            if self.machines.keys().take(at).any(|n| n.eq_ignore_ascii_case(name)) {
                return wrong("machines", format!("has '{name}' twice"));
            }
        }
        Ok(())
    }

    /// The program, as the agent asks it.
    pub fn probe(&self, apart: Duration) -> PowerProbe {
        PowerProbe {
            program: self.probe.clone(),
            machines: self.machines.clone(),
            limit: Duration::from_secs(self.timeout_s),
            apart,
        }
    }
}

/// A path that means the same file whatever the folder one stands in, on a disk of this machine.
fn is_whole_path(program: &str) -> bool {
    let bytes = program.as_bytes();
    let on_a_drive =
        bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/');
    let shared = program.starts_with(r"\\") || program.starts_with("//");
    on_a_drive || (Path::new(program).is_absolute() && !shared)
}

// What is a whole path differs between systems; the cases are those of Linux.
#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let config: PowerConfig = toml::from_str(text).unwrap();
        config.check().map_or_else(|e| e.to_string(), |()| "good".to_string())
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        let with = |probe: &str, machines: &str| check(&format!("probe = {probe}\nmachines = {machines}"));
        let one = "{ SYNC01 = \"vm-7\" }";
        let told = [
            with("['/usr/local/lib/power']", one),
            with(r"['C:\Syncferry\power.exe', '-x']", one),
            with("[]", one),
            with("['power.exe']", one),
            with(r"['\\files\tools\power.exe']", one),
            with(r"['C:\Syncferry\power.cmd']", one),
            with("['/usr/local/lib/power']", "{}"),
            with("['/usr/local/lib/power']", "{ SYNC01 = \"-rf\" }"),
            with("['/usr/local/lib/power']", "{ SYNC01 = \" \" }"),
            with("['/usr/local/lib/power']", "{ SYNC01 = \"a\", sync01 = \"b\" }"),
            check("probe = ['/p/x']\ntimeout_s = 61\nmachines = { A = \"b\" }"),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
good
good
power.probe is empty
power.probe begins with 'power.exe', which is not the whole path of a program on this machine
power.probe begins with '\\files\tools\power.exe', which is not the whole path of a program on this machine
power.probe begins with 'C:\Syncferry\power.cmd', which Windows gives to a shell; name a program
power.machines names no machine
power.machines has 'SYNC01 = -rf', which cannot be a name and an id
power.machines has 'SYNC01 =  ', which cannot be a name and an id
power.machines has 'sync01' twice
power.timeout_s is 61, not between 1 and 60
"#);
    }
}
