//! What operators do to leases: one file per verb. Each says beforehand what it will do and what it needs (`dry_run`), acts
//! only on the row that the operator saw, and frees nothing without a proof.

mod adopt;
mod attest;
mod break_glass;
pub mod export;
mod fence;
mod go_on;
mod grant;
mod handover;
mod power;
mod proof;
pub(crate) mod words;

pub use adopt::adopt;
pub use attest::attest;
pub use break_glass::{Typed, break_glass};
pub use fence::fence;
pub use handover::hand_over;
pub use power::fence_power_off;

use syncferry_shared::Finding;
use syncferry_shared::lease::{Lease, Resource};
use syncferry_store::Tx;

use crate::problem::Problem;
use crate::{find, queries};

/// Where our rules come from.
pub(crate) const OURS: &str = "Syncferry: a lease is freed by a proof, never by waiting";

/// What every verb is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub actor: &'a str,
    /// The lease, by resource, database or name.
    pub lease: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Only say what would be done.
    pub dry_run: bool,
    /// The row version that the operator saw.
    pub seen_version: i64,
}

/// What a verb would do, or did.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The lease.
    pub resource: Resource,
    /// What is done, in sentences.
    pub steps: Vec<String>,
    /// What stands in the way, and what is worth knowing.
    pub findings: Vec<Finding>,
    /// Whether nothing stands in the way; afterwards, whether all of it was done.
    pub ready: bool,
    /// What comes next.
    pub next_step: String,
}

impl Answer {
    fn new(lease: &Lease) -> Self {
        Self {
            resource: lease.resource.clone(),
            steps: vec![],
            findings: vec![],
            ready: true,
            next_step: String::new(),
        }
    }
    fn step(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }
    fn found(&mut self, finding: Finding) {
        self.ready &= !finding.blocks();
        self.findings.push(finding);
    }
    /// The refusal, when something stands in the way of what is to be done now.
    fn must_be_ready(self) -> Result<Self, Problem> {
        if self.ready {
            return Ok(self);
        }
        let title = match self.findings.iter().find(|f| f.blocks()) {
            Some(f) => f.title.clone(),
            None => "not now".to_string(),
        };
        Err(Problem::Refused {
            title,
            findings: self.findings,
        })
    }
}

/// The lease that is meant, as the operator saw it, with a name for sentences.
async fn seen(tx: &mut dyn Tx, ask: &Ask<'_>) -> Result<(Lease, String), Problem> {
    let lease = find::lease(tx, ask.lease).await?;
    let name = queries::lease::name(tx, &lease).await?;
    if ask.reason.trim().is_empty() {
        return Err(Problem::Invalid(
            "a reason must be given: it stands in the lease's history".to_string(),
        ));
    }
    unchanged(&lease, ask, &name)?;
    Ok((lease, name))
}

/// Refuses to act on a row that is not the one that the operator saw.
fn unchanged(lease: &Lease, ask: &Ask<'_>, name: &str) -> Result<(), Problem> {
    if ask.dry_run || ask.seen_version == lease.row_version {
        return Ok(());
    }
    Err(Problem::refused(
        Finding::blocker("lease-changed", format!("The lease of {name} changed since you looked"))
            .saw(
                "its row version",
                format!(
                    "{}, not {}: it is {} now",
                    lease.row_version, ask.seen_version, lease.state
                ),
            )
            .source("Syncferry: an operator acts on what was shown")
            .next(format!(
                "Look again with `syncferry lease show {name}`, then repeat the command."
            )),
    ))
}

/// The lease again, in a later transaction, which must be where this command left it.
async fn again(tx: &mut dyn Tx, before: &Lease) -> Result<Lease, Problem> {
    let now = tx
        .lease(&before.resource)
        .await?
        .ok_or_else(|| Problem::Internal("the lease is gone".to_string()))?;
    if now.row_version == before.row_version {
        return Ok(now);
    }
    Err(Problem::Stale(format!(
        "lease {} changed while it was looked at (it is {} now); look again and repeat the command",
        now.resource, now.state
    )))
}

/// The detail of a change: why, and under which verb.
fn detail(verb: &str, ask: &Ask<'_>) -> serde_json::Value {
    serde_json::json!({"reason": ask.reason.trim(), "command": format!("lease {verb}")})
}
