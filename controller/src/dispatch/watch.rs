//! ReportWatch: what an agent saw. It is kept, held against the look before it, and judged with everybody else's.

use syncferry_shared::fence::{MARK_EPOCH, MARK_UID};
use syncferry_shared::lease::Resource;
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{AgentId, SessionId};
use syncferry_store::meta::EPOCH_JUMP;
use syncferry_store::{Highest, Tx, Way};

use super::known_agent;
use crate::alarms::{self, evaluate, rules};
use crate::core::Core;
use crate::problem::Problem;
use crate::recovery::{self, Behind};

/// Keeps a look, and raises what it shows.
pub async fn report(core: &Core, id: AgentId, session: SessionId, look: WatchReport) -> Result<(), Problem> {
    let mut tx = core.store.begin("dispatch.watch").await?;
    let (agent, host) = known_agent(&mut *tx, id).await?;
    if agent.session != Some(session) {
        return Err(Problem::Stale(
            "say hello first: this is not the session that the controller knows".to_string(),
        ));
    }
    // An agent speaks of the databases that it reaches, and of no others.
    let mut look = look;
    let reaches: Vec<_> = tx
        .databases(None)
        .await?
        .into_iter()
        .filter(|d| d.host == host.id)
        .map(|d| d.id)
        .collect();
    look.databases.retain(|d| reaches.contains(&d.database));
    let mut lost = Vec::new();
    if let Some(behind) = marks_ahead(&mut *tx, &host.name, &look).await? {
        lost = recovery::begin(&mut *tx, &behind).await?.1;
    }
    let json = serde_json::to_value(&look).map_err(|e| Problem::Internal(e.to_string()))?;
    let before = tx.keep_watch(host.id, &json).await?;
    let world = evaluate::world(core, &mut *tx).await?;
    let mut judgement = rules::judge(&world);
    let before: Option<WatchReport> = before.and_then(|w| serde_json::from_value(w.report).ok());
    if let (Some(before), Some(view)) = (before, world.hosts.iter().find(|h| h.id == host.id)) {
        let holds = evaluate::holders(&world).contains_key(&host.id);
        judgement.alarming.extend(rules::wizard(view, holds, &before, &look));
    }
    alarms::evaluate::settle(core, &mut *tx, &judgement).await?;
    tx.commit().await?;
    for migration in lost {
        core.migration_changed(migration);
    }
    Ok(())
}

/// A database remembers the newest epoch that was proven at it: a store that is behind that was restored.
async fn marks_ahead(tx: &mut dyn Tx, host: &str, look: &WatchReport) -> Result<Option<Behind>, Problem> {
    let (mut highest, mut found) = (Highest::default(), Vec::new());
    for d in &look.databases {
        // A copy carries the marks of the database that it was copied from.
        let own = d.marks.get(MARK_UID).is_some_and(|uid| *uid == d.database.to_string());
        let mark: Option<i64> = d.marks.get(MARK_EPOCH).and_then(|e| e.parse().ok());
        let resource = Resource::database(d.database);
        let (Some(mark), Some(lease)) = (mark.filter(|_| own), tx.lease(&resource).await?) else {
            continue;
        };
        if mark > lease.epoch && mark - lease.epoch < EPOCH_JUMP.saturating_mul(1_000) {
            found.push(format!(
                "{} as the agent on {host} sees it carries epoch {mark} where the store has {}",
                d.address.database, lease.epoch
            ));
            highest.see(0, [(resource, mark)]);
        }
    }
    Ok((!found.is_empty()).then_some(Behind {
        way: Way::Database,
        highest,
        found,
    }))
}
