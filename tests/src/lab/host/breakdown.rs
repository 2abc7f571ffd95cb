//! Breakdowns that are known of Connect's setup, by name: what Windows Installer's verbose log and the wizard's trace log say in each.
//! The numbers are those of the product's research into what goes wrong; the lines have the texts that Microsoft and others
//! published, in the form in which such logs have them.

/// Where setup breaks down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `msiexec` ends with this code.
    Msi(i32),
    /// On the wizard's page "Install required components".
    Components,
    /// After "Install" on its last page.
    Configure,
}

/// A breakdown.
#[derive(Debug, Clone, Copy)]
pub struct Breakdown {
    /// Its name in `faults.json`.
    pub name: &'static str,
    /// Its number.
    pub number: u8,
    /// Where it happens.
    pub at: At,
    /// What the log says, line by line: the last line is what the wizard's page shows.
    pub lines: &'static [&'static str],
    /// As what the product knows it.
    pub known_as: &'static str,
}

const fn one(
    number: u8,
    name: &'static str,
    at: At,
    known_as: &'static str,
    lines: &'static [&'static str],
) -> Breakdown {
    Breakdown {
        name,
        number,
        at,
        lines,
        known_as,
    }
}

/// The end of every installation of the engine that failed, as the wizard tells it.
const NOT_INSTALLED: &str =
    "Unable to install the Synchronization Service. Please see the event log for additional details.";

/// All of them.
pub const BREAKDOWNS: &[Breakdown] = &[
    one(
        1,
        "engine-exception",
        At::Components,
        "setup-breaks-on-existing-database",
        &[
            "ProcessExecutionFailedException: process msiexec exited with code 0xE0474352",
            NOT_INSTALLED,
        ],
    ),
    one(
        2,
        "availability-group",
        At::Components,
        "database-in-availability-group",
        &[
            "Product: Microsoft Azure AD Connect synchronization services -- Error 25009.The Microsoft Azure AD Connect synchronization services setup wizard cannot configure the specified database. Error: ALTER DATABASE statement failed.",
            "CustomAction ConfigDB returned actual error code 1603 (note this may not be 100% accurate if translation happened inside sandbox)",
            NOT_INSTALLED,
        ],
    ),
    one(
        3,
        "no-rights-on-sql",
        At::Components,
        "installer-lacks-rights-on-database",
        &[
            "Product: Microsoft Azure AD Connect synchronization services -- Error 25009.The Microsoft Azure AD Connect synchronization services setup wizard cannot configure the specified database. Invalid object name 'mms_management_agent'. A required privilege is not held by the client.",
            "CustomAction ConfigDB returned actual error code 1603 (note this may not be 100% accurate if translation happened inside sandbox)",
            NOT_INSTALLED,
        ],
    ),
    one(
        4,
        "leftovers",
        At::Msi(1603),
        "leftovers-of-an-engine",
        &[
            r"Product: Microsoft Azure AD Connect synchronization services -- Error 25019.The Microsoft Azure AD Connect synchronization services setup wizard cannot open registry key SYSTEM\CurrentControlSet\Services\ADSync\Parameters",
            "CustomAction DetectStoreServer returned actual error code 1603 (note this may not be 100% accurate if translation happened inside sandbox)",
        ],
    ),
    one(
        5,
        "half-installed",
        At::Components,
        "engine-half-installed",
        &[
            "System.InvalidOperationException: Service ADSync was not found on computer '.'. ---> System.ComponentModel.Win32Exception: The specified service does not exist as an installed service",
            "An error has occurred on the Root page, preventing Azure AD Connect from continuing. To protect your existing data, the wizard must be closed.",
        ],
    ),
    one(
        6,
        "database-newer",
        At::Components,
        "database-newer-than-connect",
        &[
            "The service was unable to start because the version of the database is newer than the version of the binaries installed",
            "Unable to upgrade the Synchronization Service",
        ],
    ),
    one(
        7,
        "not-installed",
        At::Components,
        "sync-service-not-installed",
        &[NOT_INSTALLED],
    ),
    one(
        8,
        "account-as-upn",
        At::Msi(1603),
        "service-account-as-upn",
        &[
            "CustomAction DetectServiceAccount returned actual error code 1603 (note this may not be 100% accurate if translation happened inside sandbox)",
        ],
    ),
    one(
        9,
        "logon-refused",
        At::Configure,
        "service-cannot-log-on",
        &[
            "Windows could not start the Microsoft Entra ID Sync service on Local Computer. Error 1069: The service did not start due to a logon failure.",
        ],
    ),
    one(
        10,
        "key-lost",
        At::Configure,
        "encryption-key-lost",
        &[
            "Windows could not start the Microsoft Azure AD Sync service on Local Computer. For more information, review the System Event Log. If this is a non-Microsoft service, contact the service vendor, and refer to service-specific error code -21451857952.",
            "Event 6028: The server encryption key cannot be accessed.",
        ],
    ),
    one(
        11,
        "disk-full",
        At::Configure,
        "sql-disk-full",
        &["Event 6323: The server encountered an error because SQL Server is out of disk space."],
    ),
    one(
        12,
        "localdb-damaged",
        At::Configure,
        "localdb-does-not-start",
        &[
            "Event 528: SQLLocalDB 15.0: The log scan number (23:120:1) passed to log scan in database 'model' is not valid. (9003)",
            "Event 6226: The service was unable to start: 0x8023044a. Login timeout expired.",
        ],
    ),
    one(
        13,
        "export-exception",
        At::Configure,
        "extension-dll-exception",
        &["Export contoso.onmicrosoft.com - AAD: stopped-extension-dll-exception"],
    ),
    one(
        15,
        "password-writeback",
        At::Configure,
        "password-writeback-stops-setup",
        &["PasswordWriteback could not be configured: the wizard was started with /UseExistingDatabase"],
    ),
    one(
        17,
        "instance-not-found",
        At::Components,
        "sql-server-not-found",
        &[
            "A network-related or instance-specific error occurred while establishing a connection to SQL Server. The server was not found or was not accessible. (provider: SQL Network Interfaces, error: 26 - Error Locating Server/Instance Specified)",
        ],
    ),
    one(
        18,
        "collation",
        At::Components,
        "collation-refused",
        &["The collation SQL_Latin1_General_CP1_CS_AS of the database is not supported."],
    ),
    one(
        19,
        "utf8-beta",
        At::Configure,
        "utf8-beta",
        &[
            r"Event 6301: BAIL: MMS(6180): d:\bt\1126206\private\source\miis\server\rcvtvp.h(1014): 0x80004005 (Unspecified error)",
        ],
    ),
    one(
        20,
        "unknown-owner",
        At::Configure,
        "dbo-does-not-exist",
        &[
            "Cannot execute as the database principal because the principal \"dbo\" does not exist, this type of principal cannot be impersonated, or you do not have permission. (Microsoft SQL Server, Error: 15517)",
        ],
    ),
    one(
        21,
        "orphaned-users",
        At::Configure,
        "users-without-logins",
        &[
            r"User, group, or role 'CONTOSO\gmsa-sync02$' already exists in the current database. (Microsoft SQL Server, Error: 15023)",
        ],
    ),
    one(
        22,
        "execute-denied",
        At::Configure,
        "execute-denied",
        &[
            "The EXECUTE permission was denied on the object 'mms_get_globalsettings', database 'ADSync', schema 'dbo'. (Microsoft SQL Server, Error: 229)",
        ],
    ),
    one(
        24,
        "diagnostic-source",
        At::Configure,
        "diagnostic-source-not-loaded",
        &[
            "System.IO.FileLoadException: Could not load file or assembly 'System.Diagnostics.DiagnosticSource, Version=6.0.0.1, Culture=neutral, PublicKeyToken=cc7b13ffcd2ddd51' or one of its dependencies. (Exception from HRESULT: 0x80131040)",
        ],
    ),
    one(
        25,
        "tenant-toggled",
        At::Configure,
        "tenant-is-being-toggled",
        &["Directory synchronization for this directory currently has a mismatch in sync enabled and sync status."],
    ),
    one(
        26,
        "administrator",
        At::Configure,
        "administrator-as-connector-account",
        &[
            "Using an Enterprise or Domain administrator account for your AD forest account is not allowed. Let Azure AD Connect create the account for you or specify a synchronization account with the correct permissions.",
        ],
    ),
    one(
        27,
        "application",
        At::Configure,
        "application-authentication-fails",
        &[
            "Microsoft Entra Connect could not configure application-based authentication for this server. Setup cannot continue.",
        ],
    ),
    one(
        28,
        "cycle-runs",
        At::Configure,
        "sync-cycle-is-running",
        &[
            "AADConnect changes BLOCKED: the configuration mutex could not be acquired; a sync cycle is already running.",
        ],
    ),
    one(
        31,
        "settings-argument",
        At::Configure,
        "settings-migration-argument",
        &["A positional parameter cannot be found that accepts argument 'True'."],
    ),
];

/// The breakdown of a name.
pub fn named(name: &str) -> Option<&'static Breakdown> {
    BREAKDOWNS.iter().find(|b| b.name == name)
}
