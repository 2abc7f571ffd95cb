//! From the store to the rules and back: gathers the world, judges it, raises what is new and ends what is over.

use std::collections::{BTreeMap, BTreeSet};

use syncferry_shared::lease::{LeaseEvent, LeaseKind, LeaseState, ProofKind};
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::JobState;
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{HostId, SiteId};
use syncferry_store::{IdentityState, LeaseChange, MigrationFilter, Proof, Tx};

use super::rules::{HostView, Judgement, LeaseView, World, judge};
use crate::core::Core;
use crate::problem::Problem;
use crate::{alarms, find, progression, queries, recovery};

/// Whether something changed, so that something must be written.
pub async fn is_due(core: &Core) -> Result<bool, Problem> {
    let mut tx = core.store.read("alarm.look").await?;
    let judgement = judge(&world(core, &mut *tx).await?);
    let open = tx.alarms(false).await?;
    let is_new = judgement
        .alarming
        .iter()
        .any(|a| !open.iter().any(|o| o.kind == a.kind && o.subject == a.subject));
    let ended = open.iter().any(|o| judgement.ended(o.kind, &o.subject));
    Ok(is_new || ended)
}

/// Looks again, and writes what changed.
pub async fn settle_now(core: &Core, mut tx: Box<dyn Tx>) -> Result<(), Problem> {
    let judgement = judge(&world(core, &mut *tx).await?);
    settle(core, &mut *tx, &judgement).await?;
    tx.commit().await?;
    Ok(())
}

/// Raises what is new, sees again what is known, ends what is over.
pub(crate) async fn settle(core: &Core, tx: &mut dyn Tx, judgement: &Judgement) -> Result<(), Problem> {
    for alarm in tx.alarms(false).await? {
        if judgement.ended(alarm.kind, &alarm.subject) {
            alarms::clear(tx, "controller", &alarm).await?;
        }
    }
    for alarming in &judgement.alarming {
        alarms::raise(core, tx, "controller", alarming).await?;
    }
    Ok(())
}

/// The world as it is known now.
pub(crate) async fn world(core: &Core, tx: &mut dyn Tx) -> Result<World, Problem> {
    let now = tx.now();
    let expected = expected(tx).await?;
    let (mut leases, mut held_before) = (Vec::new(), BTreeSet::<HostId>::new());
    let mut refused = BTreeMap::<HostId, String>::new();
    let sites = tx.sites().await?;
    let hosts = tx.hosts(None).await?;
    let mut restored = BTreeSet::new();
    for l in tx.leases().await? {
        let database = find::database_of(tx, &l).await?;
        if database
            .as_ref()
            .is_some_and(|d| d.identity_state == IdentityState::Retired)
        {
            continue;
        }
        let history = tx.lease_history(&l.resource).await?;
        let since = history.last().map_or(now, |c| c.at);
        if l.kind == LeaseKind::Database {
            held_before.extend(history.iter().filter_map(|c| c.holder));
            let name = queries::lease::name(tx, &l).await?;
            for (host, epoch) in fenced_out(&history, &tx.proofs(&l.resource).await?) {
                refused.insert(host, format!("{name} at epoch {epoch}"));
            }
        }
        let tenant: BTreeSet<SiteId> = sites
            .iter()
            .filter(|s| {
                l.resource
                    .tenant_id()
                    .is_some_and(|t| t.eq_ignore_ascii_case(&s.tenant_id))
            })
            .map(|s| s.id)
            .collect();
        let name = queries::lease::name(tx, &l).await?;
        if history.last().is_some_and(recovery::status::is_restored) {
            restored.insert(name.clone());
        }
        leases.push(LeaseView {
            name,
            kind: l.kind,
            state: l.state,
            since,
            epoch: l.epoch,
            holder: l.holder,
            tenant_hosts: hosts
                .iter()
                .filter(|h| tenant.contains(&h.site))
                .map(|h| h.id)
                .collect(),
            database: database.map(|d| (d.id, d.guids.database, d.guids.recovery_fork)),
        });
    }
    let fresh = core.config.leases.watch_s.saturating_mul(4).saturating_mul(1000);
    let fresh = i64::try_from(fresh).unwrap_or(i64::MAX);
    let mut looks = Vec::new();
    for watch in tx.watches().await? {
        if now.since(watch.at) > fresh {
            continue;
        }
        match serde_json::from_value::<WatchReport>(watch.report) {
            Ok(report) => looks.push((watch.host, report)),
            Err(e) => tracing::warn!(host = %watch.host, error = %e, "a kept look cannot be read"),
        }
    }
    let hosts = hosts
        .into_iter()
        .map(|h| HostView {
            id: h.id,
            expected: expected.contains(&h.id),
            held_before: held_before.contains(&h.id),
            refused: refused.remove(&h.id),
            name: h.name,
            computer: h.computer_name,
        })
        .collect();
    Ok(World {
        now,
        leases,
        hosts,
        restored,
        looks,
    })
}

/// Whom SQL Server was proven to refuse, with the epoch of that proof; whoever was granted the lease again since is not among
/// them.
fn fenced_out(history: &[LeaseChange], proofs: &[Proof]) -> BTreeMap<HostId, i64> {
    let mut out = BTreeMap::new();
    for change in history {
        let fenced = |p: &Proof| p.kind == ProofKind::SqlFenced && p.epoch == change.epoch;
        match (change.event, change.holder) {
            (Some(LeaseEvent::EndFence), Some(host)) if proofs.iter().any(fenced) => {
                out.insert(host, change.epoch);
            }
            (Some(LeaseEvent::Acquire), Some(host)) => {
                out.remove(&host);
            }
            _ => {}
        }
    }
    out
}

/// Hosts on which a migration installs Connect, and is not done with it.
async fn expected(tx: &mut dyn Tx) -> Result<BTreeSet<HostId>, Problem> {
    let filter = MigrationFilter {
        states: progression::UNDER_WAY.to_vec(),
        ..MigrationFilter::default()
    };
    let mut hosts = BTreeSet::new();
    for m in tx.migrations(&filter).await? {
        let jobs = progression::jobs_of(tx, m.id).await?;
        hosts.extend(
            jobs.iter()
                .filter(|j| j.kind == JobKind::Install && j.state != JobState::Cancelled)
                .map(|j| j.host),
        );
    }
    Ok(hosts)
}

/// Which hosts hold a database, by what they hold.
pub(crate) fn holders(world: &World) -> BTreeMap<HostId, &str> {
    let alive = |l: &&LeaseView| {
        l.kind == LeaseKind::Database && matches!(l.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost)
    };
    let pair = |l: &'_ LeaseView| l.holder;
    world
        .leases
        .iter()
        .filter(alive)
        .filter_map(|l| pair(l).map(|h| (h, l.name.as_str())))
        .collect()
}
