//! Migrations and their jobs as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_shared::progress::Progress;
use syncferry_shared::state::{GateState, JobState, MigrationState};
use syncferry_store::{AgentState, Host, InspectionState, Job, JobFilter, Migration, Tx};

use super::gate;
use crate::problem::Problem;
use crate::{progression, scheduler};

/// How much of a migration is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// With plan, jobs and gates.
    Full,
    /// Without the plan.
    WithoutPlan,
    /// The row alone.
    Row,
}

/// Whether nothing will happen until a person acts, or ever.
pub fn rests(m: &Migration) -> bool {
    !matches!(
        m.state,
        MigrationState::Inspecting | MigrationState::Running | MigrationState::Unwinding
    )
}

/// A migration as a message.
pub async fn message(tx: &mut dyn Tx, m: &Migration, detail: Detail) -> Result<v1::Migration, Problem> {
    let site = tx.site(m.site).await?.map(|s| s.name).unwrap_or_default();
    let mut message = v1::Migration {
        id: m.id.to_string(),
        scenario: m.scenario.as_str().to_string(),
        site,
        state: m.state.to_string(),
        created_by: m.actor.clone(),
        created_at: Some(timestamp(m.created_at)),
        plan: None,
        plan_digest: m.plan_digest.clone().unwrap_or_default(),
        jobs: vec![],
        open_gates: vec![],
        updated_at: Some(timestamp(m.updated_at)),
        waiting_for: waiting_for(tx, m).await?,
    };
    if detail == Detail::Row {
        return Ok(message);
    }
    if detail == Detail::Full {
        message.plan = m.plan.as_ref().map(|p| Document::of(schema::PLAN, p));
    }
    for j in tx
        .jobs(&JobFilter {
            migration: Some(m.id),
            ..JobFilter::default()
        })
        .await?
    {
        message.jobs.push(job(tx, &j).await?);
    }
    for g in tx.gates_of(m.id).await? {
        if matches!(g.state, GateState::Open | GateState::Claimed) {
            message.open_gates.push(gate::message(tx, &g).await?);
        }
    }
    Ok(message)
}

async fn job(tx: &mut dyn Tx, j: &Job) -> Result<v1::Job, Problem> {
    let host = tx.host(j.host).await?.map(|h| h.name).unwrap_or_default();
    let attempt = tx.current_attempt(j.id).await?;
    let steps = match &attempt {
        Some(a) => tx.steps(j.id, Some(a.attempt)).await?,
        None => vec![],
    };
    let progress: Option<Progress> = j.progress.clone().and_then(|p| serde_json::from_value(p).ok());
    let result = match (&j.outcome, &j.failure) {
        (_, Some(f)) if !matches!(j.state, JobState::Succeeded) => Some(Document::of(schema::FAILURE, f)),
        (Some(o), _) => Some(Document::of(schema::OUTCOME, o)),
        _ => None,
    };
    Ok(v1::Job {
        id: j.id.to_string(),
        name: j.name.clone(),
        kind: j.kind.as_str().to_string(),
        stage: j.stage + 1,
        host,
        state: j.state.to_string(),
        attempt: attempt.as_ref().map_or(0, |a| a.attempt),
        steps: steps
            .into_iter()
            .map(|s| v1::Step {
                ordinal: s.ordinal,
                name: s.name,
                state: s.state.to_string(),
                started_at: s.started_at.map(timestamp),
                ended_at: s.ended_at.map(timestamp),
            })
            .collect(),
        progress: progress.as_ref().map(v1::Progress::from),
        result,
        started_at: attempt.as_ref().map(|a| timestamp(a.opened_at)),
        ended_at: attempt.and_then(|a| a.ended_at).map(timestamp),
    })
}

/// What the controller waits for, in a sentence.
async fn waiting_for(tx: &mut dyn Tx, m: &Migration) -> Result<String, Problem> {
    Ok(match m.state {
        MigrationState::Inspecting => {
            let mut names = Vec::new();
            for i in tx.inspections_of(m.id).await? {
                if i.state == InspectionState::Pending
                    && let Some(Host { name, .. }) = tx.host(i.host).await?
                    && !names.contains(&name)
                {
                    names.push(name);
                }
            }
            if names.is_empty() {
                "the plan".to_string()
            } else {
                format!("the agents on {}", names.join(", "))
            }
        }
        MigrationState::Planned => "an operator to apply it".to_string(),
        MigrationState::Stopped => "an operator to apply it again, or to cancel it".to_string(),
        MigrationState::Stuck => stuck(&progression::jobs_of(tx, m.id).await?).to_string(),
        MigrationState::Running | MigrationState::Unwinding => running(tx, m).await?,
        MigrationState::Blocked | MigrationState::Succeeded | MigrationState::Cancelled => String::new(),
    })
}

fn stuck(jobs: &[Job]) -> &'static str {
    if progression::goes_back(jobs) {
        "a job that could not be put back, or whose end is unknown: its agent, or a person who looks and cancels again"
    } else {
        "a job whose end is unknown: its agent, or a person who looks"
    }
}

async fn running(tx: &mut dyn Tx, m: &Migration) -> Result<String, Problem> {
    for g in tx.gates_of(m.id).await? {
        if matches!(g.state, GateState::Open | GateState::Claimed) {
            return Ok(format!("a person: {}", g.title));
        }
    }
    let at_work = |j: &Job| {
        matches!(
            j.state,
            JobState::Ready
                | JobState::Offered
                | JobState::Running
                | JobState::Cancelling
                | JobState::UndoReady
                | JobState::Undoing
        )
    };
    let jobs = progression::jobs_of(tx, m.id).await?;
    let mut parts = match m.state {
        MigrationState::Running => scheduler::obstacles(tx, m, &jobs).await?,
        _ => vec![],
    };
    for j in jobs.iter().filter(|j| at_work(j)) {
        let host = tx.host(j.host).await?.map(|h| h.name).unwrap_or_default();
        let agent = tx.agent_of_host(j.host).await?;
        let away = if agent.is_some_and(|a| a.state == AgentState::Online) {
            ""
        } else {
            " (its agent is not in touch)"
        };
        parts.push(format!("{} on {host}{away}", j.name));
    }
    Ok(parts.join(", "))
}
