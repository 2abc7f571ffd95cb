//! What the installer must be like.

use syncferry_shared::catalogue::CatalogueEntry;
use syncferry_shared::plan::Scenario;
use syncferry_shared::{ConnectVersion, Finding};

use super::{EXISTING_DATABASE_PAGE, OURS};
use crate::plan::PlanInput;

/// The wizard's upgrade code, which every version carries.
const UPGRADE_CODE: &str = "{d61eb959-f2d1-4170-be64-4dc367f451ea}";
/// Where the right file comes from.
const DOWNLOAD: &str = "Download AzureADConnect.msi from the Microsoft Entra admin center (Entra Connect > Get started > Manage), copy it to the new server and plan again.";
const NAMES: [&str; 3] = [
    "Microsoft Azure AD Connect",
    "Microsoft Entra Connect Sync",
    "Microsoft Entra Connect",
];

fn version(input: &PlanInput) -> Option<ConnectVersion> {
    input.connect_host.installer()?.product_version.parse().ok()
}

/// The file must be there and be an installer.
pub(super) fn can_be_read(input: &PlanInput, out: &mut Vec<Finding>) {
    let host = &input.connect_host;
    if host.inventory.is_none() || host.installer().is_some() {
        return;
    }
    let path = &input.request.installer;
    let problem = host.problem("installer");
    let mut finding = Finding::blocker(
        "installer-unreadable",
        format!("{path} on {} cannot be read as an installer", host.name),
    )
    .saw(path.clone(), problem.map_or("nothing was found", |p| p.error.as_str()))
    .source(OURS);
    finding = finding.next(match problem {
        Some(p) if !p.next_step.is_empty() => p.next_step.clone(),
        _ => DOWNLOAD.to_string(),
    });
    out.push(finding);
}

/// It must be Microsoft Entra Connect.
pub(super) fn is_connect(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(i) = input.connect_host.installer() else {
        return;
    };
    let by_name = NAMES.iter().any(|n| i.product_name.eq_ignore_ascii_case(n));
    let by_code = i
        .upgrade_code
        .as_deref()
        .is_some_and(|c| c.eq_ignore_ascii_case(UPGRADE_CODE));
    if !(by_name && by_code) {
        out.push(
            Finding::blocker(
                "installer-is-another-product",
                format!("{} does not install Microsoft Entra Connect", i.path),
            )
            .saw("ProductName", &i.product_name)
            .saw("UpgradeCode", i.upgrade_code.as_deref().unwrap_or("none"))
            .source(OURS)
            .next(DOWNLOAD),
        );
    }
    if i.signature_trusted == Some(false) {
        out.push(
            Finding::blocker(
                "installer-signature-bad",
                format!("Windows does not trust the signature of {}", i.path),
            )
            .saw("WinVerifyTrust", "not trusted")
            .source(OURS)
            .next(format!(
                "The file was changed or is not Microsoft's: do not run it. {DOWNLOAD}"
            )),
        );
    } else if i.signature_trusted.is_none() && !i.has_signature {
        out.push(
            Finding::note("installer-unsigned", format!("{} carries no signature", i.path))
                .saw("digital signature", "none")
                .source(OURS)
                .next("Microsoft's installers are signed. Go on only where you know where this file comes from, as in the lab."),
        );
    }
}

/// 1.1.613.0 or newer, not older than the database, still synchronising, not blocked.
pub(super) fn version_is_allowed(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(i) = input.connect_host.installer() else {
        return;
    };
    let Some(v) = version(input) else {
        out.push(
            Finding::blocker("installer-version-unreadable", "The installer's version cannot be read")
                .saw("ProductVersion", &i.product_version)
                .source(OURS)
                .next(DOWNLOAD),
        );
        return;
    };
    let catalogue = &input.catalogue;
    let newest = catalogue
        .newest()
        .map_or("the newest version".to_string(), |e| e.version.to_string());
    let entry: Option<&CatalogueEntry> = catalogue.get(v);
    if v < catalogue.first_with_existing_database {
        out.push(
            Finding::blocker(
                "installer-too-old",
                format!("Connect {v} cannot be installed on an existing database"),
            )
            .saw("ProductVersion", v)
            .source(EXISTING_DATABASE_PAGE)
            .next(format!(
                "{} is the first that can. Put the installer of {newest} on the new server and plan again.",
                catalogue.first_with_existing_database
            )),
        );
    } else if v < catalogue.oldest_that_syncs {
        out.push(
            Finding::blocker(
                "installer-retired",
                format!("Connect {v} does not synchronise any more"),
            )
            .saw("ProductVersion", v)
            .source(
                "Microsoft Learn: Microsoft Entra Connect: version release history (retirement of 30 September 2026)",
            )
            .next(format!(
                "Microsoft stopped every version below {}. Put the installer of {newest} on the new server and plan again.",
                catalogue.oldest_that_syncs
            )),
        );
    }
    if let Some(reason) = entry.and_then(|e| e.blocked_for_existing_database.as_ref()) {
        out.push(
            Finding::blocker(
                "installer-blocked",
                format!("Connect {v} must not be installed on an existing database"),
            )
            .saw(format!("version catalogue of {}", catalogue.signed_off), reason)
            .source("Microsoft Learn: Microsoft Entra Connect: version release history")
            .next(format!(
                "Put the installer of {newest} on the new server and plan again."
            )),
        );
    }
    if let Some(issue) = entry.and_then(|e| e.known_issue.as_ref()) {
        out.push(
            Finding::warning("installer-known-issue", format!("Connect {v} has a fault that its maker knows of"))
                .saw(format!("version catalogue of {}", catalogue.signed_off), issue)
                .source("Microsoft Learn: Microsoft Entra Connect: version release history")
                .next(format!(
                    "Put the installer of {newest} on the new server and plan again, or accept it where you know that the fault does not concern you."
                )),
        );
    }
    if entry.is_none() {
        out.push(
            Finding::warning("installer-unknown-version", format!("Connect {v} is not in the version catalogue"))
                .saw(format!("version catalogue of {}", catalogue.signed_off), "no such version")
                .source(OURS)
                .next("It may be newer than the catalogue. Read its release notes for known issues with existing databases, then accept it."),
        );
    }
    // A backup is held against its own version, not against what its database has become since.
    let restored = input.request.scenario == Scenario::RestoreFromBackup;
    let adsync = input
        .source_facts()
        .and_then(|f| f.adsync.as_ref())
        .filter(|a| !a.empty && !restored);
    match adsync.map(|a| a.connect_version) {
        Some(Some(db)) if v < db => out.push(
            Finding::blocker("installer-older-than-database", format!("Connect {v} is older than the database, which {db} used last"))
                .saw("ProductVersion", v)
                .saw("Microsoft.Synchronize.ServerConfigurationVersion", db)
                .source(EXISTING_DATABASE_PAGE)
                .next(format!("The service would refuse to start. Put the installer of {db} or of a newer version, for example {newest}, on the new server and plan again.")),
        ),
        Some(None) => out.push(
            Finding::blocker("database-version-unknown", "Which Connect version used the database last is not known")
                .saw("dbo.mms_get_globalsettings", "no ServerConfigurationVersion")
                .source(EXISTING_DATABASE_PAGE)
                .next("The installer must not be older than the database. Start the old server's agent so that it can ask the engine, or read the version there."),
        ),
        _ => {}
    }
}

/// A newer version may bring a full synchronisation.
pub(super) fn brings_changes(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(v) = version(input) else { return };
    let Some(db) = input.source_facts().and_then(|f| f.adsync.as_ref()?.connect_version) else {
        return;
    };
    if v <= db {
        return;
    }
    let changes = input.catalogue.changes(db, v);
    let what: Vec<&str> = [
        (changes.schema, "schema"),
        (changes.rules, "default rules"),
        (changes.full_sync, "full synchronisation"),
    ]
    .into_iter()
    .filter_map(|(yes, name)| yes.then_some(name))
    .collect();
    if !what.is_empty() {
        out.push(
            Finding::warning("full-sync-expected", format!("From {db} to {v}, a full synchronisation may be needed"))
                .saw(format!("version catalogue of {}", input.catalogue.signed_off), format!("changes of: {}", what.join(", ")))
                .source(EXISTING_DATABASE_PAGE)
                .next("The new server does it in staging mode, where nothing is exported. Plan the time for it, or install the version that the database has."),
        );
    }
}
