//! Who a database is: name, GUIDs, state. RESTORE overwrites a database of the same family without being told to (SIMPLE
//! recovery), so the family is looked for under every name.

use syncferry_shared::fence::IdentityFacts;
use syncferry_shared::inventory::DatabaseName;
use uuid::Uuid;

use super::{fence, or_unknown, rows};
use crate::sql::errors::SqlError;
use crate::sql::session::SqlSession;
use crate::sql::statements::{databases, identity};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRow {
    /// Its name as the catalogue writes it.
    pub name: String,
    /// `state_desc`.
    pub state: String,
    /// `user_access_desc`.
    pub user_access: String,
    /// Whether it is read-only.
    pub is_read_only: bool,
    /// `database_guid`.
    pub database_guid: Option<Uuid>,
    /// `family_guid`.
    pub family_guid: Option<Uuid>,
    /// `recovery_fork_guid`.
    pub recovery_fork_guid: Option<Uuid>,
    /// `service_broker_guid`.
    pub service_broker_guid: Option<Uuid>,
}

/// Looks a name up; `None` when no database has it.
pub async fn database_identity(session: &mut SqlSession, name: &str) -> Result<Option<DatabaseRow>, SqlError> {
    let found = rows(session.query(&databases::identity(name)).await?);
    Ok(found.first().map(|row| DatabaseRow {
        name: row.text("name").unwrap_or_else(|| name.to_string()),
        state: row.text("state_desc").unwrap_or_default(),
        user_access: row.text("user_access_desc").unwrap_or_default(),
        is_read_only: row.flag("is_read_only").unwrap_or(false),
        database_guid: row.guid("database_guid"),
        family_guid: row.guid("family_guid"),
        recovery_fork_guid: row.guid("recovery_fork_guid"),
        service_broker_guid: row.guid("service_broker_guid"),
    }))
}

/// Everything that tells a database from others, with our marks on it; `None` when no database has the name. Marks of a
/// database that cannot be entered stay unseen: whoever relies on them looks at `updateability` and the state first.
pub async fn identity_facts(session: &mut SqlSession, name: &str) -> Result<Option<IdentityFacts>, SqlError> {
    let found = rows(session.query(&identity::facts(name)).await?);
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let marks = or_unknown(fence::marks(session, name).await)?.unwrap_or_default();
    Ok(Some(IdentityFacts {
        server_name: row.text("server_name").unwrap_or_default(),
        database_guid: row.guid("database_guid"),
        family_guid: row.guid("family_guid"),
        recovery_fork_guid: row.guid("recovery_fork_guid"),
        group_id: row.guid("group_id"),
        group_database_id: row.guid("group_database_id"),
        updateability: row.text("updateability"),
        marks,
    }))
}

/// Databases of a family, under whatever name.
pub async fn family_present(session: &mut SqlSession, family: Uuid) -> Result<Vec<DatabaseName>, SqlError> {
    let found = rows(session.query(&databases::family(family)).await?);
    let names = found.iter().filter_map(|row| {
        Some(DatabaseName {
            name: row.text("name")?,
            state: row.text("state_desc").unwrap_or_default(),
            family_guid: row.guid("family_guid"),
        })
    });
    Ok(names.collect())
}
