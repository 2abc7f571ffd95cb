//! What became of each rule in a plan: passed, failed, unknown, or it does not apply. Unknown is a verdict of its own.

use serde::{Deserialize, Serialize};

use crate::finding::Evidence;

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It spoke: there is a finding.
    Failed,
    /// What it depends on was not seen.
    Unknown,
    /// Everything that it depends on was seen, and it has nothing to say.
    Passed,
    /// What it is about is not part of this plan.
    DoesNotApply,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &'static [Verdict] = &[
        Verdict::Failed,
        Verdict::Unknown,
        Verdict::Passed,
        Verdict::DoesNotApply,
    ];
    /// Its words.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Failed => "failed",
            Verdict::Unknown => "unknown",
            Verdict::Passed => "passed",
            Verdict::DoesNotApply => "does not apply",
        }
    }
}

/// How many rules passed, failed, are unknown or do not apply, in words; empty for a plan that was made without.
pub fn counts(judged: &[Judged]) -> String {
    let counted = Verdict::ALL.iter().filter_map(|verdict| {
        let n = judged.iter().filter(|v| v.verdict == *verdict).count();
        match (n, verdict) {
            (0, _) => None,
            (2.., Verdict::DoesNotApply) => Some(format!("{n} do not apply")),
            _ => Some(format!("{n} {}", verdict.as_str())),
        }
    });
    counted.collect::<Vec<_>>().join(", ")
}

/// A rule of a plan and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The rule's id.
    pub rule: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What it looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saw: Vec<Evidence>,
}
