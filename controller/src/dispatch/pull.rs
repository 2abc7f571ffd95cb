//! Pull: everything an agent should be doing. Ready jobs are offered here: an attempt is opened, and the same offer is
//! given again until it is accepted or withdrawn.

use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::lease::LeaseState;
use syncferry_shared::state::{AttemptState, GateState, JobEvent, JobState, MigrationState};
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, DatabaseId, GateId, JobId, SessionId};
use syncferry_store::{AgentState, Host, HostRole, IdentityState, Inspection, Job, JobFilter, NewAttempt, Tx};

use super::{actor, known_agent};
use crate::commands::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::problem::Problem;
use crate::{lease_use, scheduler};

/// A job that may be accepted.
pub struct Offer {
    /// The attempt's token.
    pub token: AttemptToken,
    /// The specification, as it travels.
    pub spec: Vec<u8>,
    /// Whether it is to be undone.
    pub undo: bool,
}

/// A lease to renew.
pub struct Duty {
    /// The resource.
    pub resource: String,
    /// The epoch.
    pub epoch: i64,
}

/// Everything.
#[derive(Default)]
pub struct Desired {
    /// Jobs that may be accepted.
    pub offers: Vec<Offer>,
    /// Attempts to stop and undo.
    pub cancels: Vec<AttemptToken>,
    /// Questions.
    pub inspections: Vec<Inspection>,
    /// Leases to renew.
    pub leases: Vec<Duty>,
    /// Gates that a person claims to be done.
    pub claims: Vec<(GateId, JobId)>,
    /// What to watch.
    pub watch: Watch,
}

/// What to watch.
#[derive(Default)]
pub struct Watch {
    /// Leased databases.
    pub databases: Vec<(DatabaseId, DatabaseAddress)>,
    /// Connect on the host itself.
    pub connect: bool,
}

/// What the agent should be doing.
pub async fn pull(core: &Core, id: AgentId, session: SessionId) -> Result<Desired, Problem> {
    let mut tx = core.store.begin("dispatch.pull").await?;
    let (agent, host) = known_agent(&mut *tx, id).await?;
    if agent.session != Some(session) || agent.state == AgentState::Silent {
        return Err(Problem::Stale(
            "say hello first: this is not the session that the controller knows, or it was called silent meanwhile"
                .to_string(),
        ));
    }
    let mut desired = Desired {
        inspections: tx.pending_inspections(host.id).await?,
        ..Desired::default()
    };
    let states = vec![
        JobState::Ready,
        JobState::Offered,
        JobState::UndoReady,
        JobState::Undoing,
        JobState::Cancelling,
        JobState::Running,
    ];
    for job in tx
        .jobs(&JobFilter {
            host: Some(host.id),
            states,
            ..JobFilter::default()
        })
        .await?
    {
        match job.state {
            JobState::Cancelling => {
                let attempt = tx
                    .current_attempt(job.id)
                    .await?
                    .filter(syncferry_store::Attempt::is_open);
                desired.cancels.extend(attempt.map(|a| a.token()));
            }
            JobState::Running => claims(&mut *tx, &job, &mut desired).await?,
            _ => desired.offers.extend(offer(&mut *tx, id, &host, job).await?),
        }
    }
    for lease in tx.leases().await? {
        let alive = matches!(lease.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost);
        if alive && lease.renewer == Some(host.id) && lease.holder_session == Some(session) {
            desired.leases.push(Duty {
                resource: lease.resource.0,
                epoch: lease.epoch,
            });
        }
    }
    desired.watch = watch(&mut *tx, &host).await?;
    tx.commit().await?;
    Ok(desired)
}

/// Databases that are there and leased are watched by the agent that reaches them; Connect by the one on its own host.
async fn watch(tx: &mut dyn Tx, host: &Host) -> Result<Watch, Problem> {
    let mut watch = Watch {
        connect: host.roles.contains(&HostRole::ConnectServer),
        ..Watch::default()
    };
    for d in tx.databases(Some(host.site)).await? {
        if d.host == host.id && matches!(d.identity_state, IdentityState::Confirmed | IdentityState::Suspect) {
            watch.databases.push((d.id, d.address));
        }
    }
    Ok(watch)
}

async fn claims(tx: &mut dyn Tx, job: &Job, desired: &mut Desired) -> Result<(), Problem> {
    for gate in tx.gates_of(job.migration).await? {
        if gate.job == job.id && gate.state == GateState::Claimed {
            desired.claims.push((gate.id, job.id));
        }
    }
    Ok(())
}

async fn offer(tx: &mut dyn Tx, id: AgentId, host: &Host, job: Job) -> Result<Option<Offer>, Problem> {
    let current = tx
        .current_attempt(job.id)
        .await?
        .filter(syncferry_store::Attempt::is_open);
    if let Some(attempt) = current {
        let again = attempt.state == AttemptState::Offered && attempt.agent == id;
        return Ok(job.spec.filter(|_| again).map(|spec| Offer {
            token: attempt.token(),
            spec,
            undo: attempt.undo,
        }));
    }
    let Some(m) = tx.migration(job.migration).await? else {
        return Ok(None);
    };
    let undo = job.state == JobState::UndoReady;
    let may = match m.state {
        MigrationState::Running => job.state == JobState::Ready,
        MigrationState::Unwinding => undo,
        _ => false,
    };
    if !may {
        return Ok(None);
    }
    // No job uses a database without its lease, and what a job is made of may have changed since it became ready.
    let plan = plan_of(&m)?;
    let lease = tx.lease(&job.resource).await?;
    let Some(lease) = lease.filter(|l| lease_use::fits(&plan, &job, l)) else {
        return Ok(None);
    };
    let job = if undo {
        job
    } else {
        scheduler::make_ready(tx, &m, job).await?
    };
    let (Some(spec), Some(digest)) = (job.spec.clone(), job.digest.clone()) else {
        return Ok(None);
    };
    let attempt = tx
        .open_attempt(&NewAttempt {
            job: job.id,
            agent: id,
            epoch: lease.epoch,
            digest,
            undo,
        })
        .await?;
    let to = job
        .state
        .next(JobEvent::Offer)
        .map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_job(job.id, job.state, to).await?;
    let payload = serde_json::json!({
        "job": job.name, "attempt": attempt.attempt, "host": host.name, "epoch": attempt.epoch,
        "digest": attempt.digest, "undo": undo, "to": actor(host),
    });
    tx.append_event(migration_event(m.id, "job.offered", "controller", payload))
        .await?;
    Ok(Some(Offer {
        token: attempt.token(),
        spec,
        undo,
    }))
}
