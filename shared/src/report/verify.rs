//! Checks a report against itself: the chain of events, and that plan and artifact are the ones the chain speaks of.
//!
//! A chain proves that nothing in it was changed or left out *as long as its head is the right one*: whoever can rewrite a
//! whole report can also make a new chain. So the head is what is to be compared with the controller's, or with an earlier
//! copy of the report.

use serde_json::Value;

use super::{Report, SCHEMA, plan_digest};
use crate::event::{BrokenChain, Event, StreamKind, verify_chain};

/// The event that says which plan was made.
const PLAN_MADE: &str = "plan.made";

/// What a check found to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many events are in the chain.
    pub events: usize,
    /// The hash of the last one.
    pub head: String,
    /// The digest of the plan, where the chain names one.
    pub plan_digest: Option<String>,
    /// The root hash of each artifact that the chain names.
    pub roots: Vec<String>,
}

/// What is wrong with a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenReport {
    /// It is of another shape.
    #[error("this is '{0}', not '{SCHEMA}'")]
    Schema(String),
    /// There is nothing to check.
    #[error("the report has no events: nothing in it can be checked")]
    NoEvents,
    /// An event of something else.
    #[error("event {0} belongs to another history than the report's migration")]
    Foreign(i64),
    /// The chain itself.
    #[error(transparent)]
    Chain(#[from] BrokenChain),
    /// The head is not the last event's hash.
    #[error("the report names the head {named}, but the last event has the hash {found}")]
    Head {
        /// What the report says.
        named: String,
        /// What the chain has.
        found: String,
    },
    /// The plan is not the one with the digest it is given.
    #[error("the plan has the digest {found}, but {whence} names {named}: the plan was changed")]
    Plan {
        /// Who names it.
        whence: String,
        /// What is named.
        named: String,
        /// What the plan has.
        found: String,
    },
    /// Something was changed that no event speaks of.
    #[error("the report has the seal {named}, but its content gives {found}: something in it was changed")]
    Seal {
        /// What the report says.
        named: String,
        /// What its content gives.
        found: String,
    },
    /// The page is not the one that its report makes.
    #[error(
        "the page is not the one that version {0} makes of the report in it: it was changed, or another version made it"
    )]
    Page(String),
    /// An accepted warning that no event speaks of.
    #[error("the report says that '{0}' was accepted, but no event says so")]
    Warning(String),
    /// The artifact is not the one that the chain speaks of.
    #[error("job {job} has an artifact with root hash {found}, which no event names")]
    Artifact {
        /// The job.
        job: String,
        /// The root hash.
        found: String,
    },
}

impl Report {
    /// Checks the chain, that plan, accepted warnings and artifacts are the ones that it speaks of, and the seal over all of it.
    pub fn verify(&self) -> Result<Verified, BrokenReport> {
        // Plain data with text keys: it can always be written.
        self.verify_as(&serde_json::to_value(self).unwrap_or_default())
    }

    /// The same for a report that was read from this document.
    pub(super) fn verify_as(&self, document: &Value) -> Result<Verified, BrokenReport> {
        if self.schema != SCHEMA {
            return Err(BrokenReport::Schema(self.schema.chars().take(80).collect()));
        }
        let head = self.check_chain()?;
        let plan_digest = self.check_plan()?;
        let roots = self.check_artifacts()?;
        let found = super::seal_of(document);
        if found != self.seal {
            return Err(BrokenReport::Seal {
                named: self.seal.chars().take(80).collect(),
                found,
            });
        }
        Ok(Verified {
            events: self.events.len(),
            head,
            plan_digest,
            roots,
        })
    }

    fn check_chain(&self) -> Result<String, BrokenReport> {
        let last = self.events.last().ok_or(BrokenReport::NoEvents)?;
        let id = self.migration.to_string();
        let foreign = |e: &&Event| e.stream_kind != StreamKind::Migration || e.stream_id != id;
        if let Some(event) = self.events.iter().find(foreign) {
            return Err(BrokenReport::Foreign(event.seq));
        }
        verify_chain(&self.events)?;
        if last.hash != self.chain_head {
            return Err(BrokenReport::Head {
                named: self.chain_head.clone(),
                found: last.hash.clone(),
            });
        }
        Ok(last.hash.clone())
    }

    /// Everything that names a digest must name the plan's own.
    fn check_plan(&self) -> Result<Option<String>, BrokenReport> {
        let Some(plan) = &self.plan else { return Ok(None) };
        let found = plan_digest(&plan.document);
        let named_by = |e: &Event, field: &str| {
            let named = e.payload.get(field)?.as_str()?;
            Some((format!("event {}", e.seq), named.to_string()))
        };
        // A plan may be made again; the last one counts.
        let made = self.events.iter().rfind(|e| e.kind == PLAN_MADE);
        let made = made.and_then(|e| named_by(e, "digest"));
        let applied = self.events.iter().filter_map(|e| named_by(e, "plan_digest"));
        let report = ("the report".to_string(), plan.digest.clone());
        for (whence, named) in std::iter::once(report).chain(made).chain(applied) {
            if named != found {
                return Err(BrokenReport::Plan { whence, named, found });
            }
        }
        let accepted = |rule: &str| self.events.iter().any(|e| names_rule(&e.payload, rule));
        if let Some(rule) = plan.accepted_warnings.iter().find(|r| !accepted(r)) {
            return Err(BrokenReport::Warning(rule.clone()));
        }
        Ok(Some(found))
    }

    fn check_artifacts(&self) -> Result<Vec<String>, BrokenReport> {
        let mut named = Vec::new();
        for event in &self.events {
            roots(&event.payload, &mut named);
        }
        let mut roots = Vec::new();
        for job in &self.jobs {
            let Some(manifest) = job.outcome.as_ref().and_then(|o| o.manifest.as_ref()) else {
                continue;
            };
            if !named.contains(&manifest.root) {
                return Err(BrokenReport::Artifact {
                    job: job.name.clone(),
                    found: manifest.root.clone(),
                });
            }
            roots.push(manifest.root.clone());
        }
        Ok(roots)
    }
}

/// Whether an event's payload says that a rule's warning was accepted.
fn names_rule(payload: &Value, rule: &str) -> bool {
    let accepted = payload.get("accepted_warnings").and_then(Value::as_array);
    accepted.is_some_and(|rules| rules.iter().any(|r| r.as_str() == Some(rule)))
}

/// Every root hash in a payload, however deep: events may carry a whole outcome.
fn roots(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(root) = fields.get("root").and_then(Value::as_str) {
                found.push(root.to_string());
            }
            fields.values().for_each(|v| roots(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| roots(v, found)),
        _ => {}
    }
}
