//! Typed operations for jobs: each asks one thing of an instance and says what it found. Sequences of them are the jobs' business.

pub mod accept;
pub mod after_restore;
pub mod applock;
pub mod backup;
pub mod check_db;
pub mod databases;
pub mod drop;
pub mod fence;
pub mod identity;
pub mod inspect;
pub mod media;
pub mod msdb;
pub mod paths;
pub mod principals;
pub mod probe;
pub mod rename;
pub mod restore;
pub mod sessions;
pub mod watch;

pub use accept::{Expectations, accept_set};
pub use after_restore::{AfterRestore, after_restore};
pub use applock::Applock;
pub use backup::{BackupDone, backup};
pub use check_db::check_db;
pub use databases::list_databases;
pub use drop::{Dropped, drop_ours};
pub use identity::{DatabaseRow, database_identity, family_present, identity_facts};
pub use inspect::{inspect_database, sku_features};
pub use media::{Label, SetRecord, file_list, header, label, verify_only, verify_without_checksums};
pub use probe::{certificates, configurations, internal_version, probe_instance};
pub use rename::{Renamed, rename, rename_back};
pub use restore::{RestoreDone, place_files, restore};
pub use sessions::sessions;
pub use watch::Watch;

use super::errors::{SqlError, SqlErrorKind};
use super::rows::{MissingColumn, ResultSet, Row};
use super::session::SqlSession;
use super::statements::Statement;

/// A value that cannot be done without is missing from an answer.
fn unusable(session: &SqlSession, statement: &'static str, missing: &MissingColumn) -> SqlError {
    SqlError::local(SqlErrorKind::Answer, session.instance(), statement, missing.to_string())
}

/// Asks for one result set that must have a row.
async fn one_row(session: &mut SqlSession, statement: &Statement) -> Result<Row, SqlError> {
    let sets = session.query(statement).await?;
    let row = sets.iter().find_map(ResultSet::first).cloned();
    row.ok_or_else(|| {
        SqlError::local(
            SqlErrorKind::Answer,
            session.instance(),
            statement.name,
            "the answer has no row",
        )
    })
}

/// The rows of the first result set.
fn rows(sets: Vec<ResultSet>) -> Vec<Row> {
    sets.into_iter()
        .next()
        .map(|set| set.rows().to_vec())
        .unwrap_or_default()
}

/// The answer to a question that may be refused or unknown to this version: then it is unknown. What breaks the connection
/// is an error all the same.
fn or_unknown<T>(result: Result<T, SqlError>) -> Result<Option<T>, SqlError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.errors.is_empty() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "unknown here");
            Ok(None)
        }
    }
}
