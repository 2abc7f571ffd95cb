//! What SQLite's errors mean to a caller. The numbers are SQLite's result codes (https://www.sqlite.org/rescode.html).

use syncferry_store::Cause;

/// The cause behind an error of sqlx.
pub(crate) fn cause(error: sqlx::Error) -> Cause {
    match error {
        sqlx::Error::Database(e) => {
            // sqlx gives the extended code as text; it is always a number.
            let code = e.code().and_then(|c| c.parse::<i32>().ok()).unwrap_or(1);
            from_code(code, e.message())
        }
        sqlx::Error::PoolTimedOut => Cause::Busy,
        sqlx::Error::Io(e) => Cause::Io(e.to_string()),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Cause::Io("the store was closed".into()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            Cause::Corrupt(error.to_string())
        }
        other => Cause::Other(other.to_string()),
    }
}

fn from_code(code: i32, message: &str) -> Cause {
    const CONSTRAINT_CHECK: i32 = 275;
    const CONSTRAINT_FOREIGNKEY: i32 = 787;
    const CONSTRAINT_NOTNULL: i32 = 1299;
    const CONSTRAINT_PRIMARYKEY: i32 = 1555;
    const CONSTRAINT_TRIGGER: i32 = 1811;
    const CONSTRAINT_UNIQUE: i32 = 2067;
    const CONSTRAINT_DATATYPE: i32 = 3091;
    match code {
        CONSTRAINT_UNIQUE | CONSTRAINT_PRIMARYKEY => Cause::Conflict(taken(message).to_string()),
        CONSTRAINT_FOREIGNKEY => Cause::Missing("something that this refers to".into()),
        CONSTRAINT_CHECK | CONSTRAINT_NOTNULL | CONSTRAINT_TRIGGER | CONSTRAINT_DATATYPE => {
            Cause::Guard(message.into())
        }
        // A connection of the read pool has `query_only` on.
        8 => Cause::ReadOnly,
        _ => match code & 0xff {
            5 | 6 => Cause::Busy,
            11 | 26 => Cause::Corrupt(message.into()),
            // PERM, READONLY for another reason, IOERR, FULL, CANTOPEN.
            3 | 8 | 10 | 13 | 14 => Cause::Io(message.into()),
            _ => Cause::Other(format!("{message} ({code})")),
        },
    }
}

/// What is taken, in words, from `UNIQUE constraint failed: site.name`.
fn taken(message: &str) -> &str {
    let columns = message.strip_prefix("UNIQUE constraint failed: ").unwrap_or(message);
    match columns {
        "org.name" => "the name of the organisation",
        "site.name" => "the name of the site",
        "site.tenant_id" => "the tenant",
        "host.name" => "the name of the host",
        "operator.name" => "the name of the operator",
        "operator.fingerprint" => "the certificate of the operator",
        "agent.certificate_serial" => "the serial number of the certificate",
        "adsync_db.physical_key" => "the physical key of the database",
        "job.migration_id, job.name" => "the name of the job",
        "job.migration_id, job.stage, job.ordinal" => "the place of the job",
        "attempt.job_id" => "the job's one open attempt",
        "gate.job_id, gate.title" => "the job's one open gate of this title",
        "lease.resource" => "the resource",
        "lease.holder, lease.kind" => "the server's one lease of this kind",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_means_what_a_caller_does_next() {
        let taken = from_code(2067, "UNIQUE constraint failed: site.name");
        assert_eq!(taken.to_string(), "the name of the site is taken already");
        assert_eq!(
            from_code(1811, "leases are never deleted"),
            Cause::Guard("leases are never deleted".into())
        );
        assert_eq!(from_code(5, "database is locked"), Cause::Busy);
        assert_eq!(from_code(517, "database is locked"), Cause::Busy);
        assert_eq!(from_code(8, "attempt to write a readonly database"), Cause::ReadOnly);
        assert!(matches!(from_code(13, "database or disk is full"), Cause::Io(_)));
        assert!(matches!(from_code(778, "disk I/O error"), Cause::Io(_)));
        assert!(matches!(from_code(26, "file is not a database"), Cause::Corrupt(_)));
        assert!(matches!(from_code(1, "no such table: x"), Cause::Other(_)));
    }
}
