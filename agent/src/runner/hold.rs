//! Holds: settings of a live server that a job changes for its duration. The value from before is in the journal first, and
//! is put back on success, failure, cancellation and after a crash.
//!
//! An attempt that was taken away leaves its hold behind (it must not touch anything); the next attempt takes it over with
//! the *old* value, so that a changed setting is never mistaken for the original one.

use serde_json::Value;
use syncferry_shared::Finding;

use super::step::StepError;
use crate::host::Host;
use crate::journal::{AttemptKey, Journal, Record};

/// The synchronisation cycle of Connect (`SyncCycleEnabled`), a boolean.
pub const SYNC_CYCLE: &str = "sync-cycle-enabled";

/// Writes the old value down and returns the one to put back.
pub(super) async fn take(journal: &Journal, key: AttemptKey, what: &str, old: Value) -> Result<Value, StepError> {
    let earlier = journal.read(|l| l.held(what).map(|(k, v)| (k, v.clone())));
    let (owner, old) = earlier.map_or((None, old), |(k, v)| (Some(k), v));
    if owner == Some(key) {
        return Ok(old);
    }
    let record = Record::Hold {
        attempt: key,
        what: what.to_string(),
        old: old.clone(),
    };
    journal.append(record).await?;
    if let Some(attempt) = owner {
        let what = what.to_string();
        journal.append(Record::Released { attempt, what }).await?;
    }
    Ok(old)
}

/// Puts one setting back, if the attempt holds it.
pub(super) async fn put_back(journal: &Journal, host: &dyn Host, key: AttemptKey, what: &str) -> Result<(), StepError> {
    let held = journal.read(|l| {
        let attempt = l.attempts.get(&key)?;
        attempt.holds.iter().find(|h| h.what == what).cloned()
    });
    let Some(hold) = held else { return Ok(()) };
    restore(host, &hold.what, &hold.old).await?;
    let what = hold.what;
    journal.append(Record::Released { attempt: key, what }).await?;
    Ok(())
}

/// Puts everything back that the attempt holds, the newest first. What cannot be put back is returned as findings.
pub(super) async fn put_all_back(
    journal: &Journal,
    host: &dyn Host,
    key: AttemptKey,
) -> Result<Vec<Finding>, StepError> {
    let holds = journal.attempt(key).map(|a| a.holds).unwrap_or_default();
    let mut findings = Vec::new();
    for hold in holds.iter().rev() {
        match put_back(journal, host, key, &hold.what).await {
            Ok(()) => {}
            Err(StepError::Journal(e)) => return Err(StepError::Journal(e)),
            Err(e) => findings.push(not_put_back(&hold.what, &hold.old, &e)),
        }
    }
    Ok(findings)
}

/// Tries again to put back what ended attempts left changed. Runs at the start of the agent and now and then.
pub async fn sweep(journal: &Journal, host: &dyn Host) -> Vec<Finding> {
    let left: Vec<AttemptKey> = journal.read(|l| {
        let ended = l.attempts.values().filter(|a| a.end.is_some() && !a.holds.is_empty());
        ended.map(crate::journal::AttemptLog::key).collect()
    });
    let mut findings = Vec::new();
    for key in left {
        match put_all_back(journal, host, key).await {
            Ok(more) => findings.extend(more),
            Err(e) => tracing::error!(attempt = %key, "what this attempt changed cannot be put back: {e}"),
        }
    }
    findings
}

async fn restore(host: &dyn Host, what: &str, old: &Value) -> Result<(), StepError> {
    match (what, old.as_bool()) {
        (SYNC_CYCLE, Some(enabled)) => Ok(host.set_sync_cycle(enabled).await?),
        _ => Err(StepError::failed(
            Finding::blocker(
                "hold-unknown",
                format!("'{what}' is held at {old}, which this agent cannot put back"),
            )
            .source("the agent's journal")
            .next("Put it back by hand, and report this: it is a defect of ours."),
        )),
    }
}

fn not_put_back(what: &str, old: &Value, error: &StepError) -> Finding {
    let by_hand = match what {
        SYNC_CYCLE => format!("Run 'Set-ADSyncScheduler -SyncCycleEnabled ${old}' on the Connect server."),
        _ => format!("Put '{what}' back to {old} by hand."),
    };
    Finding::warning("hold-not-put-back", format!("'{what}' could not be put back to {old}"))
        .saw(what, error)
        .source("Syncferry leaves a source as it was")
        .next(format!("{by_hand} The agent keeps trying as well."))
}
