//! Holds what is seen against the invariants: at SQL Server, at the services and in the store's rows, from the first moment to
//! the last. What happened before a restore of the store is remembered here, where the store forgot it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use syncferry_agent::journal::{AttemptKey, Journal};
use syncferry_controller::alarms::rules::FENCING_LIMIT_MS;
use syncferry_shared::lease::{Lease, LeaseEvent, LeaseState, ProofKind, Resource};
use syncferry_shared::state::AttemptState;
use syncferry_shared::token::AttemptToken;
use syncferry_sqlserver::engine::Session;
use syncferry_store::{JobFilter, Store as _};

use crate::datacentre::{ask, sa};
use crate::determinism::now;
use crate::world::{Papers, World, lock};

/// How far the store's clock may be off where it counts as right, and how long an alarm may take.
const SLACK_MS: i64 = 5 * 60_000;

/// What was seen so far.
#[derive(Default)]
struct Seen {
    restores: u32,
    /// The epoch on the database.
    marked: i64,
    /// By resource: epoch, row version, proven epoch.
    rows: BTreeMap<Resource, (i64, i64, i64)>,
    /// The highest epoch that was granted, in whatever history.
    granted: BTreeMap<Resource, i64>,
    /// To whom an epoch was granted, and in which history that stood.
    grants: BTreeMap<(Resource, i64), (String, u32)>,
    /// How attempts ended.
    ends: BTreeMap<(String, i32), AttemptState>,
    /// Since when a fence was seen under way, by resource and epoch.
    fencing: BTreeMap<(Resource, i64), i64>,
    /// The newest change that was written to the trace.
    told: BTreeMap<Resource, i64>,
}

/// Looks until the simulation ends.
pub(crate) async fn run(world: Arc<World>) -> turmoil::Result {
    let mut seen = Seen::default();
    let mut session = None;
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        if !world.sql_ready.load(Ordering::SeqCst) {
            continue;
        }
        let restores = world.restores.load(Ordering::SeqCst);
        if seen.restores != restores {
            seen.restores = restores;
            // A history that was put back is shorter. The tokens that it forgot are remembered in `grants` and `granted`, and its rows
            // must be above them; but for a store whose clock was put back as well, which knows more only when its agents were heard.
            let above = !world.clock_far_off.load(Ordering::SeqCst);
            for (resource, row) in &mut seen.rows {
                let granted = seen.granted.get(resource).copied().filter(|_| above);
                *row = (granted.unwrap_or(0), 0, 0);
            }
            seen.told.clear();
            seen.ends.clear();
        }
        if let Err(error) = rows(&world, &mut seen).await {
            world.say(format!("the observer could not look: {error:#}"));
        }
        if session.is_none() {
            session = Some(sa(&world).await?);
        }
        if let Some(session) = &mut session {
            database(&world, session, &mut seen).await?;
        }
    }
}

/// What SQL Server itself says.
async fn database(world: &World, session: &mut Session, seen: &mut Seen) -> anyhow::Result<()> {
    let marks = "USE ADSync; SELECT CAST(value AS bigint) AS epoch FROM sys.extended_properties WHERE class = 0 AND name = N'syncferry.epoch';";
    let answer = ask(session, marks).await?;
    let epoch = answer.first_set().and_then(|s| s.first()).and_then(|r| r.int("epoch"));
    match epoch {
        Some(epoch) if epoch < seen.marked => {
            world.violated(
                "I2",
                format!("the database's epoch went from {} to {epoch}", seen.marked),
            );
        }
        None if seen.marked > 0 => world.violated("I2", format!("the database lost its epoch {}", seen.marked)),
        Some(epoch) if epoch > seen.marked => {
            world.say(format!("the database has epoch {epoch}"));
            seen.marked = epoch;
        }
        _ => {}
    }
    if let Some(epoch) = epoch
        && world.services[0].account != world.services[1].account
    {
        allowed(world, session, epoch).await?;
    }
    Ok(())
}

/// The marks and whom CONNECT is denied to change together: nobody is let in where nobody owns the database, and one where one
/// does.
async fn allowed(world: &World, session: &mut Session, epoch: i64) -> anyhow::Result<()> {
    // Before the look: who is let in after it is not meant.
    let inside = world.services.iter().find(|s| s.inside.load(Ordering::SeqCst));
    let look = "USE ADSync; SELECT (SELECT CAST(value AS nvarchar(256)) FROM sys.extended_properties WHERE class = 0 AND name = N'syncferry.owner') AS owner, (SELECT COUNT(*) FROM sys.database_permissions pe INNER JOIN sys.database_principals dp ON dp.principal_id = pe.grantee_principal_id WHERE pe.class = 0 AND pe.permission_name = N'CONNECT' AND pe.state_desc = N'DENY' AND dp.name LIKE N'CONTOSO%') AS denied;";
    let answer = ask(session, look).await?;
    let row = answer.first_set().and_then(|s| s.first());
    let owner = row.and_then(|r| r.text("owner")).unwrap_or_default();
    let denied = row.and_then(|r| r.int("denied")).unwrap_or(0);
    let wanted = if owner.is_empty() { 2 } else { 1 };
    if denied != wanted {
        world.violated(
            "I7",
            format!("the database's owner is '{owner}', and CONNECT is denied to {denied}"),
        );
    }
    match inside {
        Some(service) if owner.is_empty() => nobody_inside(world, service.host, epoch).await,
        _ => Ok(()),
    }
}

/// What a proof says is so: nobody is in a database that belongs to nobody, from the moment that its fence is proven.
async fn nobody_inside(world: &World, inside: &str, epoch: i64) -> anyhow::Result<()> {
    let mut tx = world.store.read("observer.proof").await?;
    for lease in tx.leases().await? {
        let proofs = tx.proofs(&lease.resource).await?;
        if proofs
            .iter()
            .any(|p| p.epoch == epoch && p.kind == ProofKind::SqlFenced)
        {
            world.violated(
                "I3",
                format!("{inside} is in the database, and the proof for epoch {epoch} says that nobody is"),
            );
        }
    }
    Ok(())
}

/// At most one server is in the database. Looked at after every tick.
pub(crate) fn inside(world: &World) {
    let inside: Vec<&str> = world
        .services
        .iter()
        .filter(|s| s.inside.load(Ordering::SeqCst))
        .map(|s| s.host)
        .collect();
    if inside.len() > 1 {
        world.violated("I1", format!("{} are in the database", inside.join(" and ")));
    }
}

/// What the store's rows say.
async fn rows(world: &World, seen: &mut Seen) -> anyhow::Result<()> {
    let mut tx = world.store.read("observer").await?;
    for lease in tx.leases().await? {
        let (epoch, version, fenced) = seen.rows.get(&lease.resource).copied().unwrap_or_default();
        if lease.epoch < epoch || lease.row_version < version || lease.fenced_epoch < fenced {
            world.violated(
                "I4",
                format!(
                    "{} went from epoch {epoch}, version {version}, proven {fenced} to {}, {}, {}",
                    lease.kind.as_str(),
                    lease.epoch,
                    lease.row_version,
                    lease.fenced_epoch
                ),
            );
        }
        let row = (lease.epoch.max(epoch), lease.row_version, lease.fenced_epoch);
        seen.rows.insert(lease.resource.clone(), row);
        not_forgotten(world, &mut *tx, &lease, &mut seen.fencing).await?;
        let history = tx.lease_history(&lease.resource).await?;
        let proofs = tx.proofs(&lease.resource).await?;
        let told = seen.told.get(&lease.resource).copied().unwrap_or(-1);
        for (change, before) in history
            .iter()
            .zip(std::iter::once(None).chain(history.iter().map(Some)))
        {
            if change.row_version <= told {
                continue;
            }
            world.say(format!(
                "lease {}: {} -> {} at epoch {} ({:?} by {})",
                lease.kind.as_str(),
                change.from,
                change.to,
                change.epoch,
                change.event,
                change.actor
            ));
            if before.is_some_and(|b| b.to != change.from || b.row_version + 1 != change.row_version) {
                world.violated(
                    "I5",
                    format!("a gap before change {} of {}", change.row_version, lease.kind.as_str()),
                );
            }
            if change.from == LeaseState::Lost && change.to == LeaseState::Free {
                world.violated("I8", "a lost lease became free");
            }
            match change.event {
                Some(LeaseEvent::Acquire) => {
                    world.count("grants");
                    if !proofs.iter().any(|p| p.epoch == change.epoch - 1) {
                        world.violated("I3", format!("epoch {} was granted without a proof", change.epoch));
                    }
                    let to = format!("{:?} {:?}", change.holder, change.session);
                    let key = (lease.resource.clone(), change.epoch);
                    let granted = seen.granted.entry(lease.resource.clone()).or_default();
                    if change.epoch < *granted && !seen.grants.contains_key(&key) {
                        world.violated("I4", format!("epoch {} was granted after {granted}", change.epoch));
                    }
                    *granted = change.epoch.max(*granted);
                    let first = seen.grants.entry(key).or_insert_with(|| (to.clone(), seen.restores));
                    if first.0 != to {
                        world.violated("I6", format!("epoch {} was granted twice", change.epoch));
                    }
                }
                Some(LeaseEvent::BreakGlass) => two_people(world, &proofs, change.epoch, &mut *tx).await?,
                _ => {}
            }
        }
        if let Some(last) = history.last() {
            seen.told.insert(lease.resource.clone(), last.row_version);
        }
        for proof in proofs.iter().filter(|p| p.kind == ProofKind::SqlFenced) {
            let back = &proof.evidence["read_back"];
            let looks = back["looks"].as_array().map_or(0, Vec::len);
            if looks < 2 || !back["principals"].is_array() || !back["marks"].is_object() {
                world.violated("I15", format!("the proof for epoch {} was not read back", proof.epoch));
            }
        }
    }
    let mut keys = BTreeMap::new();
    for d in tx.databases(None).await? {
        if let (Some(guid), true) = (
            d.guids.database,
            d.identity_state == syncferry_store::IdentityState::Confirmed,
        ) && let Some(other) = keys.insert((guid, d.server_name.clone()), d.id)
        {
            world.violated(
                "I10",
                format!("databases {} and {} are one", other.short(), d.id.short()),
            );
        }
    }
    for job in tx.jobs(&JobFilter::default()).await? {
        for attempt in tx.attempts(job.id).await? {
            if !attempt.state.is_final() {
                continue;
            }
            let key = (job.id.to_string(), attempt.attempt);
            let of_agents = matches!(attempt.state, AttemptState::Succeeded | AttemptState::Failed);
            if of_agents && !lock(&world.ended).contains(&key) {
                world.violated(
                    "I9",
                    format!(
                        "attempt {} ended {}, and its agent said nothing of it",
                        attempt.attempt, attempt.state
                    ),
                );
            }
            let first = *seen.ends.entry(key).or_insert(attempt.state);
            if first != attempt.state {
                world.violated(
                    "I9",
                    format!("attempt {} ended {first} and then {}", attempt.attempt, attempt.state),
                );
            }
        }
    }
    Ok(())
}

/// A fence that takes more than a quarter of an hour raises an alarm. The controller measures with the store's clock, which may
/// be a few minutes wrong; where it was wrong by more, nothing is said here.
async fn not_forgotten(
    world: &World,
    tx: &mut dyn syncferry_store::Tx,
    lease: &Lease,
    fencing: &mut BTreeMap<(Resource, i64), i64>,
) -> anyhow::Result<()> {
    if lease.state != LeaseState::Fencing {
        fencing.retain(|(resource, _), _| *resource != lease.resource);
        return Ok(());
    }
    let since = *fencing.entry((lease.resource.clone(), lease.epoch)).or_insert(now());
    if now() - since < FENCING_LIMIT_MS + SLACK_MS || world.clock_far_off.load(Ordering::SeqCst) {
        return Ok(());
    }
    world.count("looks at a fence of over a quarter of an hour");
    let raised = tx
        .alarms(true)
        .await?
        .iter()
        .any(|a| a.kind.as_str() == "fencing-too-long");
    if !raised {
        world.violated(
            "I14",
            format!("epoch {} is being fenced for long, and no alarm says so", lease.epoch),
        );
    }
    Ok(())
}

/// A break-glass has two people, a proof and an alarm.
async fn two_people(
    world: &World,
    proofs: &[syncferry_store::Proof],
    epoch: i64,
    tx: &mut dyn syncferry_store::Tx,
) -> anyhow::Result<()> {
    world.count("leases taken on two people's word");
    let word = proofs
        .iter()
        .find(|p| p.epoch == epoch && p.kind == ProofKind::OperatorAttested);
    let two = word.is_some_and(|p| p.second.as_ref().is_some_and(|s| *s != p.actor));
    let alarm = tx.alarms(true).await?.iter().any(|a| a.kind.as_str() == "break-glass");
    if !two || !alarm {
        world.violated("I12", format!("epoch {epoch}: two people {two}, alarm {alarm}"));
    }
    Ok(())
}

/// Whether a token is not the current one of anything.
pub(crate) async fn is_stale(world: &World, token: &AttemptToken) -> bool {
    let looked = async {
        let mut tx = world.store.read("observer.token").await?;
        if token.incarnation != tx.incarnation() {
            return Ok(true);
        }
        let known = tx.attempts(token.job).await?.into_iter().find(|a| a.token() == *token);
        Ok::<_, syncferry_store::StoreError>(known.is_none_or(|a| a.state == AttemptState::Superseded))
    };
    looked.await.unwrap_or(false)
}

/// Whatever the controller took for accepted is in the journal, as long as that was not put back or lost.
pub(crate) async fn acceptances(world: &World, agent: usize, papers: &Papers, journal: &Journal) {
    let slot = &world.slots[agent];
    if slot.reverted.load(Ordering::SeqCst) {
        return;
    }
    let looked = async {
        let mut tx = world.store.read("observer.accepted").await?;
        let Ok(id) = papers.agent_id.parse() else {
            return Ok(vec![]);
        };
        tx.open_attempts(id).await
    };
    let open = looked.await.unwrap_or_default();
    for attempt in open.iter().filter(|a| a.state == AttemptState::Accepted) {
        if journal.attempt(AttemptKey::of(&attempt.token())).is_none() {
            world.violated(
                "accepted",
                format!(
                    "{} has no record of attempt {}, which it accepted",
                    slot.host, attempt.attempt
                ),
            );
        }
    }
}

/// The last look: the store's own audit, and that everything is well again some time after the faults ended.
pub(crate) async fn last_look(world: &World) -> anyhow::Result<()> {
    let mut tx = world.store.read("observer.audit").await?;
    for finding in tx.audit().await? {
        world.violated(
            finding.invariant,
            format!("audit: {}: {}", finding.subject, finding.found),
        );
    }
    for agent in tx.agents().await? {
        let state = agent.state.as_str();
        // Certificates bear five minutes: a controller whose clock was further off is not believed, and right so.
        let believed = !world.clock_far_off.load(Ordering::SeqCst);
        if state != "online" && state != "quarantined" && believed {
            world.violated("liveness", format!("an agent is {state} long after the faults ended"));
        }
    }
    Ok(())
}
