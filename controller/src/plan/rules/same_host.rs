//! What speaks against uninstalling Connect on a host to install it anew there, and what that means for the site.

use syncferry_shared::inventory::ConnectFacts;
use syncferry_shared::{ConnectVersion, Finding};

use super::{EXISTING_DATABASE_PAGE, OURS};
use crate::plan::PlanInput;

fn connect(input: &PlanInput) -> Option<&ConnectFacts> {
    input.connect_host.inventory.as_ref()?.connect.as_ref()
}

/// The backup and what is restored from it must not be on the host that is uninstalled.
pub(super) fn backup_is_elsewhere(input: &PlanInput, out: &mut Vec<Finding>) {
    if !input.request.in_place || input.target_host.id != input.connect_host.id {
        return;
    }
    let host = &input.connect_host.name;
    out.push(
        Finding::blocker(
            "in-place-backup-not-off-host",
            format!("Backup and copy would be only on {host}, from which Connect is uninstalled"),
        )
        .saw("host of the Connect server", host)
        .saw("host of the target SQL Server", &input.target_host.name)
        .source(OURS)
        .next("Name a SQL Server on another host with --target-host: the verified backup must be off this host before anything is uninstalled."),
    );
}

/// There must be something to uninstall.
pub(super) fn connect_is_there(input: &PlanInput, out: &mut Vec<Finding>) {
    if !input.request.in_place {
        return;
    }
    let Some(connect) = connect(input) else { return };
    if connect.products.is_empty() || connect.service.is_none() {
        let host = &input.connect_host.name;
        out.push(
            Finding::blocker("in-place-nothing-to-uninstall", format!("Connect is not on {host}"))
                .saw(
                    format!("products and services of {host}"),
                    format!(
                        "{} products, service {}",
                        connect.products.len(),
                        connect.service.as_ref().map_or("none", |s| s.state.as_str())
                    ),
                )
                .source(OURS)
                .next("--in-place uninstalls and installs on the server that uses the database. Plan without it and name the new server with --connect-host."),
        );
    }
}

/// What is installed anew must not be older than what is uninstalled.
pub(super) fn installer_is_not_older(input: &PlanInput, out: &mut Vec<Finding>) {
    if !input.request.in_place {
        return;
    }
    let (Some(connect), Some(installer)) = (connect(input), input.connect_host.installer()) else {
        return;
    };
    let Ok(version) = installer.product_version.parse::<ConnectVersion>() else {
        return;
    };
    let newest = connect
        .products
        .iter()
        .filter(|p| p.name.contains("Connect"))
        .filter_map(|p| p.version.parse::<ConnectVersion>().ok())
        .max();
    if let Some(newest) = newest.filter(|n| *n > version) {
        out.push(
            Finding::blocker(
                "in-place-installer-older",
                format!("The installer on {} is older than what is installed there", input.connect_host.name),
            )
            .saw(format!("ProductVersion of {}", installer.path), version)
            .saw("installed", newest)
            .source(EXISTING_DATABASE_PAGE)
            .next("The database was upgraded to the newer version and cannot go back. Put an installer of the same or a newer version on the host, and plan again."),
        );
    }
}

/// A cycle that runs now ends before anything is stopped.
pub(super) fn no_cycle_runs(input: &PlanInput, out: &mut Vec<Finding>) {
    if !input.request.in_place {
        return;
    }
    let scheduler = connect(input).and_then(|c| c.scheduler.as_ref());
    if scheduler.is_some_and(|s| s.cycle_in_progress) {
        out.push(
            Finding::note(
                "in-place-cycle-runs",
                format!("A synchronisation cycle runs on {}", input.connect_host.name),
            )
            .saw("Get-ADSyncScheduler", "SyncCycleInProgress is True")
            .source(OURS)
            .next("Nothing: backup and stop wait until it is idle, and stop the run with `cycle-does-not-end` if it never is."),
        );
    }
}

/// What it means for the site.
pub(super) fn consequences(input: &PlanInput, out: &mut Vec<Finding>) {
    if !input.request.in_place {
        return;
    }
    let host = &input.connect_host.name;
    let sign_in = input
        .source_facts()
        .and_then(|f| f.adsync.as_ref()?.sign_on_method.clone());
    out.push(
        Finding::warning(
            "in-place-no-synchronization",
            "Nothing is synchronized from the uninstallation until staging mode is left",
        )
        .saw("servers that export meanwhile", if input.holder_exports {
            format!("none: {host} keeps the tenant's export, and nobody else may take it")
        } else {
            format!("none from {host}, which is in staging mode now")
        })
        .saw(
            "sign-in method",
            sign_in.as_deref().unwrap_or("not in the database"),
        )
        .source(OURS)
        .next(format!(
            "Choose a time in which new users and changed passwords can wait: the service stands still from its stop until the wizard is done and staging mode is left. With pass-through authentication have an agent on another host first. Another host with --connect-host needs none of this; accept it otherwise. It concerns {host} alone."
        )),
    );
    out.push(
        Finding::warning(
            "in-place-no-way-back",
            format!("There is no way back after Connect is uninstalled on {host}"),
        )
        .saw("point of no return", "job uninstall")
        .saw("what is left then", format!(
            "the restored database on {}, the copy of the backup there, the backup on {}",
            input.target_host.name, input.source_host.name
        ))
        .source("Microsoft Learn: Uninstall Microsoft Entra Connect; Syncferry: the rollback ends where something cannot be undone")
        .next("Until then `syncferry cancel` leaves everything as it was. After that the only way back is a new installation on the restored database or on a restored backup. Accept it, or move to another host with --connect-host."),
    );
    out.push(
        Finding::note("in-place-ends-in-staging", format!("{host} ends in staging mode"))
            .saw("end of this plan", "ADSync on the moved database, StagingModeEnabled is True")
            .source(EXISTING_DATABASE_PAGE)
            .next(format!(
                "When it synchronised and its pending exports are what you expect: `syncferry plan switch-active --to {host}`."
            )),
    );
}
