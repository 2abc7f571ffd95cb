//! The rules as data: one file below `shared/rules` says what a rule is for. What it looks at is code, and the finding with
//! its evidence is made there; the two are held together by the ids and by tests.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::finding::Severity;
use crate::plan::Scenario;

/// Every file, by its name.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Where a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// In a plan, before anything is touched.
    Preflight,
    /// In a plan, as something that only a person can confirm.
    Attested,
    /// In a job, on a host.
    Job,
    /// In an answer to a command about a lease, a database or a migration.
    Lease,
    /// As an alarm.
    Alarm,
}

impl Kind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Preflight => "preflight",
            Kind::Attested => "attested",
            Kind::Job => "job",
            Kind::Lease => "lease",
            Kind::Alarm => "alarm",
        }
    }
}

/// How sure the source of a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Documented by its maker.
    Documented,
    /// Seen in public code or in the output of tools.
    Seen,
    /// Told by people: issues, questions, blogs.
    Community,
    /// Inferred from what is documented.
    Inferred,
    /// A rule of our own.
    Ours,
}

impl Confidence {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Documented => "documented",
            Confidence::Seen => "seen in public code",
            Confidence::Community => "told by people who met it",
            Confidence::Inferred => "inferred",
            Confidence::Ours => "a rule of Syncferry's own",
        }
    }
}

/// Whether anybody may go on although a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    /// An operator may accept the warning, with a reason.
    Accept,
    /// What it says can be ended by two people who take the lease.
    BreakGlass,
    /// Nobody may.
    Never,
    /// It holds nothing up.
    None,
}

impl Override {
    /// What that means, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Override::Accept => "An operator may accept it, with a reason: `syncferry apply … --accept`.",
            Override::BreakGlass => {
                "Nobody may accept it. Two people can take the lease (`syncferry lease break-glass`), and plan again."
            }
            Override::Never => "Nobody may accept it: correct it, and try again.",
            Override::None => "It holds nothing up.",
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its id, which is the name of its file and stands in findings.
    pub id: String,
    /// Where it speaks.
    pub kinds: Vec<Kind>,
    /// How much its findings weigh: more than one where that depends on what was found.
    pub severity: Vec<Severity>,
    /// What is wrong when it speaks, in one sentence. `…` stands for what differs from case to case.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub todo: String,
    /// What it looks at, for people.
    pub looks_at: String,
    /// Where it comes from: every source that a finding of it may name.
    pub sources: Vec<String>,
    /// How sure that is.
    pub confidence: Confidence,
    /// Whether anybody may go on.
    #[serde(rename = "override")]
    pub overriding: Override,
    /// The scenarios whose plans meet it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<Scenario>,
    /// The facts of a plan that it depends on, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// The hard gates that it stands for: `G1` to `G10`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// The rule about which this one says that its verdict is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_of: Option<String>,
    /// The known failures of installations that it foresees or recognises, by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foresees: Vec<u8>,
    /// The sentences of Microsoft's page about the method that it stands for, word by word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seed: Vec<String>,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// It is not of the shape.
    #[error("{file}: {error}")]
    Shape {
        /// The file.
        file: String,
        /// What the parser says.
        error: String,
    },
    /// Its id is not the name of its file.
    #[error("{file}: its id is '{id}'")]
    Name {
        /// The file.
        file: String,
        /// The id.
        id: String,
    },
    /// Something that must be there is empty.
    #[error("{file}: {what} is empty")]
    Empty {
        /// The file.
        file: String,
        /// What is empty.
        what: &'static str,
    },
    /// What it says of itself does not go together.
    #[error("{file}: {why}")]
    Contradiction {
        /// The file.
        file: String,
        /// Why not.
        why: &'static str,
    },
}

impl Rule {
    /// Reads a rule. `file` is the name of its file without the ending.
    pub fn parse(file: &str, text: &str) -> Result<Self, InvalidRule> {
        let rule: Rule = toml::from_str(text).map_err(|e| InvalidRule::Shape {
            file: file.to_string(),
            error: e.to_string(),
        })?;
        rule.check(file)?;
        Ok(rule)
    }

    fn check(&self, file: &str) -> Result<(), InvalidRule> {
        let file = file.to_string();
        if self.id != file {
            let id = self.id.clone();
            return Err(InvalidRule::Name { file, id });
        }
        let all = [
            ("kinds", self.kinds.is_empty()),
            ("severity", self.severity.is_empty()),
            ("sources", self.sources.iter().all(|s| s.trim().is_empty())),
            ("title", self.title.trim().is_empty()),
            ("why", self.why.trim().is_empty()),
            ("todo", self.todo.trim().is_empty()),
            ("looks_at", self.looks_at.trim().is_empty()),
        ];
        if let Some((what, _)) = all.into_iter().find(|(_, empty)| *empty) {
            return Err(InvalidRule::Empty { file, what });
        }
        let planned = self.is(Kind::Preflight) || self.is(Kind::Attested);
        let wrong = [
            (
                "a rule of a plan belongs to scenarios, and no other does",
                planned == self.scenarios.is_empty(),
            ),
            (
                "what is accepted is a warning",
                self.overriding == Override::Accept && !self.severity.contains(&Severity::Warning),
            ),
            (
                "what holds nothing up is no blocker",
                self.overriding == Override::None && self.severity.contains(&Severity::Blocker),
            ),
            (
                "a gate is G1 to G10",
                self.gates.iter().any(|g| {
                    let number = g.strip_prefix('G').and_then(|n| n.parse::<u8>().ok());
                    !number.is_some_and(|n| (1..=10).contains(&n))
                }),
            ),
            (
                "a known failure is numbered 1 to 31",
                self.foresees.iter().any(|n| !(1..=31).contains(n)),
            ),
        ];
        match wrong.into_iter().find(|(_, is)| *is) {
            Some((why, _)) => Err(InvalidRule::Contradiction { file, why }),
            None => Ok(()),
        }
    }

    /// Whether it speaks there.
    pub fn is(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether plans of a scenario meet it.
    pub fn concerns(&self, scenario: Scenario) -> bool {
        self.scenarios.contains(&scenario)
    }

    /// The most that a finding of it weighs.
    pub fn gravest(&self) -> Severity {
        self.severity.iter().copied().max().unwrap_or(Severity::Note)
    }
}

static RULES: LazyLock<BTreeMap<&'static str, Rule>> = LazyLock::new(|| {
    let read = |(name, text): &(&'static str, &'static str)| Some((*name, Rule::parse(name, text).ok()?));
    // A test reads every file, so none is left out in a release that passed its tests.
    FILES.iter().filter_map(read).collect()
});

/// Every rule, by id.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    RULES.values()
}

/// A rule.
pub fn get(id: &str) -> Option<&'static Rule> {
    RULES.get(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_rule() {
        for (name, text) in FILES {
            Rule::parse(name, text).unwrap();
        }
        assert_eq!(all().count(), FILES.len());
        assert!(FILES.len() > 300, "{}", FILES.len());
    }

    #[test]
    fn what_a_rule_names_is_there() {
        for rule in all() {
            if let Some(other) = &rule.unknown_of {
                assert!(get(other).is_some(), "{} speaks of {other}", rule.id);
            }
            let bytes = rule.id.bytes();
            assert!(
                bytes
                    .into_iter()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
        }
    }

    #[test]
    fn a_rule_that_contradicts_itself_is_refused() {
        let (_, text) = FILES.iter().find(|(n, _)| *n == "target-is-localdb").unwrap();
        let broken = |from: &str, to: &str| {
            let changed = text.replace(from, to);
            assert_ne!(*text, changed, "{from}");
            Rule::parse("target-is-localdb", &changed).unwrap_err()
        };
        assert!(matches!(Rule::parse("x", text), Err(InvalidRule::Name { .. })));
        assert!(matches!(
            broken("override = \"never\"", "override = \"accept\""),
            InvalidRule::Contradiction { .. }
        ));
        assert!(matches!(
            broken("override = \"never\"", "override = \"none\""),
            InvalidRule::Contradiction { .. }
        ));
        assert!(matches!(broken("\"G1\"", "\"G11\""), InvalidRule::Contradiction { .. }));
        let scenarios = text.lines().find(|l| l.starts_with("scenarios = ")).unwrap();
        assert!(matches!(broken(scenarios, ""), InvalidRule::Contradiction { .. }));
        assert!(matches!(
            broken("severity = [\"blocker\"]", "severity = []"),
            InvalidRule::Empty { .. }
        ));
        assert!(matches!(broken("why = ", "wy = "), InvalidRule::Shape { .. }));
    }
}
