//! Errors as findings: what is wrong in one sentence, what the server said, and what to do next.

use syncferry_shared::Finding;

use super::{SqlError, SqlErrorKind, os};

impl SqlErrorKind {
    /// The rule's id, stable over releases.
    pub fn rule(self) -> &'static str {
        self.words().0
    }
    /// One sentence, without its end, that says what is wrong.
    pub fn title(self) -> &'static str {
        self.words().1
    }
    /// What to do next.
    pub fn next_step(self) -> &'static str {
        self.words().2
    }

    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Unreachable => (
                "sql-unreachable",
                "the SQL Server instance does not answer",
                "Check that the instance runs, that the endpoint in the agent's configuration is right, and that no firewall is between. LocalDB runs only while the ADSync service does.",
            ),
            Self::Tls => (
                "sql-tls-refused",
                "an encrypted connection to SQL Server could not be made",
                "Trust the authority that issued the server's certificate, pin the certificate in the agent's configuration, or, on this machine only, accept any certificate.",
            ),
            Self::ConnectionLost => (
                "sql-connection-lost",
                "the connection to SQL Server broke",
                "Check whether the instance was restarted. The statement that ran was rolled back or aborted by the server; apply the migration again.",
            ),
            Self::TimedOut => (
                "sql-timeout",
                "SQL Server did not answer in time",
                "Look at the load and at blocking sessions on the instance, then try again.",
            ),
            Self::Cancelled => (
                "sql-cancelled",
                "the statement was cancelled",
                "Nothing, if the cancellation was meant. Otherwise apply the migration again.",
            ),
            Self::Stalled => (
                "sql-stalled",
                "nothing moved for too long, so the statement was cancelled",
                "Look at the disk, at antivirus software and at blocking sessions on the SQL host, then apply the migration again.",
            ),
            Self::Answer => (
                "sql-unexpected-answer",
                "SQL Server answered in a shape that we do not know",
                "Report this with the evidence; do not go on by hand.",
            ),
            Self::Usage => (
                "sql-usage",
                "the agent asked for something that cannot be",
                "Report this with the evidence: it is a defect of ours.",
            ),
            Self::LoginFailed => (
                "sql-login-failed",
                "SQL Server refused the agent's login",
                "Check the login in the agent's configuration and whether it exists, is enabled and has the right kind of authentication. The server's error log has the real reason.",
            ),
            Self::CannotOpenDatabase => (
                "sql-cannot-open-database",
                "the login may not open the database, or it does not exist",
                "Check the database's name and state, and give the agent's login a user in it.",
            ),
            Self::BackupDevice => (
                "sql-backup-file-not-opened",
                "SQL Server cannot open the backup file",
                "Give the account that SQL Server runs as access to the staging folder.",
            ),
            Self::BackupDeviceIo => (
                "sql-backup-file-io",
                "reading or writing the backup file failed",
                "Check the free space and the health of the disk, then apply the migration again.",
            ),
            Self::UnreadableSet => (
                "sql-backup-unreadable",
                "the backup file is not one, is incomplete, or comes from a newer SQL Server",
                "Nothing was restored from it. Check the disk of that host, then apply the migration again: what is damaged is made or fetched anew. If it comes again, cancel the migration and plan again: that takes a new backup.",
            ),
            Self::MixedMedia => (
                "sql-backup-mixed",
                "the backup files do not belong together",
                "Look at what is in the staging folder and move away what is not Syncferry's, then cancel the migration and plan again.",
            ),
            Self::IdentityConflict => (
                "sql-identity-conflict",
                "another database already has this name or these files",
                "Stop and look at what is there. Nothing is overwritten; choose another name, or let somebody who knows that database move it away.",
            ),
            Self::TailNotSaved => (
                "sql-target-is-alive",
                "the database on the target is in use and has log records that nobody saved",
                "Stop: this is a live database. Choose another target name.",
            ),
            Self::TargetTooOld => (
                "sql-target-too-old",
                "the backup comes from a newer version of SQL Server than the target",
                "Choose a target with the same or a newer version; there is no way down.",
            ),
            Self::SystemDatabase => (
                "sql-system-database",
                "a system database was named",
                "Register the ADSync database and plan again.",
            ),
            Self::FileNotInSet => (
                "sql-file-not-in-backup",
                "the list of files does not fit the backup",
                "Apply the migration again, so that the list is read anew.",
            ),
            Self::FileCollision => (
                "sql-file-collision",
                "a file that the restored database needs exists already",
                "Find out whose the file is. Choose other folders for the target, or remove the file if it is a left-over.",
            ),
            Self::DatabaseExists => (
                "sql-database-exists",
                "a database of this name exists already",
                "Find out whose it is; choose another name for the target.",
            ),
            Self::NoSpace => (
                "sql-no-space",
                "a volume of the SQL host has too little space for the database",
                "Free space on the volume that the evidence names, then apply the migration again. To use other volumes, cancel the migration and plan again with --data-dir and --log-dir.",
            ),
            Self::SizeLimit => (
                "sql-size-limit",
                "the database is larger than the edition allows",
                "Choose a target with an edition without that limit (Standard or Enterprise).",
            ),
            Self::InUse => (
                "sql-database-in-use",
                "somebody uses the database",
                "Look at the sessions in the evidence and let their owners disconnect, then apply the migration again.",
            ),
            Self::InTransaction => (
                "sql-in-transaction",
                "the statement does not run inside a transaction",
                "Report this with the evidence: it is a defect of ours.",
            ),
            Self::OtherBackupRuns => (
                "sql-other-backup-runs",
                "another backup or file operation runs on the database",
                "Wait until it is done, or move the other backup's schedule, then apply the migration again.",
            ),
            Self::NotBackupable => (
                "sql-not-backupable",
                "the database is in a state that cannot be backed up",
                "Bring the database online, or choose the copy that is.",
            ),
            Self::Corruption => (
                "sql-corruption",
                "damaged pages were found in the database",
                "Stop. Run DBCC CHECKDB on that database. A damaged source must be repaired, or restored from an older backup, before it can be moved. Look at the disk as well.",
            ),
            Self::BackupDamaged => (
                "sql-backup-damaged",
                "the backup file is damaged: its pages do not have their checksums",
                "Something changed the file after SQL Server wrote it. Nothing was restored from it. Check the disk and the antivirus software of that host, then apply the migration again: what was damaged is made or fetched anew. If it comes again, cancel the migration and plan again with the staging folder on another volume.",
            ),
            Self::NoChecksum => (
                "sql-backup-without-checksums",
                "the backup has no checksums, so it is not one of ours",
                "Somebody put another file in its place. Find out who, then cancel the migration and plan again: that takes a new backup.",
            ),
            Self::MediaStructure => (
                "sql-media-structure",
                "the file was written with other properties and cannot be appended to",
                "A file of that name was there already. Move it away, then apply the migration again; Syncferry never appends to a medium.",
            ),
            Self::EditionFeature => (
                "sql-edition-feature",
                "the edition does not have a feature that was asked for",
                "Plan again, so that the instance's capabilities are read anew.",
            ),
            Self::PermissionDenied => (
                "sql-permission-denied",
                "the agent's login lacks a permission",
                "Grant what the evidence names, or have a DBA run the step ('plan --dba' prints it).",
            ),
            Self::StateDenied => (
                "sql-state-denied",
                "the agent's login may not look at the server's state",
                "Grant VIEW SERVER STATE (from SQL Server 2022 on, VIEW SERVER PERFORMANCE STATE and VIEW SERVER SECURITY STATE are enough). Without it, sessions and progress stay unknown.",
            ),
            Self::LogChain => (
                "sql-log-chain",
                "the recovery model or the log chain does not allow it",
                "Take a full backup; only full, copy-only backups are used here.",
            ),
            Self::HistoryNotWritten => (
                "sql-history-not-written",
                "the operation worked, but its entry in msdb could not be written",
                "Check the space and the health of msdb.",
            ),
            Self::DatabaseFile => (
                "sql-database-file",
                "a database file cannot be made or opened",
                "Check that the folder exists on the SQL host and that the account of SQL Server may write there.",
            ),
            Self::DatabaseLocked => (
                "sql-database-locked",
                "the database's state could not be changed because others use it",
                "Look at the sessions on the database, then apply the migration again.",
            ),
            Self::DatabaseState => (
                "sql-database-state",
                "the database does not exist or cannot be used in its present state",
                "Look at its state (RESTORING, OFFLINE, SUSPECT) and bring it online.",
            ),
            Self::Principal => (
                "sql-principal-unknown",
                "an account is unknown to SQL Server or to the domain",
                "Check the account's name; a group managed service account ends in '$'. A host that cannot reach a domain controller cannot resolve it.",
            ),
            Self::PrincipalExists => (
                "sql-principal-exists",
                "the login or user exists already",
                "Nothing, if it is the right account. The step looks before it creates; run it again.",
            ),
            Self::CertificateMissing => (
                "sql-certificate-missing",
                "the backup is encrypted with a certificate that this instance does not have",
                "Bring the certificate with its private key to the target, then apply the migration again.",
            ),
            Self::Transient => (
                "sql-transient",
                "SQL Server gave up for a passing reason",
                "Try again in a few minutes.",
            ),
            Self::LogFull => (
                "sql-log-full",
                "the transaction log is full",
                "Free or add log space on the SQL host.",
            ),
            Self::Statement => (
                "sql-statement-refused",
                "SQL Server did not understand a statement of ours",
                "Report this with the evidence: it is a defect of ours, or a version of SQL Server that we do not know.",
            ),
            Self::Aborted => (
                "sql-aborted",
                "the operation ended without saying why",
                "Read SQL Server's error log on the host; the reason stands there.",
            ),
            Self::Other => (
                "sql-error",
                "SQL Server reported an error",
                "Look the number up, correct the cause and try again.",
            ),
        }
    }
}

/// Where the rules come from.
const SOURCE: &str = "SQL Server error numbers (Microsoft Learn, Database Engine events and errors)";

impl SqlError {
    /// This error as a finding with its evidence.
    pub fn finding(&self) -> Finding {
        let title = sentence(self.kind.title());
        let mut finding = match self.kind {
            SqlErrorKind::HistoryNotWritten => Finding::warning(self.kind.rule(), title),
            _ => Finding::blocker(self.kind.rule(), title),
        };
        let looked_at = format!("{} on {}", self.statement, self.instance);
        for message in &self.errors {
            finding = finding.saw(&looked_at, message);
        }
        if self.errors.is_empty() || !self.detail.is_empty() {
            finding = finding.saw(
                &looked_at,
                if self.detail.is_empty() {
                    "no message"
                } else {
                    &self.detail
                },
            );
        }
        let mut next = self.kind.next_step().to_string();
        if let Some(os) = self.os_error() {
            let (meaning, step) = os::explain(os);
            finding = finding.saw("operating system error", format!("{}: {meaning}", os.code));
            next = step.to_string();
        }
        finding.source(SOURCE).next(next)
    }
}

impl From<&SqlError> for Finding {
    fn from(error: &SqlError) -> Self {
        error.finding()
    }
}

impl From<SqlError> for Finding {
    fn from(error: SqlError) -> Self {
        error.finding()
    }
}

fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).chain(['.']).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::errors::ServerMessage;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_its_own_rule_and_a_next_step() {
        let mut rules = BTreeSet::new();
        for kind in SqlErrorKind::ALL {
            assert!(rules.insert(kind.rule()), "{} twice", kind.rule());
            assert!(kind.next_step().len() > 10);
            assert!(kind.rule().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
        assert_eq!(rules.len(), SqlErrorKind::ALL.len());
    }

    #[test]
    fn the_operating_systems_error_decides_the_next_step() {
        let denied = ServerMessage {
            number: 3201,
            state: 1,
            class: 16,
            text: r"Cannot open backup device 'D:\x.bak'. Operating system error 5(Access is denied.).".into(),
        };
        let ended = ServerMessage {
            number: 3013,
            state: 1,
            class: 16,
            text: "BACKUP DATABASE is terminating abnormally.".into(),
        };
        let f = SqlError::server("localdb", "backup-database", vec![denied, ended]).finding();
        insta::assert_snapshot!(serde_json::to_string_pretty(&f).unwrap());
    }
}
