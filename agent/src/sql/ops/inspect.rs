//! Everything about one database: catalogue, files, sessions, marks, and what is in it.

use syncferry_shared::inventory::{DatabaseFacts, FileFacts, InstanceFacts};

use super::{identity_facts, or_unknown, rows, sessions};
use crate::adsync;
use crate::sql::errors::SqlError;
use crate::sql::rows::Row;
use crate::sql::session::SqlSession;
use crate::sql::statements::database;

/// Looks at a database; `None` when no database has the name. What the login may not see stays unknown.
pub async fn inspect_database(
    session: &mut SqlSession,
    instance: &InstanceFacts,
    name: &str,
) -> Result<Option<DatabaseFacts>, SqlError> {
    let found = rows(session.query(&database::facts(name)).await?);
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let mut facts = read(row, instance, name);
    if let Some(identity) = or_unknown(identity_facts(session, name).await)?.flatten() {
        facts.group_id = identity.group_id;
        facts.updateability = identity.updateability;
        facts.marks = identity.marks;
    }
    facts.files = files(session, name).await?;
    facts.bytes = facts.files.iter().map(|f| f.bytes).sum();
    if instance.can_view_state {
        facts.sessions = or_unknown(sessions::sessions(session, name).await)?;
    }
    // Only an online database can be looked into.
    if facts.state != "ONLINE" {
        return Ok(Some(facts));
    }
    facts.used_bytes = used_bytes(session, name).await?;
    facts.orphaned_users = orphans(session, name).await?;
    facts.adsync = adsync::inspect(session, name).await?;
    Ok(Some(facts))
}

fn read(row: &Row, instance: &InstanceFacts, name: &str) -> DatabaseFacts {
    DatabaseFacts {
        instance: instance.name.clone(),
        server_name: instance.server_name.clone(),
        name: row.text("name").unwrap_or_else(|| name.to_string()),
        state: row.text("state_desc").unwrap_or_default(),
        database_guid: row.guid("database_guid"),
        family_guid: row.guid("family_guid"),
        recovery_fork_guid: row.guid("recovery_fork_guid"),
        service_broker_guid: row.guid("service_broker_guid"),
        group_database_id: row.guid("group_database_id"),
        collation: row.text("collation_name"),
        recovery_model: row.text("recovery_model_desc").unwrap_or_default(),
        compatibility_level: row.int32("compatibility_level").unwrap_or(0),
        internal_version: row.int32("internal_version"),
        owner: row.text("owner_name"),
        is_read_only: row.flag("is_read_only").unwrap_or(false),
        is_encrypted: row.flag("is_encrypted").unwrap_or(false),
        can_backup: row.flag("can_backup").unwrap_or(false),
        created: row.text("create_date"),
        ..DatabaseFacts::default()
    }
}

/// Where the files of a database are, by their logical names.
pub async fn file_paths(session: &mut SqlSession, name: &str) -> Result<Vec<(String, String)>, SqlError> {
    Ok(files(session, name)
        .await?
        .into_iter()
        .map(|f| (f.name, f.path))
        .collect())
}

async fn files(session: &mut SqlSession, name: &str) -> Result<Vec<FileFacts>, SqlError> {
    let found = rows(session.query(&database::files(name)).await?);
    let files = found.iter().filter_map(|row| {
        Some(FileFacts {
            name: row.text("name")?,
            kind: row.text("type_desc").unwrap_or_default(),
            path: row.text("physical_name").unwrap_or_default(),
            bytes: row.size("bytes").unwrap_or(0),
        })
    });
    Ok(files.collect())
}

async fn used_bytes(session: &mut SqlSession, name: &str) -> Result<Option<u64>, SqlError> {
    let Some(sets) = or_unknown(session.query_in(name, &database::used_bytes()).await)? else {
        return Ok(None);
    };
    let used: Vec<u64> = rows(sets).iter().filter_map(|r| r.size("used_bytes")).collect();
    Ok((!used.is_empty()).then(|| used.iter().sum()))
}

/// Features in use that bind the database to an edition, for example `Compression` or `TransparentDataEncryption`.
pub async fn sku_features(session: &mut SqlSession, name: &str) -> Result<Option<Vec<String>>, SqlError> {
    let sets = or_unknown(session.query_in(name, &database::sku_features()).await)?;
    Ok(sets.map(|sets| rows(sets).iter().filter_map(|r| r.text("feature_name")).collect()))
}

async fn orphans(session: &mut SqlSession, name: &str) -> Result<Vec<String>, SqlError> {
    let sets = or_unknown(session.query_in(name, &database::principals()).await)?;
    let users = rows(sets.unwrap_or_default());
    let orphaned = users.iter().filter(|row| {
        let needs_login = row
            .text("authentication_type_desc")
            .is_some_and(|a| a == "INSTANCE" || a == "WINDOWS");
        needs_login && row.text("login_name").is_none()
    });
    Ok(orphaned.filter_map(|row| row.text("name")).collect())
}
