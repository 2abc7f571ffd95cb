//! Where a recovery stands: each lease that is still to be released, with what is known of it and the next step; and the hosts
//! whose agents were not heard since.

use serde_json::json;
use syncferry_shared::lease::{Lease, LeaseState};
use syncferry_shared::{HostId, SiteId};
use syncferry_store::{IdentityState, LeaseChange, Recovery, Tx};

use crate::problem::Problem;
use crate::{find, queries};

/// A lease that is still to be released.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The lease now.
    pub lease: Lease,
    /// Its name.
    pub name: String,
    /// What it was in the backup.
    pub was: Before,
    /// The holder's name, in the backup.
    pub holder: Option<String>,
    /// The highest epoch from before the restore that an agent has seen, and on which host.
    pub seen: Option<(i64, String)>,
    /// Hosts that could know more and were not heard.
    pub unheard: Vec<String>,
    /// What to do.
    pub next: String,
}

/// A lease as the backup has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Where it stood.
    pub state: LeaseState,
    /// Its epoch.
    pub epoch: i64,
}

/// Where a recovery stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The newest recovery.
    pub recovery: Recovery,
    /// Leases that are still to be released.
    pub leases: Vec<Pending>,
    /// Hosts whose agents were not heard since.
    pub unheard: Vec<String>,
    /// Attempts that agents had open and the store refuses.
    pub open: Vec<String>,
}

/// Looks. `None` when the store was never restored.
pub async fn look(tx: &mut dyn Tx) -> Result<Option<Status>, Problem> {
    let Some(recovery) = tx.recovery().await? else {
        return Ok(None);
    };
    let mut leases = Vec::new();
    for lease in tx.leases().await? {
        leases.extend(pending(tx, lease, &recovery).await?);
    }
    let mut open = Vec::new();
    for w in tx
        .witnesses()
        .await?
        .into_iter()
        .filter(|w| w.heard_in == recovery.incarnation)
    {
        let host = tx.host(w.host).await?.map(|h| h.name).unwrap_or_default();
        for o in w.open.as_array().into_iter().flatten() {
            open.push(format!(
                "{host}: job {} attempt {}: {} {} {}",
                o["job"].as_str().unwrap_or("?"),
                o["attempt"],
                o["step"].as_str().unwrap_or_default(),
                o["probe"].as_str().unwrap_or_default(),
                o["detail"].as_str().unwrap_or_default(),
            ));
        }
    }
    Ok(Some(Status {
        unheard: unheard(tx, None).await?.into_iter().map(|(_, name)| name).collect(),
        recovery,
        leases,
        open,
    }))
}

/// The lease as it was before the jump, if this recovery made it void and it was not released since.
pub async fn pending(tx: &mut dyn Tx, lease: Lease, recovery: &Recovery) -> Result<Option<Pending>, Problem> {
    if !matches!(lease.state, LeaseState::Quarantined | LeaseState::Fencing) {
        return Ok(None);
    }
    let database = find::database_of(tx, &lease).await?;
    if database
        .as_ref()
        .is_some_and(|d| d.identity_state == IdentityState::Retired)
    {
        return Ok(None);
    }
    let history = tx.lease_history(&lease.resource).await?;
    let Some(was) = before(&history, recovery.incarnation) else {
        return Ok(None);
    };
    let name = queries::lease::name(tx, &lease).await?;
    let holder = match lease.holder {
        Some(id) => tx.host(id).await?,
        None => None,
    };
    let concerned = sites(tx, &lease).await?;
    let unheard: Vec<String> = unheard(tx, concerned).await?.into_iter().map(|(_, n)| n).collect();
    let seen = highest_seen(tx, &lease, recovery.incarnation).await?;
    let holder = holder.map(|h| h.name);
    let next = next_step(&lease, &name, was, holder.as_deref(), seen.as_ref(), &unheard);
    Ok(Some(Pending {
        lease,
        name,
        was,
        holder,
        seen,
        unheard,
        next,
    }))
}

/// Whether a change of a lease is what a recovery made of it.
pub(crate) fn is_restored(change: &LeaseChange) -> bool {
    change.to == LeaseState::Quarantined && change.detail["incarnation"].is_i64()
}

/// Where a lease stood before an incarnation made it void.
fn before(history: &[LeaseChange], incarnation: i64) -> Option<Before> {
    let first = history.iter().find(|c| c.detail["incarnation"] == json!(incarnation))?;
    let last = history.iter().rfind(|c| c.row_version < first.row_version)?;
    Some(Before {
        state: last.to,
        epoch: last.epoch,
    })
}

/// The highest epoch of a lease that an agent remembers from before.
async fn highest_seen(tx: &mut dyn Tx, lease: &Lease, incarnation: i64) -> Result<Option<(i64, String)>, Problem> {
    let mut highest: Option<(i64, String)> = None;
    for w in tx.witnesses().await?.into_iter().filter(|w| w.heard_in == incarnation) {
        let Some(epoch) = w.epochs.get(&lease.resource.0).copied() else {
            continue;
        };
        if highest.as_ref().is_none_or(|(e, _)| epoch > *e) {
            highest = Some((epoch, tx.host(w.host).await?.map(|h| h.name).unwrap_or_default()));
        }
    }
    Ok(highest)
}

/// The sites whose hosts could know of a lease; `None` for every one.
pub(super) async fn sites(tx: &mut dyn Tx, lease: &Lease) -> Result<Option<Vec<SiteId>>, Problem> {
    if let Some(tenant) = lease.resource.tenant_id() {
        let all = tx.sites().await?.into_iter();
        let of_tenant = all.filter(|s| s.tenant_id.eq_ignore_ascii_case(tenant));
        return Ok(Some(of_tenant.map(|s| s.id).collect()));
    }
    Ok(find::database_of(tx, lease).await?.map(|d| vec![d.site]))
}

/// Hosts with an agent that has not said hello in this incarnation.
async fn unheard(tx: &mut dyn Tx, sites: Option<Vec<SiteId>>) -> Result<Vec<(HostId, String)>, Problem> {
    let mut missing = Vec::new();
    for host in tx.hosts(None).await? {
        let concerned = sites.as_ref().is_none_or(|s| s.contains(&host.site));
        if concerned && tx.agent_of_host(host.id).await?.is_some() && !super::heard(tx, host.id).await? {
            missing.push((host.id, host.name));
        }
    }
    Ok(missing)
}

fn next_step(
    lease: &Lease,
    name: &str,
    was: Before,
    holder: Option<&str>,
    seen: Option<&(i64, String)>,
    unheard: &[String],
) -> String {
    if lease.state == LeaseState::Fencing {
        return format!("It is being fenced: go on with `syncferry lease fence {name} --reason <why>`.");
    }
    if let Some((epoch, host)) = seen.filter(|(epoch, _)| *epoch > was.epoch) {
        return format!(
            "The agent on {host} has seen epoch {epoch}: the lease changed after the backup. Find out who uses it now, then \
             `syncferry lease fence {name} --reason <why>` with a proof."
        );
    }
    if !unheard.is_empty() {
        return format!(
            "Start the agents on {}. What they have seen decides whether the lease changed after the backup.",
            unheard.join(", ")
        );
    }
    match holder {
        Some(holder) if was.state != LeaseState::Quarantined && was.state != LeaseState::Fencing => format!(
            "Nobody has seen it change. When {holder} goes on: `syncferry lease adopt {name} --host <the host that renews> \
             --reason <why>`. Otherwise: `syncferry lease fence {name} --reason <why>`."
        ),
        _ => format!("`syncferry lease fence {name} --reason <why>` looks whether anybody uses it, and frees it."),
    }
}
