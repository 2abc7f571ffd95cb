//! The point of a migration at which a lease changes hands. It is passed when the new server holds the lease, and nothing but
//! a proof frees it for that: the old server's own host (two jobs of the plan saw it), a hypervisor, SQL Server, two people.
//! Whichever command brings a proof about, the next look finds the lease free and seats the new server.

use serde_json::{Value, json};
use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::lease::{Lease, LeaseState, ProofKind, Resource};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::plan::{HandoverWay, LeaseTask, Plan, PlannedHandover, Scenario};
use syncferry_shared::state::{JobState, MigrationState};
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{HostId, Millis, SessionId};
use syncferry_store::{AgentState, By, Grant, Job, LeaseError, Migration, MigrationFilter, NewProof, Tx};

use super::in_place;
use crate::commands::apply::plan_of;
use crate::core::{Core, migration_event};
use crate::lease_use;
use crate::plan::move_in_place::POINT_OF_NO_RETURN;
use crate::plan::replace_server as words;
use crate::problem::Problem;
use crate::progression;

/// What two jobs saw is a proof for so long. Afterwards it is looked again.
const PROOF_GOOD_FOR_MS: i64 = 5 * 60 * 1000;

/// A look that was told so soon after the proof may have been taken before it.
const ON_ITS_WAY_MS: i64 = 2_000;

/// Where a hand-over stands.
pub(crate) enum Standing {
    /// The new server holds the lease, and SQL Server lets it in.
    Passed,
    /// The old server is proven to have given up.
    Proven { lease: Lease, evidence: Value },
    /// Nobody holds it, with a proof.
    Free(Lease),
    /// Not yet, and what an operator does about it.
    Waits(String),
}

/// The hand-over, when everything before it is done and something after it is not.
pub(crate) fn due<'a>(plan: &'a Plan, jobs: &[Job]) -> Option<&'a PlannedHandover> {
    let h = plan.handover.as_ref()?;
    let (after, before): (Vec<&Job>, Vec<&Job>) = jobs.iter().partition(|j| lease_use::is_after(h, j.stage));
    let done = |j: &&Job| j.state == JobState::Succeeded;
    (before.iter().all(done) && !after.iter().all(done)).then_some(h)
}

/// Looks, and changes nothing.
pub(crate) async fn look(
    tx: &mut dyn Tx,
    m: &Migration,
    h: &PlannedHandover,
    jobs: &[Job],
) -> Result<Standing, Problem> {
    let Some(lease) = tx.lease(&h.resource).await? else {
        return Ok(Standing::Waits(format!("the lease of {} is gone", h.lease_name)));
    };
    if h.frees && lease.state == LeaseState::Free {
        return Ok(match in_place::taken(tx, h).await? {
            true => Standing::Passed,
            false => Standing::Free(lease),
        });
    }
    let alive = matches!(lease.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost);
    if !h.frees && alive && lease.holder == Some(h.to) {
        return match must_be_opened(tx, m, h, &lease).await? {
            Some(why) => Ok(Standing::Waits(why)),
            None => Ok(Standing::Passed),
        };
    }
    match lease.state {
        LeaseState::Free => Ok(Standing::Free(lease)),
        LeaseState::Held | LeaseState::Draining
            if h.way == HandoverWay::Host && h.from.is_some() && lease.holder == h.from =>
        {
            Ok(match host_proof(tx, h, jobs).await? {
                Ok(evidence) => Standing::Proven { lease, evidence },
                Err(why) => Standing::Waits(why),
            })
        }
        _ => Ok(Standing::Waits(what_to_do(tx, h, &lease).await?)),
    }
}

/// A database that was fenced knows an older owner: SQL Server lets the new one in when it was told so under its epoch.
async fn must_be_opened(
    tx: &mut dyn Tx,
    m: &Migration,
    h: &PlannedHandover,
    lease: &Lease,
) -> Result<Option<String>, Problem> {
    // The fence is proven for the epoch at which the lease was free; a grant has the next one.
    let fenced = tx
        .proofs(&h.resource)
        .await?
        .into_iter()
        .any(|p| p.kind == ProofKind::SqlFenced && p.epoch == lease.epoch - 1);
    if !fenced {
        return Ok(None);
    }
    let filter = MigrationFilter {
        site: Some(m.site),
        states: vec![MigrationState::Succeeded],
    };
    for run in tx.migrations(&filter).await? {
        if run.scenario != Scenario::OpenDatabase {
            continue;
        }
        let opened = plan_of(&run)?.lease_run.filter(|r| r.resource == h.resource);
        if opened.is_some_and(|r| matches!(r.task, LeaseTask::Open(t) if t.epoch == lease.epoch)) {
            return Ok(None);
        }
    }
    Ok(Some(format!(
        "{} holds {} at epoch {}, and SQL Server was told to refuse everybody: `{}` lets it in",
        h.to_name,
        h.lease_name,
        lease.epoch,
        words::open(&h.lease_name)
    )))
}

/// What the two jobs saw, as the evidence of `holder_stopped`; or why it is none (any more).
async fn host_proof(tx: &mut dyn Tx, h: &PlannedHandover, jobs: &[Job]) -> Result<Result<Value, String>, Problem> {
    if h.resource.database_id().is_none() {
        return export_proof(tx, h, jobs).await;
    }
    // A server that stays the same host gave up when it was uninstalled; any other one when it was stopped.
    let gave_up = match h.takes {
        Some(_) => POINT_OF_NO_RETURN,
        None => "stop-old-server",
    };
    let again = if h.frees {
        format!(
            "`syncferry lease handover {} --reason <why>` looks again and frees it",
            h.lease_name
        )
    } else {
        format!(
            "`syncferry lease handover {} --to {} --reason <why>` looks again and hands over",
            h.lease_name, h.to_name
        )
    };
    let Some((stopped, ended)) = outcome(tx, jobs, gave_up).await? else {
        return Ok(Err(format!("nobody saw {} stop; {again}", h.from_name)));
    };
    // A lease that is only freed belongs to a database that is gone, or that nobody goes to afterwards.
    let looked = if h.frees {
        Some((Outcome::default(), ended))
    } else {
        outcome(tx, jobs, "verify-unused").await?
    };
    let Some((unused, looked_at)) = looked else {
        return Ok(Err(format!("nobody saw that the database is unused; {again}")));
    };
    let Some(seen) = stopped.stopped.filter(|s| s.is_out()) else {
        return Ok(Err(format!(
            "{} was not seen stopped and disabled; {again}",
            h.from_name
        )));
    };
    if unused.sessions.iter().any(SessionFacts::is_sync_service) {
        return Ok(Err(format!("a synchronisation service is on the database; {again}")));
    }
    if tx.now().since(looked_at) > PROOF_GOOD_FOR_MS {
        return Ok(Err(format!(
            "what was seen of {} is from {}; {again}",
            h.from_name,
            looked_at.rfc3339()
        )));
    }
    if let Some(against) = seen_since(tx, h, looked_at).await? {
        return Ok(Err(format!("{against}; stop it for good, then {again}")));
    }
    Ok(Ok(json!({
        "holder": h.from_name,
        "connect": seen,
        "sessions": unused.sessions,
        "looked_at": looked_at,
    })))
}

/// What was seen of the old server's staging mode, as the evidence of `holder_stopped` for the export; or why it is none (any more).
async fn export_proof(tx: &mut dyn Tx, h: &PlannedHandover, jobs: &[Job]) -> Result<Result<Value, String>, Problem> {
    let again = format!(
        "`syncferry lease handover {} --to {} --reason <why>` looks again and hands over",
        h.lease_name, h.to_name
    );
    let Some((seen, looked_at)) = outcome(tx, jobs, "old-into-staging").await? else {
        return Ok(Err(format!("nobody saw {} in staging mode; {again}", h.from_name)));
    };
    if tx.now().since(looked_at) > PROOF_GOOD_FOR_MS {
        return Ok(Err(format!(
            "what was seen of {} is from {}; {again}",
            h.from_name,
            looked_at.rfc3339()
        )));
    }
    if let Some(against) = exports_since(tx, h, looked_at).await? {
        return Ok(Err(format!("{against}; put it into staging mode, then {again}")));
    }
    Ok(Ok(json!({
        "holder": h.from_name,
        "connect": seen.connect,
        "evidence": seen.evidence,
        "looked_at": looked_at,
    })))
}

/// Whether the watch saw the old server out of staging mode after the proof.
async fn exports_since(tx: &mut dyn Tx, h: &PlannedHandover, since: Millis) -> Result<Option<String>, Problem> {
    for watch in tx.watches().await? {
        if watch.at <= since.plus(ON_ITS_WAY_MS) || Some(watch.host) != h.from {
            continue;
        }
        let report: Option<WatchReport> = serde_json::from_value(watch.report).ok();
        let scheduler = report.and_then(|r| r.connect?.facts.scheduler);
        if scheduler.is_some_and(|s| !s.staging_mode) {
            return Ok(Some(format!("{} was seen out of staging mode again", h.from_name)));
        }
    }
    Ok(None)
}

/// A job's outcome, and when its last attempt ended.
async fn outcome(tx: &mut dyn Tx, jobs: &[Job], name: &str) -> Result<Option<(Outcome, Millis)>, Problem> {
    let Some(job) = jobs.iter().find(|j| j.name == name) else {
        return Ok(None);
    };
    let outcome: Option<Outcome> = job.outcome.clone().and_then(|o| serde_json::from_value(o).ok());
    let ended = tx.attempts(job.id).await?.last().and_then(|a| a.ended_at);
    Ok(outcome.zip(ended))
}

/// What the watch saw after the proof and that speaks against it.
async fn seen_since(tx: &mut dyn Tx, h: &PlannedHandover, since: Millis) -> Result<Option<String>, Problem> {
    for watch in tx.watches().await? {
        if watch.at <= since.plus(ON_ITS_WAY_MS) {
            continue;
        }
        let Ok(report) = serde_json::from_value::<WatchReport>(watch.report) else {
            continue;
        };
        let service = report.connect.and_then(|c| c.facts.service);
        if let Some(s) = service.filter(|_| Some(watch.host) == h.from)
            && s.state.eq_ignore_ascii_case("running")
        {
            return Ok(Some(format!("{} was seen running again", h.from_name)));
        }
        let database = report
            .databases
            .into_iter()
            .find(|d| Some(d.database) == h.resource.database_id());
        let sessions = database.and_then(|d| d.sessions).unwrap_or_default();
        if let Some(s) = sessions.iter().find(|s| s.is_sync_service()) {
            return Ok(Some(format!(
                "{} was seen on the database",
                s.host.as_deref().unwrap_or("a synchronisation service")
            )));
        }
    }
    Ok(None)
}

/// The exact command that brings the hand-over on.
async fn what_to_do(tx: &mut dyn Tx, h: &PlannedHandover, lease: &Lease) -> Result<String, Problem> {
    let holder = match lease.holder {
        Some(id) => tx.host(id).await?.map_or_else(|| id.to_string(), |host| host.name),
        None => h.from_name.clone(),
    };
    let command = words::command(h.way, &h.lease_name, &holder);
    let stands = format!(
        "the lease of {} is {} at epoch {}",
        h.lease_name, lease.state, lease.epoch
    );
    let word = tx.waiting_attestation(&h.resource).await?;
    Ok(match lease.state {
        LeaseState::Held | LeaseState::Draining if h.from.is_some() && lease.holder != h.from => format!(
            "{stands}, and {holder} holds it, who is neither the old server nor the new one. Hand it over: `syncferry lease handover {} --to {} --reason <why>`",
            h.lease_name, h.to_name
        ),
        _ if let Some(word) = word.filter(|w| w.valid_until >= tx.now()) => format!(
            "{stands}; {} gave a first word. Within 15 minutes another operator: `{}`",
            word.first,
            words::attest(&h.lease_name, &holder)
        ),
        LeaseState::Held | LeaseState::Draining if h.way != HandoverWay::Attested => {
            format!("{stands}, still {holder}'s: it is lost when it is not renewed any more. Then: `{command}`")
        }
        LeaseState::Fencing | LeaseState::Quarantined if h.way == HandoverWay::Attested => {
            format!("{stands}. Two operators: `{}`", words::attest(&h.lease_name, &holder))
        }
        _ => format!("{stands}, and free only with a proof: `{command}`"),
    })
}

/// Takes the next step of a hand-over. Returns hosts whose lease duties changed, or why it waits.
pub(super) async fn advance(
    core: &Core,
    tx: &mut dyn Tx,
    m: &Migration,
    h: &PlannedHandover,
    standing: Standing,
) -> Result<Result<Vec<HostId>, String>, Problem> {
    let by = By::new("controller")
        .migration(m.id)
        .detail(json!({"reason": if h.takes.is_some() {
            format!("{} was uninstalled to be installed anew on the moved database", h.from_name)
        } else if h.frees {
            format!("{} is put out", h.from_name)
        } else {
            format!("{} is replaced by {}", h.from_name, h.to_name)
        }}));
    let (free, mut hosts) = match standing {
        Standing::Passed => return Ok(Ok(vec![])),
        Standing::Waits(why) => return Ok(Err(why)),
        Standing::Free(lease) => (lease, vec![]),
        Standing::Proven { lease, evidence } => {
            let renewer = lease.renewer;
            let lease = match lease.state {
                LeaseState::Held => {
                    let next = Some(h.to).filter(|_| !h.frees);
                    tx.request_handover(&h.resource, lease.epoch, next, &by).await?
                }
                _ => lease,
            };
            let proof = NewProof {
                kind: ProofKind::HolderStopped,
                evidence,
                actor: "controller".to_string(),
                second: None,
            };
            let free = tx.release_lease(&h.resource, lease.epoch, None, &proof, &by).await?;
            (free, renewer.into_iter().collect())
        }
    };
    if let Some(takes) = &h.takes {
        return in_place::take(core, tx, m, h, &free, takes, hosts, &by).await;
    }
    if h.frees {
        let payload = json!({
            "title": format!("{} → nobody", h.from_name),
            "lease": h.lease_name,
            "epoch": free.epoch,
            "proof": [ProofKind::HolderStopped.as_str()],
        });
        tx.append_event(migration_event(m.id, "lease.freed", "controller", payload))
            .await?;
        return Ok(Ok(hosts));
    }
    let Some((renewer, session)) = renewer(tx, h, &h.resource, h.to).await? else {
        return Ok(Err(no_renewer(h)));
    };
    let held = match acquire(core, tx, &free, h.to, renewer, session, &by).await? {
        Ok(held) => held,
        Err(why) => return Ok(Err(why)),
    };
    let proofs: Vec<&str> = tx
        .proofs(&h.resource)
        .await?
        .iter()
        .filter(|p| p.epoch == free.epoch)
        .map(|p| p.kind.as_str())
        .collect();
    let payload = json!({
        "title": format!("{} → {}", h.from_name, h.to_name),
        "lease": h.lease_name,
        "from_epoch": free.epoch, "to_epoch": held.epoch,
        "proof": proofs,
    });
    tx.append_event(migration_event(m.id, "lease.handed-over", "controller", payload))
        .await?;
    hosts.push(renewer);
    Ok(Ok(hosts))
}

pub(super) fn no_renewer(h: &PlannedHandover) -> String {
    format!(
        "no agent is in touch that could renew for {}; start the agent on it",
        h.to_name
    )
}

/// The agent that renews for a server whose Connect is not there yet: the one that reaches the database; else its own.
pub(super) async fn renewer(
    tx: &mut dyn Tx,
    h: &PlannedHandover,
    resource: &Resource,
    server: HostId,
) -> Result<Option<(HostId, SessionId)>, Problem> {
    let database = match resource.database_id() {
        Some(id) => tx.database(id).await?.map(|d| d.host),
        None => None,
    };
    let candidates = if server == h.to {
        [database, Some(server)]
    } else {
        [Some(server), database]
    };
    for host in candidates.into_iter().flatten() {
        let agent = tx.agent_of_host(host).await?.filter(|a| a.state == AgentState::Online);
        if let Some(session) = agent.and_then(|a| a.session) {
            return Ok(Some((host, session)));
        }
    }
    Ok(None)
}

pub(super) async fn acquire(
    core: &Core,
    tx: &mut dyn Tx,
    free: &Lease,
    holder: HostId,
    renewer: HostId,
    session: SessionId,
    by: &By,
) -> Result<Result<Lease, String>, Problem> {
    let grant = Grant {
        resource: free.resource.clone(),
        seen_epoch: free.epoch,
        holder,
        session,
        renewer,
        ttl_ms: core.config.leases.ttl_ms(),
    };
    match tx.acquire_lease(&grant, by).await {
        Ok(held) => Ok(Ok(held)),
        Err(LeaseError::Store(e)) => Err(e.into()),
        Err(e) => Ok(Err(e.to_string())),
    }
}

/// A cancelled migration gives back what it took: the new server's lease, on which it never sat. Where the old server's own
/// agent stopped it, the lease is the old server's again, so that it can be started; otherwise it is free.
pub(super) async fn give_back(
    core: &Core,
    tx: &mut dyn Tx,
    m: &Migration,
    h: &PlannedHandover,
) -> Result<Option<Vec<HostId>>, Problem> {
    // What was uninstalled is not given back; whoever cancels before that finds the lease where it was.
    if h.takes.is_some() {
        return Ok(None);
    }
    if h.frees {
        return take_back(core, tx, m, h).await;
    }
    // An export that changed hands is past the point of no return: `cancel` refused.
    if h.resource.database_id().is_none() {
        return Ok(None);
    }
    let Some(lease) = tx.lease(&h.resource).await?.filter(|l| l.holder == Some(h.to)) else {
        return Ok(None);
    };
    // A server that somebody else seated there stays.
    let ours = tx
        .lease_history(&h.resource)
        .await?
        .iter()
        .any(|c| c.epoch == lease.epoch && c.to == LeaseState::Held && c.migration == Some(m.id));
    if !ours {
        return Ok(None);
    }
    let mut hosts: Vec<HostId> = lease.renewer.into_iter().collect();
    progression::free_seat(tx, m, &lease).await?;
    let by = By::new("controller")
        .migration(m.id)
        .detail(json!({"reason": format!("the migration was cancelled; {} was never installed", h.to_name)}));
    let mut holder = "nobody".to_string();
    let free = tx.lease(&h.resource).await?;
    if let (HandoverWay::Host, Some(from), Some(free)) = (h.way, h.from, free)
        && let Some((renewer, session)) = renewer(tx, h, &h.resource, from).await?
        && acquire(core, tx, &free, from, renewer, session, &by).await?.is_ok()
    {
        hosts.push(renewer);
        holder.clone_from(&h.from_name);
    }
    let payload = json!({
        "title": format!("{} → {holder}", h.to_name),
        "lease": h.lease_name,
    });
    tx.append_event(migration_event(m.id, "lease.given-back", "controller", payload))
        .await?;
    Ok(Some(hosts))
}

/// A lease that this migration freed is the old server's again, so that it can be started; where another proof freed it, it stays
/// free.
async fn take_back(
    core: &Core,
    tx: &mut dyn Tx,
    m: &Migration,
    h: &PlannedHandover,
) -> Result<Option<Vec<HostId>>, Problem> {
    let Some(free) = tx.lease(&h.resource).await?.filter(|l| l.state == LeaseState::Free) else {
        return Ok(None);
    };
    let ours = tx
        .lease_history(&h.resource)
        .await?
        .iter()
        .any(|c| c.epoch == free.epoch && c.to == LeaseState::Free && c.migration == Some(m.id));
    let (true, HandoverWay::Host, Some(from)) = (ours, h.way, h.from) else {
        return Ok(None);
    };
    let by = By::new("controller")
        .migration(m.id)
        .detail(json!({"reason": format!("the migration was cancelled; {} takes its database back", h.from_name)}));
    let Some((renewer, session)) = renewer(tx, h, &h.resource, from).await? else {
        return Ok(None);
    };
    if acquire(core, tx, &free, from, renewer, session, &by).await?.is_err() {
        return Ok(None);
    }
    let payload = json!({
        "title": format!("nobody → {}", h.from_name),
        "lease": h.lease_name,
    });
    tx.append_event(migration_event(m.id, "lease.given-back", "controller", payload))
        .await?;
    Ok(Some(vec![renewer]))
}
