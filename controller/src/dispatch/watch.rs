//! ReportWatch: what an agent saw. It is kept, held against the look before it, and judged with everybody else's.

use syncferry_shared::watch::WatchReport;
use syncferry_shared::{AgentId, SessionId};

use super::known_agent;
use crate::alarms::{self, evaluate, rules};
use crate::core::Core;
use crate::problem::Problem;

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
    Ok(())
}
