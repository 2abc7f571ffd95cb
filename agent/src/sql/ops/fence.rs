//! The fence's operations: marks and denials in one transaction, the end of sessions, looks at who is there. The order in which
//! they are used is the jobs' business.

use std::collections::BTreeMap;

use syncferry_shared::Millis;
use syncferry_shared::fence::SessionLook;
use syncferry_shared::inventory::SessionFacts;
use uuid::Uuid;

use super::{rows, unusable};
use crate::sql::errors::SqlError;
use crate::sql::rows::{ResultSet, Row};
use crate::sql::session::SqlSession;
use crate::sql::statements::Statement;
use crate::sql::statements::fence as statements;

/// A user whom CONNECT is denied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The user.
    pub user: String,
    /// The login behind it, where the instance has one.
    pub login: Option<String>,
}

/// Runs one of the fence's transactions in the database: all of it happens, or nothing.
pub async fn commit(session: &mut SqlSession, database: &str, statement: &Statement) -> Result<(), SqlError> {
    session.query_in(database, statement).await.map(|_| ())
}

/// Our marks on a database.
pub async fn marks(session: &mut SqlSession, database: &str) -> Result<BTreeMap<String, String>, SqlError> {
    let found = rows(session.query_in(database, &statements::marks()).await?);
    let marks = found.iter().filter_map(|row| {
        let name = row.text("name")?;
        Some((name, row.text("value").unwrap_or_default()))
    });
    Ok(marks.collect())
}

/// Users whom CONNECT is denied to.
pub async fn denied(session: &mut SqlSession, database: &str) -> Result<Vec<Denied>, SqlError> {
    let found = rows(session.query_in(database, &statements::denied()).await?);
    let denied = found.iter().filter_map(|row| {
        Some(Denied {
            user: row.text("name")?,
            login: row.text("login_name"),
        })
    });
    Ok(denied.collect())
}

/// Ends every session of these logins on the instance, while an epoch is the database's newest, and says whom it ended.
pub async fn end_sessions(
    session: &mut SqlSession,
    database: &str,
    epoch: i64,
    logins: &[String],
) -> Result<Vec<SessionFacts>, SqlError> {
    if logins.is_empty() {
        return Ok(Vec::new());
    }
    let found = rows(
        session
            .query_in(database, &statements::end_sessions(epoch, logins))
            .await?,
    );
    Ok(found.iter().filter_map(session_of).collect())
}

/// Looks who is there. Only worth something with the right to see sessions: without it the server answers "nobody".
pub async fn look(session: &mut SqlSession, database: &str, logins: &[String]) -> Result<SessionLook, SqlError> {
    let statement = statements::look(database, logins);
    let sets = session.query(&statement).await?;
    let time = sets.first().and_then(ResultSet::first).cloned().unwrap_or_default();
    let at: Millis = time
        .need("server_utc", Row::utc)
        .map_err(|missing| unusable(session, statement.name, &missing))?;
    let sessions = sets.get(1).map(ResultSet::rows).unwrap_or_default();
    Ok(SessionLook {
        at,
        sessions: sessions.iter().filter_map(session_of).collect(),
    })
}

fn session_of(row: &Row) -> Option<SessionFacts> {
    Some(SessionFacts {
        id: row.int32("session_id")?,
        login: row.text("login_name").unwrap_or_default(),
        host: row.text("host_name"),
        program: row.text("program_name"),
        process_id: row.int32("host_process_id"),
        address: row.text("client_net_address"),
    })
}

/// Writes a nonce for a rendezvous.
pub async fn write_nonce(
    session: &mut SqlSession,
    database: &str,
    database_guid: Uuid,
    uid: &str,
    nonce: &str,
) -> Result<(), SqlError> {
    commit(session, database, &statements::write_nonce(database_guid, uid, nonce)).await
}

/// Removes a nonce of ours.
pub async fn remove_nonce(
    session: &mut SqlSession,
    database: &str,
    database_guid: Uuid,
    nonce: &str,
) -> Result<(), SqlError> {
    commit(session, database, &statements::remove_nonce(database_guid, nonce)).await
}
