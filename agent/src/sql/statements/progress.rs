//! How far the work session is, seen from the monitor session, and ending it when it does not obey.

use super::Statement;

/// The running request of a session, if it has one.
pub fn of_session(spid: i32) -> Statement {
    Statement::new(
        "session-progress",
        format!(
            "SELECT r.session_id, r.command, r.status, r.percent_complete, r.estimated_completion_time, r.total_elapsed_time,
 r.wait_type, r.last_wait_type, r.blocking_session_id, r.reads, r.writes, r.cpu_time
FROM sys.dm_exec_requests r WHERE r.session_id = {spid};"
        ),
    )
}

/// Whether a session is still there and still ours.
pub fn session_is_ours(spid: i32, application: &str) -> Statement {
    Statement::new(
        "session-is-ours",
        format!(
            "SELECT s.session_id FROM sys.dm_exec_sessions s WHERE s.session_id = {spid} AND s.program_name = {};",
            crate::sql::quote::text(application)
        ),
    )
}

/// Ends a session of our own that did not acknowledge its cancellation.
pub fn kill(spid: i32) -> Statement {
    Statement::new("kill-session", format!("KILL {spid};"))
}

pub(super) fn samples() -> Vec<Statement> {
    vec![of_session(57), session_is_ours(57, super::AWKWARD), kill(57)]
}
