//! The databases of an instance, in short, and who they are: `family_guid` tells a copy from a stranger.

use super::{AWKWARD, Statement};
use crate::sql::quote::{guid, text};
use uuid::Uuid;

/// Every database with its state and family.
pub fn list() -> Statement {
    Statement::new(
        "list-databases",
        "SELECT d.name, d.state_desc, rs.family_guid
FROM sys.databases d LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
ORDER BY d.name;",
    )
}

/// What a name stands for now: nothing, or a database with its identity.
pub fn identity(name: &str) -> Statement {
    Statement::new(
        "database-identity",
        format!(
            "DECLARE @db sysname = {};
SELECT d.database_id, d.name, d.state_desc, d.user_access_desc, d.is_read_only, d.create_date, d.service_broker_guid,
 rs.database_guid, rs.family_guid, rs.recovery_fork_guid
FROM sys.databases d LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
WHERE d.name = @db;",
            text(name)
        ),
    )
}

/// Databases of one family, under whatever name. RESTORE would overwrite one of them without being told to.
pub fn family(family: Uuid) -> Statement {
    Statement::new(
        "database-family",
        format!(
            "DECLARE @family uniqueidentifier = {};
SELECT d.name, d.state_desc, rs.database_guid, rs.family_guid
FROM sys.databases d JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
WHERE rs.family_guid = @family
ORDER BY d.name;",
            guid(family)
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![list(), identity(AWKWARD), family(Uuid::from_u128(0xF))]
}
