//! What the database brings along that a person must prepare for.

use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::{ConnectVersion, Finding};

use crate::plan::PlanInput;

/// The first version whose page takes clicks in every row.
const ALL_ROWS: ConnectVersion = ConnectVersion([2, 6, 91, 0]);
/// The page shows about so many forests.
const VISIBLE_FORESTS: usize = 5;

/// What a feature asks of the AD DS account: a part of the feature's name, and the rights.
const RIGHTS: [(&str, &str); 6] = [
    (
        "passwordhashsync",
        "Replicate Directory Changes and Replicate Directory Changes All",
    ),
    (
        "passwordwriteback",
        "Reset password, write lockoutTime and pwdLastSet on users; Unexpire Password on the domain",
    ),
    (
        "devicewriteback",
        "create, delete and write device objects in the device container",
    ),
    (
        "groupwriteback",
        "create, delete and write groups in the group container",
    ),
    (
        "exchangehybrid",
        "write the hybrid attributes of users, groups, contacts and public folders",
    ),
    ("exchangemailpublicfolder", "read mail-enabled public folders"),
];

fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "enabled" | "yes")
}

/// How many features are on.
pub(super) fn features_on(adsync: &AdsyncFacts) -> usize {
    adsync.features.values().filter(|v| is_on(v)).count()
}

fn adsync(input: &PlanInput) -> Option<&AdsyncFacts> {
    let adsync = input.source_facts()?.adsync.as_ref()?;
    (!adsync.empty).then_some(adsync)
}

/// The rights that sign-in method and features ask of the AD DS account.
fn rights(adsync: &AdsyncFacts) -> Vec<(&'static str, &'static str)> {
    let mut names: Vec<String> = adsync
        .features
        .iter()
        .filter(|(_, v)| is_on(v))
        .map(|(n, _)| plain(n))
        .collect();
    names.extend(adsync.sign_on_method.as_deref().map(plain));
    let asked = RIGHTS.iter().filter(|(part, _)| names.iter().any(|n| n.contains(part)));
    asked.copied().collect()
}

/// What the AD DS account of each forest must be allowed to do.
pub(super) fn ad_account_is_prepared(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = adsync(input) else { return };
    let rights = rights(adsync);
    if rights.is_empty() {
        return;
    }
    let mut finding = Finding::note(
        "ad-account-permissions",
        "The AD DS account needs rights that nobody here can see",
    )
    .saw(
        "forests",
        if adsync.forests.is_empty() {
            "unknown".to_string()
        } else {
            adsync.forests.join(", ")
        },
    );
    for (feature, right) in rights {
        finding = finding.saw(format!("{feature} needs"), right);
    }
    out.push(finding.next("Prepare them before the wizard is opened; ADSyncConfig.psm1 on the new server has a cmdlet for each. The account must not be a Domain or Enterprise Admin. The wizard does not check any of this."));
}

/// Rows outside the visible part of the page cannot be clicked in older versions.
pub(super) fn every_forest_can_be_reached(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = adsync(input) else { return };
    let version = input
        .connect_host
        .installer()
        .and_then(|i| i.product_version.parse::<ConnectVersion>().ok());
    let Some(version) = version.filter(|v| *v < ALL_ROWS) else {
        return;
    };
    if adsync.forests.len() > VISIBLE_FORESTS {
        out.push(
            Finding::note(
                "many-forests",
                "Not every \"Change Credentials\" can be reached in this version's wizard",
            )
            .saw("forests", adsync.forests.len())
            .saw("ProductVersion", version)
            .next(format!(
                "Use {ALL_ROWS} or newer, or enlarge the window: rows outside the visible part do not react."
            )),
        );
    }
}

/// Flags travel with the database.
pub(super) fn nothing_is_flagged(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = adsync(input) else { return };
    if !adsync.full_run_required.is_empty() {
        out.push(
            Finding::note("full-run-required", "Connectors are flagged for a full run")
                .saw(
                    "full_import_required and full_sync_required",
                    adsync.full_run_required.join(", "),
                )
                .next(
                    "Plan the time for it. Best let the old server do it first, so that the backup carries the result.",
                ),
        );
    }
}

/// The Entra connector names the server that made it.
pub(super) fn owner_is_the_holder(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(owner), Some(holder)) = (adsync(input).and_then(|a| a.last_owner.as_ref()), &input.holder) else {
        return;
    };
    // A NetBIOS name has at most 15 characters, and the connector may carry no more of it.
    let short = |name: &str| {
        name.split('.')
            .next()
            .unwrap_or(name)
            .chars()
            .take(15)
            .collect::<String>()
            .to_lowercase()
    };
    let own = [holder.computer_name(), &holder.name];
    if !own.iter().any(|n| short(n) == short(owner)) {
        out.push(
            Finding::warning("last-owner-differs", format!("The database names {owner}, and its lease is {}'s", holder.name))
                .saw("account of the Entra connector in the database", owner)
                .saw(format!("lease of {}", input.source.lease_name), &holder.name)
                .next("Find out which server used this database last, and whether this is a copy. If the server was renamed or the wizard run anew, accept it."),
        );
    }
}

/// A server that upgrades itself may be newer than the installer before the run is at its backup.
pub(super) fn source_stays_as_it_is(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(old) = &input.holder else { return };
    let connect = old.inventory.as_ref().and_then(|i| i.connect.as_ref());
    let Some(state) = connect.and_then(|c| c.auto_upgrade.as_deref()) else {
        return;
    };
    if state.eq_ignore_ascii_case("enabled") {
        out.push(
            Finding::note("source-auto-upgrades", format!("Connect on {} may upgrade itself during the run", old.name))
                .saw(format!("Get-ADSyncAutoUpgrade on {}", old.name), state)
                .next("Set-ADSyncAutoUpgrade -AutoUpgradeState Disabled there until the run is done, or apply soon: the run looks again before the backup and stops if the version changed."),
        );
    }
}
