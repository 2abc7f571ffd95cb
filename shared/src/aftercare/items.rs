//! The items, as they fit one migration: what is to be so, why, what to do, and who can tell.

use super::{CareFacts, Item, ItemState, SignIn};

const PAGE: &str =
    "Microsoft Learn: Install Microsoft Entra Connect by using an existing ADSync database, post-installation tasks";
const STAGING: &str = "Microsoft Learn: Microsoft Entra Connect: Staging server and disaster recovery";
struct Draft {
    id: &'static str,
    matters: bool,
    provable: bool,
    title: String,
    why: &'static str,
    how: String,
    source: &'static str,
}

impl From<Draft> for Item {
    fn from(d: Draft) -> Self {
        Item {
            id: d.id.to_string(),
            title: d.title,
            why: d.why.to_string(),
            how: d.how,
            source: d.source.to_string(),
            matters: d.matters,
            provable: d.provable,
            state: ItemState::Open,
            by: None,
            at: None,
            evidence: None,
            until: None,
        }
    }
}

/// The items that fit.
pub(super) fn of(f: &CareFacts) -> Vec<Item> {
    let mut drafts = sign_in(f);
    drafts.extend(features(f));
    drafts.extend(synchronisation(f));
    drafts.extend(surroundings(f));
    drafts.into_iter().map(Item::from).collect()
}

fn sign_in(f: &CareFacts) -> Vec<Draft> {
    let new = &f.new_server;
    let mut out = Vec::new();
    let must_match = f.sign_in() == SignIn::PassThrough || f.is_old() && f.sign_in() != SignIn::NotConfigured;
    if f.is_old() {
        out.push(Draft {
            id: "sign-in-before-1-2-65",
            matters: true,
            provable: false,
            title: format!("The sign-in method on {new} matches the active server's (database from before 1.2.65.0)"),
            why: "With a database that a version before 1.2.65.0 used, the wizard selects 'Do not configure'. People may not be able to sign in when this server becomes active.",
            how: "Run the wizard on the new server: 'Change user sign-in', choose the method in effect, and review password hash synchronisation and password writeback under 'Customize synchronization options'.".into(),
            source: PAGE,
        });
    }
    match f.sign_in() {
        SignIn::PassThrough => {
            out.push(Draft {
                id: "pass-through-sign-in",
                matters: true,
                provable: true,
                title: format!("Pass-through authentication is the sign-in method on {new}"),
                why: "If it is not set before this server becomes active, pass-through authentication and seamless single sign-on are disabled, and without password hash synchronisation the tenant is locked out.",
                how: "Run the wizard on the new server: 'Change user sign-in' > 'Pass-through authentication'. A new authentication agent is installed, registered, and serves sign-ins at once, in staging mode too.".into(),
                source: PAGE,
            });
            out.push(Draft {
                id: "pass-through-agents",
                matters: true,
                provable: false,
                title: "At least two authentication agents are active in the Entra admin center".into(),
                why: "The agent on the old server goes with it. Sign-in stops with the last agent.",
                how: "Entra admin center > Entra Connect > Pass-through authentication: all agents 'Active'. Install another one on a server that stays, if need be.".into(),
                source: PAGE,
            });
            if !f.is_on("Microsoft.OptionalFeature.PasswordHashSync") {
                out.push(Draft {
                    id: "pass-through-without-fallback",
                    matters: true,
                    provable: false,
                    title: "There is a way in when pass-through authentication fails".into(),
                    why: "Password hash synchronisation is not on as a fallback: a mistake in the sign-in method locks everybody out.",
                    how: "Turn password hash synchronisation on beforehand as a fallback, or have two cloud-only Global Administrators of the onmicrosoft.com domain tried today.".into(),
                    source: PAGE,
                });
            }
        }
        SignIn::AdFs => out.push(Draft {
            id: "ad-fs-sign-in",
            matters: false,
            provable: true,
            title: format!("AD FS is the sign-in method on {new}, if Connect manages the farm"),
            why: "Sign-ins go on with the policy of the active server. Only a server that manages the farm needs it.",
            how: "Optional: 'Change user sign-in' > 'Federation with AD FS' on the new server, before it becomes active.".into(),
            source: PAGE,
        }),
        SignIn::PingFederate => out.push(Draft {
            id: "ping-federate-sign-in",
            matters: false,
            provable: true,
            title: format!("PingFederate is the sign-in method on {new}"),
            why: "Sign-ins go on with the policy of the active server. It is needed when another domain is federated.",
            how: "Optional, and may wait until a domain is to be federated: 'Change user sign-in' > 'Federation with PingFederate'.".into(),
            source: PAGE,
        }),
        SignIn::Unknown => out.push(Draft {
            id: "sign-in-unknown",
            matters: true,
            provable: false,
            title: format!("The sign-in method on {new} matches the active server's"),
            why: "What the old server was set to could not be read, and it is not taken over. With pass-through authentication, people would be locked out.",
            how: "Look at 'Change user sign-in' on the active server, and set the same on the new one.".into(),
            source: PAGE,
        }),
        SignIn::PasswordHashSync | SignIn::NotConfigured => {}
    }
    if f.is_on("Microsoft.UserSignIn.DesktopSsoEnabled") {
        out.push(Draft {
            id: "seamless-single-sign-on",
            matters: must_match,
            provable: true,
            title: format!("Seamless single sign-on is enabled on {new} as it is on the active server"),
            why: "It is disabled together with the sign-in method when that is not set before this server becomes active.",
            how: "'Change user sign-in' on the new server, tick 'Enable single sign-on', and enter a domain administrator for each forest. Roll the AZUREADSSOACC key over if it is older than 30 days.".into(),
            source: PAGE,
        });
    }
    out
}

fn features(f: &CareFacts) -> Vec<Draft> {
    let new = &f.new_server;
    let mut out = Vec::new();
    let phs = f.is_on("Microsoft.OptionalFeature.PasswordHashSync") || f.sign_in() == SignIn::PasswordHashSync;
    if phs || f.is_on("Microsoft.OptionalFeature.PasswordWriteback") {
        out.push(Draft {
            id: "password-options",
            matters: true,
            provable: true,
            title: format!("Password hash synchronisation and password writeback on {new} are as they were"),
            why: if f.is_old() {
                "They are taken over whole only from 1.2.65.0 on; this database is older."
            } else {
                "They are taken over from the database; this is the look that shows it."
            },
            how: "Run 'Customize synchronization options' on the new server and compare with the active one.".into(),
            source: PAGE,
        });
    }
    if ["DeviceWriteBack", "DeviceWriteback"]
        .iter()
        .any(|n| f.is_on(&format!("Microsoft.OptionalFeature.{n}")))
    {
        out.push(Draft {
            id: "device-options",
            matters: true,
            provable: true,
            title: format!("Device options are configured on {new} as on the active server"),
            why: "Device writeback and the service connection point belong to the server that configures them.",
            how: "Run 'Configure device options' on the new server.".into(),
            source: PAGE,
        });
    }
    out.push(Draft {
        id: "connector-permissions",
        matters: true,
        provable: false,
        title: "The AD DS accounts that were entered have the rights that the features need".into(),
        why: "The wizard takes any account. Without the rights, hashes are not synchronised and writebacks fail, and nobody notices while the server is in staging mode.",
        how: needs_rights(f, phs),
        source: "Microsoft Learn: Microsoft Entra Connect: accounts and permissions",
    });
    out
}

fn needs_rights(f: &CareFacts, phs: bool) -> String {
    let mut rights = vec!["read all synchronised attributes"];
    if phs {
        rights.push("Replicating Directory Changes and Replicating Directory Changes All (Set-ADSyncPasswordHashSyncPermissions)");
    }
    if f.is_on("Microsoft.OptionalFeature.PasswordWriteback") {
        rights.push("reset password, write lockoutTime and pwdLastSet (Set-ADSyncPasswordWritebackPermissions)");
    }
    if f.is_on("Microsoft.OptionalFeature.HybridExchange") {
        rights.push("write Exchange's hybrid attributes (Set-ADSyncExchangeHybridPermissions)");
    }
    if f.setting("Microsoft.SynchronizationOption.AnchorAttribute")
        .is_some_and(|a| a.eq_ignore_ascii_case("mS-DS-ConsistencyGuid"))
    {
        rights.push("write mS-DS-ConsistencyGuid (Set-ADSyncMsDsConsistencyGuidPermissions)");
    }
    format!("For the account of each forest: {}.", rights.join("; "))
}

fn synchronisation(f: &CareFacts) -> Vec<Draft> {
    let new = &f.new_server;
    let full = f.predicts_full();
    vec![
        Draft {
            id: "staging-mode",
            matters: true,
            provable: true,
            title: format!("{new} is in staging mode until somebody decides otherwise"),
            why: "The method puts the new server into staging mode. Two servers that export undo each other's changes.",
            how: "Get-ADSyncScheduler on the new server: StagingModeEnabled True.".into(),
            source: PAGE,
        },
        Draft {
            id: "initial-sync",
            matters: true,
            provable: true,
            title: if full {
                format!("The full import and synchronisation on {new} is done")
            } else {
                format!("A synchronisation cycle has ended on {new}")
            },
            why: "What it would export is only right when it has imported everything since the backup.",
            how: "Start-ADSyncSyncCycle, and wait until every connector has a completed run after the installation and no full run is flagged.".into(),
            source: STAGING,
        },
        Draft {
            id: "first-cycle",
            matters: false,
            provable: true,
            title: if full {
                format!("The first cycle of {new} was the full one that the plan predicted")
            } else {
                format!("The first cycle of {new} went on from where the old server stopped: it was a delta cycle")
            },
            why: "The database brings its synchronisation state along. A full run that nobody predicted says that this state was not taken up: every object is read and evaluated anew.",
            how: if full {
                "Get-ADSyncRunProfileResult on the new server: the first imports and synchronisations after the installation, and how they ended.".into()
            } else {
                "Get-ADSyncRunProfileResult on the new server: Delta Import and Delta Synchronization come first. After a full run instead, let it end, and read what is pending before anything is exported.".to_string()
            },
            source: PAGE,
        },
        Draft {
            id: "pending-exports-reviewed",
            matters: true,
            provable: false,
            title: format!("Somebody has read what {new} would export"),
            why: "Microsoft recommends to review configuration and pending exports for unexpected changes before staging mode is disabled.",
            how: "csexport \"<connector>\" %temp%\\export.xml /f:x, then CSExportAnalyzer %temp%\\export.xml > %temp%\\export.csv: look at every add, update and delete that nobody expects.".into(),
            source: PAGE,
        },
        Draft {
            id: "deletion-threshold",
            matters: false,
            provable: true,
            title: "The threshold against accidental deletes is as it was".into(),
            why: "It is the last brake. A fresh installation takes the value that is stored in the cloud.",
            how: "Get-ADSyncExportDeletionThreshold on both servers.".into(),
            source: "Microsoft Learn: Microsoft Entra Connect Sync: Prevent accidental deletes",
        },
    ]
}

fn surroundings(f: &CareFacts) -> Vec<Draft> {
    let mut out = vec![
        Draft {
            id: "manual-upgrades",
            matters: false,
            provable: false,
            title: "Somebody is to upgrade Connect by hand from now on".into(),
            why: "On full SQL Server automatic upgrade is suspended (UpgradeNotSupportedNonLocalDbInstall), and versions stop synchronising at their end of support.",
            how: "Put the version's end of support into a calendar; Get-ADSyncAutoUpgrade -Detail shows the state.".into(),
            source: "Microsoft Learn: Microsoft Entra Connect: Automatic upgrade",
        },
        Draft {
            id: "sql-backups",
            matters: false,
            provable: false,
            title: "The new database is in the SQL Server's regular backup".into(),
            why: "LocalDB was in nobody's. A backup of ADSync carries credentials: protect it.",
            how: "Add the database to the maintenance plan; do not use Azure Backup for it, nor an agent without a SQL VSS writer.".into(),
            source: "Microsoft Learn: Microsoft Entra Connect: FAQ",
        },
        Draft {
            id: "defender-grants",
            matters: false,
            provable: false,
            title: "Grants of others on the database are there again".into(),
            why: "Defender for Identity needs CONNECT, SELECT and EXECUTE on mms_get_globalsettings and mms_get_connectors; they are lost with an installation.",
            how: "GRANT EXECUTE ON OBJECT::dbo.mms_get_globalsettings TO [DOMAIN\\gmsa$]; the same for mms_get_connectors.".into(),
            source: "Microsoft Defender for Identity: sensor on Entra Connect servers",
        },
        Draft {
            id: "local-groups",
            matters: false,
            provable: false,
            title: format!("ADSyncAdmins and the other groups on {} have the members that they had", f.new_server),
            why: "They are local groups: none of them comes with the database.",
            how: "Compare ADSyncAdmins, ADSyncOperators, ADSyncBrowse and ADSyncPasswordSet on both servers.".into(),
            source: "Microsoft Learn: Microsoft Entra Connect: accounts and permissions",
        },
    ];
    if f.leaves_group {
        out.push(Draft {
            id: "availability-group",
            matters: false,
            provable: true,
            title: "The database is in its availability group again".into(),
            why: "It had to be taken out for the installation, which also sets its recovery model to simple.",
            how: "ALTER DATABASE [ADSync] SET RECOVERY FULL; back it up; ALTER AVAILABILITY GROUP [group] ADD DATABASE [ADSync].".into(),
            source: "azure-docs issue 97541",
        });
    }
    if let Some(old) = &f.old_server {
        out.push(Draft {
            id: "retired-account",
            matters: false,
            provable: false,
            title: format!("The cloud account of {old} is removed once that server is gone"),
            why: "Sync_ accounts and applications of servers that are gone can still sign in; a tenant takes at most twenty.",
            how: format!("After {old} is decommissioned: remove Sync_{old}_… (or the application ConnectSyncProvisioning_{old}_…) in Entra."),
            source: "Microsoft Learn: Microsoft Entra Connect: accounts and permissions",
        });
    }
    out
}
