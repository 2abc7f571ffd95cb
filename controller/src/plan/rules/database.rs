//! What the ADSync database must be like.

use syncferry_shared::{Finding, Millis};

use super::{EXISTING_DATABASE_PAGE, PREREQUISITES_PAGE};
use crate::plan::PlanInput;

/// Three weeks: older than that, Entra ID must be imported in full.
pub(crate) const FRESH_FOR_MS: i64 = 21 * Millis::DAY;
/// More than this is no clock that is a little ahead.
const CLOCKS_DIFFER_MS: i64 = Millis::DAY;

/// The database must be an ADSync database.
pub(super) fn is_adsync(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(facts) = input.source_facts() else { return };
    if facts.adsync.is_none() {
        out.push(
            Finding::blocker("source-is-not-adsync", format!("{} is not a database of Microsoft Entra Connect", facts.name))
                .saw("dbo.mms_server_configuration and dbo.mms_management_agent", "not there")
                .source(EXISTING_DATABASE_PAGE)
                .next("Register the database that the ADSync service uses: `ADSync\\Parameters` in the old server's registry names it."),
        );
    }
}

/// It must hold what an earlier installation left.
pub(super) fn is_not_empty(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = input.source_facts().and_then(|f| f.adsync.as_ref()) else {
        return;
    };
    if adsync.empty {
        out.push(
            Finding::blocker("source-is-empty", "The ADSync database holds no configuration")
                .saw("rows of dbo.mms_management_agent", 0)
                .source(EXISTING_DATABASE_PAGE)
                .next("There is nothing to take over. If this should hold a configuration, look whether it is the database that the ADSync service uses. Otherwise install Connect without /UseExistingDatabase; with it, \"Connect your directories\" stays empty."),
        );
    }
}

/// The last synchronisation must be at most three weeks ago.
pub(super) fn synchronised_lately(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = input.source_facts().and_then(|f| f.adsync.as_ref()) else {
        return;
    };
    if adsync.empty {
        return;
    }
    let Some(last) = adsync.last_sync else {
        out.push(
            Finding::warning("last-sync-unknown", "When the database was last synchronised is not known")
                .saw("mms_run_history and mms_connectorspace", "no evidence")
                .source(EXISTING_DATABASE_PAGE)
                .next("Expect a full import from Entra ID. Look at the old server's Synchronization Service Manager to be sure."),
        );
        return;
    };
    let age = input.now.since(last);
    if age < -CLOCKS_DIFFER_MS {
        out.push(
            Finding::warning("last-sync-in-the-future", "The last synchronisation is in the future")
                .saw(adsync.last_sync_source.clone().unwrap_or_else(|| "newest evidence".to_string()), last)
                .saw("the store's clock", input.now)
                .source("Syncferry: ages are judged on the store's clock")
                .next("Whether it is more than three weeks ago cannot be told. Set the clocks of the old server and of the controller right and plan again, or look at the old server's Synchronization Service Manager and accept it."),
        );
    }
    if age > FRESH_FOR_MS {
        out.push(
            Finding::warning("last-sync-too-old", format!("The last synchronisation was {} days ago", age / Millis::DAY))
                .saw(adsync.last_sync_source.clone().unwrap_or_else(|| "newest evidence".to_string()), last)
                .saw("the store's clock", input.now)
                .source(EXISTING_DATABASE_PAGE)
                .next("After more than three weeks the new server needs a full import from Entra ID, which takes hours for large directories, before it may leave staging mode. Run a synchronisation cycle on the old server and plan again, or accept it with --accept last-sync-too-old."),
        );
    }
}

pub(super) fn is_case_insensitive(collation: &str) -> bool {
    collation.split('_').any(|part| part.eq_ignore_ascii_case("CI"))
}

/// Collations must be case-insensitive.
pub(super) fn collation_is_case_insensitive(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(facts) = input.source_facts() else { return };
    let Some(collation) = &facts.collation else { return };
    if !is_case_insensitive(collation) {
        out.push(
            Finding::blocker("collation-case-sensitive", format!("{} has a case-sensitive collation", facts.name))
                .saw("sys.databases.collation_name", collation)
                .source(PREREQUISITES_PAGE)
                .next("Connect supports case-insensitive collations only (_CI_), and a restore keeps the collation: this database cannot be taken over. Install Connect anew on a database of its own and bring the settings over with its export and import of settings."),
        );
    }
}

/// While setup runs, the database must not be in an availability group.
pub(super) fn is_not_in_an_availability_group(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(facts) = input.source_facts() else { return };
    if let Some(group) = facts.group_database_id {
        out.push(
            Finding::note(
                "source-in-availability-group",
                format!("{} is in an availability group", facts.name),
            )
            .saw("sys.databases.group_database_id", group)
            .source("azure-docs issue 97541: setup fails with error 25009 on a database in a group")
            .next("The restored copy is in no group. Add it to one when Connect is installed."),
        );
    }
}

/// How people sign in is not taken over.
pub(super) fn sign_in_method(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = input.source_facts().and_then(|f| f.adsync.as_ref()) else {
        return;
    };
    let before = adsync
        .connect_version
        .is_some_and(|v| v < syncferry_shared::ConnectVersion([1, 2, 65, 0]));
    let method = adsync.sign_on_method.clone();
    let risky = method
        .as_deref()
        .is_some_and(|m| !m.eq_ignore_ascii_case("PasswordHashSync"));
    if adsync.empty || (!risky && !before && method.is_some()) {
        return;
    }
    let shown = method.unwrap_or_else(|| "unknown".to_string());
    out.push(
        Finding::note("sign-in-not-preserved", "The sign-in method is not taken over")
            .saw("Microsoft.UserSignIn.SignOnMethod", &shown)
            .saw("Connect version last used", adsync.connect_version.map_or("unknown".to_string(), |v| v.to_string()))
            .source(EXISTING_DATABASE_PAGE)
            .next("The new server starts in staging mode. Set the sign-in method there before it ever leaves staging mode: with pass-through authentication, people are locked out otherwise."),
    );
}

#[cfg(test)]
mod tests {
    use super::is_case_insensitive;

    #[test]
    fn collations() {
        for yes in [
            "SQL_Latin1_General_CP1_CI_AS",
            "Latin1_General_CI_AS",
            "Latin1_General_100_CI_AI_SC",
        ] {
            assert!(is_case_insensitive(yes), "{yes}");
        }
        for no in [
            "Latin1_General_CS_AS",
            "Latin1_General_BIN2",
            "SQL_Latin1_General_CP1_CS_AS",
        ] {
            assert!(!is_case_insensitive(no), "{no}");
        }
    }
}
