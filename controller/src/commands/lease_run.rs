//! Runs at SQL Server for a lease (`lease fence --sql`, `lease open`, `lease marks remove`): planned from what the agent says
//! that it would run, approved by an operator who saw it, begun under a new epoch, and believed only for what is read back.

use std::collections::BTreeSet;

use syncferry_shared::fence::{FenceDatabaseTask, FencePreviewRequest, MARK_EPOCH, RemoveMarksTask};
use syncferry_shared::inventory::{ConnectFacts, DatabaseFacts, InspectionRequest};
use syncferry_shared::lease::{Lease, LeaseState, ProofKind};
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::plan::{LeaseRun, LeaseTask, Scenario};
use syncferry_shared::spec::{DatabaseIdentity, JobSpec, Task};
use syncferry_shared::state::{MigrationEvent, MigrationState};
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{Finding, JobId, MigrationId, token};
use syncferry_store::{
    AgentState, By, Database, Host, IdentityState, Job, Migration, MigrationFilter, NewMigration, NewProof, Tx,
};

use super::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::dispatch::report::End;
use crate::plan::fence::{self, FenceInput};
use crate::problem::Problem;
use crate::{find, inspect, queries};

use super::{prove, stray};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Nobody may connect.
    Fence,
    /// The holder may.
    Open,
    /// Marks and denials go.
    RemoveMarks,
    /// A nonce goes one way and is read the other way.
    Prove,
}

impl Run {
    fn scenario(self) -> Scenario {
        match self {
            Run::Fence => Scenario::FenceDatabase,
            Run::Open => Scenario::OpenDatabase,
            Run::RemoveMarks => Scenario::RemoveMarks,
            Run::Prove => Scenario::ProveIdentity,
        }
    }
    pub(super) fn fits(self, state: LeaseState) -> bool {
        match self {
            Run::Fence => matches!(state, LeaseState::Lost | LeaseState::Quarantined | LeaseState::Fencing),
            Run::Open => state == LeaseState::Held,
            Run::RemoveMarks | Run::Prove => {
                matches!(state, LeaseState::Free | LeaseState::Held | LeaseState::Draining)
            }
        }
    }
}

/// What a run is planned for.
pub(super) struct Scene {
    pub(super) lease: Lease,
    pub(super) name: String,
    database: Database,
    pub(super) identity: DatabaseIdentity,
    pub(super) host: Host,
    holder: Option<Host>,
    /// Logins by the server that was seen to use them.
    servers: Vec<(String, String)>,
}

impl Scene {
    /// The lease and what it is about, as they stand.
    pub(super) async fn of(tx: &mut dyn Tx, lease: &str) -> Result<Self, Problem> {
        scene(tx, lease).await
    }
}

/// Plans a run. Nothing is changed by it.
pub async fn plan(
    core: &Core,
    actor: &str,
    lease: &str,
    run: Run,
    logins: &[String],
    reason: &str,
) -> Result<Migration, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::Invalid(
            "a reason must be given: it stands in the lease's history".to_string(),
        ));
    }
    // A copy that was refused has no lease of its own yet; its marks are removed under one.
    let stray = match run {
        Run::RemoveMarks => stray::adopt(core, actor, lease).await?,
        _ => None,
    };
    let lease = stray.as_ref().map_or(lease, |s| s.0.as_str());
    let mut tx = core.store.read("lease-run.look").await?;
    let mut scene = scene(&mut *tx, lease).await?;
    if let Some((_, name)) = stray {
        // Whoever works at the site is nobody's business in a copy: only those who are named get in again.
        (scene.name, scene.servers) = (name, vec![]);
    }
    let online = tx
        .agent_of_host(scene.host.id)
        .await?
        .is_some_and(|a| a.state == AgentState::Online);
    drop(tx);
    if !run.fits(scene.lease.state) {
        return Err(wrong_state(&scene, run));
    }
    if !online {
        return Err(Problem::NoAnswer(format!(
            "the agent on {} is not in touch; it is the one that reaches {}",
            scene.host.name, scene.name
        )));
    }
    let facts = look(core, &scene).await?;
    if scene.database.identity_state != IdentityState::Retired {
        learn_logins(&mut scene, &facts);
    }
    let task = task(&scene, run, logins, &facts);
    let preview = preview(core, &scene, &task).await?;
    let (migration, job) = (
        MigrationId::new(core.store.now().await?, &core.random()),
        JobId::new(core.store.now().await?, &core.random()),
    );
    let (preview, problem) = match preview {
        Ok(preview) => (Some(preview), None),
        Err(why) => (None, Some(why)),
    };
    let input = FenceInput {
        migration,
        job,
        more_jobs: vec![],
        run: LeaseRun {
            resource: scene.lease.resource.clone(),
            seen_state: scene.lease.state,
            seen_epoch: scene.lease.epoch,
            reason: reason.trim().to_string(),
            task,
            statements: vec![],
        },
        name: scene.name.clone(),
        host: scene.host.id,
        host_name: scene.host.name.clone(),
        preview,
        problem,
        servers: scene.servers.clone(),
    };
    write(core, actor, run, &scene, &input).await
}

async fn scene(tx: &mut dyn Tx, text: &str) -> Result<Scene, Problem> {
    let lease = find::lease(tx, text).await?;
    let name = queries::lease::name(tx, &lease).await?;
    let Some(database) = find::database_of(tx, &lease).await? else {
        return Err(Problem::Invalid(format!(
            "{name} is no database: there is nothing to run at SQL Server"
        )));
    };
    let (Some(database_guid), Some(family_guid)) = (database.guids.database, database.guids.family) else {
        return Err(Problem::NotNow(format!("it is not known yet which database {name} is")));
    };
    let identity = DatabaseIdentity {
        id: database.id,
        address: database.address.clone(),
        server_name: database.server_name.clone(),
        database_guid,
        family_guid,
    };
    let host = tx
        .host(database.host)
        .await?
        .ok_or_else(|| Problem::Internal("the database's host is gone".to_string()))?;
    let holder = match lease.holder {
        Some(id) => tx.host(id).await?,
        None => None,
    };
    let servers = servers(tx, &database).await?;
    Ok(Scene {
        lease,
        name,
        database,
        identity,
        host,
        holder,
        servers,
    })
}

/// The accounts of the site's Connect servers, as their agents saw them last.
async fn servers(tx: &mut dyn Tx, database: &Database) -> Result<Vec<(String, String)>, Problem> {
    let mut found = Vec::new();
    for watch in tx.watches().await? {
        let Some(host) = tx.host(watch.host).await?.filter(|h| h.site == database.site) else {
            continue;
        };
        let report: Option<WatchReport> = serde_json::from_value(watch.report).ok();
        if let Some(login) = report.and_then(|r| r.connect).and_then(|c| account(&c.facts)) {
            found.push((login, host.name));
        }
    }
    to_come(tx, database, &mut found).await?;
    Ok(found)
}

/// A server that a migration is about to seat has no service yet that could be seen; its plan says which account it will use.
async fn to_come(tx: &mut dyn Tx, database: &Database, found: &mut Vec<(String, String)>) -> Result<(), Problem> {
    let filter = MigrationFilter {
        site: Some(database.site),
        states: vec![MigrationState::Running],
    };
    for m in tx.migrations(&filter).await? {
        let plan = plan_of(&m)?;
        let (Some(h), Some(v)) = (plan.handover, plan.values) else {
            continue;
        };
        let known = found.iter().any(|(_, server)| server.eq_ignore_ascii_case(&h.to_name));
        if let Some(account) = v.expect.service_account.filter(|_| !known) {
            found.push((account, h.to_name));
        }
    }
    Ok(())
}

/// The service's account, where it is one that SQL Server on another machine can know.
fn account(connect: &ConnectFacts) -> Option<String> {
    let account = &connect.service.as_ref()?.account;
    let upper = account.to_ascii_uppercase();
    let local =
        upper.starts_with("NT ") || upper == "LOCALSYSTEM" || upper.starts_with(".\\") || !account.contains('\\');
    (!local).then(|| account.clone())
}

async fn look(core: &Core, scene: &Scene) -> Result<DatabaseFacts, Problem> {
    let address = &scene.database.address;
    let request = InspectionRequest {
        instances: vec![address.instance.clone()],
        databases: vec![address.clone()],
        ..InspectionRequest::default()
    };
    let inventory = inspect::ask_and_wait(core, &scene.host, &request, "lease run").await?;
    let problem = inventory
        .problems
        .first()
        .map(|p| format!("{}: {}", p.subject, p.error));
    let same = |f: &DatabaseFacts| f.instance == address.instance && f.name.eq_ignore_ascii_case(&address.database);
    inventory
        .databases
        .into_iter()
        .find(same)
        .ok_or_else(|| Problem::NoAnswer(problem.unwrap_or_else(|| format!("{} was not found", scene.name))))
}

/// Logins under which synchronisation services are on the database now.
fn learn_logins(scene: &mut Scene, facts: &DatabaseFacts) {
    for s in facts.sessions.iter().flatten().filter(|s| s.is_sync_service()) {
        let server = s.host.clone().unwrap_or_default();
        let known = |(l, h): &(String, String)| l.eq_ignore_ascii_case(&s.login) && h.eq_ignore_ascii_case(&server);
        if !scene.servers.iter().any(known) {
            scene.servers.push((s.login.clone(), server));
        }
    }
}

fn task(scene: &Scene, run: Run, typed: &[String], facts: &DatabaseFacts) -> LeaseTask {
    let is_holders = |server: &str| {
        let named = |h: &Host| {
            h.name.eq_ignore_ascii_case(server)
                || h.computer_name
                    .as_deref()
                    .is_some_and(|c| c.eq_ignore_ascii_case(server))
        };
        scene.holder.as_ref().is_some_and(named)
    };
    let grant = scene
        .servers
        .iter()
        .find(|(_, s)| is_holders(s))
        .map(|(l, _)| l.clone());
    let mut logins: BTreeSet<String> = BTreeSet::new();
    for login in scene.servers.iter().map(|(l, _)| l).chain(typed) {
        if !logins.iter().any(|l| l.eq_ignore_ascii_case(login)) {
            logins.insert(login.trim().to_string());
        }
    }
    let there: i64 = facts.marks.get(MARK_EPOCH).and_then(|e| e.parse().ok()).unwrap_or(0);
    let fence = |epoch, owner, deny, grant| FenceDatabaseTask {
        database: scene.identity.clone(),
        epoch,
        owner,
        deny,
        grant,
        preview_digest: String::new(),
    };
    match run {
        Run::Fence => {
            let epoch = match scene.lease.state {
                LeaseState::Fencing => scene.lease.epoch,
                _ => scene.lease.epoch.max(there) + 1,
            };
            LeaseTask::Fence(fence(epoch, None, logins.into_iter().collect(), None))
        }
        Run::Open => {
            let others = logins
                .into_iter()
                .filter(|l| grant.as_ref().is_none_or(|g| !g.eq_ignore_ascii_case(l)));
            let owner = scene.holder.as_ref().map(|h| fence::owner(h.id));
            LeaseTask::Open(fence(scene.lease.epoch, owner, others.collect(), grant))
        }
        // A rendezvous is planned in `prove.rs`; whoever asked for it here is shown a removal and nothing else.
        Run::RemoveMarks | Run::Prove => LeaseTask::RemoveMarks(RemoveMarksTask {
            database: scene.identity.clone(),
            allow: logins.into_iter().collect(),
            preview_digest: String::new(),
        }),
    }
}

/// What the agent would run, or why it does not say.
pub(super) async fn preview(
    core: &Core,
    scene: &Scene,
    task: &LeaseTask,
) -> Result<Result<syncferry_shared::fence::FencePreview, String>, Problem> {
    let database = scene.database.address.clone();
    let wanted = match task {
        LeaseTask::Fence(t) | LeaseTask::Open(t) => FencePreviewRequest::Fence {
            database,
            uid: scene.database.id,
            epoch: t.epoch,
            owner: t.owner.clone(),
            deny: t.deny.clone(),
            grant: t.grant.clone(),
        },
        LeaseTask::RemoveMarks(t) => FencePreviewRequest::RemoveMarks {
            database,
            allow: t.allow.clone(),
        },
        LeaseTask::Prove(t) => FencePreviewRequest::Nonce {
            database,
            uid: scene.database.id,
            nonce: t.write.nonce.clone(),
        },
    };
    let request = InspectionRequest {
        instances: vec![scene.database.address.instance.clone()],
        preview: Some(wanted),
        ..InspectionRequest::default()
    };
    let inventory = inspect::ask_and_wait(core, &scene.host, &request, "lease run").await?;
    let why = inventory
        .problems
        .first()
        .map(|p| format!("{}: {}", p.subject, p.error));
    Ok(inventory
        .preview
        .ok_or_else(|| why.unwrap_or_else(|| "it knows no previews".to_string())))
}

pub(super) async fn write(
    core: &Core,
    actor: &str,
    run: Run,
    scene: &Scene,
    input: &FenceInput,
) -> Result<Migration, Problem> {
    let plan = fence::plan(input);
    let json = serde_json::to_value(&plan).map_err(|e| Problem::Internal(e.to_string()))?;
    let digest = token::digest(json.to_string().as_bytes());
    let id = input.migration;
    let mut tx = core.store.begin("lease-run.plan").await?;
    let request = serde_json::json!({
        "lease": scene.lease.resource, "scenario": run.scenario().as_str(), "reason": input.run.reason,
    });
    let m = tx
        .add_migration(&NewMigration {
            id,
            site: scene.database.site,
            scenario: run.scenario(),
            request: request.clone(),
            actor: actor.to_string(),
        })
        .await?;
    let payload =
        serde_json::json!({"scenario": run.scenario().as_str(), "site": scene.database.site, "request": request});
    tx.append_event(migration_event(id, "migration.created", actor, payload))
        .await?;
    tx.set_plan(id, &json, &digest).await?;
    let event = if plan.blocked() {
        MigrationEvent::PlanBlocked
    } else {
        MigrationEvent::PlanReady
    };
    let to = m.state.next(event).map_err(|e| Problem::Internal(e.to_string()))?;
    tx.transition_migration(id, m.state, to).await?;
    let payload = serde_json::json!({
        "digest": digest, "blocked": plan.blocked(), "findings": plan.findings,
        "jobs": plan.jobs().map(|j| &j.name).collect::<Vec<_>>(),
    });
    tx.append_event(migration_event(id, "plan.made", "controller", payload))
        .await?;
    let m = tx
        .migration(id)
        .await?
        .ok_or_else(|| Problem::Internal("the row is gone".to_string()))?;
    tx.commit().await?;
    core.migration_changed(id);
    Ok(m)
}

pub(super) fn wrong_state(scene: &Scene, run: Run) -> Problem {
    let next = match run {
        Run::Fence => {
            "A fence is for a lease that is lost, quarantined or being fenced. A holder that is alive hands over: `syncferry lease handover`. When it never can: `syncferry lease break-glass`."
        }
        Run::Open => "A database is opened to a lease's holder: seat one with `syncferry lease handover --to`.",
        Run::RemoveMarks => {
            "Marks are removed while the lease is held or free. End the fence first: `syncferry lease fence`."
        }
        Run::Prove => {
            "A nonce is written while the lease is held or free. End the fence or the doubt first: `syncferry lease fence`."
        }
    };
    Problem::refused(
        Finding::blocker(
            "lease-state",
            format!("The lease of {} is {}", scene.name, scene.lease.state),
        )
        .saw(
            format!("lease {}", scene.lease.resource),
            format!("{}, epoch {}", scene.lease.state, scene.lease.epoch),
        )
        .source("Syncferry: a run at SQL Server belongs to a change of the lease")
        .next(next),
    )
}

/// The epoch under which a run works.
pub(crate) fn epoch(run: &LeaseRun) -> i64 {
    match &run.task {
        LeaseTask::Fence(t) | LeaseTask::Open(t) => t.epoch,
        LeaseTask::RemoveMarks(_) | LeaseTask::Prove(_) => run.seen_epoch,
    }
}

/// Begins an approved run: the lease must stand where it stood, and a fence makes every token void before SQL Server is touched.
pub(crate) async fn begin(tx: &mut dyn Tx, actor: &str, m: &Migration, run: &LeaseRun) -> Result<(), Problem> {
    let lease = tx.lease(&run.resource).await?;
    let as_seen = lease.filter(|l| l.state == run.seen_state && l.epoch == run.seen_epoch);
    let Some(lease) = as_seen else {
        return Err(Problem::refused(
            Finding::blocker("lease-changed", "The lease is not what it was when the run was planned")
                .saw(
                    format!("lease {}", run.resource),
                    format!("it was {} at epoch {}", run.seen_state, run.seen_epoch),
                )
                .source("Syncferry: an operator approves what was shown")
                .next("Plan the run again."),
        ));
    };
    let LeaseTask::Fence(task) = &run.task else {
        return Ok(());
    };
    if lease.state == LeaseState::Fencing {
        return Ok(());
    }
    let by = By::new(actor)
        .migration(m.id)
        .detail(serde_json::json!({"reason": run.reason, "command": "lease fence --sql"}));
    // Above what the database itself knows: the planned epoch says how far.
    let fencing = tx
        .begin_fence(&run.resource, lease.epoch, Some(task.epoch - 1), &by)
        .await?;
    if fencing.epoch != task.epoch {
        return Err(Problem::Internal(format!(
            "the fence began at epoch {}, not {}",
            fencing.epoch, task.epoch
        )));
    }
    Ok(())
}

/// What a run that says that it succeeded amounts to: the lease is free by it, or it failed after all.
pub(crate) async fn judged(
    tx: &mut dyn Tx,
    actor: &str,
    m: &Migration,
    job: &Job,
    outcome: Box<Outcome>,
) -> Result<End, Problem> {
    let spec: Option<JobSpec> = job.spec.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok());
    let Some(spec) = spec else {
        return Err(Problem::Internal(format!("job {} has no specification", job.name)));
    };
    if let Task::RemoveNonce(t) = &spec.task {
        return prove::settle(tx, actor, m, t, outcome).await;
    }
    let judged = match &spec.task {
        Task::FenceDatabase(t) => fence::fenced(t, outcome.fenced.as_ref()).map(|e| t.owner.is_none().then_some(e)),
        Task::RemoveMarks(_) => fence::cleaned(outcome.cleaned.as_ref()).map(|_| None),
        _ => Ok(None),
    };
    let frees = match judged {
        Ok(frees) => frees,
        Err(findings) => {
            return Ok(End::Failed(Failure {
                step: "read-back".to_string(),
                findings,
                undone: false,
            }));
        }
    };
    // Two people may have freed it meanwhile: then there is nothing left to prove, and the run succeeded all the same.
    let lease = tx.lease(&spec.lease.resource).await?;
    let fencing = lease.is_some_and(|l| l.state == LeaseState::Fencing && l.epoch == spec.lease.epoch);
    if let Some(evidence) = frees.filter(|_| fencing) {
        let by = By::new(actor)
            .migration(m.id)
            .detail(serde_json::json!({"reason": "SQL Server refuses the holder, read back"}));
        let proof = NewProof {
            kind: ProofKind::SqlFenced,
            evidence,
            actor: actor.to_string(),
            second: None,
        };
        tx.add_proof(&spec.lease.resource, spec.lease.epoch, &proof).await?;
        tx.end_fence(&spec.lease.resource, spec.lease.epoch, &by).await?;
    }
    Ok(End::Succeeded(outcome))
}
