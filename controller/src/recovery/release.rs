//! Taking a lease over after a restore: its holder goes on, and nobody has to stop. That is allowed when nobody can have got it
//! since: every agent that could know was heard, none has seen a later epoch, and nobody but the holder is on the database.
//! It goes through a fence and a grant in one transaction, so that the epochs tell it.

use serde_json::{Value, json};
use syncferry_shared::inventory::DatabaseFacts;
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, ProofKind};
use syncferry_shared::{Finding, HostId, SessionId};
use syncferry_store::{By, Grant, Host, HostRole, IdentityState, NewProof, Tx};

use super::status::{self, Pending};
use crate::problem::Problem;

const SOURCE: &str = "Syncferry: after a restore a holder goes on only when nobody else can have got the lease";

/// The lease as the newest recovery left it, if it did.
pub async fn pending(tx: &mut dyn Tx, lease: &Lease) -> Result<Option<Pending>, Problem> {
    match tx.recovery().await? {
        Some(recovery) => status::pending(tx, lease.clone(), &recovery).await,
        None => Ok(None),
    }
}

/// What speaks against the holder's going on.
pub fn against(p: &Pending) -> Vec<Finding> {
    let mut found = Vec::new();
    if p.holder.is_none() || !matches!(p.was.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost) {
        found.push(
            Finding::blocker(
                "no-holder-to-go-on",
                format!("The lease of {} had no holder in the backup", p.name),
            )
            .saw(
                "the lease in the backup",
                format!("{}, epoch {}", p.was.state, p.was.epoch),
            )
            .source(SOURCE)
            .next(format!(
                "`syncferry lease fence {} --reason <why>` frees it with a proof.",
                p.name
            )),
        );
    }
    found.extend(changed_since(p));
    found
}

/// What shows, or could show, that the lease changed after the backup.
pub fn changed_since(p: &Pending) -> Vec<Finding> {
    let mut found: Vec<Finding> = p.unheard.iter().map(|host| super::not_heard(host)).collect();
    found.extend(changed(p));
    found
}

/// That an agent remembers a later epoch than the backup has.
pub fn changed(p: &Pending) -> Option<Finding> {
    let (epoch, host) = p.seen.as_ref().filter(|(epoch, _)| *epoch > p.was.epoch)?;
    Some(
        Finding::blocker(
            "lease-changed-after-the-backup",
            format!("The lease of {} changed after the backup", p.name),
        )
        .saw(format!("the journal of the agent on {host}"), format!("epoch {epoch}"))
        .saw("the backup", format!("epoch {}", p.was.epoch))
        .source(SOURCE)
        .next(format!(
            "Find out who uses it now. `syncferry lease fence {} --reason <why>` frees it with a proof: of the hosts of both servers, or at SQL Server (--sql).",
            p.name
        )),
    )
}

/// Agents that could know of a grant after the backup and were not heard: proof that the backup's holder gave up is no proof then.
pub fn unheard_others(p: &Pending) -> Vec<Finding> {
    let others = p.unheard.iter().filter(|host| p.holder.as_ref() != Some(host));
    others.map(|host| super::not_heard(host)).collect()
}

/// Every other Connect server that could have got the lease after the backup. A grant that its agent never heard of is in nobody's
/// journal, and a person may have started that server all the same.
pub async fn others(tx: &mut dyn Tx, p: &Pending) -> Result<Vec<Host>, Problem> {
    let sites = status::sites(tx, &p.lease).await?;
    let all = tx.hosts(None).await?.into_iter();
    Ok(all
        .filter(|h| Some(h.id) != p.lease.holder && h.roles.contains(&HostRole::ConnectServer))
        .filter(|h| sites.as_ref().is_none_or(|s| s.contains(&h.site)))
        .collect())
}

/// Whether nobody but the holder is on the database, as its agent sees it now. A database that was still to be made when the
/// backup was taken may not be there.
pub fn only_holder(
    p: &Pending,
    holder: &Host,
    identity: Option<IdentityState>,
    database: Option<&Result<DatabaseFacts, String>>,
) -> Result<Value, Box<Finding>> {
    let blocker = |rule: &str, title: String| Finding::blocker(rule, title).source(SOURCE);
    if p.lease.kind != LeaseKind::Database {
        return Ok(Value::Null);
    }
    let facts = match database {
        Some(Ok(facts)) => facts,
        _ if identity == Some(IdentityState::Provisional) => return Ok(json!("the database is not there yet")),
        Some(Err(why)) => {
            return Err(Box::new(
                blocker("database-not-seen", format!("{} cannot be looked at", p.name))
                    .saw("the agent that reaches it", why)
                    .next("Bring that agent back, then repeat the command."),
            ));
        }
        None => return Ok(Value::Null),
    };
    let Some(sessions) = &facts.sessions else {
        return Err(Box::new(
            blocker(
                "sessions-not-seen",
                format!("Who is connected to {} cannot be seen", p.name),
            )
            .saw("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", "0")
            .next("Grant the agent's login VIEW SERVER STATE, then repeat the command."),
        ));
    };
    let is_holder = |name: &str| {
        let own = holder.computer_name.as_deref();
        holder.name.eq_ignore_ascii_case(name) || own.is_some_and(|c| c.eq_ignore_ascii_case(name))
    };
    let foreign = sessions
        .iter()
        .find(|s| s.is_sync_service() && !s.host.as_deref().is_some_and(is_holder));
    match foreign {
        None => Ok(json!({"server_name": facts.server_name, "database": facts.name, "sessions": sessions})),
        Some(s) => Err(Box::new(
            blocker(
                "database-in-use",
                format!("Another Connect server than {} is connected to {}", holder.name, p.name),
            )
            .saw(
                format!("session {} in sys.dm_exec_sessions", s.id),
                format!("from {} as {}", s.host.as_deref().unwrap_or("an unnamed host"), s.login),
            )
            .next(
                "Find that server: it may have got the lease after the backup. Stop its service ADSync and disable it.",
            ),
        )),
    }
}

/// The holder goes on: fence, proof and grant in this transaction.
#[expect(
    clippy::too_many_arguments,
    reason = "one call, and every argument is a different thing"
)]
pub async fn take_over(
    tx: &mut dyn Tx,
    p: &Pending,
    holder: HostId,
    renewer: HostId,
    session: SessionId,
    seen: Value,
    ttl_ms: i64,
    by: &By,
) -> Result<Lease, Problem> {
    let resource = &p.lease.resource;
    let fencing = tx.begin_fence(resource, p.lease.epoch, None, by).await?;
    let proof = NewProof {
        kind: ProofKind::NeverUsed,
        evidence: json!({
            "reason": "nobody ever had a token of this epoch, and the holder itself goes on",
            "in_the_backup": {"state": p.was.state, "epoch": p.was.epoch},
            "highest_seen_by_agents": p.seen, "database": seen,
        }),
        actor: by.actor.clone(),
        second: None,
    };
    tx.add_proof(resource, fencing.epoch, &proof).await?;
    let free = tx.end_fence(resource, fencing.epoch, by).await?;
    let grant = Grant {
        resource: resource.clone(),
        seen_epoch: free.epoch,
        holder,
        session,
        renewer,
        ttl_ms,
    };
    Ok(tx.acquire_lease(&grant, by).await?)
}

/// That nobody got a lease that was free in the backup: every agent that could know was heard, and none has seen a later epoch.
pub fn nobody_got_it(p: &Pending) -> Result<Value, Vec<Finding>> {
    let found = changed_since(p);
    if !found.is_empty() {
        return Err(found);
    }
    Ok(json!({
        "reason": "every agent of its sites was heard after the restore, and none has seen a later epoch",
        "in_the_backup": {"state": p.was.state, "epoch": p.was.epoch}, "highest_seen_by_agents": p.seen,
    }))
}
