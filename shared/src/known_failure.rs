//! What goes wrong with Connect and is known: the texts of Microsoft's logs and pages by which it is recognised, its cause, and
//! what to do. Texts are matched without regard to case; numbers and names in them are the same in every language.

/// A failure that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFailure {
    /// Its id, stable over releases.
    pub id: &'static str,
    /// Texts by which it is recognised: one line of the list is enough, all of whose parts must be there.
    pub texts: &'static [&'static [&'static str]],
    /// Why it happens.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Where that is said.
    pub source: &'static str,
}

impl KnownFailure {
    fn is_in(&self, lower: &str) -> bool {
        self.texts
            .iter()
            .any(|parts| parts.iter().all(|p| lower.contains(&p.to_lowercase())))
    }
    /// The answer in one line, for a gate or a log.
    pub fn answer(&self) -> String {
        format!("{} What to do: {}", self.cause, self.fix)
    }
}

const ERRORS_PAGE: &str = "Microsoft support articles: Microsoft Entra Connect, user provisioning and sync";
const HISTORY: &str = "Microsoft Learn: Microsoft Entra Connect: version release history";
const DELEGATION: &str =
    "Microsoft Learn: Install Microsoft Entra Connect using SQL delegated administrator permissions";
const SQL_DOCS: &str = "SQL Server documentation: database engine events and errors";
const CUSTOM: &str = "Microsoft Learn: Custom installation of Microsoft Entra Connect";
const COMMUNITY: &str = "azure-docs issues; not a promise of Microsoft's";

/// What is known, the most telling first: an error of SQL Server says more than the 1603 that follows from it.
pub const KNOWN_FAILURES: &[KnownFailure] = &[
    KnownFailure {
        id: "setup-breaks-on-existing-database",
        texts: &[&["0xE0474352"]],
        cause: "Connect 2.6.84 breaks off on an existing ADSync database.",
        fix: "Install 2.6.91 or later: cancel the migration and plan again with that installer.",
        source: HISTORY,
    },
    KnownFailure {
        id: "database-in-availability-group",
        texts: &[&["Error 25009", "ALTER DATABASE statement failed"]],
        cause: "Setup changes the database, and a database in an availability group cannot be changed so.",
        fix: "Take the database out of the group (ALTER AVAILABILITY GROUP [group] REMOVE DATABASE [ADSync]), install, and add it back afterwards.",
        source: COMMUNITY,
    },
    KnownFailure {
        id: "installer-lacks-rights-on-database",
        texts: &[
            &["Error 25009", "mms_management_agent"],
            &["Error 25009", "A required privilege is not held by the client"],
        ],
        cause: "The person who installs, or the service account, may not do in the database what setup must do.",
        fix: "Give both accounts a login of their own and db_owner in the database (not through a group): CREATE USER [DOMAIN\\account] FOR LOGIN [DOMAIN\\account]; ALTER ROLE db_owner ADD MEMBER [DOMAIN\\account]. Then start the wizard again.",
        source: DELEGATION,
    },
    KnownFailure {
        id: "leftovers-of-an-engine",
        texts: &[
            &["Error 25019", "Services\\ADSync\\Parameters"],
            &["DetectStoreServer", "1603"],
        ],
        cause: "An earlier installation left its product without its service.",
        fix: "Remove 'Microsoft Entra Connect synchronization services' from the installed programs of the host, restart it, and install again.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "engine-half-installed",
        texts: &[
            &["Service ADSync was not found on computer"],
            &["An error has occurred on the Root page"],
        ],
        cause: "The synchronisation service is installed by half: the wizard closes itself to protect the data.",
        fix: "Uninstall Connect and its synchronisation services on this host, restart it, and go through the wizard again. The database is not touched by that.",
        source: COMMUNITY,
    },
    KnownFailure {
        id: "database-newer-than-connect",
        texts: &[&["version of the database is newer than the version of the binaries"]],
        cause: "A newer version of Connect used this database.",
        fix: "Install that version or a later one: cancel the migration and plan again with that installer. There is no way back to an older version.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "service-account-as-upn",
        texts: &[&["DetectServiceAccount", "1603"]],
        cause: "The service account is written as a user principal name.",
        fix: "Write it as DOMAIN\\name, as the card has it.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "service-cannot-log-on",
        texts: &[
            &["Error 1069"],
            &["did not start due to a logon failure"],
            &["7038", "ADSync"],
        ],
        cause: "The service account may not log on as a service here, or its password is wrong.",
        fix: "Give it 'Log on as a service' (a group policy may take it away again; gpresult says which), or for a gMSA let this host read its password; Test-ADServiceAccount must say True.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "service-does-not-start",
        texts: &[&["Error 1920", "ADSync"], &["Error 1920", "failed to start"]],
        cause: "The service ADSync was installed and does not start.",
        fix: "Look at the Application log for events 2005, 6028 and 6226 and at the System log for 7038: they say whether it is SQL Server, the key or the account.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "encryption-key-lost",
        texts: &[&["server encryption key cannot be accessed"], &["-21451857952"]],
        cause: "The key is protected by the service account, and its password was set anew.",
        fix: "Follow 'Changing the Microsoft Entra Connect Sync service account password': enter the old password, or abandon the key and enter every connector's credentials again.",
        source: "Microsoft Learn: Changing the ADSync service account password",
    },
    KnownFailure {
        id: "sql-disk-full",
        texts: &[&["SQL Server is out of disk space"], &["stopped-database-disk-full"]],
        cause: "The database cannot grow: its disk is full, or it is at the 10 GB of LocalDB.",
        fix: "Free space on the database's disk. At the limit of LocalDB, moving to full SQL Server is what helps.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "localdb-does-not-start",
        texts: &[
            &["SQLLocalDB", "528"],
            &["log scan number", "9003"],
            &["0x8023044a"],
            &["Login timeout expired", "LocalDB"],
        ],
        cause: "The service cannot log in to its database: LocalDB's model database is damaged, or SQL Server does not answer.",
        fix: "On LocalDB copy the template of model.mdf and modellog.ldf over the damaged ones. On full SQL Server check the name, the port, the firewall and the login of the service account.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "extension-dll-exception",
        texts: &[&["stopped-extension-dll-exception"]],
        cause: "A clean installation of 1.6 on an existing database exports so.",
        fix: "Install 2.0.3 or later.",
        source: HISTORY,
    },
    KnownFailure {
        id: "password-writeback-stops-setup",
        texts: &[
            &["Password Writeback", "existing database"],
            &["PasswordWriteback", "UseExistingDatabase"],
        ],
        cause: "Before 2.4.18 setup on an existing database fails while password writeback is on.",
        fix: "Install 2.4.18 or later.",
        source: HISTORY,
    },
    KnownFailure {
        id: "sql-server-not-found",
        texts: &[
            &["Error Locating Server/Instance Specified"],
            &["error: 26 -"],
            &["network-related or instance-specific error"],
        ],
        cause: "The host does not find the SQL Server instance: SQL Browser is off, a firewall is in between, or the name is wrong.",
        fix: "Enter the instance as the card has it, with its port: INSTANCE,port. Check with Test-NetConnection that this host reaches that port.",
        source: CUSTOM,
    },
    KnownFailure {
        id: "collation-refused",
        texts: &[
            &["collation", "not supported"],
            &["collation", "case-insensitive"],
            &["collation", "case insensitive"],
        ],
        cause: "The database's collation is not case-insensitive.",
        fix: "Connect takes _CI_ collations only, and a restore keeps the collation: this database cannot be used.",
        source: DELEGATION,
    },
    KnownFailure {
        id: "utf8-beta",
        texts: &[&["rcvtvp.h", "0x80004005"]],
        cause: "Windows uses UTF-8 as its system locale (beta), which the engine does not take.",
        fix: "Switch 'Beta: Use Unicode UTF-8 for worldwide language support' off, and restart the host.",
        source: COMMUNITY,
    },
    KnownFailure {
        id: "dbo-does-not-exist",
        texts: &[
            &["15517"],
            &["Cannot execute as the database principal because the principal \"dbo\" does not exist"],
        ],
        cause: "The owner of the restored database is not known on this instance.",
        fix: "ALTER AUTHORIZATION ON DATABASE::[ADSync] TO [a login of this instance].",
        source: SQL_DOCS,
    },
    KnownFailure {
        id: "users-without-logins",
        texts: &[&["15023"], &["orphaned user"]],
        cause: "Users of the restored database have no login on this instance.",
        fix: "CREATE LOGIN [DOMAIN\\account] FROM WINDOWS; then ALTER USER [DOMAIN\\account] WITH LOGIN = [DOMAIN\\account].",
        source: SQL_DOCS,
    },
    KnownFailure {
        id: "execute-denied",
        texts: &[
            &["EXECUTE permission was denied", "mms_get_globalsettings"],
            &["EXECUTE permission was denied", "mms_"],
        ],
        cause: "Grants on Connect's procedures are lost when Connect is updated.",
        fix: "GRANT EXECUTE again to whoever needs it (Defender for Identity does), and make the service account db_owner.",
        source: "Microsoft Defender for Identity: permissions on the ADSync database",
    },
    KnownFailure {
        id: "older-engine",
        texts: &[
            &["3169", "backed up on a server running version"],
            &["was backed up on a server running version", "incompatible"],
        ],
        cause: "The backup is of a newer SQL Server than this one.",
        fix: "Restore to that version of SQL Server or a later one; there is no way back to an older engine.",
        source: SQL_DOCS,
    },
    KnownFailure {
        id: "diagnostic-source-not-loaded",
        texts: &[&["System.Diagnostics.DiagnosticSource", "0x80131040"]],
        cause: "2.5.190 and 2.6.1 load the wrong version of a library.",
        fix: "Install a later version.",
        source: HISTORY,
    },
    KnownFailure {
        id: "tenant-is-being-toggled",
        texts: &[&["mismatch in sync enabled and sync status"]],
        cause: "Directory synchronisation of the tenant is being turned on or off.",
        fix: "Wait (it can take up to 72 hours), then go on in the wizard.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "administrator-as-connector-account",
        texts: &[&["Enterprise or Domain administrator account for your AD forest account is not allowed"]],
        cause: "An Enterprise or Domain Admin was entered as the connector's account.",
        fix: "Enter an ordinary account, or let the wizard create one with an Enterprise Admin's credentials ('Create new AD account').",
        source: "Microsoft Learn: Microsoft Entra Connect: accounts and permissions",
    },
    KnownFailure {
        id: "application-authentication-fails",
        texts: &[&["could not configure application-based authentication"]],
        cause: "The application or its certificate could not be made: rights in Entra, a policy for applications, or the TPM.",
        fix: "Sign in with a Hybrid Identity Administrator that is assigned directly, check policies for application credentials and the TPM. From 2.6.84 there is no other way in.",
        source: HISTORY,
    },
    KnownFailure {
        id: "sync-cycle-is-running",
        texts: &[
            &["sync cycle", "running"],
            &["synchronization is currently running"],
            &["configuration mutex"],
        ],
        cause: "The wizard changes nothing while a synchronisation cycle runs.",
        fix: "Stop-ADSyncSyncCycle on this host, then go on.",
        source: "Microsoft Learn: Microsoft Entra Connect Sync: Scheduler",
    },
    KnownFailure {
        id: "settings-migration-argument",
        texts: &[&["positional parameter cannot be found that accepts argument 'True'"]],
        cause: "MigrateSettings.ps1 breaks on this value.",
        fix: "Not needed here: with an existing database the settings come with it. Do not import settings as well.",
        source: "Microsoft Learn: Import and export Microsoft Entra Connect configuration settings",
    },
    KnownFailure {
        id: "sync-service-not-installed",
        texts: &[&["Unable to install the Synchronization Service"]],
        cause: "Setup could not install the synchronisation service; rights on SQL Server, a policy and LocalDB are the usual causes.",
        fix: "Look for 'Return value 3' in the MSI log of the synchronisation service under %ProgramData%\\AADConnect, and at the Application log.",
        source: ERRORS_PAGE,
    },
    KnownFailure {
        id: "sync-service-not-upgraded",
        texts: &[&["Unable to upgrade the Synchronization Service"]],
        cause: "Setup could not take the database over with this version.",
        fix: "Look at the line before it in the trace log; a database that a newer version used is the usual cause.",
        source: ERRORS_PAGE,
    },
];

/// The failure that a text speaks of; the most telling one where there are several.
pub fn recognise(text: &str) -> Option<&'static KnownFailure> {
    let lower = text.to_lowercase();
    KNOWN_FAILURES.iter().find(|k| k.is_in(&lower))
}

/// Every failure that a text speaks of, the most telling first.
pub fn recognise_all(text: &str) -> Vec<&'static KnownFailure> {
    let lower = text.to_lowercase();
    KNOWN_FAILURES.iter().filter(|k| k.is_in(&lower)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines as logs and event logs have them, and what each is.
    const SEEN: &[(&str, &str)] = &[
        ("Setup terminated with 0xe0474352", "setup-breaks-on-existing-database"),
        (
            "Error 25009.The Microsoft Azure AD Connect synchronization services setup wizard cannot configure the specified database. Error: ALTER DATABASE statement failed.",
            "database-in-availability-group",
        ),
        (
            "Error 25009.The setup wizard cannot configure the specified database. Invalid object name 'mms_management_agent'. A required privilege is not held by the client.",
            "installer-lacks-rights-on-database",
        ),
        (
            "Product: Microsoft Azure AD Connect synchronization services -- Error 25019.The setup wizard cannot open registry key SYSTEM\\CurrentControlSet\\Services\\ADSync\\Parameters",
            "leftovers-of-an-engine",
        ),
        ("Service ADSync was not found on computer '.'.", "engine-half-installed"),
        (
            "The service was unable to start because the version of the database is newer than the version of the binaries installed",
            "database-newer-than-connect",
        ),
        (
            "Unable to install the Synchronization Service. Please see the event log for additional details.",
            "sync-service-not-installed",
        ),
        (
            "CustomAction DetectServiceAccount returned actual error code 1603",
            "service-account-as-upn",
        ),
        (
            "Windows could not start the Microsoft Entra ID Sync service on Local Computer. Error 1069: The service did not start due to a logon failure.",
            "service-cannot-log-on",
        ),
        ("The server encryption key cannot be accessed.", "encryption-key-lost"),
        (
            "The server encountered an error because SQL Server is out of disk space.",
            "sql-disk-full",
        ),
        ("SQL error 0x8023044a Login timeout expired", "localdb-does-not-start"),
        ("stopped-extension-dll-exception", "extension-dll-exception"),
        (
            "A network-related or instance-specific error occurred. error: 26 - Error Locating Server/Instance Specified",
            "sql-server-not-found",
        ),
        ("BAIL: MMS(1): d:\\rcvtvp.h(1014): 0x80004005", "utf8-beta"),
        (
            "Cannot execute as the database principal because the principal \"dbo\" does not exist",
            "dbo-does-not-exist",
        ),
        (
            "The EXECUTE permission was denied on the object 'mms_get_globalsettings', database 'ADSync'",
            "execute-denied",
        ),
        (
            "Msg 3169: The database was backed up on a server running version 15.00.4153. That version is incompatible with this server",
            "older-engine",
        ),
        (
            "System.IO.FileLoadException: System.Diagnostics.DiagnosticSource, Version=6.0.0.1 (0x80131040)",
            "diagnostic-source-not-loaded",
        ),
        (
            "Directory synchronization for this directory currently has a mismatch in sync enabled and sync status",
            "tenant-is-being-toggled",
        ),
        (
            "Using an Enterprise or Domain administrator account for your AD forest account is not allowed.",
            "administrator-as-connector-account",
        ),
        (
            "Microsoft Entra Connect could not configure application-based authentication for this server. Setup cannot continue.",
            "application-authentication-fails",
        ),
        ("A sync cycle is already running.", "sync-cycle-is-running"),
        (
            "A positional parameter cannot be found that accepts argument 'True'.",
            "settings-migration-argument",
        ),
        (
            "Unable to upgrade the Synchronization Service",
            "sync-service-not-upgraded",
        ),
    ];

    #[test]
    fn what_is_known_is_recognised() {
        for (text, id) in SEEN {
            assert_eq!(recognise(text).map(|k| k.id), Some(*id), "{text}");
            assert_eq!(recognise(&text.to_uppercase()).map(|k| k.id), Some(*id), "{text}");
        }
        assert_eq!(
            recognise("Page transition from Welcome to Install required components"),
            None
        );
        assert_eq!(recognise(""), None);
    }

    #[test]
    fn the_cause_comes_before_what_follows_from_it() {
        let log = "Unable to upgrade the Synchronization Service\nThe version of the database is newer than the version of the binaries installed";
        let ids: Vec<&str> = recognise_all(log).iter().map(|k| k.id).collect();
        assert_eq!(ids, ["database-newer-than-connect", "sync-service-not-upgraded"]);
    }

    /// The page. `UPDATE_SAMPLES=1 cargo test -p syncferry-shared` writes it anew.
    #[test]
    fn the_page_has_all_of_them() {
        let mut page = String::from(
            "# What goes wrong, and is known\n\nBy these texts a failure is recognised in the wizard's trace log and in installer logs. This page is made by a test.\n",
        );
        for k in KNOWN_FAILURES {
            let texts: Vec<String> = k.texts.iter().map(|t| format!("`{}`", t.join("` and `"))).collect();
            page.push_str(&format!(
                "\n## {}\n\n- Recognised by: {}\n- Cause: {}\n- What to do: {}\n- Source: {}\n",
                k.id,
                texts.join("; or "),
                k.cause,
                k.fix,
                k.source
            ));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/known-failures.md");
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page,
            "docs/samples/known-failures.md is not what the code makes; UPDATE_SAMPLES=1 writes it"
        );
    }

    #[test]
    fn every_answer_is_whole() {
        for (at, k) in KNOWN_FAILURES.iter().enumerate() {
            assert!(k.cause.ends_with('.') && k.fix.ends_with(['.', ']']), "{}", k.id);
            assert!(!k.texts.is_empty() && k.texts.iter().all(|t| !t.is_empty()), "{}", k.id);
            assert!(KNOWN_FAILURES[at + 1..].iter().all(|o| o.id != k.id), "{} twice", k.id);
        }
    }

    proptest! {
        #[test]
        fn it_is_found_wherever_it_stands(before in "[a-z \\n]{0,40}", after in "[a-z \\n]{0,40}", i in 0usize..25) {
            let text = format!("{before}{}{after}", SEEN[i].0);
            prop_assert!(recognise_all(&text).iter().any(|k| k.id == SEEN[i].1));
        }
    }
}
