//! What a server would export: how many objects, by connector and operation.
//!
//! `export_operation` is not documented; its values are taken as those of the ancestor product. One that is not known is shown
//! by its number.

use std::collections::BTreeMap;

use syncferry_shared::sync_config::PendingExports as Kinds;

use super::statements;
use crate::sql::errors::SqlError;
use crate::sql::rows::ResultSet;
use crate::sql::session::SqlSession;

/// Pending exports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingExports {
    /// Objects by operation, by connector. A connector without pending exports is not in it.
    pub by_connector: BTreeMap<String, BTreeMap<String, i64>>,
}

/// The operation's word, as everywhere else.
fn word(operation: i64) -> String {
    let mut one = Kinds::default();
    one.count(operation, 1);
    match one {
        Kinds { adds: 1, .. } => "adds".to_string(),
        Kinds { updates: 1, .. } => "updates".to_string(),
        Kinds { deletes: 1, .. } => "deletes".to_string(),
        _ => format!("of operation {operation}"),
    }
}

/// Counts them. A database that does not say it is an error here: nobody approves what was not seen.
pub async fn pending_exports(session: &mut SqlSession, database: &str) -> Result<PendingExports, SqlError> {
    let sets = session.query_in(database, &statements::pending_by_operation()).await?;
    let mut found = PendingExports::default();
    for row in sets.iter().flat_map(ResultSet::rows) {
        let (Some(name), Some(operation), Some(n)) =
            (row.text("ma_name"), row.int("export_operation"), row.int("pending"))
        else {
            continue;
        };
        *found
            .by_connector
            .entry(name)
            .or_default()
            .entry(word(operation))
            .or_default() += n;
    }
    Ok(found)
}
