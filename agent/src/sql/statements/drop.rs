//! The only statement that drops anything. It can be built for temporary names only, and checks in its own batch that the
//! database is of the expected family.

use super::{AWKWARD, Statement};
use crate::sql::quote::{guid, ident, text};
use crate::sql::temporary::is_temporary;
use uuid::Uuid;

/// Drops a temporary database of the expected family. A restore that was broken off leaves a database without a family; it
/// counts as ours when it is still RESTORING and all its files are among those that our restore would have made.
///
/// Answers with one row `outcome`: `dropped`, `absent` or `other`. `None` when the name is not a temporary one.
pub fn drop_ours(name: &str, family: Uuid, our_files: &[String]) -> Option<Statement> {
    if !is_temporary(name) {
        return None;
    }
    let files: Vec<String> = our_files.iter().map(|f| text(f)).collect();
    let unfinished = if files.is_empty() {
        String::new()
    } else {
        format!(
            "
 OR (rs.family_guid IS NULL AND d.state_desc = N'RESTORING'
  AND EXISTS (SELECT 1 FROM sys.master_files f WHERE f.database_id = d.database_id)
  AND NOT EXISTS (SELECT 1 FROM sys.master_files f WHERE f.database_id = d.database_id
   AND f.physical_name NOT IN ({})))",
            files.join(", ")
        )
    };
    Some(Statement::new(
        "drop-ours",
        format!(
            "DECLARE @db sysname = {db};
DECLARE @family uniqueidentifier = {family};
IF DB_ID(@db) IS NULL
 SELECT N'absent' AS outcome;
ELSE IF NOT EXISTS (SELECT 1 FROM sys.databases d LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
 WHERE d.name = @db AND (rs.family_guid = @family{unfinished}))
 SELECT N'other' AS outcome;
ELSE
BEGIN
 DROP DATABASE {name};
 SELECT N'dropped' AS outcome;
END;",
            db = text(name),
            family = guid(family),
            name = ident(name),
        ),
    ))
}

pub(super) fn samples() -> Vec<Statement> {
    let name = format!("{AWKWARD}__syncferry_0a1b2c3d");
    let files = [format!(r"E:\Data\{AWKWARD}.mdf"), format!(r"F:\Log\{AWKWARD}.ldf")];
    drop_ours(&name, Uuid::from_u128(0xF), &files).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_temporary_database_can_be_dropped() {
        for name in ["ADSync", "master", "ADSync__syncferry_", "ADSync__syncferry_0a1b2c3d]"] {
            assert_eq!(drop_ours(name, Uuid::nil(), &[]), None, "{name}");
        }
        assert!(drop_ours("ADSync__syncferry_0a1b2c3d", Uuid::nil(), &[]).is_some());
        assert_eq!(samples().len(), 1);
    }
}
