//! What SQL Server refuses. Decisions are made by error number, never by text: texts are in the server's language.
//! The root cause comes first in every list; 3013 ("terminating abnormally") never stands alone.

mod class;
mod finding;
mod os;

pub use class::SqlErrorKind;
pub use os::{OsError, explain};

/// An error or informational message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerMessage {
    /// For example 3201.
    pub number: i32,
    /// Tells causes of one number apart.
    pub state: u8,
    /// The severity; 11 and above is an error.
    pub class: u8,
    /// The text, in the server's language.
    pub text: String,
}

impl std::fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            number,
            state,
            class,
            text,
        } = self;
        write!(f, "Msg {number}, level {class}, state {state}: {text}")
    }
}

/// Why a statement, or the connection it needed, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// What a caller may do differently about.
    pub kind: SqlErrorKind,
    /// Everything the server said, root cause first. Empty when it was not the server that failed.
    pub errors: Vec<ServerMessage>,
    /// The name of the statement, or `connect`.
    pub statement: String,
    /// The instance, by its name in the agent's configuration.
    pub instance: String,
    /// What the client library or we had to say, where the server said nothing.
    pub detail: String,
}

impl SqlError {
    /// An error that the server did not report.
    pub fn local(kind: SqlErrorKind, instance: &str, statement: &str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            errors: Vec::new(),
            statement: statement.to_string(),
            instance: instance.to_string(),
            detail: detail.into(),
        }
    }

    /// What the server reported, in its order.
    pub fn server(instance: &str, statement: &str, errors: Vec<ServerMessage>) -> Self {
        let errors = class::root_cause_first(errors);
        Self {
            kind: class::classify(&errors),
            errors,
            statement: statement.to_string(),
            instance: instance.to_string(),
            detail: String::new(),
        }
    }

    /// The number of the root cause.
    pub fn number(&self) -> Option<i32> {
        self.errors.first().map(|e| e.number)
    }

    /// Whether one of the messages has this number.
    pub fn has(&self, number: i32) -> bool {
        self.errors.iter().any(|e| e.number == number)
    }

    /// The operating system's error inside the root cause, where its kind carries one.
    pub fn os_error(&self) -> Option<OsError> {
        let carrier = self.errors.iter().find(|e| class::carries_os_error(e.number))?;
        os::extract(&carrier.text)
    }

    /// Whether trying again later may help without anybody doing anything. After a lost connection nobody knows what the server
    /// did: whoever tries again has to look first.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            SqlErrorKind::Transient
                | SqlErrorKind::ConnectionLost
                | SqlErrorKind::OtherBackupRuns
                | SqlErrorKind::TimedOut
                | SqlErrorKind::Unreachable
        )
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}: {}", self.statement, self.instance, self.kind.title())?;
        let more: Vec<String> = match self.errors.as_slice() {
            [] if self.detail.is_empty() => Vec::new(),
            [] => vec![self.detail.clone()],
            errors => errors.iter().map(ServerMessage::to_string).collect(),
        };
        if more.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", more.join("; "))
    }
}

impl std::error::Error for SqlError {}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn message(number: i32, text: &str) -> ServerMessage {
        ServerMessage {
            number,
            state: 1,
            class: 16,
            text: text.into(),
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let may_pass = |kind: &&SqlErrorKind| {
            let error = SqlError {
                kind: **kind,
                ..SqlError::server("default", "backup-database", vec![])
            };
            error.is_transient()
        };
        let passing: Vec<SqlErrorKind> = SqlErrorKind::ALL.iter().filter(may_pass).copied().collect();
        use SqlErrorKind::{ConnectionLost, OtherBackupRuns, TimedOut, Transient, Unreachable};
        assert_eq!(
            passing,
            [Unreachable, ConnectionLost, TimedOut, OtherBackupRuns, Transient]
        );
    }

    #[test]
    fn the_root_cause_is_first_and_3013_last() {
        let e = SqlError::server(
            "default",
            "backup-database",
            vec![
                message(3013, "BACKUP DATABASE is terminating abnormally."),
                message(
                    3201,
                    "Cannot open backup device 'D:\\x(1).bak'. Operating system error 5(Access is denied.).",
                ),
            ],
        );
        assert_eq!(e.kind, SqlErrorKind::BackupDevice);
        assert_eq!(e.number(), Some(3201));
        assert_eq!(e.os_error().map(|o| o.code), Some(5));
        assert_eq!(e.errors[1].number, 3013);
        assert!(e.to_string().starts_with("backup-database on default: "));
    }
}
