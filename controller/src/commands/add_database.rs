//! `database add`: a database is registered by connecting to it, never by its name; its lease goes to the Connect server
//! that is seen to use it.

use syncferry_shared::fence::IdentityFacts;
use syncferry_shared::identity;
use syncferry_shared::inventory::{DatabaseAddress, DatabaseFacts, InspectionRequest, Inventory};
use syncferry_shared::lease::{LeaseKind, LeaseState, Resource};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_shared::{DatabaseId, Finding, HostId, SessionId};
use syncferry_store::{By, Database, DatabaseGuids, Grant, Host, IdentityState, NewDatabase, Tx};

use super::identify;
use super::lease::export::{self, Active};
use crate::core::Core;
use crate::problem::Problem;
use crate::wake::HostReason;
use crate::{find, inspect};

/// Looks at a database and registers it. The same database a second time, by whatever name, is the same row.
pub async fn add_database(
    core: &Core,
    actor: &str,
    site: &str,
    host: &str,
    instance: &str,
    name: &str,
) -> Result<Database, Problem> {
    let mut tx = core.store.read("database.find").await?;
    let site = find::site(&mut *tx, site).await?;
    let host = find::host(&mut *tx, host).await?;
    drop(tx);
    let address = DatabaseAddress {
        instance: instance.to_string(),
        database: name.to_string(),
    };
    let request = InspectionRequest {
        instances: vec![instance.to_string()],
        databases: vec![address.clone()],
        connect: true,
        installer: None,
        reach: vec![],
        preview: None,
        ..InspectionRequest::default()
    };
    let inventory = inspect::ask_and_wait(core, &host, &request, "database add").await?;
    let facts = found(&inventory, &address, &host)?;
    let key = identity::physical_key(&IdentityFacts::from(&facts)).map(|key| match sabotage::on(Mutant::Alias) {
        true => format!("{key}|{instance}"),
        false => key,
    });
    let Some(key) = key else {
        return Err(Problem::refused(
            Finding::blocker(
                "database-identity-unknown",
                format!("{name} does not say which database it is"),
            )
            .saw("sys.database_recovery_status.database_guid", "NULL")
            .source("Syncferry: a database is known by what the server reports")
            .next("Bring it online, and check that the agent's login may see it."),
        ));
    };
    let mut tx = core.store.read("database.promised").await?;
    not_promised(&mut *tx, &host, &address).await?;
    drop(tx);
    let identified = identify::identify(core, &host, &address, &facts).await?;
    let mut tx = core.store.begin("database.add").await?;
    not_promised(&mut *tx, &host, &address).await?;
    let endpoint = format!("{}/{instance}/{}", host.name, facts.name);
    let known = match identified.settle(&mut *tx, actor, &host, &facts).await? {
        Ok(known) => known,
        Err(finding) => {
            // What was quarantined stays so.
            tx.commit().await?;
            return Err(Problem::refused(*finding));
        }
    };
    let database = match known {
        Some(known) => known,
        None => add(core, &mut *tx, actor, &site, &host, &address, &facts, &key).await?,
    };
    tx.add_database_endpoint(database.id, &endpoint)
        .await
        .map_err(|e| match e.is_conflict() {
            true => another_one(&endpoint, &facts),
            false => e.into(),
        })?;
    tx.set_database_facts(database.id, &to_json(&facts)?).await?;
    let seen = grant_to_seen_holder(core, &mut *tx, actor, &database, &host, &inventory, &facts).await?;
    if let Some(active) = seen.as_ref().and_then(|s| is_active(s, &host, &inventory, &facts)) {
        export::grant_to_active(core, &mut *tx, &site.tenant_id, actor, &active).await?;
    }
    let holder = seen.map(|s| s.renewer);
    let database = tx
        .database(database.id)
        .await?
        .ok_or_else(|| Problem::Internal("the row is gone".to_string()))?;
    tx.commit().await?;
    for host in [Some(host.id), holder].into_iter().flatten() {
        core.host_changed(host, HostReason::Lease);
    }
    Ok(database)
}

/// The place is known, and something else is there now.
fn another_one(endpoint: &str, facts: &DatabaseFacts) -> Problem {
    let guid = facts.database_guid.map_or("unknown".to_string(), |g| g.to_string());
    Problem::refused(
        Finding::blocker(
            "database-was-replaced",
            format!("{endpoint} was registered as another database"),
        )
        .saw("database_guid now", guid)
        .source("Syncferry: a database is known by what the server reports, and its lease goes with it")
        .next(
            "It was restored or created anew since it was registered. Nothing is granted for it while the lease of the earlier one \
             stands: look at `syncferry lease list`.",
        ),
    )
}

/// A database that a migration is just restoring is registered by that migration, and by nobody else: otherwise its own
/// report would find the place taken.
async fn not_promised(tx: &mut dyn Tx, host: &Host, address: &DatabaseAddress) -> Result<(), Problem> {
    let promised = |d: &Database| {
        d.identity_state == IdentityState::Provisional
            && d.host == host.id
            && d.address.instance == address.instance
            && d.address.database.eq_ignore_ascii_case(&address.database)
    };
    let Some(there) = tx.databases(None).await?.into_iter().find(promised) else {
        return Ok(());
    };
    Err(Problem::refused(
        Finding::blocker(
            "database-is-being-restored",
            format!("{} is being restored by a migration", address.database),
        )
        .saw("registered databases", &there.physical_key)
        .source("Syncferry: a migration registers the database that it restores")
        .next("Wait until that migration is at its end; `syncferry database list` shows the database then."),
    ))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(value).map_err(|e| Problem::Internal(e.to_string()))
}

fn found(inventory: &Inventory, address: &DatabaseAddress, host: &Host) -> Result<DatabaseFacts, Problem> {
    let same = |d: &&DatabaseFacts| d.instance == address.instance && d.name.eq_ignore_ascii_case(&address.database);
    if let Some(facts) = inventory.databases.iter().find(same) {
        return Ok(facts.clone());
    }
    let findings: Vec<Finding> = inventory
        .problems
        .iter()
        .map(|p| {
            Finding::blocker(
                "could-not-look",
                format!("{} on {} could not be looked at", p.subject, host.name),
            )
            .saw(p.subject.clone(), &p.error)
            .source("Syncferry: a database is registered by connecting to it")
            .next(p.next_step.clone())
        })
        .collect();
    if !findings.is_empty() {
        return Err(Problem::Refused {
            title: format!("{} could not be looked at", address.database),
            findings,
        });
    }
    let names: Vec<&str> = inventory
        .instances
        .iter()
        .flat_map(|i| &i.databases)
        .map(|d| d.name.as_str())
        .collect();
    Err(Problem::NotFound(format!(
        "there is no database '{}' on {}/{}; there are: {}",
        address.database,
        host.name,
        address.instance,
        names.join(", ")
    )))
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call, and every argument is a different thing"
)]
async fn add(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    site: &syncferry_store::Site,
    host: &Host,
    address: &DatabaseAddress,
    facts: &DatabaseFacts,
    key: &str,
) -> Result<Database, Problem> {
    let id = DatabaseId::new(tx.now(), &core.random());
    let database = tx
        .add_database(&NewDatabase {
            id,
            site: site.id,
            physical_key: key.to_string(),
            guids: guids(facts),
            server_name: facts.server_name.clone(),
            host: host.id,
            address: DatabaseAddress {
                instance: address.instance.clone(),
                database: facts.name.clone(),
            },
            identity_state: IdentityState::Confirmed,
            facts: to_json(facts)?,
        })
        .await?;
    let evidence = serde_json::json!({
        "registered_by": actor,
        "server_name": facts.server_name,
        "sessions": facts.sessions,
    });
    let by = By::new(actor).detail(serde_json::json!({"reason": "registered"}));
    tx.create_lease(&Resource::database(id), LeaseKind::Database, Some(&evidence), &by)
        .await?;
    Ok(database)
}

/// The GUIDs of a database as its agent found it.
pub(crate) fn guids(facts: &DatabaseFacts) -> DatabaseGuids {
    DatabaseGuids {
        database: facts.database_guid,
        family: facts.family_guid,
        recovery_fork: facts.recovery_fork_guid,
        service_broker: facts.service_broker_guid,
        group_database: facts.group_database_id,
    }
}

/// The server that was seen to use a database, and who renews for it.
struct Seen {
    holder: HostId,
    renewer: HostId,
    session: SessionId,
}

/// Whether that server is out of staging mode: by its own scheduler where it is the very host, otherwise by what the
/// database says of its server. Unknown is no reason to believe that it exports.
fn is_active(seen: &Seen, host: &Host, inventory: &Inventory, facts: &DatabaseFacts) -> Option<Active> {
    let scheduler = inventory.connect.as_ref().and_then(|c| c.scheduler.as_ref());
    let (staging, from) = match scheduler.filter(|_| seen.holder == host.id) {
        Some(s) => (Some(s.staging_mode), "Get-ADSyncScheduler"),
        None => (facts.adsync.as_ref().and_then(|a| a.staging_mode), "the database"),
    };
    (staging == Some(false)).then(|| Active {
        host: seen.holder,
        renewer: seen.renewer,
        session: seen.session,
        evidence: serde_json::json!({"staging_mode": false, "said_by": from, "database": facts.name}),
    })
}

/// Gives a free lease to the server that is seen to use the database.
async fn grant_to_seen_holder(
    core: &Core,
    tx: &mut dyn Tx,
    actor: &str,
    database: &Database,
    host: &Host,
    inventory: &Inventory,
    facts: &DatabaseFacts,
) -> Result<Option<Seen>, Problem> {
    let resource = Resource::database(database.id);
    let Some(lease) = tx.lease(&resource).await?.filter(|l| l.state == LeaseState::Free) else {
        return Ok(None);
    };
    let Some(holder) = seen_holder(tx, host, inventory, facts).await? else {
        return Ok(None);
    };
    // The holder's own agent renews where there is one; otherwise the agent that reaches the database.
    let mut renewer = None;
    for candidate in [holder.id, host.id] {
        if let Some(session) = tx.agent_of_host(candidate).await?.and_then(|a| a.session) {
            renewer = Some((candidate, session));
            break;
        }
    }
    let Some((renewer, session)) = renewer else {
        return Ok(None);
    };
    let grant = Grant {
        resource,
        seen_epoch: lease.epoch,
        holder: holder.id,
        session,
        renewer,
        ttl_ms: core.config.leases.ttl_ms(),
    };
    let by = By::new(actor).detail(serde_json::json!({
        "reason": "seen to use the database when it was registered",
        "sessions": facts.sessions,
        "connect": inventory.connect,
    }));
    tx.acquire_lease(&grant, &by).await?;
    Ok(Some(Seen {
        holder: holder.id,
        renewer,
        session,
    }))
}

/// The Connect server that uses a database: the very host, when its registry names the database and its service runs; or
/// the registered host whose synchronisation service has a session on it.
async fn seen_holder(
    tx: &mut dyn Tx,
    host: &Host,
    inventory: &Inventory,
    facts: &DatabaseFacts,
) -> Result<Option<Host>, Problem> {
    let here = inventory.connect.as_ref().is_some_and(|c| {
        let names_it = c
            .parameters
            .as_ref()
            .is_some_and(|p| p.database.eq_ignore_ascii_case(&facts.name));
        let runs = c
            .service
            .as_ref()
            .is_some_and(|s| s.state.eq_ignore_ascii_case("running"));
        let local = c.parameters.as_ref().is_some_and(|p| {
            p.server.eq_ignore_ascii_case("(localdb)") || p.server.eq_ignore_ascii_case(&inventory.host.computer_name)
        });
        names_it && runs && local
    });
    if here {
        return Ok(Some(host.clone()));
    }
    let names: std::collections::BTreeSet<String> = facts
        .sessions
        .iter()
        .flatten()
        .filter(|s| s.is_sync_service())
        .filter_map(|s| s.host.as_deref().map(str::to_ascii_lowercase))
        .collect();
    let hosts = tx.hosts(None).await?;
    let is = |h: &&Host, name: &String| {
        h.name.eq_ignore_ascii_case(name) || h.computer_name.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(name))
    };
    let known: Vec<&Host> = names.iter().filter_map(|n| hosts.iter().find(|h| is(h, n))).collect();
    match (names.len(), known.as_slice()) {
        (0, _) => Ok(None),
        (1, [holder]) => Ok(Some((*holder).clone())),
        _ => Err(Problem::refused(
            Finding::blocker("database-users-unknown", format!("{} is used by servers that are not clear", facts.name))
                .saw("synchronisation services in sys.dm_exec_sessions", names.iter().cloned().collect::<Vec<_>>().join(", "))
                .source("Syncferry: a lease has one holder, and it must be a registered host")
                .next("Add the Connect server that uses the database with `syncferry host add`. If there are two, stop the wrong one for good first."),
        )),
    }
}
