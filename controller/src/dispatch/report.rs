//! Report: what happened in an attempt. The token decides whether it counts; every part is idempotent, so that a report
//! that is sent twice changes nothing.

use syncferry_shared::card::Card;
use syncferry_shared::finding::Evidence;
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_shared::state::{AttemptState, GateEvent, GateState, JobState, StepState};
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, GateId, MigrationId};
use syncferry_store::{Attempt, Host, Job, NewGate, Step, Tx};

use super::hello::Order;
use super::{actor, known_agent};
use crate::core::{Core, migration_event};
use crate::problem::Problem;
use crate::progression;
use crate::wake::HostReason;

/// A step as its agent reports it.
pub struct StepReport {
    /// From 1.
    pub ordinal: i32,
    /// How many steps there are.
    pub total: i32,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// What an agent sees at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing yet, or a person at work.
    Waiting,
    /// As it should be.
    Proven,
    /// Not as it should be.
    Contradicted,
}

/// How an attempt ended.
pub enum End {
    /// Well.
    Succeeded(Box<Outcome>),
    /// Badly.
    Failed(Failure),
    /// Stopped and undone, with what the agent says of it.
    Cancelled(Option<Failure>),
    /// Nobody can tell.
    Unknown(Failure),
    /// Undone, with what the agent says of it.
    Undone(Option<Box<Outcome>>),
}

/// What happened.
pub enum What {
    /// A step changed.
    Step(StepReport),
    /// At the gate.
    Gate {
        /// What is seen.
        sight: Sight,
        /// In a sentence.
        observation: String,
        /// The title, with the first report.
        title: String,
        /// The cards, with the first report.
        cards: Vec<Card>,
    },
    /// The attempt ended.
    End(End),
}

/// What the agent does next.
pub struct Next {
    /// Whether the token is the current one.
    pub current: bool,
    /// The order.
    pub order: Order,
}

/// Takes a report.
pub async fn report(core: &Core, id: AgentId, token: &AttemptToken, what: What) -> Result<Next, Problem> {
    let mut tx = core.store.begin("dispatch.report").await?;
    let (_, host) = known_agent(&mut *tx, id).await?;
    let named = match sabotage::on(Mutant::ReportWithoutTokenCheck) {
        true => tx.attempts(token.job).await?.pop(),
        false => tx.attempt_of(token).await?,
    };
    let attempt = named.filter(|a| a.agent == id && a.state != AttemptState::Superseded);
    let (Some(attempt), Some(job)) = (attempt, tx.job(token.job).await?) else {
        tracing::warn!(host = %host.name, job = %token.job, attempt = token.attempt, "a report with a token that is not current was refused");
        return Ok(Next {
            current: false,
            order: Order::Abandon,
        });
    };
    // Its end was taken before and only the answer was lost.
    if attempt.state.is_final() {
        return Ok(Next {
            current: true,
            order: Order::Continue,
        });
    }
    if attempt.state == AttemptState::Offered {
        return Err(Problem::Invalid(format!("job {}: accept the attempt first", job.name)));
    }
    let migration = job.migration;
    let woken = match what {
        What::Step(step) => step_changed(&mut *tx, &host, &attempt, &job, step)
            .await
            .map(|()| vec![])?,
        What::Gate {
            sight,
            observation,
            title,
            cards,
        } => gate_seen(
            core,
            &mut *tx,
            &host,
            &attempt,
            &job,
            sight,
            &observation,
            &title,
            &cards,
        )
        .await
        .map(|()| vec![])?,
        What::End(end) => progression::ended(core, &mut *tx, &actor(&host), &attempt, &job, end).await?,
    };
    let order = match tx.job(job.id).await?.map(|j| j.state) {
        Some(JobState::Cancelling) => Order::Cancel,
        _ => Order::Continue,
    };
    tx.commit().await?;
    core.migration_changed(migration);
    for host in woken {
        core.host_changed(host, HostReason::Lease);
    }
    Ok(Next { current: true, order })
}

async fn step_changed(
    tx: &mut dyn Tx,
    host: &Host,
    attempt: &Attempt,
    job: &Job,
    step: StepReport,
) -> Result<(), Problem> {
    let now = tx.now();
    let before = tx
        .steps(job.id, Some(attempt.attempt))
        .await?
        .into_iter()
        .find(|s| s.ordinal == step.ordinal);
    // A report that comes twice, or late, after those that followed it: what is known already is newer.
    let follows = |b: &Step| {
        StepState::TABLE
            .iter()
            .any(|(from, _, to)| (*from, *to) == (b.state, step.state))
    };
    if before.as_ref().is_some_and(|b| b.state == step.state || !follows(b)) {
        return Ok(());
    }
    let ended = !matches!(step.state, StepState::Pending | StepState::Running);
    let detail = serde_json::json!({"evidence": step.evidence, "total": step.total});
    tx.put_step(&Step {
        job: job.id,
        attempt: attempt.attempt,
        ordinal: step.ordinal,
        name: step.name.clone(),
        state: step.state,
        detail,
        started_at: before.is_none().then_some(now),
        ended_at: ended.then_some(now),
    })
    .await?;
    // That a step began is seen in its row; the history keeps how it ended.
    if ended {
        let payload = serde_json::json!({
            "job": job.name, "attempt": attempt.attempt, "step": step.name, "ordinal": step.ordinal, "total": step.total,
            "state": step.state, "evidence": step.evidence,
        });
        let kind = format!("step.{}", step.state);
        tx.append_event(migration_event(job.migration, &kind, &actor(host), payload))
            .await?;
    }
    Ok(())
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call, and every argument is a different thing"
)]
async fn gate_seen(
    core: &Core,
    tx: &mut dyn Tx,
    host: &Host,
    attempt: &Attempt,
    job: &Job,
    sight: Sight,
    observation: &str,
    title: &str,
    cards: &[Card],
) -> Result<(), Problem> {
    // A gate that an earlier attempt left proven or cancelled is not this attempt's. A job may come to several: the first
    // report of each names it, and those without a title are of the one that was named last.
    let of_attempt = |g: &syncferry_store::Gate| {
        g.job == job.id
            && (title.is_empty() || g.title == title)
            && (matches!(g.state, GateState::Open | GateState::Claimed) || g.opened_at >= attempt.opened_at)
    };
    let gate = match tx.gates_of(job.migration).await?.into_iter().rfind(of_attempt) {
        Some(gate) => gate,
        // Nobody is asked to do anything for a job that does not go on.
        None if job.state == JobState::Running => open_gate(core, tx, host, job, title, cards).await?,
        None => return Ok(()),
    };
    let seen = serde_json::json!({"sight": format!("{sight:?}").to_lowercase(), "text": observation});
    let seen_before = gate.observation.as_ref() == Some(&seen);
    if !seen_before {
        tx.set_gate_observation(gate.id, &seen).await?;
    }
    let event = match sight {
        Sight::Waiting => return Ok(()),
        Sight::Proven => GateEvent::Prove,
        Sight::Contradicted => GateEvent::Contradict,
    };
    let Ok(to) = gate.state.next(event) else { return Ok(()) };
    if to != gate.state {
        tx.transition_gate(gate.id, gate.state, to).await?;
    } else if seen_before {
        return Ok(());
    }
    let payload = serde_json::json!({"gate": gate.id, "title": gate.title, "observation": observation, "claimed_by": gate.claimed_by});
    let kind = if event == GateEvent::Prove {
        "gate.proven"
    } else {
        "gate.contradicted"
    };
    tx.append_event(migration_event(job.migration, kind, &actor(host), payload))
        .await?;
    Ok(())
}

async fn open_gate(
    core: &Core,
    tx: &mut dyn Tx,
    host: &Host,
    job: &Job,
    title: &str,
    cards: &[Card],
) -> Result<syncferry_store::Gate, Problem> {
    let id = GateId::new(tx.now(), &core.random());
    let migration: MigrationId = job.migration;
    let cards = serde_json::to_value(cards).map_err(|e| Problem::Internal(e.to_string()))?;
    let gate = tx
        .add_gate(&NewGate {
            id,
            migration,
            job: job.id,
            title: title.to_string(),
            cards: cards.clone(),
        })
        .await?;
    let payload = serde_json::json!({"gate": id, "job": job.name, "host": host.name, "title": title, "cards": cards});
    tx.append_event(migration_event(migration, "gate.opened", &actor(host), payload))
        .await?;
    Ok(gate)
}
