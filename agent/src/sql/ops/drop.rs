//! Removing a temporary database of ours, and nothing else.

use uuid::Uuid;

use super::{one_row, unusable};
use crate::sql::errors::{SqlError, SqlErrorKind};
use crate::sql::rows::Row;
use crate::sql::session::SqlSession;
use crate::sql::statements::drop as statements;

/// What dropping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is gone.
    Done,
    /// There was none.
    Absent,
    /// The database of that name is not ours; it was left alone.
    NotOurs,
}

/// Drops a temporary database of the expected family, or one that a restore to exactly these files left unfinished.
pub async fn drop_ours(
    work: &mut SqlSession,
    name: &str,
    family: Uuid,
    our_files: &[String],
) -> Result<Dropped, SqlError> {
    let Some(statement) = statements::drop_ours(name, family, our_files) else {
        let wrong = format!("'{name}' is not a temporary name; nothing else is ever dropped");
        return Err(SqlError::local(
            SqlErrorKind::Usage,
            work.instance(),
            "drop-ours",
            wrong,
        ));
    };
    let row = one_row(work, &statement).await?;
    let outcome = row.need("outcome", Row::text);
    match outcome
        .map_err(|missing| unusable(work, statement.name, &missing))?
        .as_str()
    {
        "dropped" => Ok(Dropped::Done),
        "absent" => Ok(Dropped::Absent),
        _ => Ok(Dropped::NotOurs),
    }
}
