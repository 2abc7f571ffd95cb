//! By what a database is told from another one. `database_guid` is new for every restored copy; replicas of an availability
//! group share `group_database_id` only; marks, `family_guid` and the broker's GUID travel with copies and prove nothing.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// Everything about one database that tells it from others. Changes nothing and does not enter it.
pub fn facts(name: &str) -> Statement {
    Statement::new(
        "identity-facts",
        format!(
            "DECLARE @db sysname = {};
SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(256)) AS server_name, d.name, rs.database_guid, rs.family_guid, rs.recovery_fork_guid,
 d.group_database_id, adc.group_id,
 CAST(DATABASEPROPERTYEX(d.name, 'Updateability') AS nvarchar(60)) AS updateability
FROM sys.databases d
LEFT JOIN sys.database_recovery_status rs ON rs.database_id = d.database_id
LEFT JOIN sys.availability_databases_cluster adc ON adc.group_database_id = d.group_database_id
WHERE d.name = @db;",
            text(name)
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![facts(AWKWARD)]
}
