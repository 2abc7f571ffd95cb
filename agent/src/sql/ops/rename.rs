//! Giving a verified database its final name.

use uuid::Uuid;

use super::{one_row, unusable};
use crate::sql::errors::{SqlError, SqlErrorKind};
use crate::sql::rows::Row;
use crate::sql::session::SqlSession;
use crate::sql::statements::{Statement, rename as statements};
use crate::sql::temporary::is_temporary;

/// What renaming came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// It has the final name now.
    Done,
    /// There is no database of the temporary name.
    Absent,
    /// The database of the temporary name is of another family.
    OtherFamily,
    /// The final name is taken.
    Taken,
}

/// Renames. The statement looks at names and family again in its own batch.
pub async fn rename(
    work: &mut SqlSession,
    temporary: &str,
    final_name: &str,
    family: Uuid,
) -> Result<Renamed, SqlError> {
    let statement = statements::rename(temporary, final_name, family);
    if !is_temporary(temporary) {
        let wrong = format!("'{temporary}' is not a temporary name");
        return Err(SqlError::local(
            SqlErrorKind::Usage,
            work.instance(),
            statement.name,
            wrong,
        ));
    }
    outcome_of(work, &statement).await
}

async fn outcome_of(work: &mut SqlSession, statement: &Statement) -> Result<Renamed, SqlError> {
    let row = one_row(work, statement).await?;
    let outcome = row.need("outcome", Row::text);
    match outcome
        .map_err(|missing| unusable(work, statement.name, &missing))?
        .as_str()
    {
        "renamed" => Ok(Renamed::Done),
        "absent" => Ok(Renamed::Absent),
        "taken" => Ok(Renamed::Taken),
        _ => Ok(Renamed::OtherFamily),
    }
}

/// Takes a final name back: the database of the expected family gets its temporary name again, so that it can be dropped.
pub async fn rename_back(
    work: &mut SqlSession,
    final_name: &str,
    temporary: &str,
    family: Uuid,
) -> Result<Renamed, SqlError> {
    if !is_temporary(temporary) {
        let wrong = format!("'{temporary}' is not a temporary name");
        return Err(SqlError::local(
            SqlErrorKind::Usage,
            work.instance(),
            "rename-database",
            wrong,
        ));
    }
    outcome_of(work, &statements::rename(final_name, temporary, family)).await
}
