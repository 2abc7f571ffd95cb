//! A lock between agents on one instance. It lives exactly as long as its connection, so the guard owns the connection.

use crate::sql::errors::{SqlError, SqlErrorKind};
use crate::sql::instance::SqlInstance;
use crate::sql::rows::Row;
use crate::sql::session::{Role, SqlSession};
use crate::sql::statements::applock as statements;

use super::{one_row, unusable};

/// The lock on a database's name. Dropping it closes the connection, and the server frees the lock.
#[derive(Debug)]
pub struct Applock {
    session: SqlSession,
    database: String,
    sysadmin: bool,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    /// Another agent works on this database.
    #[error("another agent works on database '{0}' of this instance")]
    Busy(String),
    /// The server said something else.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl Applock {
    /// Takes the lock on a connection of its own, and waits for it at most `wait_ms`.
    pub async fn take(instance: &SqlInstance, database: &str, wait_ms: u32, sysadmin: bool) -> Result<Self, NotLocked> {
        let mut session = SqlSession::connect(instance, Role::Lock).await?;
        let statement = statements::take(database, wait_ms, sysadmin);
        let row = one_row(&mut session, &statement).await?;
        let rc = row.need("rc", Row::int);
        match rc.map_err(|missing| unusable(&session, statement.name, &missing))? {
            0 | 1 => Ok(Self {
                session,
                database: database.to_string(),
                sysadmin,
            }),
            -1 => Err(NotLocked::Busy(database.to_string())),
            other => {
                let why = format!("sp_getapplock returned {other}");
                Err(SqlError::local(SqlErrorKind::Transient, session.instance(), statement.name, why).into())
            }
        }
    }

    /// Whether the connection, and so the lock, is still there. Asks the server.
    pub async fn is_held(&mut self) -> bool {
        // Taking it again succeeds at once for its holder; the lock is counted, so it is given back once.
        let again = statements::take(&self.database, 0, self.sysadmin);
        let Ok(row) = one_row(&mut self.session, &again).await else {
            return false;
        };
        let held = row.int("rc").is_some_and(|rc| rc >= 0);
        let release = statements::release(&self.database, self.sysadmin);
        held && one_row(&mut self.session, &release).await.is_ok()
    }

    /// Gives the lock back in order.
    pub async fn release(mut self) {
        let statement = statements::release(&self.database, self.sysadmin);
        if let Err(error) = self.session.query(&statement).await {
            tracing::debug!(%error, "the lock goes with its connection");
        }
        self.session.close().await;
    }
}
