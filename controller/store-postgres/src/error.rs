//! What PostgreSQL's errors mean to a caller, and in words what is wrong with the server. The codes are SQLSTATEs
//! (https://www.postgresql.org/docs/current/errcodes-appendix.html).

use sqlx::postgres::PgDatabaseError;
use syncferry_store::Cause;

/// The class of our own guards, raised in the migrations.
const GUARD: &str = "SF001";

/// The cause behind an error of sqlx.
pub(crate) fn cause(error: sqlx::Error) -> Cause {
    match error {
        sqlx::Error::Database(e) => match e.try_downcast_ref::<PgDatabaseError>() {
            Some(e) => from_code(e.code(), e.message(), e.constraint()),
            None => Cause::Other(e.to_string()),
        },
        sqlx::Error::PoolTimedOut => Cause::Busy,
        // What rustls refuses comes as this kind.
        sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            Cause::Unavailable(format!("TLS to PostgreSQL failed: {e}"))
        }
        sqlx::Error::Io(e) => Cause::Unavailable(format!("the connection to PostgreSQL is lost or refused: {e}")),
        sqlx::Error::Tls(e) => Cause::Unavailable(format!("TLS to PostgreSQL failed: {}", with_sources(&*e))),
        // The library reads an end of the connection there as a byte of zero.
        sqlx::Error::Protocol(e) if e.contains("SSLRequest: 0x00") => {
            Cause::Unavailable("the connection to PostgreSQL was closed before it was set up".into())
        }
        sqlx::Error::Protocol(e) => Cause::Unavailable(format!("PostgreSQL was not understood: {e}")),
        sqlx::Error::Configuration(e) => Cause::Other(format!("the connection string cannot be used: {e}")),
        sqlx::Error::BeginFailed => Cause::Unavailable("PostgreSQL began no transaction".into()),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Cause::Io("the store was closed".into()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            Cause::Corrupt(error.to_string())
        }
        other => Cause::Other(other.to_string()),
    }
}

fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(e) = inner {
        text = format!("{text}: {e}");
        inner = e.source();
    }
    text
}

/// Whether the connection, and nothing else, is to blame: another one may do.
pub(crate) fn is_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(e) => {
            let code = e.code().unwrap_or_default();
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300")
        }
        _ => false,
    }
}

fn from_code(code: &str, message: &str, constraint: Option<&str>) -> Cause {
    let server = |what: &str| Cause::Unavailable(format!("{what}: {message} ({code})"));
    match code {
        "23505" => Cause::Conflict(taken(constraint.unwrap_or(message)).to_string()),
        "23503" => Cause::Missing("something that this refers to".into()),
        // Our guards; NOT NULL, CHECK, a text that is no JSON, a number that is too big, a NUL in a text.
        GUARD | "23502" | "23514" | "22P02" | "22003" | "22021" => Cause::Guard(message.into()),
        // A transaction that was begun to read. Where one was begun to write, see `PgTx::fault`.
        "25006" => Cause::ReadOnly,
        // A lock that was not had in time, a deadlock with somebody else's session, a serialization failure.
        "55P03" | "40P01" | "40001" => Cause::Busy,
        "57014" => server("a statement took longer than the store allows (statement_timeout)"),
        "25P03" => server("a transaction was idle for too long and was ended (idle_in_transaction_session_timeout)"),
        "53100" => server("PostgreSQL's disk is full"),
        "53200" => server("PostgreSQL is out of memory"),
        "53300" => server("PostgreSQL has no connection left (max_connections)"),
        "57P01" | "57P02" | "57P03" | "57P05" => server("PostgreSQL is stopping or starting"),
        "58030" => server("PostgreSQL cannot read or write its files"),
        "28000" | "28P01" => server("PostgreSQL does not let the controller in"),
        "3D000" => server("the database is not there; create it first"),
        "42501" => server("the controller's role lacks a right; it must own the store's tables"),
        "XX001" | "XX002" => Cause::Corrupt(message.into()),
        _ if code.starts_with("08") => server("the connection to PostgreSQL is lost"),
        _ => Cause::Other(format!("{message} ({code})")),
    }
}

/// What is taken, in words, from the name of the unique index.
fn taken(constraint: &str) -> &str {
    match constraint {
        "org_name" => "the name of the organisation",
        "site_name" => "the name of the site",
        "site_tenant" => "the tenant",
        "host_name" => "the name of the host",
        "operator_name" => "the name of the operator",
        "operator_fingerprint_key" => "the certificate of the operator",
        "agent_certificate_serial_key" => "the serial number of the certificate",
        "adsync_db_physical_key_key" => "the physical key of the database",
        "job_migration_id_name_key" => "the name of the job",
        "job_migration_id_stage_ordinal_key" => "the place of the job",
        "attempt_one_open" => "the job's one open attempt",
        "gate_one_open" => "the job's one open gate of this title",
        "lease_pkey" => "the resource",
        "lease_one_per_holder" => "the server's one lease of this kind",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_means_what_a_caller_does_next() {
        let taken = from_code("23505", "duplicate key value", Some("site_name"));
        assert_eq!(taken.to_string(), "the name of the site is taken already");
        let guard = from_code("SF001", "leases are never deleted", None);
        assert_eq!(guard, Cause::Guard("leases are never deleted".into()));
        for busy in ["55P03", "40P01", "40001"] {
            assert_eq!(from_code(busy, "x", None), Cause::Busy);
        }
        assert_eq!(from_code("25006", "x", None), Cause::ReadOnly);
        assert!(matches!(from_code("42P01", "no such table", None), Cause::Other(_)));
    }

    #[test]
    fn a_server_that_hangs_up_is_not_one_that_speaks_otherwise() {
        let hung_up = sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".into());
        assert!(matches!(cause(hung_up), Cause::Unavailable(t) if t.contains("closed")));
        let other = sqlx::Error::Protocol("unexpected response from SSLRequest: 0x48".into());
        assert!(matches!(cause(other), Cause::Unavailable(t) if t.contains("not understood")));
    }

    #[test]
    fn what_is_wrong_with_the_server_is_said() {
        let says = |code, word: &str| {
            let told = from_code(code, "m", None);
            assert!(
                matches!(&told, Cause::Unavailable(t) if t.contains(word)),
                "{code}: {told}"
            );
        };
        says("53100", "disk is full");
        says("57014", "statement_timeout");
        says("57P01", "stopping");
        says("53300", "max_connections");
        says("28P01", "does not let");
        says("08006", "lost");
    }
}
