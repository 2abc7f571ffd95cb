//! What is left to do when Connect is seated on an existing database: the post-installation tasks of Microsoft's page, as a
//! checklist that fits one migration. An item is proven by what agents see, or attested by a named person. Pure: facts and events
//! in, items out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::connect_version::ConnectVersion;
use crate::event::Event;
use crate::ids::MigrationId;
use crate::inventory::{AdsyncFacts, ConnectFacts};

/// The name of this shape.
pub const SCHEMA: &str = "syncferry.checklist.v1";
/// The event of an item that somebody attested.
pub const ATTESTED: &str = "checklist.attested";
/// The event of what agents saw of the items.
pub const SEEN: &str = "checklist.seen";

const PAGE: &str =
    "Microsoft Learn: Install Microsoft Entra Connect by using an existing ADSync database, post-installation tasks";
const STAGING: &str = "Microsoft Learn: Microsoft Entra Connect: Staging server and disaster recovery";
/// From here on password hash synchronisation and writeback are taken over whole.
const TAKES_OVER: ConnectVersion = ConnectVersion([1, 2, 65, 0]);

/// How people sign in, as the old server's settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignIn {
    /// Password hash synchronisation.
    PasswordHashSync,
    /// Pass-through authentication.
    PassThrough,
    /// Federation with AD FS.
    AdFs,
    /// Federation with PingFederate.
    PingFederate,
    /// Nothing is configured by Connect.
    NotConfigured,
    /// The settings do not say.
    Unknown,
}

impl SignIn {
    /// Reads `Microsoft.UserSignIn.SignOnMethod`. Its values are not published; those that were seen are understood.
    pub fn read(method: Option<&str>) -> Self {
        let Some(method) = method else { return SignIn::Unknown };
        let m = method.to_ascii_lowercase();
        if m.contains("passthrough") || m.contains("pass-through") {
            SignIn::PassThrough
        } else if m.contains("ping") {
            SignIn::PingFederate
        } else if m.contains("federation") || m.contains("adfs") {
            SignIn::AdFs
        } else if m.contains("passwordhash") {
            SignIn::PasswordHashSync
        } else if matches!(m.as_str(), "none" | "donotconfigure" | "do not configure" | "other") {
            SignIn::NotConfigured
        } else {
            SignIn::Unknown
        }
    }
}

/// What the checklist is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CareFacts {
    /// The new server's name.
    pub new_server: String,
    /// The old server's name, where one is known.
    pub old_server: Option<String>,
    /// The database as it was when the plan was made.
    pub before: Option<AdsyncFacts>,
    /// The version that is installed.
    pub installed: Option<ConnectVersion>,
    /// When Connect was installed on the new server.
    pub installed_at: Option<Millis>,
    /// Whether the database was in an availability group, and is used where it is.
    pub leaves_group: bool,
    /// Whether a full synchronisation is to be expected.
    pub full_sync_expected: bool,
}

impl CareFacts {
    fn setting(&self, name: &str) -> Option<&str> {
        Some(self.before.as_ref()?.config.settings.get(name)?.as_str())
    }
    fn is_on(&self, name: &str) -> bool {
        self.setting(name).is_some_and(on)
    }
    fn sign_in(&self) -> SignIn {
        SignIn::read(self.before.as_ref().and_then(|b| b.sign_on_method.as_deref()))
    }
    fn is_old(&self) -> bool {
        let version = self.before.as_ref().and_then(|b| b.connect_version);
        version.is_some_and(|v| v < TAKES_OVER)
    }
}

fn on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "enabled")
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// Nobody did it yet, as far as anybody knows.
    Open,
    /// Agents saw that it is so.
    Proven,
    /// A named person says so.
    Attested,
    /// Agents saw that it is not so.
    Contradicted,
}

impl ItemState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemState::Open => "open",
            ItemState::Proven => "proven",
            ItemState::Attested => "attested",
            ItemState::Contradicted => "contradicted",
        }
    }
    /// Whether nothing more is to be done.
    pub fn is_done(self) -> bool {
        matches!(self, ItemState::Proven | ItemState::Attested)
    }
}

/// One thing to do, or to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id, stable over releases.
    pub id: String,
    /// What is to be so.
    pub title: String,
    /// Why, and what happens otherwise.
    pub why: String,
    /// What to do.
    pub how: String,
    /// Where that is said.
    pub source: String,
    /// Whether the server must not leave staging mode while it is open.
    pub matters: bool,
    /// Whether agents can see it.
    pub provable: bool,
    /// Where it stands.
    pub state: ItemState,
    /// Who brought it there.
    pub by: Option<String>,
    /// When.
    pub at: Option<Millis>,
    /// What they said or saw.
    pub evidence: Option<String>,
}

/// The checklist of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checklist {
    /// [`SCHEMA`].
    pub schema: String,
    /// The migration.
    pub migration: MigrationId,
    /// The new server's name.
    pub new_server: String,
    /// The items; those that matter come first.
    pub items: Vec<Item>,
}

impl Checklist {
    /// The checklist that fits, with what the migration's events say of it.
    pub fn of(migration: MigrationId, facts: &CareFacts, events: &[Event]) -> Self {
        let mut items = items(facts);
        items.sort_by_key(|i| !i.matters);
        for event in events {
            apply(&mut items, event);
        }
        Self {
            schema: SCHEMA.to_string(),
            migration,
            new_server: facts.new_server.clone(),
            items,
        }
    }
    /// Items that matter and are not done: while there is one, the server must not leave staging mode.
    pub fn open_that_matter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|i| i.matters && !i.state.is_done())
    }
    /// An item by its id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|i| i.id == id)
    }
}

/// What an event says of the items. The last word counts, except that a person's word does not undo what agents saw: only another
/// look does.
fn apply(items: &mut [Item], event: &Event) {
    match event.kind.as_str() {
        ATTESTED => {
            let id = event.payload.get("item").and_then(Value::as_str).unwrap_or_default();
            let Some(item) = items.iter_mut().find(|i| i.id == id) else {
                return;
            };
            if item.state == ItemState::Proven || (item.state == ItemState::Contradicted && item.provable) {
                return;
            }
            item.state = ItemState::Attested;
            item.by = Some(event.actor.clone());
            item.at = Some(event.at);
            item.evidence = event.payload.get("remark").and_then(Value::as_str).map(str::to_string);
        }
        SEEN => {
            let sights: Vec<Sight> = event
                .payload
                .get("sights")
                .cloned()
                .and_then(|v| serde_json::from_value(v).ok())
                .unwrap_or_default();
            for sight in sights {
                let Some(item) = items.iter_mut().find(|i| i.id == sight.item && i.provable) else {
                    continue;
                };
                item.state = match (sight.holds, item.state) {
                    (Some(true), _) => ItemState::Proven,
                    (Some(false), _) => ItemState::Contradicted,
                    // What was seen to be wrong is not wrong any more; that it is right is still for somebody to say.
                    (None, ItemState::Contradicted) => ItemState::Open,
                    (None, _) => continue,
                };
                item.by = Some(sight.by.clone());
                item.at = Some(event.at);
                item.evidence = Some(sight.found.clone());
            }
        }
        _ => {}
    }
}

/// What was seen of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The item.
    pub item: String,
    /// Whether it is so; `None` where nothing speaks against it, which proves nothing.
    pub holds: Option<bool>,
    /// What was seen.
    pub found: String,
    /// By whom: `agent:SQL01`.
    pub by: String,
}

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
        }
    }
}

/// The items that fit.
fn items(f: &CareFacts) -> Vec<Item> {
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
    let full = f.full_sync_expected || f.before.as_ref().is_some_and(|b| !b.full_run_required.is_empty());
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

/// What agents see of the items: the new database, and Connect on the new server. What cannot be told is left out.
pub fn sights(
    f: &CareFacts,
    now: Option<(&str, &AdsyncFacts, bool)>,
    server: Option<(&str, &ConnectFacts)>,
) -> Vec<Sight> {
    let mut out = Vec::new();
    if let Some((by, connect)) = server
        && let Some(s) = &connect.scheduler
    {
        out.push(Sight {
            item: "staging-mode".into(),
            holds: Some(s.staging_mode),
            found: format!("Get-ADSyncScheduler: StagingModeEnabled {}", word(s.staging_mode)),
            by: format!("agent:{by}"),
        });
    }
    let Some((by, after, in_group)) = now else { return out };
    let by = format!("agent:{by}");
    let mut saw = |item: &str, holds: Option<bool>, found: String| {
        out.push(Sight {
            item: item.to_string(),
            holds,
            found,
            by: by.clone(),
        });
    };
    let before: BTreeMap<String, String> = f.before.as_ref().map(|b| b.config.settings.clone()).unwrap_or_default();
    let same = |names: &[&str]| -> Option<(bool, String)> {
        let mut holds = true;
        let mut found = Vec::new();
        for name in names {
            let (was, is) = (before.get(*name), after.config.settings.get(*name));
            // A setting that nobody had is nobody's loss; one that cannot be read any more is unknown.
            let Some(was) = was else { continue };
            let is = is?;
            holds &= was.eq_ignore_ascii_case(is);
            let short = name.rsplit('.').next().unwrap_or(name);
            found.push(format!("{short} was {was}, is {is}"));
        }
        (!found.is_empty()).then(|| (holds, found.join("; ")))
    };
    const METHOD: &str = "Microsoft.UserSignIn.SignOnMethod";
    for item in ["pass-through-sign-in", "ad-fs-sign-in", "ping-federate-sign-in"] {
        // Whether the wizard was run on this server cannot be told from a value that came with the backup; that it is another
        // one can.
        if let Some((holds, found)) = same(&[METHOD]) {
            saw(item, (!holds).then_some(false), found);
        }
    }
    if let Some((holds, found)) = same(&["Microsoft.UserSignIn.DesktopSsoEnabled"]) {
        saw("seamless-single-sign-on", (!holds).then_some(false), found);
    }
    let passwords = [
        "Microsoft.OptionalFeature.PasswordHashSync",
        "Microsoft.OptionalFeature.PasswordWriteback",
    ];
    if let Some((holds, found)) = same(&passwords) {
        saw("password-options", Some(holds), found);
    }
    if let Some((holds, found)) = same(&["Microsoft.OptionalFeature.DeviceWriteBack"]) {
        saw("device-options", (!holds).then_some(false), found);
    }
    let threshold = [
        "Microsoft.OptionalFeature.ExportDeletionThreshold",
        "Microsoft.OptionalFeature.ExportDeletionThresholdValue",
    ];
    if let Some((holds, found)) = same(&threshold) {
        saw("deletion-threshold", Some(holds), found);
    }
    if let Some((holds, found)) = synchronised(f, after) {
        saw("initial-sync", Some(holds), found);
    }
    if f.leaves_group {
        let found = if in_group {
            "it is in a group"
        } else {
            "it is in no group"
        };
        saw("availability-group", Some(in_group), found.to_string());
    }
    out
}

/// Whether every connector has a completed run since the installation, and no full run is flagged.
fn synchronised(f: &CareFacts, after: &AdsyncFacts) -> Option<(bool, String)> {
    let since = f.installed_at?;
    if after.config.connectors.is_empty() {
        return None;
    }
    let late: Vec<&str> = after
        .config
        .connectors
        .iter()
        .filter(|c| c.last_sync.is_none_or(|at| at < since))
        .map(|c| c.name.as_str())
        .collect();
    let flagged = &after.full_run_required;
    let mut found = vec![if late.is_empty() {
        format!("every connector has a completed run since {since}")
    } else {
        format!("no completed run since {since}: {}", late.join(", "))
    }];
    if !flagged.is_empty() {
        found.push(format!("a full run is flagged: {}", flagged.join(", ")));
    }
    if after.run_in_progress == Some(true) {
        found.push("a run is in progress".to_string());
    }
    let done = late.is_empty() && flagged.is_empty() && after.run_in_progress != Some(true);
    Some((done, found.join("; ")))
}

fn word(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::StreamKind;
    use crate::inventory::SchedulerFacts;
    use crate::sync_config::ConnectorConfig;

    fn facts(method: &str, version: [u32; 4], settings: &[(&str, &str)]) -> CareFacts {
        let mut before = AdsyncFacts {
            connect_version: Some(ConnectVersion(version)),
            sign_on_method: Some(method.into()),
            ..AdsyncFacts::default()
        };
        before.config.settings = settings.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        before
            .config
            .settings
            .insert("Microsoft.UserSignIn.SignOnMethod".into(), method.into());
        CareFacts {
            new_server: "SYNC02".into(),
            old_server: Some("SYNC01".into()),
            before: Some(before),
            installed: Some(ConnectVersion([2, 6, 91, 0])),
            installed_at: Some(Millis(1_000)),
            ..CareFacts::default()
        }
    }

    fn event(seq: i64, kind: &str, actor: &str, payload: Value) -> Event {
        Event {
            stream_kind: StreamKind::Migration,
            stream_id: "m".into(),
            seq,
            kind: kind.into(),
            schema_version: 1,
            payload,
            actor: actor.into(),
            at: Millis(5_000 + seq),
            prev_hash: String::new(),
            hash: String::new(),
        }
    }

    fn list(f: &CareFacts, events: &[Event]) -> Checklist {
        Checklist::of(MigrationId(uuid::Uuid::nil()), f, events)
    }

    const PHS: (&str, &str) = ("Microsoft.OptionalFeature.PasswordHashSync", "True");
    const SSO: (&str, &str) = ("Microsoft.UserSignIn.DesktopSsoEnabled", "True");
    const DEVICES: (&str, &str) = ("Microsoft.OptionalFeature.DeviceWriteBack", "True");
    const NEW: [u32; 4] = [2, 5, 190, 0];

    fn ids(f: &CareFacts) -> Vec<String> {
        list(f, &[])
            .items
            .iter()
            .map(|i| format!("{}{}", if i.matters { "! " } else { "" }, i.id))
            .collect()
    }

    #[test]
    fn the_list_fits_how_people_sign_in() {
        let mut shown = String::new();
        for (name, f) in [
            ("password hash synchronisation", facts("PasswordHashSync", NEW, &[PHS])),
            (
                "the same, before 1.2.65.0",
                facts("PasswordHashSync", [1, 1, 882, 0], &[PHS]),
            ),
            ("AD FS with device options", facts("Federation", NEW, &[DEVICES])),
            (
                "pass-through with single sign-on",
                facts("PassThroughAuthentication", NEW, &[SSO]),
            ),
            (
                "pass-through with hashes behind it",
                facts("PassThroughAuthentication", NEW, &[PHS]),
            ),
            ("PingFederate", facts("PingFederate", NEW, &[])),
            ("unheard of", facts("SomethingElse", NEW, &[])),
        ] {
            shown.push_str(&format!("{name}\n  {}\n", ids(&f).join("\n  ")));
        }
        insta::assert_snapshot!("checklists", shown);
    }

    #[test]
    fn a_persons_word_counts_until_agents_see_otherwise() {
        let f = facts("PassThroughAuthentication", NEW, &[SSO]);
        let attest = |seq, item: &str| {
            event(
                seq,
                ATTESTED,
                "operator:ada",
                json!({"item": item, "remark": "done at 10:00"}),
            )
        };
        let sight = |seq, holds: bool| {
            let sights = json!([{"item": "pass-through-sign-in", "holds": holds, "found": "x", "by": "agent:SQL01"}]);
            event(seq, SEEN, "controller", json!({ "sights": sights }))
        };
        let state = |events: &[Event]| list(&f, events).item("pass-through-sign-in").unwrap().state;
        assert_eq!(state(&[]), ItemState::Open);
        assert_eq!(state(&[attest(1, "pass-through-sign-in")]), ItemState::Attested);
        let events = [attest(1, "pass-through-sign-in"), sight(2, false)];
        assert_eq!(state(&events), ItemState::Contradicted);
        let events = [sight(1, false), attest(2, "pass-through-sign-in")];
        assert_eq!(state(&events), ItemState::Contradicted, "a word does not undo a sight");
        assert_eq!(state(&[sight(1, false), sight(2, true)]), ItemState::Proven);
        let mended = event(
            2,
            SEEN,
            "controller",
            json!({"sights": [{"item": "pass-through-sign-in", "holds": null, "found": "x", "by": "agent:SQL01"}]}),
        );
        assert_eq!(state(&[sight(1, false), mended.clone()]), ItemState::Open);
        assert_eq!(
            state(&[sight(1, false), mended, attest(3, "pass-through-sign-in")]),
            ItemState::Attested
        );
        // What cannot be seen is never proven by a forged sight.
        let forged = event(
            1,
            SEEN,
            "x",
            json!({"sights": [{"item": "pass-through-agents", "holds": true, "found": "", "by": "x"}]}),
        );
        assert_eq!(
            list(&f, &[forged]).item("pass-through-agents").unwrap().state,
            ItemState::Open
        );
        let done = list(&f, &[attest(1, "pass-through-agents")]);
        let item = done.item("pass-through-agents").unwrap();
        assert_eq!(
            (item.by.as_deref(), item.evidence.as_deref()),
            (Some("operator:ada"), Some("done at 10:00"))
        );
    }

    #[test]
    fn agents_prove_what_they_can_see() {
        let f = facts(
            "PasswordHashSync",
            NEW,
            &[PHS, ("Microsoft.OptionalFeature.ExportDeletionThresholdValue", "500")],
        );
        let mut after = f.before.clone().unwrap();
        after.config.connectors = vec![ConnectorConfig {
            name: "corp".into(),
            last_sync: Some(Millis(2_000)),
            ..ConnectorConfig::default()
        }];
        let connect = ConnectFacts {
            scheduler: Some(SchedulerFacts {
                sync_cycle_enabled: true,
                staging_mode: true,
                suspended: false,
                cycle_in_progress: false,
                next_policy: "Delta".into(),
            }),
            ..ConnectFacts::default()
        };
        let seen = |after: &AdsyncFacts| -> Vec<(String, bool)> {
            sights(&f, Some(("SQL01", after, false)), Some(("SYNC02", &connect)))
                .into_iter()
                .filter_map(|s| Some((s.item, s.holds?)))
                .collect()
        };
        let all = |holds: bool| {
            ["staging-mode", "password-options", "deletion-threshold", "initial-sync"]
                .map(|i| (i.to_string(), holds || i == "staging-mode"))
                .to_vec()
        };
        assert_eq!(seen(&after), all(true));
        after.config.settings.insert(PHS.0.into(), "False".into());
        after.config.settings.insert(
            "Microsoft.OptionalFeature.ExportDeletionThresholdValue".into(),
            "0".into(),
        );
        after.full_run_required = vec!["corp".into()];
        assert_eq!(seen(&after), all(false));
        // Unknown proves nothing, and contradicts nothing.
        after.config.settings.clear();
        after.config.connectors.clear();
        assert_eq!(seen(&after), all(true)[..1]);
    }

    proptest! {
        #[test]
        fn whatever_matters_must_be_done_by_somebody(method in "[A-Za-z]{0,24}", old: bool, sso: bool, devices: bool) {
            let mut settings = vec![PHS];
            if sso { settings.push(SSO); }
            if devices { settings.push(DEVICES); }
            let f = facts(&method, if old { [1, 1, 614, 0] } else { NEW }, &settings);
            let empty = list(&f, &[]);
            prop_assert!(empty.open_that_matter().count() >= 5);
            let events: Vec<Event> = empty.items.iter().zip(1..)
                .map(|(i, n)| event(n, ATTESTED, "operator:ada", json!({"item": i.id})))
                .collect();
            prop_assert_eq!(list(&f, &events).open_that_matter().count(), 0);
            let mut seen: Vec<&str> = empty.items.iter().map(|i| i.id.as_str()).collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), empty.items.len());
        }
    }
}
