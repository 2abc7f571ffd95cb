//! A migration that runs. The jobs of a stage become ready when every job of the stages before is done; their
//! specifications are made then, because only then their inputs are known.

use std::collections::BTreeMap;

use syncferry_shared::MigrationId;
use syncferry_shared::lease::{Lease, LeaseRef, LeaseState};
use syncferry_shared::outcome::{LevelStanding, Outcome};
use syncferry_shared::plan::{LeaseRun, LeaseUse, Plan, PlannedHandover};
use syncferry_shared::state::{JobEvent, JobState, MigrationEvent, MigrationState};
use syncferry_store::{Job, LeaseError, Migration, Tx};

use super::handing_over::{self, Standing};
use crate::commands::apply::plan_of;
use crate::commands::lease_run;
use crate::core::{Core, migration_event};
use crate::plan::specs::{self, Known, SpecError};
use crate::problem::Problem;
use crate::wake::HostReason;
use crate::{lease_use, progression, queries};

/// Takes the next step of a running migration. Returns what stands in its way.
pub(super) async fn advance(core: &Core, id: MigrationId) -> Result<Vec<String>, Problem> {
    let mut tx = core.store.begin("scheduler.advance").await?;
    let Some(m) = tx.migration(id).await?.filter(|m| m.state == MigrationState::Running) else {
        return Ok(vec![]);
    };
    let jobs = progression::jobs_of(&mut *tx, id).await?;
    if jobs.iter().all(is_done) {
        if let Some(standing) = below_level(&m, &jobs)? {
            // What is not proven has not succeeded, whatever its jobs say of themselves.
            let to = m
                .state
                .next(MigrationEvent::JobFailed)
                .map_err(|e| Problem::Internal(e.to_string()))?;
            tx.transition_migration(id, m.state, to).await?;
            let payload =
                serde_json::json!({"needed": standing.needed, "reached": standing.reached, "why": standing.shown()});
            tx.append_event(migration_event(id, "migration.below-level", "controller", payload))
                .await?;
            tx.commit().await?;
            core.migration_changed(id);
            return Ok(vec![]);
        }
        let to = m
            .state
            .next(MigrationEvent::AllJobsDone)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_migration(id, m.state, to).await?;
        tx.append_event(migration_event(
            id,
            "migration.succeeded",
            "controller",
            serde_json::json!({}),
        ))
        .await?;
        tx.commit().await?;
        core.migration_changed(id);
        return Ok(vec![]);
    }
    let plan = plan_of(&m)?;
    let mut duties = Vec::new();
    if let Some(h) = handing_over::due(&plan, &jobs) {
        let standing = handing_over::look(&mut *tx, &m, h, &jobs).await?;
        match handing_over::advance(core, &mut *tx, &m, h, standing).await? {
            Ok(hosts) => duties = hosts,
            Err(why) => return Ok(vec![waits(h, &why)]),
        }
    }
    let wanting = wanting(&jobs);
    if wanting.is_empty() && duties.is_empty() {
        return Ok(vec![]);
    }
    let outcomes = outcomes(&jobs)?;
    let (mut changed, mut obstacles) = (Vec::new(), Vec::new());
    for job in wanting {
        match prepare(&mut *tx, &plan, job, &outcomes).await? {
            Prepared::Anew => changed.push(job.host),
            Prepared::AsBefore => {}
            Prepared::Waits(why) => obstacles.push(why),
        }
    }
    if changed.is_empty() && duties.is_empty() {
        return Ok(obstacles);
    }
    tx.commit().await?;
    for host in duties {
        core.host_changed(host, HostReason::Lease);
    }
    for host in changed {
        core.host_changed(host, HostReason::Work);
    }
    core.wake.ring(crate::wake::Reason::Migration(id));
    Ok(obstacles)
}

/// What an operator is told while a lease does not change hands.
fn waits(h: &PlannedHandover, why: &str) -> String {
    format!(
        "an operator: the hand-over from {} to {}: {why}",
        h.from_name, h.to_name
    )
}

/// Where a migration whose jobs are all done stands, when that is below the level that its scenario needs.
fn below_level(m: &Migration, jobs: &[Job]) -> Result<Option<LevelStanding>, Problem> {
    let Some(needed) = m.scenario.required_level() else {
        return Ok(None);
    };
    let levels = outcomes(jobs)?.into_values().flat_map(|o| o.levels);
    let standing = LevelStanding::of(needed, levels);
    Ok((!standing.suffices()).then_some(standing))
}

fn is_done(job: &Job) -> bool {
    job.state == JobState::Succeeded
}

/// The jobs of the first stage that is not done that are to be made ready. One that is ready already keeps its specification
/// as long as nothing changes that it is made of: leases and addresses may, before it is offered.
fn wanting(jobs: &[Job]) -> Vec<&Job> {
    let Some(stage) = jobs.iter().filter(|j| !is_done(j)).map(|j| j.stage).min() else {
        return vec![];
    };
    jobs.iter()
        .filter(|j| j.stage == stage && matches!(j.state, JobState::Waiting | JobState::Ready))
        .collect()
}

fn outcomes(jobs: &[Job]) -> Result<BTreeMap<String, Outcome>, Problem> {
    let mut found = BTreeMap::new();
    for job in jobs {
        if let Some(json) = &job.outcome {
            let outcome = serde_json::from_value(json.clone())
                .map_err(|e| Problem::Internal(format!("the outcome of job {} cannot be read: {e}", job.name)))?;
            found.insert(job.name.clone(), outcome);
        }
    }
    Ok(found)
}

/// What stands in the way of a running migration's next jobs, in sentences for people. It only looks.
pub(crate) async fn obstacles(tx: &mut dyn Tx, m: &Migration, jobs: &[Job]) -> Result<Vec<String>, Problem> {
    let plan = plan_of(m)?;
    if let Some(h) = handing_over::due(&plan, jobs)
        && let Standing::Waits(why) = handing_over::look(tx, m, h, jobs).await?
    {
        return Ok(vec![waits(h, &why)]);
    }
    let wanting = wanting(jobs);
    if wanting.is_empty() {
        return Ok(vec![]);
    }
    let outcomes = outcomes(jobs)?;
    let mut found = Vec::new();
    for job in wanting {
        if let Made::Waits(why) = make(tx, &plan, job, &outcomes).await? {
            found.push(why);
        }
    }
    Ok(found)
}

/// A ready job with the specification that it must have now; without one when it cannot be offered now.
pub(crate) async fn make_ready(tx: &mut dyn Tx, m: &Migration, job: Job) -> Result<Job, Problem> {
    let outcomes = outcomes(&progression::jobs_of(tx, m.id).await?)?;
    match prepare(tx, &plan_of(m)?, &job, &outcomes).await? {
        Prepared::AsBefore => Ok(job),
        Prepared::Anew => tx
            .job(job.id)
            .await?
            .ok_or_else(|| Problem::Internal("the row is gone".to_string())),
        Prepared::Waits(_) => Ok(Job {
            spec: None,
            digest: None,
            ..job
        }),
    }
}

enum Prepared {
    Anew,
    AsBefore,
    Waits(String),
}

/// Gives a job its specification and makes it ready.
async fn prepare(
    tx: &mut dyn Tx,
    plan: &Plan,
    job: &Job,
    outcomes: &BTreeMap<String, Outcome>,
) -> Result<Prepared, Problem> {
    let (bytes, epoch) = match make(tx, plan, job, outcomes).await? {
        Made::Spec(bytes, epoch) => (bytes, epoch),
        Made::Waits(why) => return Ok(Prepared::Waits(why)),
    };
    if job.state == JobState::Ready && job.spec.as_deref() == Some(bytes.as_slice()) {
        return Ok(Prepared::AsBefore);
    }
    let digest = tx.set_job_spec(job.id, &bytes).await?;
    if job.state == JobState::Waiting {
        let to = job
            .state
            .next(JobEvent::Prepare)
            .map_err(|e| Problem::Internal(e.to_string()))?;
        tx.transition_job(job.id, job.state, to).await?;
    }
    let payload = serde_json::json!({"job": job.name, "digest": digest, "epoch": epoch});
    tx.append_event(migration_event(job.migration, "job.ready", "controller", payload))
        .await?;
    Ok(Prepared::Anew)
}

enum Made {
    /// The specification's bytes, and the epoch that stands in it.
    Spec(Vec<u8>, i64),
    /// Not now, and why.
    Waits(String),
}

/// Makes a specification from what is known now.
async fn make(tx: &mut dyn Tx, plan: &Plan, job: &Job, outcomes: &BTreeMap<String, Outcome>) -> Result<Made, Problem> {
    if let Some(run) = &plan.lease_run {
        return make_run(tx, plan, run, job).await;
    }
    let lease = tx.lease(&job.resource).await?;
    let Some(planned) = plan.jobs().find(|p| p.id == job.id) else {
        return Err(Problem::Internal(format!("job {} is not in its plan", job.name)));
    };
    // Whoever is asked to hand over still holds it, and stopping that server is how it does.
    let held = |l: &Lease| l.state == LeaseState::Held || (l.state == LeaseState::Draining && plan.handover.is_some());
    let ready = |l: &&Lease| match planned.lease {
        LeaseUse::Held => held(l) && lease_use::is_its_servers(plan, job, l),
        LeaseUse::Beside => lease_use::beside(l, l.epoch),
    };
    let Some(lease) = lease.as_ref().filter(ready) else {
        return Ok(Made::Waits(not_held(tx, job, lease.as_ref()).await?));
    };
    let source_agent = match &plan.values {
        Some(v) => tx.agent_of_host(v.source_host).await?,
        None => None,
    };
    let known = Known {
        outcomes,
        lease: LeaseRef {
            resource: job.resource.clone(),
            epoch: lease.epoch,
        },
        source_agent: source_agent.as_ref().map(|a| a.id),
        source_address: source_agent.and_then(|a| a.transfer_address),
    };
    match specs::spec(plan, planned, &known) {
        Ok(spec) => {
            let bytes = serde_json::to_vec(&spec).map_err(|e| Problem::Internal(e.to_string()))?;
            Ok(Made::Spec(bytes, lease.epoch))
        }
        // An agent that enrolled anew has no address until it says hello.
        Err(e @ SpecError::Missing { .. }) => Ok(Made::Waits(e.to_string())),
        Err(e) => Err(Problem::Internal(e.to_string())),
    }
}

/// A run at SQL Server works under the lease's own change: its epoch must still be the one that was planned.
async fn make_run(tx: &mut dyn Tx, plan: &Plan, run: &LeaseRun, job: &Job) -> Result<Made, Problem> {
    let epoch = lease_run::epoch(run);
    match tx.authorize_run(&run.resource, epoch).await {
        Ok(()) => {}
        Err(LeaseError::Store(e)) => return Err(e.into()),
        Err(e) => return Ok(Made::Waits(format!("job {}: {e}", job.name))),
    }
    let Some(planned) = plan.jobs().find(|p| p.id == job.id) else {
        return Err(Problem::Internal(format!("job {} is not in its plan", job.name)));
    };
    let lease = LeaseRef {
        resource: run.resource.clone(),
        epoch,
    };
    let spec = specs::of_run(plan, run, planned, &lease);
    let bytes = serde_json::to_vec(&spec).map_err(|e| Problem::Internal(e.to_string()))?;
    Ok(Made::Spec(bytes, epoch))
}

async fn not_held(tx: &mut dyn Tx, job: &Job, lease: Option<&Lease>) -> Result<String, Problem> {
    let subject = match lease {
        Some(lease) => queries::lease::subject(tx, lease).await?,
        None => job.resource.0.clone(),
    };
    let state = lease.map_or("missing", |l| l.state.as_str());
    let renewer = match lease.and_then(|l| l.renewer) {
        Some(id) => tx
            .host(id)
            .await?
            .map(|h| format!("; the agent on {} renews it", h.name)),
        None => None,
    };
    Ok(format!(
        "job {} waits for the lease of {subject}, which is {state}{}",
        job.name,
        renewer.unwrap_or_default()
    ))
}
