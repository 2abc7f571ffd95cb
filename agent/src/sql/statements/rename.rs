//! Giving the verified database its final name. The batch looks once more, right before it acts.

use super::{AWKWARD, Statement};
use crate::sql::quote::{guid, ident, text};
use uuid::Uuid;

/// Renames a temporary database of an expected family to a name that is free. Answers with one row `outcome`: `renamed`,
/// `absent` (no such database), `other` (it is of another family) or `taken` (the final name is).
pub fn rename(temporary: &str, final_name: &str, family: Uuid) -> Statement {
    Statement::new(
        "rename-database",
        format!(
            "DECLARE @from sysname = {from};
DECLARE @to sysname = {to};
DECLARE @family uniqueidentifier = {family};
IF DB_ID(@from) IS NULL
 SELECT N'absent' AS outcome;
ELSE IF DB_ID(@to) IS NOT NULL
 SELECT N'taken' AS outcome;
ELSE IF NOT EXISTS (SELECT 1 FROM sys.databases d JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
 WHERE d.name = @from AND rs.family_guid = @family)
 SELECT N'other' AS outcome;
ELSE
BEGIN
 ALTER DATABASE {from_name} MODIFY NAME = {to_name};
 SELECT N'renamed' AS outcome;
END;",
            from = text(temporary),
            to = text(final_name),
            family = guid(family),
            from_name = ident(temporary),
            to_name = ident(final_name),
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    let temporary = format!("{AWKWARD}__syncferry_0a1b2c3d");
    vec![rename(&temporary, AWKWARD, Uuid::from_u128(0xF))]
}
