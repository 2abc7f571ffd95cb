//! A database that is not registered, or was refused, and carries marks: a restored copy. It gets a row that is retired from the
//! beginning and a free lease, under which its marks are removed by a planned run. No name leads to that row, and nothing is granted.

use syncferry_shared::identity::Verdict;
use syncferry_shared::inventory::{DatabaseAddress, DatabaseFacts, InspectionRequest};
use syncferry_shared::lease::{LeaseKind, Resource};
use syncferry_shared::{DatabaseId, Finding};
use syncferry_store::{By, IdentityState, NewDatabase};

use super::add_database::guids;
use super::identify;
use super::prove::way;
use crate::core::Core;
use crate::problem::Problem;
use crate::{find, inspect};

/// The lease for an address that nobody registered, and the address as a name; nothing when the text names a lease that there is.
pub(super) async fn adopt(core: &Core, actor: &str, text: &str) -> Result<Option<(String, String)>, Problem> {
    let mut tx = core.store.read("stray.find").await?;
    match find::lease(&mut *tx, text).await {
        Err(Problem::NotFound(_)) if text.matches('/').count() == 2 => {}
        _ => return Ok(None),
    }
    let (host, name, address) = way(&mut *tx, text).await?;
    let host = tx
        .host(host)
        .await?
        .ok_or_else(|| Problem::Internal(format!("the host {name} is gone")))?;
    drop(tx);
    let request = InspectionRequest {
        instances: vec![address.instance.clone()],
        databases: vec![address.clone()],
        ..InspectionRequest::default()
    };
    let inventory = inspect::ask_and_wait(core, &host, &request, "lease marks remove").await?;
    let why = inventory
        .problems
        .first()
        .map(|p| format!("{}: {}", p.subject, p.error));
    let same = |f: &DatabaseFacts| f.instance == address.instance && f.name.eq_ignore_ascii_case(&address.database);
    let Some(facts) = inventory.databases.into_iter().find(same) else {
        let nothing = format!("there is no database at {text}");
        return Err(Problem::NotFound(why.unwrap_or(nothing)));
    };
    let identified = identify::identify(core, &host, &address, &facts).await?;
    if !matches!(identified.verdict, Verdict::Copy | Verdict::ForeignMarks | Verdict::New) {
        return Err(is_registered(text, identified.verdict, &facts));
    }
    let name = format!("{}/{}/{}", host.name, facts.instance, facts.name);
    // A key of its own: registering the database later, when it is clean, is not to find its key taken.
    let guid = facts.database_guid.map_or("unknown".to_string(), |g| g.to_string());
    let key = format!(
        "stray:{}|{guid}|{}",
        facts.server_name.to_uppercase(),
        facts.name.to_uppercase()
    );
    let mut tx = core.store.begin("stray.adopt").await?;
    let known = tx.databases(None).await?.into_iter().find(|d| d.physical_key == key);
    if let Some(known) = known {
        return Ok(Some((Resource::database(known.id).0, name)));
    }
    let id = DatabaseId::new(tx.now(), &core.random());
    tx.add_database(&NewDatabase {
        id,
        site: host.site,
        physical_key: key,
        guids: guids(&facts),
        server_name: facts.server_name.clone(),
        host: host.id,
        address: DatabaseAddress {
            instance: address.instance.clone(),
            database: facts.name.clone(),
        },
        identity_state: IdentityState::Retired,
        facts: serde_json::to_value(&facts).map_err(|e| Problem::Internal(e.to_string()))?,
    })
    .await?;
    let why = "its marks are to be removed; it is nobody's, and nothing is granted on it";
    let by = By::new(actor).detail(serde_json::json!({"reason": why, "verdict": identified.verdict.as_str()}));
    let resource = Resource::database(id);
    tx.create_lease(&resource, LeaseKind::Database, None, &by).await?;
    tx.commit().await?;
    Ok(Some((resource.0, name)))
}

fn is_registered(text: &str, verdict: Verdict, facts: &DatabaseFacts) -> Problem {
    Problem::refused(
        Finding::blocker("database-registered", format!("{text} is, or may be, a registered database"))
            .saw("which database it is", verdict.as_str())
            .saw("ServerName", &facts.server_name)
            .source("Syncferry: marks of a leased database are removed under its lease")
            .next("Name it as `syncferry lease list` does. When its identity is in doubt, that comes first: `syncferry database prove`, `syncferry lease fence`."),
    )
}
