//! What is left to do after a migration seated a server: gathers the facts, has agents look, records what a person says. The list
//! itself and what events make of it are pure: `syncferry_shared::aftercare`.

use syncferry_shared::aftercare::{
    ATTESTED, CareFacts, Checklist, Item, ItemState, SEEN, Sight, WITHDRAWN, Withdrawal, Word, sights,
};
use syncferry_shared::event::{Event, StreamKind};
use syncferry_shared::inventory::{AdsyncFacts, ConnectFacts, InspectionRequest};
use syncferry_shared::outcome::Level;
use syncferry_shared::plan::{Plan, PlanRequest, Scenario};
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::{JobState, MigrationState};
use syncferry_shared::{HostId, MigrationId, Millis, WordId};
use syncferry_store::{Host, ItemWord, Migration, MigrationFilter, NewItemWord, Tx};

use crate::core::{Core, migration_event};
use crate::plan::OpenCare;
use crate::problem::Problem;
use crate::scheduler::inventory_of;
use crate::{find, inspect, progression};

const PAGE: i64 = 1000;
/// What a list needs to be a list of: somebody was, or is to be, seated.
const NO_LIST: &str = "this migration seats no server: there is nothing to do after it";

/// The checklist of a migration as events have it; `None` where no server is seated, or there is no plan yet.
pub async fn of(tx: &mut dyn Tx, m: &Migration) -> Result<Option<Checklist>, Problem> {
    let Some(facts) = facts(tx, m).await? else {
        return Ok(None);
    };
    let events = events(tx, m.id).await?;
    let words = words(&tx.item_words(m.id).await?);
    Ok(Some(Checklist::of(m.id, &facts, &events, &words, tx.now())))
}

/// Items that matter and are open. While there is one, the server that the migration seated must not leave staging mode.
pub async fn open_that_matter(tx: &mut dyn Tx, m: &Migration) -> Result<Vec<Item>, Problem> {
    let list = of(tx, m).await?;
    Ok(list
        .map(|l| l.open_that_matter().cloned().collect())
        .unwrap_or_default())
}

/// The same for a server, whichever migration seated it last: what stands between it and leaving staging mode. `None` when no
/// migration of ours seated it.
pub async fn open_for_server(tx: &mut dyn Tx, server: HostId) -> Result<Option<OpenCare>, Problem> {
    let mut all = tx.migrations(&MigrationFilter::default()).await?;
    all.sort_by_key(|m| std::cmp::Reverse(m.created_at));
    for m in all {
        let seated = m.state == MigrationState::Succeeded && m.scenario.required_level() == Some(Level::L5);
        if seated && plan(&m).is_some_and(|(_, r)| r.connect_host == server) {
            return Ok(Some(OpenCare {
                migration: m.id,
                items: open_that_matter(tx, &m).await?,
            }));
        }
    }
    Ok(None)
}

/// Shows the checklist. With `look`, agents look first, and what they see is an event.
pub async fn show(core: &Core, migration: &str, look: bool) -> Result<(Checklist, Vec<String>), Problem> {
    let mut tx = core.store.read("checklist.show").await?;
    let m = find::migration(&mut *tx, migration).await?;
    let list = of(&mut *tx, &m).await?.ok_or_else(no_list)?;
    if !look {
        return Ok((list, vec![]));
    }
    let facts = facts(&mut *tx, &m).await?.ok_or_else(no_list)?;
    drop(tx);
    let (seen, not_seen) = see(core, &m, &facts).await?;
    let list = record(core, &m, &seen).await?;
    Ok((list, not_seen))
}

/// A person's word that an item is done.
#[derive(Debug, Clone)]
pub struct Attest<'a> {
    /// The migration, as it was typed.
    pub migration: &'a str,
    /// The item's id.
    pub item: &'a str,
    /// What was done.
    pub reason: &'a str,
    /// Until when the word counts; `None` for good.
    pub until: Option<Millis>,
}

/// Records a person's word for an item. What agents can see and saw otherwise cannot be attested away.
pub async fn attest(core: &Core, actor: &str, said: &Attest<'_>) -> Result<Checklist, Problem> {
    let reason = said.reason.trim();
    if reason.is_empty() {
        return Err(Problem::Invalid("say what was done: --reason".to_string()));
    }
    let mut tx = core.store.begin("checklist.attest").await?;
    let m = find::migration(&mut *tx, said.migration).await?;
    if said.until.is_some_and(|until| until <= tx.now()) {
        return Err(Problem::Invalid("--until is in the past".to_string()));
    }
    let list = of(&mut *tx, &m).await?.ok_or_else(no_list)?;
    let found = item_of(&list, said.item)?;
    let saw = found.evidence.as_deref().unwrap_or_default();
    match found.state {
        ItemState::Proven => {
            return Err(Problem::NotNow(format!("'{}' is proven already: {saw}", found.id)));
        }
        ItemState::Contradicted => {
            return Err(Problem::NotNow(format!(
                "an agent saw otherwise: {saw}. Put it right, then let the agents look again: syncferry checklist show {} --look",
                m.id.short()
            )));
        }
        ItemState::Open | ItemState::Attested => {}
    }
    let new = NewItemWord {
        id: WordId::new(tx.now(), &core.random()),
        migration: m.id,
        item: found.id.clone(),
        withdraws: None,
        actor: actor.to_string(),
        reason: reason.to_string(),
        until: said.until,
    };
    tx.add_item_word(&new).await?;
    let payload = serde_json::json!({
        "item": found.id, "title": found.title, "remark": reason, "until": said.until.map(Millis::rfc3339),
        "attestation": new.id,
    });
    tx.append_event(migration_event(m.id, ATTESTED, actor, payload)).await?;
    let list = of(&mut *tx, &m).await?.ok_or_else(no_list)?;
    tx.commit().await?;
    core.migration_changed(m.id);
    Ok(list)
}

/// Takes back whatever people said of an item. Whoever finds that it is not so may do it, not only who said it.
pub async fn withdraw(
    core: &Core,
    actor: &str,
    migration: &str,
    item: &str,
    reason: &str,
) -> Result<Checklist, Problem> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Problem::Invalid("say why it is taken back: --reason".to_string()));
    }
    let mut tx = core.store.begin("checklist.withdraw").await?;
    let m = find::migration(&mut *tx, migration).await?;
    let list = of(&mut *tx, &m).await?.ok_or_else(no_list)?;
    let found = item_of(&list, item)?;
    let all = tx.item_words(m.id).await?;
    let taken = |w: &ItemWord| all.iter().any(|b| b.withdraws == Some(w.id));
    let standing: Vec<&ItemWord> = all
        .iter()
        .filter(|w| w.item == found.id && w.withdraws.is_none() && !taken(w))
        .collect();
    if standing.is_empty() {
        return Err(Problem::NotNow(format!("nobody's word stands for '{}'", found.id)));
    }
    for word in standing {
        let new = NewItemWord {
            id: WordId::new(tx.now(), &core.random()),
            migration: m.id,
            item: found.id.clone(),
            withdraws: Some(word.id),
            actor: actor.to_string(),
            reason: reason.to_string(),
            until: None,
        };
        tx.add_item_word(&new).await?;
        let payload = serde_json::json!({
            "item": found.id, "attestation": word.id, "attested_by": word.actor, "reason": reason,
        });
        tx.append_event(migration_event(m.id, WITHDRAWN, actor, payload))
            .await?;
    }
    let list = of(&mut *tx, &m).await?.ok_or_else(no_list)?;
    tx.commit().await?;
    core.migration_changed(m.id);
    Ok(list)
}

fn item_of<'a>(list: &'a Checklist, id: &str) -> Result<&'a Item, Problem> {
    list.item(id).ok_or_else(|| {
        let ids: Vec<&str> = list.items.iter().map(|i| i.id.as_str()).collect();
        Problem::NotFound(format!("there is no item '{id}'; there are: {}", ids.join(", ")))
    })
}

/// The words as the list takes them: each with whoever took it back.
fn words(rows: &[ItemWord]) -> Vec<Word> {
    let back = |w: &ItemWord| rows.iter().find(|b| b.withdraws == Some(w.id));
    rows.iter()
        .filter(|w| w.withdraws.is_none())
        .map(|w| Word {
            item: w.item.clone(),
            by: w.actor.clone(),
            at: w.at,
            reason: w.reason.clone(),
            until: w.until,
            withdrawn: back(w).map(|b| Withdrawal {
                by: b.actor.clone(),
                at: b.at,
                reason: b.reason.clone(),
            }),
        })
        .collect()
}

fn no_list() -> Problem {
    Problem::NotNow(NO_LIST.to_string())
}

async fn events(tx: &mut dyn Tx, id: MigrationId) -> Result<Vec<Event>, Problem> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |e| e.seq);
        let page = tx.events(StreamKind::Migration, &id.to_string(), after, PAGE).await?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

fn plan(m: &Migration) -> Option<(Plan, PlanRequest)> {
    let plan: Plan = serde_json::from_value(m.plan.clone()?).ok()?;
    let request = plan.request.clone()?;
    Some((plan, request))
}

/// What the list is made of: the plan, and what agents found for it.
async fn facts(tx: &mut dyn Tx, m: &Migration) -> Result<Option<CareFacts>, Problem> {
    if m.scenario.required_level() != Some(Level::L5) {
        return Ok(None);
    }
    let Some((plan, request)) = plan(m) else {
        return Ok(None);
    };
    let new = tx.host(request.connect_host).await?.map(|h| h.name);
    let inspections = tx.inspections_of(m.id).await?;
    let source = match tx.database(request.source).await? {
        Some(d) => {
            let (inventory, _) = inventory_of(&inspections, d.host);
            let same = |f: &syncferry_shared::inventory::DatabaseFacts| {
                f.instance == d.address.instance && f.name.eq_ignore_ascii_case(&d.address.database)
            };
            inventory.and_then(|i| i.databases.into_iter().find(same))
        }
        None => None,
    };
    let jobs = progression::jobs_of(tx, m.id).await?;
    let install = jobs.iter().find(|j| j.kind == JobKind::Install);
    let (mut installed_at, mut installing_since) = (None, None);
    if let Some(job) = install {
        let attempts = tx.attempts(job.id).await?;
        installing_since = attempts.first().map(|a| a.opened_at);
        installed_at = attempts
            .last()
            .and_then(|a| a.ended_at)
            .filter(|_| job.state == JobState::Succeeded);
    }
    let full = ["full-sync-expected", "last-sync-too-old", "last-sync-unknown"];
    let values = plan.values.as_ref();
    Ok(Some(CareFacts {
        new_server: new.unwrap_or_default(),
        // A server that was installed anew on its own host leaves nobody to retire.
        old_server: values
            .filter(|_| !request.in_place)
            .and_then(|v| v.source_holder_name.clone()),
        leaves_group: m.scenario == Scenario::ReplaceServer
            && source.as_ref().is_some_and(|s| s.group_database_id.is_some()),
        before: source.and_then(|s| s.adsync),
        installed: values.map(|v| v.expect.version),
        installed_at,
        installing_since,
        full_sync_expected: plan.findings.iter().any(|f| full.contains(&f.rule.as_str())),
    }))
}

/// Has the agents look, at the same time.
async fn see(core: &Core, m: &Migration, facts: &CareFacts) -> Result<(Vec<Sight>, Vec<String>), Problem> {
    let (plan, request) = plan(m).ok_or_else(no_list)?;
    let target = plan.values.as_ref().map_or(request.source, |v| v.target);
    let (database, server) = tokio::join!(
        look_at_database(core, target, facts.installing_since),
        look_at_server(core, request.connect_host)
    );
    let mut not_seen = Vec::new();
    let mut keep = |e: &Problem| not_seen.push(e.to_string());
    let database = database.inspect_err(&mut keep).ok();
    let server = server.inspect_err(&mut keep).ok();
    let seen = sights(
        facts,
        database
            .as_ref()
            .map(|(name, adsync, group)| (name.as_str(), adsync, *group)),
        server.as_ref().map(|(name, connect)| (name.as_str(), connect)),
    );
    Ok((seen, not_seen))
}

async fn host(core: &Core, id: HostId) -> Result<Host, Problem> {
    let mut tx = core.store.read("checklist.host").await?;
    tx.host(id)
        .await?
        .ok_or_else(|| Problem::Internal("a host of the migration is gone".to_string()))
}

async fn look_at_database(
    core: &Core,
    id: syncferry_shared::DatabaseId,
    runs_since: Option<Millis>,
) -> Result<(String, AdsyncFacts, bool), Problem> {
    let mut tx = core.store.read("checklist.database").await?;
    let database = tx
        .database(id)
        .await?
        .ok_or_else(|| Problem::NotNow("the new database is not there yet".to_string()))?;
    drop(tx);
    let host = host(core, database.host).await?;
    let request = InspectionRequest {
        instances: vec![database.address.instance.clone()],
        databases: vec![database.address.clone()],
        runs_since,
        ..InspectionRequest::default()
    };
    let found = inspect::ask_and_wait(core, &host, &request, "checklist").await?;
    if let Some(p) = found.problems.first() {
        return Err(Problem::NotNow(format!("{} on {}: {}", p.subject, host.name, p.error)));
    }
    let facts = found.databases.into_iter().next();
    let group = facts.as_ref().is_some_and(|d| d.group_database_id.is_some());
    let adsync = facts.and_then(|d| d.adsync);
    let adsync =
        adsync.ok_or_else(|| Problem::NotNow(format!("the database on {} says nothing of Connect", host.name)))?;
    Ok((host.name, adsync, group))
}

async fn look_at_server(core: &Core, id: HostId) -> Result<(String, ConnectFacts), Problem> {
    let host = host(core, id).await?;
    let request = InspectionRequest {
        connect: true,
        ..InspectionRequest::default()
    };
    let found = inspect::ask_and_wait(core, &host, &request, "checklist").await?;
    let connect = found
        .connect
        .ok_or_else(|| Problem::NotNow(format!("the agent on {} could not look at Connect", host.name)))?;
    Ok((host.name, connect))
}

/// Writes down what was seen, where it says something.
async fn record(core: &Core, m: &Migration, seen: &[Sight]) -> Result<Checklist, Problem> {
    let mut tx = core.store.begin("checklist.seen").await?;
    if !seen.is_empty() {
        let payload = serde_json::json!({ "sights": seen });
        tx.append_event(migration_event(m.id, SEEN, "controller", payload))
            .await?;
    }
    let list = of(&mut *tx, m).await?.ok_or_else(no_list)?;
    tx.commit().await?;
    core.migration_changed(m.id);
    Ok(list)
}
