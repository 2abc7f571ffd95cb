//! Host-side proof: the holder's service was seen stopped and disabled by the agent on its own host, and nobody's
//! synchronisation was seen on the database. Looking is done by agents; what it proves is decided here, in pure functions.

use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::inventory::{DatabaseFacts, InspectionRequest, Inventory, SessionFacts};
use syncferry_shared::lease::{Lease, LeaseKind};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_store::{AgentState, Database, Host};

use super::OURS;
use super::words::how_to_give_up;
use crate::core::Core;
use crate::inspect;
use crate::problem::Problem;
use crate::recovery::status::Pending;

/// What was seen for a proof.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// The holder's host, or why it could not be looked at.
    pub(super) holder: Option<Result<Inventory, String>>,
    /// After a restore: every other server that could have got the lease after the backup, or why it could not be looked at.
    pub(super) others: Vec<(Host, Result<Inventory, String>)>,
    /// The database, from the host whose agent reaches it.
    pub(super) database: Option<Result<DatabaseFacts, String>>,
}

/// Asks the agents concerned to look now. An agent that is not in touch is not waited for.
pub(super) async fn look(
    core: &Core,
    lease: &Lease,
    holder: Option<&Host>,
    others: &[Host],
    database: Option<&Database>,
) -> Result<Sight, Problem> {
    let mut sight = Sight::default();
    let request = InspectionRequest {
        connect: true,
        ..InspectionRequest::default()
    };
    if let Some(host) = holder {
        sight.holder = Some(ask(core, host, &request).await?);
    }
    for host in others {
        sight.others.push((host.clone(), ask(core, host, &request).await?));
    }
    if let (LeaseKind::Database, Some(d)) = (lease.kind, database) {
        sight.database = look_at_database(core, d).await?;
    }
    Ok(sight)
}

/// The database, from the host whose agent reaches it.
pub(super) async fn look_at_database(
    core: &Core,
    d: &Database,
) -> Result<Option<Result<DatabaseFacts, String>>, Problem> {
    let mut tx = core.store.read("lease.proof").await?;
    let host = tx.host(d.host).await?;
    drop(tx);
    let request = InspectionRequest {
        instances: vec![d.address.instance.clone()],
        databases: vec![d.address.clone()],
        ..InspectionRequest::default()
    };
    Ok(match host {
        Some(host) => Some(ask(core, &host, &request).await?.and_then(|i| facts(i, d))),
        None => None,
    })
}

pub(super) async fn ask(
    core: &Core,
    host: &Host,
    request: &InspectionRequest,
) -> Result<Result<Inventory, String>, Problem> {
    let mut tx = core.store.read("lease.proof").await?;
    let agent = tx.agent_of_host(host.id).await?;
    drop(tx);
    if agent.is_none_or(|a| a.state != AgentState::Online) {
        return Ok(Err(format!("the agent on {} is not in touch", host.name)));
    }
    match inspect::ask_and_wait(core, host, request, "lease").await {
        Ok(inventory) => Ok(Ok(inventory)),
        Err(Problem::NoAnswer(why)) => Ok(Err(why)),
        Err(e) => Err(e),
    }
}

fn facts(inventory: Inventory, d: &Database) -> Result<DatabaseFacts, String> {
    let same = |f: &DatabaseFacts| f.instance == d.address.instance && f.name.eq_ignore_ascii_case(&d.address.database);
    let problem = inventory
        .problems
        .first()
        .map(|p| format!("{}: {}", p.subject, p.error));
    let missing = problem.unwrap_or_else(|| format!("there is no database {} there", d.address.database));
    inventory.databases.into_iter().find(same).ok_or(missing)
}

/// Whether the holder gave up what the lease is about: the evidence of it, or what stands against it.
pub(super) fn gave_up(lease: &Lease, holder: &Host, sight: &Sight) -> Result<(Value, Vec<Finding>), Vec<Finding>> {
    if sabotage::on(Mutant::ReleaseWithoutStop) {
        return Ok((json!({"holder": holder.name}), vec![]));
    }
    let mut against = Vec::new();
    let mut worth_knowing = Vec::new();
    let host = host_gave_up(lease.kind, holder, sight.holder.as_ref())
        .map_err(|f| against.push(*f))
        .ok();
    let sessions = match (lease.kind, &sight.database) {
        (LeaseKind::TenantExport, _) | (_, None) => Value::Null,
        (_, Some(Ok(facts))) => match nobody_synchronises(facts) {
            Ok(seen) => seen,
            Err(f) => {
                if f.blocks() {
                    against.push(*f);
                } else {
                    worth_knowing.push(*f);
                }
                Value::Null
            }
        },
        // LocalDB stops with the service it belongs to: that it does not answer is no objection, only less evidence.
        (_, Some(Err(why))) => {
            worth_knowing.push(
                Finding::note("sessions-not-seen", "The database's sessions could not be looked at")
                    .saw("the agent that reaches the database", why)
                    .source(OURS)
                    .next(format!(
                        "Nothing, when the service on {} is stopped and disabled.",
                        holder.name
                    )),
            );
            Value::Null
        }
    };
    match host {
        Some(service) if against.is_empty() => Ok((
            json!({"holder": holder.name, "connect": service, "sessions": sessions}),
            worth_knowing,
        )),
        _ => {
            against.extend(worth_knowing);
            Err(against)
        }
    }
}

/// Whether a host gave up what the lease is about.
fn host_gave_up(
    kind: LeaseKind,
    holder: &Host,
    seen: Option<&Result<Inventory, String>>,
) -> Result<Value, Box<Finding>> {
    let name = &holder.name;
    let not_seen = |what: &str, why: &str| {
        Box::new(Finding::blocker("holder-not-seen", format!("It could not be seen whether {name} still synchronises"))
            .saw(what, why)
            .source(OURS)
            .next(format!(
                "Bring the agent on {name} back. While {name} cannot be asked: fence it at SQL Server (`syncferry lease fence --sql`), or have two people give their word (`syncferry lease break-glass`, `syncferry lease attest`)."
            )))
    };
    let inventory = match seen {
        Some(Ok(inventory)) => inventory,
        Some(Err(why)) => return Err(not_seen(&format!("the agent on {name}"), why)),
        None => return Err(not_seen("the holder", "there is none to ask")),
    };
    let Some(connect) = &inventory.connect else {
        let why = inventory
            .problems
            .first()
            .map_or("it said nothing of Connect".to_string(), |p| p.error.clone());
        return Err(not_seen(&format!("Connect on {name}"), &why));
    };
    if kind == LeaseKind::TenantExport && connect.scheduler.as_ref().is_some_and(|s| s.staging_mode) {
        return Ok(json!({"scheduler": connect.scheduler, "service": connect.service}));
    }
    let Some(service) = &connect.service else {
        // Without the service, and without anything of it, there is nothing that could synchronise.
        if connect.parameters.is_none() && connect.products.is_empty() && inventory.problems.is_empty() {
            return Ok(json!({"service": "not installed"}));
        }
        return Err(not_seen(
            &format!("the service ADSync on {name}"),
            "its state is unknown",
        ));
    };
    let (stopped, disabled) = (
        service.state.eq_ignore_ascii_case("stopped"),
        service.start.eq_ignore_ascii_case("disabled"),
    );
    if stopped && disabled {
        return Ok(json!({"service": service}));
    }
    let title = match (stopped, kind) {
        (true, _) => format!("The service ADSync on {name} is stopped, and would start again"),
        (false, LeaseKind::Database) => format!("The service ADSync on {name} is not stopped"),
        (false, LeaseKind::TenantExport) => format!("{name} is not in staging mode"),
    };
    Err(Box::new(
        Finding::blocker("holder-not-stopped", title)
            .saw(
                format!("service ADSync on {name}"),
                format!("{}, start type {}", service.state, service.start),
            )
            .source(OURS)
            .next(format!("{}; then repeat the command.", how_to_give_up(kind, name))),
    ))
}

/// After a restore: that no other server has the lease in fact. Whoever remembers a later epoch than the backup must have given it
/// up; so must every other one, unless the database was seen with no Connect server on it. A LocalDB serves its own host only.
pub(super) fn others_gave_up(
    lease: &Lease,
    restored: &Pending,
    database: Option<&Database>,
    sight: &Sight,
) -> Result<Value, Vec<Finding>> {
    let of_database = lease.kind == LeaseKind::Database;
    if of_database && database.is_some_and(|d| d.server_name.to_ascii_uppercase().contains("\\LOCALDB#")) {
        return Ok(json!("a LocalDB serves its own host only"));
    }
    let seen_empty = match &sight.database {
        Some(Ok(facts)) => facts.sessions.is_some() && nobody_synchronises(facts).is_ok(),
        _ => false,
    };
    let later = restored.seen.as_ref().filter(|(epoch, _)| *epoch > restored.was.epoch);
    let (mut evidence, mut against) = (Vec::new(), Vec::new());
    for (host, seen) in &sight.others {
        match host_gave_up(lease.kind, host, Some(seen)) {
            Ok(connect) => evidence.push(json!({"host": host.name, "connect": connect})),
            Err(_) if of_database && seen_empty && later.is_none_or(|(_, name)| *name != host.name) => {}
            Err(finding) => against.push(*finding),
        }
    }
    match against.is_empty() {
        true => Ok(Value::Array(evidence)),
        false => Err(against),
    }
}

/// That no Connect server is on the database.
pub(super) fn nobody_synchronises(facts: &DatabaseFacts) -> Result<Value, Box<Finding>> {
    let Some(sessions) = &facts.sessions else {
        return Err(Box::new(
            Finding::note(
                "sessions-not-seen",
                format!("Who is connected to {} cannot be seen", facts.name),
            )
            .saw("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", "0")
            .source(OURS)
            .next("Grant the agent's login VIEW SERVER STATE, so that the proof says more."),
        ));
    };
    let there: Vec<&SessionFacts> = sessions.iter().filter(|s| s.is_sync_service()).collect();
    if there.is_empty() {
        return Ok(json!({"server_name": facts.server_name, "database": facts.name, "sessions": sessions}));
    }
    let mut finding = Finding::blocker(
        "database-in-use",
        format!("A Connect server is connected to {}", facts.name),
    );
    for s in there {
        finding = finding.saw(
            format!("session {} in sys.dm_exec_sessions", s.id),
            format!(
                "{} from {} as {}",
                s.program.as_deref().unwrap_or("?"),
                s.host.as_deref().unwrap_or("an unnamed host"),
                s.login
            ),
        );
    }
    Err(Box::new(finding.source(OURS).next(
        "Find that server, stop its service ADSync and disable it; then repeat the command.",
    )))
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
