//! A store that is behind: it was restored from a backup, copied back, or lost its newest commits in a failover. Whoever finds
//! out, the same follows in one transaction: a new incarnation, every lease quarantined at an epoch above everything that was
//! seen, open attempts unknown, an alarm. Nothing is granted and no job goes on until its lease was fenced or taken over
//! (`release.rs`) and its agent said hello in the new incarnation.
//!
//! ```text
//!  restore command ─┐
//!  the note         ├──> begin ──> recovering ──> every lease released ──> over
//!  an agent's hello │              (status.rs)     (release.rs)
//!  a database's mark┘
//! ```

pub mod note;
pub mod release;
pub mod status;
pub mod witness;

use serde_json::{Value, json};
use syncferry_shared::alarm::AlarmKind;
use syncferry_shared::state::{AttemptEvent, AttemptState, JobEvent, JobState};
use syncferry_shared::{Finding, HostId, MigrationId};
use syncferry_store::{Attempt, By, Highest, Job, MigrationFilter, Recovery, Tx, Way};

use crate::alarms::{self, Alarming};
use crate::core::system_event;
use crate::problem::Problem;
use crate::progression;

/// Who finds a store behind, in histories.
const ACTOR: &str = "controller";

/// A store that is behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Behind {
    /// Who found out.
    pub way: Way,
    /// The highest that is known of what was lost.
    pub highest: Highest,
    /// What was found, in sentences.
    pub found: Vec<String>,
}

/// Begins a new incarnation in this transaction. Returns the recovery and the migrations that changed.
pub async fn begin(tx: &mut dyn Tx, behind: &Behind) -> Result<(Recovery, Vec<MigrationId>), Problem> {
    let was = tx.incarnation();
    let why = "the store went back: it was restored from a backup";
    let next = was.max(behind.highest.incarnation).saturating_add(1);
    let by = By::new(ACTOR).detail(json!({"reason": why, "incarnation": next}));
    let meta = tx.begin_incarnation(&behind.highest, &by).await?;
    let found = json!({"found": behind.found, "incarnation_was": was});
    let recovery = tx.add_recovery(behind.way, &found).await?;
    let payload =
        json!({"incarnation": meta.incarnation, "was": was, "way": behind.way.as_str(), "found": behind.found});
    tx.append_event(system_event(&meta.id.to_string(), "store.restored", ACTOR, payload))
        .await?;
    let changed = lose_attempts(tx, why).await?;
    let alarming = alarming(&meta.id.to_string(), &recovery, &behind.found);
    alarms::raise_as(tx, &rand::random(), ACTOR, &alarming).await?;
    tracing::error!(incarnation = meta.incarnation, found = ?behind.found, "the store went back; nothing is granted until each lease is released");
    Ok((recovery, changed))
}

fn alarming(store: &str, recovery: &Recovery, found: &[String]) -> Alarming {
    let mut finding = Finding::blocker(
        "store-restored",
        format!(
            "The controller's store went back; its incarnation {} begins with every lease in quarantine",
            recovery.incarnation
        ),
    );
    for sentence in found {
        finding = finding.saw(format!("found by: {}", recovery.way.as_str()), sentence);
    }
    Alarming {
        kind: AlarmKind::StoreRestored,
        subject: store.to_string(),
        finding: finding
            .source("Syncferry: what a restored store has forgotten may still be at work")
            .next(
                "On the controller's host `syncferry-controller recover` shows each lease with its next step. Nothing is granted \
                 and no job goes on before that.",
            ),
    }
}

/// Attempts that the store has open belong to the incarnation before: what they are about to report is refused. Where one was
/// at work, nobody knows how far; one that was only offered is taken back.
async fn lose_attempts(tx: &mut dyn Tx, why: &str) -> Result<Vec<MigrationId>, Problem> {
    let filter = MigrationFilter {
        states: progression::UNDER_WAY.to_vec(),
        ..MigrationFilter::default()
    };
    let mut changed = Vec::new();
    for m in tx.migrations(&filter).await? {
        for job in progression::jobs_of(tx, m.id).await? {
            let current = tx.current_attempt(job.id).await?;
            let Some(attempt) = current.filter(Attempt::is_open) else {
                continue;
            };
            match attempt.state {
                AttemptState::Offered => take_back(tx, &attempt, &job).await?,
                _ => drop(progression::lose_sight(tx, &attempt, ACTOR, why).await?),
            }
            if !changed.contains(&m.id) {
                changed.push(m.id);
            }
        }
    }
    Ok(changed)
}

async fn take_back(tx: &mut dyn Tx, attempt: &Attempt, job: &Job) -> Result<(), Problem> {
    let internal = |e: syncferry_shared::state::IllegalTransition| Problem::Internal(e.to_string());
    let to = attempt.state.next(AttemptEvent::Supersede).map_err(internal)?;
    tx.transition_attempt(attempt.job, attempt.attempt, attempt.state, to)
        .await?;
    let way: &[JobEvent] = match job.state {
        JobState::Offered => &[JobEvent::Withdraw],
        // Offered to be undone.
        JobState::Undoing => &[JobEvent::LoseSight, JobEvent::Undo],
        _ => &[],
    };
    let mut state = job.state;
    for event in way {
        let to = state.next(*event).map_err(internal)?;
        tx.transition_job(job.id, state, to).await?;
        state = to;
    }
    Ok(())
}

/// Whether the agent of a host said hello in the present incarnation: only then is it known what its journal has open.
pub async fn heard(tx: &mut dyn Tx, host: HostId) -> Result<bool, Problem> {
    if tx.incarnation() <= 1 {
        return Ok(true);
    }
    let witness = tx.witness(host).await?;
    Ok(witness.is_some_and(|w| w.heard_in == tx.incarnation()))
}

/// Refuses what must wait until the agent of a host was heard.
pub async fn must_be_heard(tx: &mut dyn Tx, host: HostId) -> Result<(), Problem> {
    if heard(tx, host).await? {
        return Ok(());
    }
    let name = tx.host(host).await?.map_or_else(|| host.to_string(), |h| h.name);
    Err(Problem::refused(not_heard(&name)))
}

pub(crate) fn not_heard(host: &str) -> Finding {
    Finding::blocker(
        "agent-not-heard",
        format!("The agent on {host} has not said hello since the store was restored"),
    )
    .saw("what its journal has open", "not known")
    .source("Syncferry: agents remember what a restored store has forgotten")
    .next(format!(
        "Start it: `syncferry host show {host}` says when it is online. Then repeat the command."
    ))
}

/// Ends the recovery when every lease was released. Returns whether it is over.
pub async fn end_when_done(tx: &mut dyn Tx) -> Result<bool, Problem> {
    let Some(status) = status::look(tx).await? else {
        return Ok(false);
    };
    if status.recovery.ended_at.is_some() || !status.leases.is_empty() {
        return Ok(false);
    }
    let over = tx.end_recovery(status.recovery.incarnation).await?;
    let store = tx.meta().await?.id.to_string();
    for alarm in tx.alarms(false).await? {
        if alarm.kind == AlarmKind::StoreRestored {
            alarms::clear(tx, ACTOR, &alarm).await?;
        }
    }
    let payload = json!({"incarnation": over.incarnation});
    tx.append_event(system_event(&store, "store.recovered", ACTOR, payload))
        .await?;
    Ok(true)
}

/// What a recovery found, as it was written down.
pub(crate) fn sentences(found: &Value) -> Vec<String> {
    let all = found["found"].as_array().cloned().unwrap_or_default();
    all.iter().filter_map(|v| v.as_str().map(str::to_string)).collect()
}
