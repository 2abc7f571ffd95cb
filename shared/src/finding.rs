//! A finding: the result of a check, with the evidence, the rule's source and what to do next. Findings are the product.

use serde::{Deserialize, Serialize};

use crate::rule;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// May be accepted by an operator, with its consequence.
    Warning,
    /// Nothing is done while it stands.
    Blocker,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Blocker => "blocker",
        }
    }
}

/// A number of bytes, short and exact, as findings and reports show it: `7.7 GiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut rest, mut unit) = (n, 0, 0);
    while value >= 1024 && unit + 1 < UNITS.len() {
        (rest, value, unit) = (value % 1024, value / 1024, unit + 1);
    }
    if unit == 0 {
        format!("{value} B")
    } else {
        format!("{value}.{} {}", rest * 10 / 1024, UNITS[unit])
    }
}

/// One fact that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at, for example `SERVERPROPERTY('IsLocalDB') on SQL01`.
    pub looked_at: String,
    /// What it said.
    pub found: String,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id in kebab-case, stable over releases, for example `target-is-localdb`.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// One sentence that says what is wrong.
    pub title: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// Where the rule comes from: a page, or our own design.
    pub source: String,
    /// What to do next.
    pub next_step: String,
}

impl Finding {
    /// Starts a finding; evidence and next step are added with the builder methods below.
    pub fn new(severity: Severity, rule: &str, title: impl Into<String>) -> Self {
        Self {
            rule: rule.to_string(),
            severity,
            title: title.into(),
            evidence: Vec::new(),
            // The rule's own file says where it comes from; a finding may say it more exactly.
            source: rule::get(rule)
                .and_then(|r| r.sources.first().cloned())
                .unwrap_or_default(),
            next_step: String::new(),
        }
    }
    /// A finding that stops everything.
    pub fn blocker(rule: &str, title: impl Into<String>) -> Self {
        Self::new(Severity::Blocker, rule, title)
    }
    /// A finding that an operator may accept.
    pub fn warning(rule: &str, title: impl Into<String>) -> Self {
        Self::new(Severity::Warning, rule, title)
    }
    /// A finding that is good to know.
    pub fn note(rule: &str, title: impl Into<String>) -> Self {
        Self::new(Severity::Note, rule, title)
    }
    /// Adds a fact.
    #[must_use]
    pub fn saw(mut self, looked_at: impl Into<String>, found: impl ToString) -> Self {
        self.evidence.push(Evidence {
            looked_at: looked_at.into(),
            found: found.to_string(),
        });
        self
    }
    /// Says where the rule comes from.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }
    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = next_step.into();
        self
    }
    /// Whether it stops everything.
    pub fn blocks(&self) -> bool {
        self.severity == Severity::Blocker
    }
}
