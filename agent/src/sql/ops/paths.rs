//! Files and folders as the server sees them.

use super::{one_row, rows};
use crate::sql::errors::SqlError;
use crate::sql::session::SqlSession;
use crate::sql::statements::paths as statements;

/// What the server finds at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathFacts {
    /// A file is there.
    pub is_file: bool,
    /// A folder is there.
    pub is_folder: bool,
    /// The folder above is there.
    pub parent_exists: bool,
}

/// Looks at a path. That something exists does not mean that the server may write there; [`canary`] proves that.
pub async fn look(session: &mut SqlSession, path: &str) -> Result<PathFacts, SqlError> {
    let row = one_row(session, &statements::exists(path)).await?;
    Ok(PathFacts {
        is_file: row.flag("File Exists").unwrap_or(false),
        is_folder: row.flag("File is a Directory").unwrap_or(false),
        parent_exists: row.flag("Parent Directory Exists").unwrap_or(false),
    })
}

/// Makes a folder with its parents.
pub async fn create_folder(session: &mut SqlSession, path: &str) -> Result<(), SqlError> {
    session.query(&statements::create_folder(path)).await.map(|_| ())
}

/// The database that a file belongs to.
pub async fn owner_of_file(session: &mut SqlSession, path: &str) -> Result<Option<String>, SqlError> {
    let found = rows(session.query(&statements::owner_of_file(path)).await?);
    Ok(found.first().and_then(|row| row.text("database_name")))
}

/// Has the server itself write a few megabytes. The caller deletes the file.
pub async fn canary(session: &mut SqlSession, path: &str) -> Result<(), SqlError> {
    session.query(&statements::canary(path)).await.map(|_| ())
}
