//! The databases of an instance.

use syncferry_shared::inventory::DatabaseName;

use super::rows;
use crate::sql::errors::SqlError;
use crate::sql::session::SqlSession;
use crate::sql::statements::databases;

/// Every database with its state and family.
pub async fn list_databases(session: &mut SqlSession) -> Result<Vec<DatabaseName>, SqlError> {
    let list = rows(session.query(&databases::list()).await?);
    let names = list.iter().filter_map(|row| {
        Some(DatabaseName {
            name: row.text("name")?,
            state: row.text("state_desc").unwrap_or_default(),
            family_guid: row.guid("family_guid"),
        })
    });
    Ok(names.collect())
}
