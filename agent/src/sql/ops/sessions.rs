//! Who uses a database.

use syncferry_shared::inventory::SessionFacts;

use super::rows;
use crate::sql::errors::SqlError;
use crate::sql::session::SqlSession;
use crate::sql::statements::sessions as statements;

/// Other people's sessions on a database. Ask only with the right to see them (`InstanceFacts::can_view_state`): without it
/// the server answers "nobody".
pub async fn sessions(session: &mut SqlSession, database: &str) -> Result<Vec<SessionFacts>, SqlError> {
    let found = rows(session.query(&statements::on_database(database)).await?);
    let facts = found.iter().filter_map(|row| {
        Some(SessionFacts {
            id: row.int32("session_id")?,
            login: row.text("login_name").unwrap_or_default(),
            host: row.text("host_name"),
            program: row.text("program_name"),
            process_id: row.int32("host_process_id"),
            address: row.text("client_net_address"),
        })
    });
    Ok(facts.collect())
}
