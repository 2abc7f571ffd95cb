//! Reports: written to the journal with the next number, and delivered in order until the controller has them. The runner
//! never waits for a delivery; the deliverer never looks at anything but the journal.

use std::sync::Arc;

use syncferry_proto::v1;
use syncferry_shared::finding::Evidence;
use syncferry_shared::state::StepState;

use super::controls::Controls;
use super::env::Pace;
use super::step::StepError;
use crate::controller::{CallError, Controller};
use crate::journal::{AttemptKey, End, Journal, JournalError, Record, Report};
use crate::wire;

/// Writes a report.
pub(super) async fn write(journal: &Journal, attempt: AttemptKey, report: Report) -> Result<(), StepError> {
    journal
        .append_with(move |ledger| {
            let number = ledger.attempts.get(&attempt)?.next_number;
            Some(Record::Report {
                attempt,
                number,
                report,
            })
        })
        .await?;
    Ok(())
}

/// Writes the end.
pub(super) async fn write_end(journal: &Journal, attempt: AttemptKey, end: End) -> Result<(), StepError> {
    journal
        .append_with(move |ledger| {
            let number = ledger.attempts.get(&attempt)?.next_number;
            Some(match end {
                End::Unknown { failure } => Record::Parked {
                    attempt,
                    number,
                    failure,
                },
                end => Record::Done { attempt, number, end },
            })
        })
        .await?;
    Ok(())
}

/// A step's change.
pub(super) fn step(ordinal: i32, total: i32, name: &str, state: StepState, evidence: Vec<Evidence>) -> Report {
    Report::Step {
        ordinal,
        total,
        name: name.to_string(),
        state,
        evidence,
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The attempt ended, and the controller has all of it.
    All,
    /// The controller says that the attempt is not ours any more.
    Lost,
    /// The process ends.
    Stopped,
    /// The journal cannot be written.
    Broken(JournalError),
}

/// Delivers an attempt's reports, in order, until the attempt is settled.
pub async fn deliver(
    journal: Journal,
    controller: Arc<dyn Controller>,
    key: AttemptKey,
    controls: Controls,
    pace: Pace,
) -> Delivered {
    let mut changes = journal.changes();
    let mut failures = 0;
    loop {
        changes.mark_unchanged();
        let Some(attempt) = journal.attempt(key) else {
            return Delivered::All;
        };
        if attempt.abandoned.is_some() {
            return Delivered::Lost;
        }
        if attempt.is_settled() {
            return Delivered::All;
        }
        let Some((number, report)) = attempt.unacked.into_iter().next() else {
            tokio::select! {
                biased;
                () = controls.abandon.cancelled() => return Delivered::Stopped,
                changed = changes.changed() => if changed.is_err() { return Delivered::Stopped },
            }
            continue;
        };
        let request = v1::ReportRequest {
            token: Some((&attempt.token).into()),
            number,
            what: Some(wire::report(&report)),
        };
        let answer = tokio::select! {
            biased;
            () = controls.abandon.cancelled() => return Delivered::Stopped,
            answer = controller.report(request) => answer,
        };
        match answer {
            Ok(r) if r.current => {
                failures = 0;
                if let Err(e) = journal.append(Record::Acked { attempt: key, number }).await {
                    return Delivered::Broken(e);
                }
                if !obey(&journal, key, &controls, r.order()).await {
                    return Delivered::Lost;
                }
            }
            Ok(_) => return lose(&journal, key, &controls, "the controller has another attempt").await,
            Err(e) => {
                failures += 1;
                complain(key, number, failures, &e);
                tokio::select! {
                    biased;
                    () = controls.abandon.cancelled() => return Delivered::Stopped,
                    () = tokio::time::sleep(pace.pause(failures)) => {}
                }
            }
        }
    }
}

/// Follows the order in an answer; false when the attempt is lost.
async fn obey(journal: &Journal, key: AttemptKey, controls: &Controls, order: v1::Order) -> bool {
    match order {
        v1::Order::Unspecified | v1::Order::Continue => true,
        v1::Order::Cancel => {
            controls.cancel.cancel();
            true
        }
        v1::Order::Abandon => {
            // An ended attempt is forgotten by being settled.
            if journal.attempt(key).is_some_and(|a| a.is_open()) {
                lose(journal, key, controls, "the controller said so").await;
                return false;
            }
            true
        }
    }
}

/// Gives an attempt up: the runner stops at once, and nothing of it is touched again.
async fn lose(journal: &Journal, key: AttemptKey, controls: &Controls, why: &str) -> Delivered {
    controls.abandon.cancel();
    tracing::warn!(attempt = %key, "this attempt is not ours any more: {why}");
    let why = why.to_string();
    match journal.append(Record::Abandoned { attempt: key, why }).await {
        Ok(_) => Delivered::Lost,
        Err(e) => Delivered::Broken(e),
    }
}

fn complain(key: AttemptKey, number: i64, failures: u32, error: &CallError) {
    match error {
        CallError::Unreachable(_) if failures > 1 => {}
        CallError::Unreachable(e) => tracing::warn!(attempt = %key, number, "a report waits for the controller: {e}"),
        // It stays in the journal; a new version of the controller may take it.
        CallError::Refused(_) | CallError::Denied(_) => {
            tracing::error!(attempt = %key, number, "the controller does not take a report: {error}");
        }
    }
}
