//! Who uses a database. Without VIEW SERVER STATE the view of sessions is filtered, not refused: then the answer means nothing.
//! From SQL Server 2022 on, dm_exec_sessions and dm_tran_locks need VIEW SERVER PERFORMANCE STATE and dm_exec_connections needs
//! VIEW SERVER SECURITY STATE; VIEW SERVER STATE still covers both.

use super::{AWKWARD, Statement};
use crate::sql::instance::APPLICATION;
use crate::sql::quote::text;

/// Other people's sessions on a database, including those of other databases that hold a lock in it. Our own are left out.
pub fn on_database(name: &str) -> Statement {
    Statement::new(
        "database-sessions",
        format!(
            "DECLARE @db sysname = {};
SELECT s.session_id, s.login_name, s.host_name, s.host_process_id, s.program_name, c.client_net_address
FROM sys.dm_exec_sessions s
LEFT JOIN sys.dm_exec_connections c ON c.session_id = s.session_id AND c.parent_connection_id IS NULL
WHERE s.is_user_process = 1 AND s.session_id <> @@SPID AND ISNULL(s.program_name, N'') NOT LIKE {}
 AND (s.database_id = DB_ID(@db)
  OR EXISTS (SELECT 1 FROM sys.dm_tran_locks l WHERE l.request_session_id = s.session_id
   AND l.resource_type = 'DATABASE' AND l.resource_database_id = DB_ID(@db)))
ORDER BY s.session_id;",
            text(name),
            text(&format!("{APPLICATION}/%"))
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![on_database(AWKWARD)]
}
