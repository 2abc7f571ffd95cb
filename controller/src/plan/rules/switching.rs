//! Which server is active, and which may become it or go.

use syncferry_shared::Finding;
use syncferry_shared::aftercare::ItemState;
use syncferry_shared::inventory::{ConnectFacts, SchedulerFacts};
use syncferry_shared::lease::LeaseState;
use syncferry_shared::plan::HandoverWay;

use super::{EXISTING_DATABASE_PAGE, OURS};
use crate::plan::{KnownHost, OpenCare, PlanInput, decommission};

const CARE: &str = "Syncferry: a server leaves staging mode when nothing that matters is left to do";
const ONE_ACTIVE: &str = "Microsoft Learn: Topologies: one active server of a tenant, every other one in staging mode";

fn connect(host: &KnownHost) -> Option<&ConnectFacts> {
    host.inventory.as_ref()?.connect.as_ref()
}

fn scheduler(host: &KnownHost) -> Option<&SchedulerFacts> {
    connect(host)?.scheduler.as_ref()
}

fn is_out(host: &KnownHost) -> bool {
    let service = connect(host).and_then(|c| c.service.as_ref());
    service.is_some_and(|s| s.state.eq_ignore_ascii_case("stopped") && s.start.eq_ignore_ascii_case("disabled"))
}

/// The export must be the old server's, beyond doubt.
pub(super) fn export_is_held(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(export) = &input.export else {
        out.push(
            Finding::blocker("export-unknown", "Which server exports for the tenant is not known")
                .saw("lease of the tenant's export", "no such lease")
                .source(OURS)
                .next("Register the active server's database with `syncferry database add` while it is out of staging mode."),
        );
        return;
    };
    let shown = format!(
        "{}, epoch {}, holder {}",
        export.lease.state,
        export.lease.epoch,
        export.holder_name.as_deref().unwrap_or("-")
    );
    let stages = scheduler(&input.connect_host).is_none_or(|s| s.staging_mode);
    if export.lease.holder == Some(input.connect_host.id) && stages {
        out.push(
            Finding::note(
                "export-is-the-new-servers",
                format!("{} holds {} already, and is in staging mode", input.connect_host.name, export.name),
            )
            .saw(format!("lease {}", export.lease.resource), shown)
            .source(OURS)
            .next("Nothing: nobody else may export, so no other server is put into staging mode first. Its pending exports are reviewed all the same."),
        );
        return;
    }
    if export.lease.holder == Some(input.connect_host.id) {
        out.push(
            Finding::blocker(
                "export-is-the-new-servers",
                format!("{} holds {} already", input.connect_host.name, export.name),
            )
            .saw(format!("lease {}", export.lease.resource), shown)
            .source(OURS)
            .next("There is nothing to switch: it is out of staging mode."),
        );
        return;
    }
    match export.lease.state {
        LeaseState::Quarantined => out.push(
            Finding::blocker("lease-quarantined", format!("{} is quarantined", export.name))
                .saw(format!("lease {}", export.lease.resource), shown)
                .source(OURS)
                .next(format!(
                    "End the doubt with `syncferry lease fence {}`, then plan again.",
                    export.name
                )),
        ),
        LeaseState::Held | LeaseState::Draining => {}
        LeaseState::Free if export.lease.epoch > 0 => {}
        _ if input.way() != HandoverWay::Host => {}
        _ => out.push(
            Finding::blocker(
                "old-server-not-heard-of",
                format!("{} is {}", export.name, export.lease.state),
            )
            .saw(format!("lease {}", export.lease.resource), shown)
            .source("Syncferry: a lease is freed by a proof, never by waiting")
            .next("Bring the active server's agent back, or plan again with --handover power-off or attested."),
        ),
    }
}

/// The new server must be one of ours, on a database of its own, in staging mode.
pub(super) fn new_server_is_staging(input: &PlanInput, out: &mut Vec<Finding>) {
    let host = &input.connect_host;
    let Some(staging) = &input.staging else {
        out.push(
            Finding::blocker("new-server-has-no-database", format!("{} holds no database", host.name))
                .saw("leases", format!("none of {}", host.name))
                .source(EXISTING_DATABASE_PAGE)
                .next("Provision it first (`syncferry plan provision-staging`), or register its database (`syncferry database add`)."),
        );
        return;
    };
    // A server that exported before and was installed anew has one database, and is its own predecessor.
    let own = input.holder.as_ref().is_some_and(|h| h.id == host.id);
    if staging.id == input.source.id && !own {
        out.push(
            Finding::blocker("source-is-shared", "Both servers are on one database")
                .saw("database", &staging.lease_name)
                .source(EXISTING_DATABASE_PAGE)
                .next("One database has one server. Look at `syncferry lease show`."),
        );
    }
    if host.inventory.is_none() {
        return;
    }
    match scheduler(host) {
        Some(s) if s.staging_mode => {}
        Some(_) => out.push(
            Finding::blocker(
                "two-active-servers",
                format!("{} is out of staging mode already", host.name),
            )
            .saw("Get-ADSyncScheduler", "StagingModeEnabled is False")
            .source(ONE_ACTIVE)
            .next(format!(
                "It exports without the lease. Put {} into staging mode at once, then plan again.",
                host.name
            )),
        ),
        None => out.push(
            Finding::blocker(
                "staging-mode-unknown",
                format!("Whether {} is in staging mode is not known", host.name),
            )
            .saw("Get-ADSyncScheduler", "no answer")
            .source(OURS)
            .next("Start its service ADSync and plan again."),
        ),
    }
    if input.target_host.inventory.is_some() && input.staging_facts().is_none() {
        out.push(
            Finding::blocker(
                "staging-database-unseen",
                format!("{} was not seen", staging.lease_name),
            )
            .saw(format!("agent on {}", input.target_host.name), "no such database")
            .source(OURS)
            .next("Look at that SQL Server; register the database anew when it moved. Then plan again."),
        );
    }
}

/// G10: a server must not be promoted while another one is active and cannot be put into staging mode.
pub(super) fn old_server_can_be_put_out(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(old) = input.old_server() else { return };
    if input.way() == HandoverWay::Sql {
        out.push(
            Finding::blocker("way-does-not-fit", "SQL Server cannot refuse an export")
                .saw("--handover", "sql")
                .source(OURS)
                .next("Plan again with --handover host, power-off or attested."),
        );
        return;
    }
    let running = connect(old)
        .and_then(|c| c.service.as_ref())
        .is_some_and(|s| s.state.eq_ignore_ascii_case("running"));
    let active = running && scheduler(old).is_none_or(|s| !s.staging_mode);
    if input.way() != HandoverWay::Host && active {
        out.push(
            Finding::blocker("old-server-still-active", format!("{} is still active", old.name))
                .saw(
                    format!("service ADSync on {}", old.name),
                    "running, not in staging mode",
                )
                .source(ONE_ACTIVE)
                .next("Plan again with --handover host: a person puts it into staging mode, and its agent sees it."),
        );
    }
    if input.way() == HandoverWay::Host && old.inventory.is_some() && connect(old).is_none() {
        out.push(
            Finding::blocker(
                "old-server-unseen",
                format!("The agent on {} does not see Connect", old.name),
            )
            .saw(format!("agent on {}", old.name), "it does not look at Connect")
            .source(OURS)
            .next("The agent must run on that server itself; or plan again with another --handover."),
        );
    }
    if input.way() == HandoverWay::Host && active {
        out.push(
            Finding::note("old-server-goes-first", format!("{} is active until it is put into staging mode", old.name))
                .saw("Get-ADSyncScheduler", "StagingModeEnabled is False")
                .source(ONE_ACTIVE)
                .next("Nothing: the gate for the new server opens only after the old one was seen in staging mode. In between nobody exports."),
        );
    }
}

/// A server whose database is stale would undo what happened since.
pub(super) fn staging_synchronised_lately(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(adsync) = input.staging_facts().and_then(|f| f.adsync.as_ref()) else {
        return;
    };
    if let Some(at) = adsync.last_sync.filter(|at| input.now.since(*at) > 24 * 3_600_000) {
        out.push(
            Finding::warning("staging-is-behind", format!("{} has not synchronised for more than a day", input.connect_host.name))
                .saw(adsync.last_sync_source.as_deref().unwrap_or("newest evidence"), at.rfc3339())
                .source("Microsoft Learn: Microsoft Entra Connect: staging server and disaster recovery")
                .next("Run a cycle on it (Start-ADSyncSyncCycle -PolicyType Delta) and look at its pending exports, or accept it."),
        );
    }
}

/// What is left to do from the migration that seated it must be done before it exports.
pub(super) fn nothing_is_left_to_do(input: &PlanInput, out: &mut Vec<Finding>) {
    out.extend(
        input
            .care
            .as_ref()
            .and_then(|care| care_is_open(&input.connect_host.name, care)),
    );
}

/// What stands between a server and leaving staging mode; `None` when nothing does.
pub(crate) fn care_is_open(server: &str, care: &OpenCare) -> Option<Finding> {
    if care.items.is_empty() {
        return None;
    }
    let mut finding = Finding::blocker(
        "aftercare-open",
        format!("Something is left to do before {server} may leave staging mode"),
    );
    for item in &care.items {
        let found = match (&item.state, &item.evidence) {
            (ItemState::Contradicted, Some(seen)) => format!("contradicted: {seen}"),
            _ => format!("{}: {}", item.state.as_str(), item.title),
        };
        finding = finding.saw(format!("checklist item {}", item.id), found);
    }
    let m = care.migration.short();
    Some(finding.source(CARE).next(format!(
        "Do it. `syncferry checklist show {m} --look` lets the agents look; what they cannot see, whoever did it attests: `syncferry checklist attest {m} <item> --remark <what was done>`. Then plan again."
    )))
}

/// How people sign in is not carried over.
pub(super) fn sign_in_tasks(input: &PlanInput, out: &mut Vec<Finding>) {
    let method = input
        .staging_facts()
        .and_then(|f| f.adsync.as_ref()?.sign_on_method.clone());
    out.push(
        Finding::note("sign-in-tasks", "Sign-in is not carried over by a database")
            .saw(
                "sign-in method in the staging database",
                method.unwrap_or_else(|| "not set".to_string()),
            )
            .source(EXISTING_DATABASE_PAGE)
            .next("A gate asks an operator to attest each task before the old server goes into staging mode."),
    );
}

/// A staging database beside the active one is one engine too many on that instance.
pub(super) fn not_beside_the_active(input: &PlanInput, out: &mut Vec<Finding>) {
    let (Some(s), Some(t)) = (input.source_instance(), input.target_instance()) else {
        return;
    };
    if s.server_name.eq_ignore_ascii_case(&t.server_name) {
        out.push(
            Finding::blocker("staging-beside-active", "A staging database must be on another SQL Server than the active one")
                .saw("SERVERPROPERTY('ServerName') of both", &s.server_name)
                .source(EXISTING_DATABASE_PAGE)
                .next("Name another instance with --target-host and --target-instance: one that fails with the active one is no stand-by."),
        );
    }
}

/// A staging server is made from the active one.
pub(super) fn source_is_active(input: &PlanInput, out: &mut Vec<Finding>) {
    let staging = input.holder.as_ref().and_then(scheduler).map(|s| s.staging_mode);
    if staging == Some(true) {
        out.push(
            Finding::warning("source-not-active", "The source's server is in staging mode itself")
                .saw("Get-ADSyncScheduler", "StagingModeEnabled is True")
                .source(EXISTING_DATABASE_PAGE)
                .next("Its configuration may differ from the active server's. Use the active server's database with --source, or accept it."),
        );
    }
}

/// A rehearsal never comes near production.
pub(super) fn drill_is_elsewhere(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(t) = input.target_instance() else { return };
    let same = input
        .source_instance()
        .is_some_and(|s| s.server_name.eq_ignore_ascii_case(&t.server_name))
        || t.server_name.eq_ignore_ascii_case(&input.source.server_name);
    if same {
        out.push(
            Finding::blocker("drill-on-production", "A drill must not run on the instance of the database itself")
                .saw("SERVERPROPERTY('ServerName')", &t.server_name)
                .source(OURS)
                .next("Name a drill instance with --target-host and --target-instance: one on which no Connect server's database is."),
        );
    }
    let there: Vec<&str> = input
        .registered_on_target
        .iter()
        .filter(|(i, _, _)| *i == input.request.target_instance)
        .map(|(_, n, _)| n.as_str())
        .collect();
    if !there.is_empty() && !same {
        out.push(
            Finding::warning("drill-beside-connect", "A Connect server's database is on the drill instance")
                .saw("registered there", there.join(", "))
                .source(OURS)
                .next("RESTORE and DBCC CHECKDB take its disks and memory. Use another instance, or accept it and run the drill at a quiet time."),
        );
    }
}

/// Whoever is retired must not be the one that exports, nor be out of staging mode.
pub(super) fn is_not_active(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(old) = &input.holder else {
        out.push(
            Finding::blocker("holder-not-known", "Which server uses the database is not known")
                .saw("lease", "no holder")
                .source(OURS)
                .next("There is nothing to retire by this scenario: no server holds the database."),
        );
        return;
    };
    if input.holder_exports {
        out.push(
            Finding::blocker("server-is-active", format!("{} holds the tenant's export", old.name))
                .saw(
                    "lease of the tenant's export",
                    input.export.as_ref().map_or("held by it".to_string(), |e| {
                        format!(
                            "{}, epoch {}, holder {}",
                            e.lease.state,
                            e.lease.epoch,
                            e.holder_name.as_deref().unwrap_or("-")
                        )
                    }),
                )
                .source(ONE_ACTIVE)
                .next("Make another server active first: `syncferry plan switch-active --to <server>`."),
        );
    }
    match scheduler(old) {
        _ if is_out(old) => {}
        Some(s) if s.staging_mode => {}
        Some(_) => out.push(
            Finding::blocker("server-not-in-staging", format!("{} is out of staging mode", old.name))
                .saw("Get-ADSyncScheduler", "StagingModeEnabled is False")
                .source(ONE_ACTIVE)
                .next(format!(
                    "It exports. Put {} into staging mode first, then plan again.",
                    old.name
                )),
        ),
        None if old.inventory.is_some() => out.push(
            Finding::blocker(
                "staging-mode-unknown",
                format!("Whether {} is in staging mode is not known", old.name),
            )
            .saw("Get-ADSyncScheduler", "no answer")
            .source(OURS)
            .next("Start its service so that it can say, or stop and disable it. Then plan again."),
        ),
        None => {}
    }
    let other = input.export.as_ref().filter(|e| {
        matches!(e.lease.state, LeaseState::Held | LeaseState::Lost) && e.lease.holder.is_some_and(|h| h != old.id)
    });
    if other.is_none() && !input.holder_exports {
        out.push(
            Finding::warning("nobody-exports", "No server of the tenant is known to be active")
                .saw(
                    "lease of the tenant's export",
                    input
                        .export
                        .as_ref()
                        .map_or("none".to_string(), |e| e.lease.state.to_string()),
                )
                .source(ONE_ACTIVE)
                .next("Nothing would be exported when this server goes. Make another one active first, or accept it."),
        );
    }
}

/// What is left when it is gone.
pub(super) fn what_is_left(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(old) = &input.holder else { return };
    let mut finding = Finding::note(
        "leftovers",
        format!("What {} leaves behind is named, and stays", old.name),
    );
    for left in decommission::leftovers(input, old) {
        let (place, what) = left.split_once(": ").unwrap_or(("elsewhere", &left));
        finding = finding.saw(place, what);
    }
    out.push(finding.source(super::ACCOUNTS_PAGE).next(
        "Remove them when the server is not needed any more; Syncferry has no rights there and removes none of them.",
    ));
}
