//! The lease verbs' requests and answers, for the operators' service.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, v1};

use crate::commands::lease::Answer;
use crate::core::Core;
use crate::problem::Problem;
use crate::queries;

/// What every lease verb is asked.
macro_rules! ask {
    ($r:expr, $actor:expr) => {
        $crate::commands::lease::Ask {
            actor: $actor,
            lease: &$r.lease,
            reason: &$r.reason,
            dry_run: $r.dry_run,
            seen_version: $r.seen_version,
        }
    };
}
pub(super) use ask;

/// An answer, with the lease as it stands now.
pub(super) async fn answer(core: &Core, answer: Answer) -> Result<v1::LeaseAnswer, Problem> {
    let mut tx = core.store.read("lease.answer").await?;
    let lease = match tx.lease(&answer.resource).await? {
        Some(lease) => Some(queries::lease::message(&mut *tx, &lease).await?),
        None => None,
    };
    Ok(v1::LeaseAnswer {
        lease,
        steps: answer.steps,
        findings: Some(Document::of(schema::FINDINGS, &answer.findings)),
        ready: answer.ready,
        next_step: answer.next_step,
    })
}
