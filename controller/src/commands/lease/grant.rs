//! Seating a Connect server on a free lease: shared by hand-over and by whatever frees a lease for somebody.

use syncferry_shared::lease::{Lease, LeaseKind};
use syncferry_shared::{Finding, HostId, SessionId, SiteId};
use syncferry_store::{Agent, AgentState, By, Database, Grant, Host, HostRole, Tx};

use super::{Answer, OURS};
use crate::core::Core;
use crate::problem::Problem;

/// Who is to be seated, and who will renew for it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) host: Host,
    pub(super) renewer: Host,
    session: SessionId,
}

/// Looks whether a server may be seated; says in the answer what speaks against it.
pub(super) async fn seat(
    tx: &mut dyn Tx,
    lease: &Lease,
    database: Option<&Database>,
    to: Host,
    answer: &mut Answer,
) -> Result<Option<Seat>, Problem> {
    if !to.roles.contains(&HostRole::ConnectServer) {
        answer.found(
            Finding::blocker("not-a-connect-server", format!("{} is not a Connect server", to.name))
                .saw(format!("roles of {}", to.name), format!("{:?}", to.roles))
                .source("Syncferry: leases are held by Connect servers")
                .next("Name a host that was added with --role connect-server."),
        );
    }
    // A tenant's export belongs to every site that names the tenant.
    let sites: Vec<SiteId> = match (database, lease.resource.tenant_id()) {
        (Some(d), _) => vec![d.site],
        (None, Some(tenant)) => {
            let all = tx.sites().await?.into_iter();
            all.filter(|s| s.tenant_id.eq_ignore_ascii_case(tenant))
                .map(|s| s.id)
                .collect()
        }
        (None, None) => vec![],
    };
    if !sites.is_empty() && !sites.contains(&to.site) {
        answer.found(
            Finding::blocker("another-site", format!("{} belongs to another site", to.name))
                .saw("sites", "the lease's and the server's are not the same")
                .source("Syncferry: a site is one tenant's synchronisation")
                .next("Name a Connect server of the lease's own site, or of a site of the same tenant."),
        );
    }
    if let Some(other) = tx
        .lease_held_by(to.id, lease.kind)
        .await?
        .filter(|o| o.resource != lease.resource)
    {
        answer.found(
            Finding::blocker("lease-held", format!("{} holds another lease of this kind", to.name))
                .saw(
                    format!("lease {}", other.resource),
                    format!("{}, epoch {}", other.state, other.epoch),
                )
                .source("Syncferry: one Connect server uses one database")
                .next(format!(
                    "Hand that one over first: `syncferry lease show {}`.",
                    other.resource
                )),
        );
    }
    // The server's own agent renews where it is in touch; for a database, the agent that reaches it does until then.
    let mut candidates = vec![to.id];
    if lease.kind == LeaseKind::Database {
        candidates.extend(database.map(|d| d.host));
    }
    match renewer(tx, &candidates).await? {
        Some((renewer, session)) => Ok(Some(Seat {
            host: to,
            renewer,
            session,
        })),
        None => {
            answer.found(
                Finding::blocker(
                    "nobody-renews",
                    format!("No agent is in touch that could renew for {}", to.name),
                )
                .saw("agents on the server and on the database's host", "none is online")
                .source(OURS)
                .next(format!("Start the agent on {}.", to.name)),
            );
            Ok(None)
        }
    }
}

async fn renewer(tx: &mut dyn Tx, candidates: &[HostId]) -> Result<Option<(Host, SessionId)>, Problem> {
    for id in candidates {
        let agent: Option<Agent> = tx.agent_of_host(*id).await?.filter(|a| a.state == AgentState::Online);
        if let (Some(session), Some(host)) = (agent.and_then(|a| a.session), tx.host(*id).await?) {
            return Ok(Some((host, session)));
        }
    }
    Ok(None)
}

/// Seats it.
pub(super) async fn grant(core: &Core, tx: &mut dyn Tx, lease: &Lease, seat: &Seat, by: &By) -> Result<Lease, Problem> {
    let grant = Grant {
        resource: lease.resource.clone(),
        seen_epoch: lease.epoch,
        holder: seat.host.id,
        session: seat.session,
        renewer: seat.renewer.id,
        ttl_ms: core.config.leases.ttl_ms(),
    };
    Ok(tx.acquire_lease(&grant, by).await?)
}
