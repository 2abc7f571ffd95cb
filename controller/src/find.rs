//! Finding what an operator means: an id, the tail of an id, or a name.

use syncferry_shared::lease::{Lease, Resource};
use syncferry_store::{Alarm, Database, Gate, Host, IdentityState, Migration, MigrationFilter, Site, Tx};

use crate::problem::Problem;

fn tail_matches(id: impl ToString, text: &str) -> bool {
    let id = id.to_string().replace('-', "");
    let text = text.replace('-', "").to_ascii_lowercase();
    text.len() >= 4 && text.len() < 32 && id.ends_with(&text)
}

fn one<T>(mut found: Vec<T>, what: &str, text: &str, list: &str) -> Result<T, Problem> {
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Problem::NotFound(format!(
            "there is no {what} '{text}'; `{list}` shows what there is"
        ))),
        n => Err(Problem::Invalid(format!(
            "'{text}' fits {n} {what}s; use the whole id from `{list} --json`"
        ))),
    }
}

/// A site by name or id.
pub async fn site(tx: &mut dyn Tx, text: &str) -> Result<Site, Problem> {
    if let Some(site) = tx.site_named(text).await? {
        return Ok(site);
    }
    let all = tx.sites().await?;
    let fits = |s: &Site| s.id.to_string() == text || tail_matches(s.id, text);
    one(
        all.into_iter().filter(fits).collect(),
        "site",
        text,
        "syncferry site list",
    )
}

/// A host by name or id.
pub async fn host(tx: &mut dyn Tx, text: &str) -> Result<Host, Problem> {
    if let Some(host) = tx.host_named(text).await? {
        return Ok(host);
    }
    let all = tx.hosts(None).await?;
    let fits = |h: &Host| h.id.to_string() == text || tail_matches(h.id, text);
    one(
        all.into_iter().filter(fits).collect(),
        "host",
        text,
        "syncferry host list",
    )
}

/// A database by id, by `host/instance/name`, or by its name among those that are not retired. One that a migration is still
/// to restore has the name of its source and is meant only when it is the only one.
pub async fn database(tx: &mut dyn Tx, text: &str) -> Result<Database, Problem> {
    let all = tx.databases(None).await?;
    let hosts = tx.hosts(None).await?;
    let place = |d: &Database| {
        let host = hosts.iter().find(|h| h.id == d.host).map_or("", |h| h.name.as_str());
        format!("{host}/{}/{}", d.address.instance, d.address.database)
    };
    let by_id = |d: &Database| d.id.to_string() == text || tail_matches(d.id, text);
    let there = |d: &Database| d.identity_state != IdentityState::Retired;
    let by_name = |d: &Database| {
        there(d) && (d.address.database.eq_ignore_ascii_case(text) || place(d).eq_ignore_ascii_case(text))
    };
    let known = |d: &Database| by_name(d) && d.identity_state != IdentityState::Provisional;
    let ways: [&(dyn Fn(&Database) -> bool + Sync); 3] = [&by_id, &known, &by_name];
    let found = ways
        .iter()
        .map(|fits| all.iter().filter(|d| fits(d)).cloned().collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default();
    if found.len() < 2 {
        return one(found, "database", text, "syncferry database list");
    }
    // After a move there are two of a name: it is said which names tell them apart.
    let mut names = Vec::new();
    for d in &found {
        let holder = tx.lease(&Resource::database(d.id)).await?.and_then(|l| l.holder);
        let used_by = match hosts.iter().find(|h| Some(h.id) == holder) {
            Some(h) => format!("used by {}", h.name),
            None => "used by nobody".to_string(),
        };
        names.push(format!("{} ({used_by}, id {})", place(d), d.id.short()));
    }
    Err(Problem::Invalid(format!(
        "'{text}' fits {} databases; say which: {}",
        found.len(),
        names.join(", or ")
    )))
}

/// The name of a database that nothing else has: `SQL01/default/ADSync`.
pub async fn place(tx: &mut dyn Tx, d: &Database) -> Result<String, Problem> {
    let host = tx.host(d.host).await?.map(|h| h.name).unwrap_or_default();
    Ok(format!("{host}/{}/{}", d.address.instance, d.address.database))
}

/// The database of a lease, where it is a database's.
pub async fn database_of(tx: &mut dyn Tx, lease: &Lease) -> Result<Option<Database>, Problem> {
    match lease.resource.database_id() {
        Some(id) => Ok(tx.database(id).await?),
        None => Ok(None),
    }
}

/// An alarm by id; by its tail only among the open ones.
pub async fn alarm(tx: &mut dyn Tx, text: &str) -> Result<Alarm, Problem> {
    if let Ok(id) = text.parse()
        && let Some(alarm) = tx.alarm(id).await?
    {
        return Ok(alarm);
    }
    let open = tx.alarms(false).await?;
    let fits = |a: &Alarm| tail_matches(a.id, text);
    one(
        open.into_iter().filter(fits).collect(),
        "open alarm",
        text,
        "syncferry alarms",
    )
}

/// A migration by id.
pub async fn migration(tx: &mut dyn Tx, text: &str) -> Result<Migration, Problem> {
    if let Ok(id) = text.parse()
        && let Some(m) = tx.migration(id).await?
    {
        return Ok(m);
    }
    let all = tx.migrations(&MigrationFilter::default()).await?;
    one(
        all.into_iter().filter(|m| tail_matches(m.id, text)).collect(),
        "migration",
        text,
        "syncferry status",
    )
}

/// A gate by id, among all gates of all migrations.
pub async fn gate(tx: &mut dyn Tx, text: &str) -> Result<Gate, Problem> {
    if let Ok(id) = text.parse()
        && let Some(g) = tx.gate(id).await?
    {
        return Ok(g);
    }
    let open = tx.open_gates().await?;
    one(
        open.into_iter().filter(|g| tail_matches(g.id, text)).collect(),
        "open gate",
        text,
        "syncferry gate list",
    )
}

/// A lease by its resource, by its database, or by `<site>/export`.
pub async fn lease(tx: &mut dyn Tx, text: &str) -> Result<Lease, Problem> {
    if let Some(lease) = tx.lease(&Resource(text.to_string())).await? {
        return Ok(lease);
    }
    if let Some(name) = text.strip_suffix("/export")
        && let Some(site) = tx.site_named(name).await?
        && let Some(lease) = tx.lease(&Resource::tenant_export(&site.tenant_id)).await?
    {
        return Ok(lease);
    }
    let db = database(tx, text).await?;
    let resource = Resource::database(db.id);
    let missing = || {
        Problem::NotFound(format!(
            "database '{text}' has no lease; `syncferry lease list` shows what there is"
        ))
    };
    tx.lease(&resource).await?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::tail_matches;

    #[test]
    fn a_tail_is_at_least_four_digits() {
        let id = "01932c5e-7d3a-7c1b-9f3e-0242ac120002";
        assert!(tail_matches(id, "ac120002"));
        assert!(tail_matches(id, "0242AC120002"));
        assert!(!tail_matches(id, "002"));
        assert!(!tail_matches(id, "ac120003"));
    }
}
