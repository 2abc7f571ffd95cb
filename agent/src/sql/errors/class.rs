//! The classification of errors by number, from docs/sql.md §3.18. The texts there are English; the numbers are the same everywhere.

use super::ServerMessage;

/// What went wrong, as far as a caller does something different about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlErrorKind {
    /// The instance does not answer.
    Unreachable,
    /// The encrypted connection could not be made.
    Tls,
    /// The connection broke while in use.
    ConnectionLost,
    /// A time limit of ours passed.
    TimedOut,
    /// We cancelled it.
    Cancelled,
    /// Nothing moved for too long, and we cancelled it.
    Stalled,
    /// An answer was not of the shape that SQL Server gives.
    Answer,
    /// We asked for something that cannot be: a mistake on our side.
    Usage,
    /// The login was refused.
    LoginFailed,
    /// The login may not open the database that it asked for.
    CannotOpenDatabase,
    /// The backup device cannot be opened.
    BackupDevice,
    /// Reading or writing the backup device failed.
    BackupDeviceIo,
    /// The medium is not one, is truncated or is of a newer format.
    UnreadableSet,
    /// Files that do not belong together.
    MixedMedia,
    /// The name belongs to another database, or files would be overwritten.
    IdentityConflict,
    /// The database that is there has log records that nobody saved.
    TailNotSaved,
    /// The backup comes from a newer SQL Server.
    TargetTooOld,
    /// A system database was named.
    SystemDatabase,
    /// The list of files does not fit the backup.
    FileNotInSet,
    /// A file for the database exists already or is used twice.
    FileCollision,
    /// A database of that name exists.
    DatabaseExists,
    /// A volume has too little space.
    NoSpace,
    /// The edition's size limit would be passed.
    SizeLimit,
    /// Somebody uses the database.
    InUse,
    /// The statement does not run inside a transaction.
    InTransaction,
    /// Another backup or file operation runs.
    OtherBackupRuns,
    /// The database is in a state that cannot be backed up.
    NotBackupable,
    /// Pages of the database are damaged.
    Corruption,
    /// The backup file is damaged.
    BackupDamaged,
    /// The backup has no checksums.
    NoChecksum,
    /// The medium was written with other properties.
    MediaStructure,
    /// The edition does not have the feature.
    EditionFeature,
    /// A permission is missing.
    PermissionDenied,
    /// The server's state may not be looked at.
    StateDenied,
    /// The recovery model or the log chain does not allow it.
    LogChain,
    /// The operation worked; only its entry in msdb is missing.
    HistoryNotWritten,
    /// A database file cannot be made or opened.
    DatabaseFile,
    /// A state change of the database did not get its lock.
    DatabaseLocked,
    /// The database does not exist or cannot be used as it is.
    DatabaseState,
    /// An account is unknown to the server or to the domain.
    Principal,
    /// The account or user exists already.
    PrincipalExists,
    /// A certificate for the backup is missing.
    CertificateMissing,
    /// Deadlock, lock timeout, memory: trying again may help.
    Transient,
    /// The log or the data files are full.
    LogFull,
    /// The server does not understand the statement: a mistake on our side.
    Statement,
    /// BACKUP or RESTORE ended without saying why.
    Aborted,
    /// Anything else.
    Other,
}

impl SqlErrorKind {
    /// Every kind, for tests and documentation.
    pub const ALL: &'static [SqlErrorKind] = &[
        Self::Unreachable,
        Self::Tls,
        Self::ConnectionLost,
        Self::TimedOut,
        Self::Cancelled,
        Self::Stalled,
        Self::Answer,
        Self::Usage,
        Self::LoginFailed,
        Self::CannotOpenDatabase,
        Self::BackupDevice,
        Self::BackupDeviceIo,
        Self::UnreadableSet,
        Self::MixedMedia,
        Self::IdentityConflict,
        Self::TailNotSaved,
        Self::TargetTooOld,
        Self::SystemDatabase,
        Self::FileNotInSet,
        Self::FileCollision,
        Self::DatabaseExists,
        Self::NoSpace,
        Self::SizeLimit,
        Self::InUse,
        Self::InTransaction,
        Self::OtherBackupRuns,
        Self::NotBackupable,
        Self::Corruption,
        Self::BackupDamaged,
        Self::NoChecksum,
        Self::MediaStructure,
        Self::EditionFeature,
        Self::PermissionDenied,
        Self::StateDenied,
        Self::LogChain,
        Self::HistoryNotWritten,
        Self::DatabaseFile,
        Self::DatabaseLocked,
        Self::DatabaseState,
        Self::Principal,
        Self::PrincipalExists,
        Self::CertificateMissing,
        Self::Transient,
        Self::LogFull,
        Self::Statement,
        Self::Aborted,
        Self::Other,
    ];

    /// The kind of an error number.
    pub fn of(number: i32) -> Self {
        match number {
            18456 | 18452 | 18470 | 18486 | 18487 | 18488 | 17806 | 17892 => Self::LoginFailed,
            4060 | 4064 => Self::CannotOpenDatabase,
            3201 => Self::BackupDevice,
            3202 | 3203 | 3271 => Self::BackupDeviceIo,
            3241 | 3242 | 3243 | 3254 | 3256 | 3287 | 3246 | 3247 => Self::UnreadableSet,
            3132 | 3231 | 3227 | 3258 => Self::MixedMedia,
            3154 | 3141 | 3142 => Self::IdentityConflict,
            3159 | 3173 => Self::TailNotSaved,
            3169 | 948 => Self::TargetTooOld,
            3168 => Self::SystemDatabase,
            3234 => Self::FileNotInSet,
            3156 | 3176 | 3119 | 1834 | 5170 => Self::FileCollision,
            1801 => Self::DatabaseExists,
            3257 | 1101 | 1105 => Self::NoSpace,
            1827 => Self::SizeLimit,
            3101 | 3102 | 3702 => Self::InUse,
            3021 | 226 | 574 => Self::InTransaction,
            3023 => Self::OtherBackupRuns,
            3033 | 3002 | 3036 | 3059 => Self::NotBackupable,
            3043 | 823 | 824 | 825 | 8928 | 8939 => Self::Corruption,
            3183 | 3189 => Self::BackupDamaged,
            3187 => Self::NoChecksum,
            3095 | 3097 | 3098 => Self::MediaStructure,
            1844 => Self::EditionFeature,
            229 | 262 | 916 | 3110 | 5011 | 15247 | 15151 | 6102 => Self::PermissionDenied,
            297 | 300 | 371 => Self::StateDenied,
            4208 | 4214 | 4305 | 4326 | 3117 | 3118 | 3120 | 3136 => Self::LogChain,
            3009 => Self::HistoryNotWritten,
            5120 | 5123 | 5133 | 5149 => Self::DatabaseFile,
            924 | 5030 | 5061 | 5064 | 5069 | 5070 => Self::DatabaseLocked,
            911 | 927 | 942 | 945 | 3701 => Self::DatabaseState,
            15401 | 15404 | 15517 | 15007 => Self::Principal,
            15023 | 15025 | 15063 => Self::PrincipalExists,
            33111 => Self::CertificateMissing,
            1205 | 1222 | 701 | 802 | 8645 => Self::Transient,
            9002 => Self::LogFull,
            102 | 105 | 156 | 170 | 195 | 207 | 208 | 319 | 2812 | 137 => Self::Statement,
            3013 | 3204 => Self::Aborted,
            _ => Self::Other,
        }
    }
}

/// Messages that only say that something failed, never why.
fn is_consequence(number: i32) -> bool {
    matches!(number, 3013 | 3119 | 3156 | 5069 | 3204 | 297 | 3041 | 18210 | 18204)
}

/// Puts what only follows from the root cause behind it, and leaves the server's order otherwise.
pub(super) fn root_cause_first(mut errors: Vec<ServerMessage>) -> Vec<ServerMessage> {
    // The sort is stable. 3013 is the last of the consequences.
    errors.sort_by_key(|e| match e.number {
        3013 => 2,
        n if is_consequence(n) => 1,
        _ => 0,
    });
    errors
}

/// The kind of a list that has its root cause first.
pub(super) fn classify(errors: &[ServerMessage]) -> SqlErrorKind {
    errors
        .first()
        .map_or(SqlErrorKind::Other, |e| SqlErrorKind::of(e.number))
}

/// Whether a message of this number carries an operating system error.
pub(super) fn carries_os_error(number: i32) -> bool {
    matches!(number, 3201 | 3202 | 3203 | 3271 | 5120 | 5123 | 5133 | 5149 | 823)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of docs/sql.md §3.18 and what they must be.
    const TABLE: &[(i32, SqlErrorKind)] = &[
        (3201, SqlErrorKind::BackupDevice),
        (3203, SqlErrorKind::BackupDeviceIo),
        (3241, SqlErrorKind::UnreadableSet),
        (3287, SqlErrorKind::UnreadableSet),
        (3132, SqlErrorKind::MixedMedia),
        (3154, SqlErrorKind::IdentityConflict),
        (3159, SqlErrorKind::TailNotSaved),
        (3169, SqlErrorKind::TargetTooOld),
        (3234, SqlErrorKind::FileNotInSet),
        (1834, SqlErrorKind::FileCollision),
        (3257, SqlErrorKind::NoSpace),
        (1827, SqlErrorKind::SizeLimit),
        (3101, SqlErrorKind::InUse),
        (3021, SqlErrorKind::InTransaction),
        (3023, SqlErrorKind::OtherBackupRuns),
        (3033, SqlErrorKind::NotBackupable),
        (3043, SqlErrorKind::Corruption),
        (3189, SqlErrorKind::BackupDamaged),
        (3187, SqlErrorKind::NoChecksum),
        (3098, SqlErrorKind::MediaStructure),
        (1844, SqlErrorKind::EditionFeature),
        (262, SqlErrorKind::PermissionDenied),
        (300, SqlErrorKind::StateDenied),
        (4208, SqlErrorKind::LogChain),
        (3009, SqlErrorKind::HistoryNotWritten),
        (5133, SqlErrorKind::DatabaseFile),
        (5061, SqlErrorKind::DatabaseLocked),
        (911, SqlErrorKind::DatabaseState),
        (4060, SqlErrorKind::CannotOpenDatabase),
        (18456, SqlErrorKind::LoginFailed),
        (15404, SqlErrorKind::Principal),
        (33111, SqlErrorKind::CertificateMissing),
        (1205, SqlErrorKind::Transient),
        (9002, SqlErrorKind::LogFull),
    ];

    #[test]
    fn the_table_holds() {
        for (number, kind) in TABLE {
            assert_eq!(SqlErrorKind::of(*number), *kind, "{number}");
        }
    }

    fn numbers(list: &[i32]) -> Vec<i32> {
        let errors = list.iter().map(|n| ServerMessage {
            number: *n,
            state: 1,
            class: 16,
            text: String::new(),
        });
        root_cause_first(errors.collect()).iter().map(|e| e.number).collect()
    }

    #[test]
    fn consequences_come_after_their_cause() {
        assert_eq!(numbers(&[1834, 3156, 3119, 3013]), [1834, 3156, 3119, 3013]);
        assert_eq!(numbers(&[3013, 3156, 1834]), [1834, 3156, 3013]);
        assert_eq!(numbers(&[5061, 5069]), [5061, 5069]);
        assert_eq!(numbers(&[297, 300]), [300, 297]);
        assert_eq!(numbers(&[3013]), [3013]);
    }
}
