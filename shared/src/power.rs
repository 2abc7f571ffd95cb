//! Whether a machine is off: what a program on a hypervisor's host printed, and what that is worth. Pure. The program is the
//! site's own; only an answer that names the very machine, twice, with the very word `off`, counts. Everything else is doubt.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// What a program must print under `syncferry`, so that nobody takes another program's output for an answer.
pub const MARKER: &str = "power/1";

/// The second look begins at least this long after the first one ended.
pub const LOOKS_APART_MS: u64 = 2_000;

/// Which machine is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerRequest {
    /// The computer's name.
    pub machine: String,
}

/// What was asked and answered. What was printed is the evidence, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PowerSight {
    /// The computer's name, as the agent's configuration writes it.
    pub machine: String,
    /// The id that the configuration gives for it.
    pub id: String,
    /// The program and its arguments.
    pub program: Vec<String>,
    /// The looks, oldest first.
    pub looks: Vec<PowerLook>,
}

/// One run of the program.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PowerLook {
    /// When it began, by the clock of the host on which it ran.
    pub at: Millis,
    /// Milliseconds between the end of the look before and its beginning, by a clock that nobody sets; 0 for the first.
    pub after_ms: u64,
    /// How it ended; `None` when it did not end by itself.
    pub exit_code: Option<i32>,
    /// What it printed.
    pub printed: String,
    /// Why there is no answer: it could not be started, took too long, printed too much; or the end of what it complained of.
    pub trouble: Option<String>,
}

/// Why an answer proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PowerDoubt {
    /// It was not asked twice.
    #[error("it was asked {0} times; two looks are needed")]
    TooFew(usize),
    /// The looks were one look.
    #[error("the second look came {0} ms after the first; {LOOKS_APART_MS} ms are needed")]
    TooClose(u64),
    /// Another machine was asked for.
    #[error("it was asked about {0}")]
    OtherMachine(String),
    /// It did not run, or not to its end.
    #[error("{0}")]
    NoRun(String),
    /// It says itself that it failed.
    #[error("it ended with exit code {code}{}", trouble.as_ref().map(|t| format!(": {t}")).unwrap_or_default())]
    Failed {
        /// The code.
        code: i32,
        /// What it complained of.
        trouble: Option<String>,
    },
    /// Success without a word: what a stub does.
    #[error("it ended well and printed nothing")]
    Empty,
    /// It printed something else.
    #[error("what it printed is not the answer that is asked for ({0})")]
    Shape(String),
    /// The answer is about another id.
    #[error("it speaks of '{said}', not of '{asked}'")]
    OtherId {
        /// Which was asked for.
        asked: String,
        /// Which is in the answer.
        said: String,
    },
    /// The machine is not off.
    #[error("the machine is '{0}', not 'off'")]
    NotOff(String),
    /// The two looks differ.
    #[error("its state changed between the two looks: '{0}', then '{1}'")]
    Changed(String, String),
}

/// The part of an answer that counts; whatever else it holds is evidence.
#[derive(Deserialize)]
struct Said {
    syncferry: String,
    id: String,
    state: String,
}

/// The state that one look tells of the machine with this id.
pub fn state(look: &PowerLook, id: &str) -> Result<String, PowerDoubt> {
    let Some(code) = look.exit_code else {
        let why = look.trouble.as_deref().unwrap_or("it did not end by itself");
        return Err(PowerDoubt::NoRun(why.to_string()));
    };
    if code != 0 {
        let trouble = look.trouble.clone();
        return Err(PowerDoubt::Failed { code, trouble });
    }
    // Windows PowerShell may begin its output with a byte-order mark.
    let text = look.printed.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(PowerDoubt::Empty);
    }
    let said: Said = serde_json::from_str(text).map_err(|e| PowerDoubt::Shape(e.to_string()))?;
    if said.syncferry != MARKER {
        return Err(PowerDoubt::Shape(format!(
            "its field syncferry is '{}', not '{MARKER}'",
            said.syncferry
        )));
    }
    if id.is_empty() || !said.id.eq_ignore_ascii_case(id) {
        return Err(PowerDoubt::OtherId {
            asked: id.to_string(),
            said: said.id,
        });
    }
    Ok(said.state)
}

/// Whether the machine is off, by its newest two looks.
pub fn is_off(sight: &PowerSight, names: &[&str]) -> Result<(), PowerDoubt> {
    if !names.iter().any(|n| n.eq_ignore_ascii_case(&sight.machine)) {
        return Err(PowerDoubt::OtherMachine(sight.machine.clone()));
    }
    let mut states = Vec::new();
    for look in &sight.looks {
        states.push(state(look, &sight.id)?);
    }
    let ([.., first, second], [.., last]) = (states.as_slice(), sight.looks.as_slice()) else {
        return match states.first() {
            Some(on) if on != "off" => Err(PowerDoubt::NotOff(on.clone())),
            _ => Err(PowerDoubt::TooFew(states.len())),
        };
    };
    if first != second {
        return Err(PowerDoubt::Changed(first.clone(), second.clone()));
    }
    if second != "off" {
        return Err(PowerDoubt::NotOff(second.clone()));
    }
    if last.after_ms < LOOKS_APART_MS {
        return Err(PowerDoubt::TooClose(last.after_ms));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: &str = r#"{"syncferry": "power/1", "id": "vm-7", "state": "off", "host": "HV01"}"#;

    fn look(printed: &str, after_ms: u64) -> PowerLook {
        PowerLook {
            after_ms,
            exit_code: Some(0),
            printed: printed.into(),
            ..PowerLook::default()
        }
    }

    fn sight(looks: Vec<PowerLook>) -> PowerSight {
        PowerSight {
            machine: "SYNC01".into(),
            id: "VM-7".into(),
            program: vec!["/usr/local/lib/power".into()],
            looks,
        }
    }

    #[test]
    fn two_looks_that_say_off_of_this_machine_prove_it() {
        let both = sight(vec![look(OFF, 0), look(&format!("\u{feff}{OFF}\r\n"), 2_000)]);
        assert_eq!(is_off(&both, &["sync01", "SYNC01.contoso.com"]), Ok(()));
        assert_eq!(
            is_off(&both, &["SYNC02"]),
            Err(PowerDoubt::OtherMachine("SYNC01".into()))
        );
    }

    #[test]
    fn everything_else_is_doubt_and_says_why() {
        let with = |from: &str, to: &str| OFF.replace(from, to);
        let said = |second: &str| is_off(&sight(vec![look(OFF, 0), look(second, 2_000)]), &["SYNC01"]);
        let mut told = Vec::new();
        for second in [
            String::new(),
            "  \n".into(),
            "off".into(),
            with("power/1", "power/2"),
            with("\"syncferry\": \"power/1\", ", ""),
            with("vm-7", "vm-8"),
            with("\"off\"", "\"running\""),
            with("\"off\"", "\"OFF\""),
            with("\"off\"", "\"\""),
            with("\"off\"", "null"),
            format!("{OFF}{OFF}"),
            with("\"id\": \"vm-7\"", "\"id\": \"vm-7\", \"id\": \"vm-8\""),
        ] {
            told.push(said(&second).unwrap_err().to_string());
        }
        let all = |looks| is_off(&sight(looks), &["SYNC01"]).unwrap_err().to_string();
        let code = |exit_code, trouble: Option<&str>| PowerLook {
            exit_code,
            trouble: trouble.map(str::to_string),
            ..look(OFF, 2_000)
        };
        let on = with("\"off\"", "\"on\"");
        told.push(all(vec![]));
        told.push(all(vec![look(OFF, 0)]));
        told.push(all(vec![look(OFF, 0), look(OFF, 1_999)]));
        told.push(all(vec![look(&on, 0), look(OFF, 2_000)]));
        told.push(all(vec![look(&on, 0), look(&on, 2_000)]));
        told.push(all(vec![look(OFF, 0), code(Some(3), Some("no such machine"))]));
        told.push(all(vec![
            code(None, Some("it took longer than 20 s")),
            look(OFF, 2_000),
        ]));
        insta::assert_snapshot!(told.join("\n"), @r#"
it ended well and printed nothing
it ended well and printed nothing
what it printed is not the answer that is asked for (expected value at line 1 column 1)
what it printed is not the answer that is asked for (its field syncferry is 'power/2', not 'power/1')
what it printed is not the answer that is asked for (missing field `syncferry` at line 1 column 46)
it speaks of 'vm-8', not of 'VM-7'
its state changed between the two looks: 'off', then 'running'
its state changed between the two looks: 'off', then 'OFF'
its state changed between the two looks: 'off', then ''
what it printed is not the answer that is asked for (invalid type: null, expected a string at line 1 column 52)
what it printed is not the answer that is asked for (trailing characters at line 1 column 71)
what it printed is not the answer that is asked for (duplicate field `id` at line 1 column 43)
it was asked 0 times; two looks are needed
it was asked 1 times; two looks are needed
the second look came 1999 ms after the first; 2000 ms are needed
its state changed between the two looks: 'on', then 'off'
the machine is 'on', not 'off'
it ended with exit code 3: no such machine
it took longer than 20 s
"#);
    }

    #[test]
    fn an_empty_id_matches_nothing() {
        let mut s = sight(vec![
            look(&OFF.replace("vm-7", ""), 0),
            look(&OFF.replace("vm-7", ""), 2_000),
        ]);
        s.id = String::new();
        assert!(matches!(is_off(&s, &["SYNC01"]), Err(PowerDoubt::OtherId { .. })));
    }
}
