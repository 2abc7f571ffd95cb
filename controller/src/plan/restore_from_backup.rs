//! `restore-from-backup`: restore → the old Connect server proven out, so that it does not export again when its SQL Server
//! returns → verify what was restored → install → verify. No SQL Server of the source is reached by any step.
//!
//! The backup is an artifact of ours, or any file that somebody has. Without a manifest its identity comes from its header, and
//! what only the copy can say (the Connect version, the last synchronisation, the forests) is looked at before anything is
//! installed on it.

use syncferry_shared::Finding;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{HandoverWay, KnownBackup, Plan, PlanValues, PlannedHandover, Stage};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect, JobKind};

use super::common::{self, Jobs, beside, instance_field, lines, stage, temporary_name};
use super::replace_server::{attest, command, old_service};
use super::{KnownHost, PlanInput, rules};

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::restore_from_backup(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let (stages, handover) = match &values {
        Some(v) => stages(input, v),
        None => (vec![], None),
    };
    let rollback = values
        .as_ref()
        .map(|v| rollback(input, v, handover.as_ref()))
        .unwrap_or_default();
    Plan {
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        handover,
        ..Plan::nothing(input.ids.migration)
    }
}

fn incomplete(input: &PlanInput) -> Finding {
    common::incomplete(&[
        (
            &input.target_host,
            &[
                ("instance", input.target_instance().is_some()),
                ("backup", input.backup().is_some()),
            ],
        ),
        (
            &input.connect_host,
            &[("installer", input.connect_host.installer().is_some())],
        ),
    ])
}

fn values(input: &PlanInput) -> Option<PlanValues> {
    let backup: KnownBackup = input.backup()?;
    let target = input.target_instance()?;
    let installer = input.connect_host.installer()?;
    let old = input.old_server();
    Some(PlanValues {
        source: DatabaseIdentity {
            id: input.source.id,
            address: DatabaseAddress {
                instance: input.source.address.instance.clone(),
                database: backup.header.database_name.clone(),
            },
            server_name: backup.header.server_name.clone(),
            database_guid: backup.header.binding_id,
            family_guid: backup.header.family_guid,
        },
        source_host: backup.host,
        source_holder: old.map(|h| h.id),
        source_holder_name: old.map(|h| h.computer_name().to_string()),
        connect_on_source: false,
        source_staging: None,
        source_scheduler: None,
        connect_version: backup.counts.as_ref().and_then(|c| c.connect_version),
        compression: false,
        expected_bytes: backup.size,
        artifact: backup.artifact,
        target: input.ids.target,
        target_address: DatabaseAddress {
            instance: input.request.target_instance.clone(),
            database: input.request.target_database.clone(),
        },
        target_server_name: target.server_name.clone(),
        temporary_name: temporary_name(&input.request.target_database, &input.ids.migration.short()),
        connect_name: input.connect_host.computer_name().to_string(),
        installer_hash: installer.hash.clone(),
        product_code: installer.product_code.clone(),
        expect: ExpectedConnect {
            server: target
                .connect_host
                .clone()
                .unwrap_or_else(|| target.machine_name.clone()),
            instance: instance_field(target.instance_name.as_deref(), target.connect_port),
            database: input.request.target_database.clone(),
            service_account: input.request.service_account.clone(),
            version: installer.product_version.parse().ok()?,
        },
        // The copy says which: its connectors are read before the wizard's cards are made.
        forests: vec![],
        test: None,
        old_service: old_service(input),
        backup: Some(Box::new(backup)),
        pages: vec![],
        in_place: None,
    })
}

/// The old server that its own agent stops.
fn stopped(input: &PlanInput) -> Option<&KnownHost> {
    input.old_server().filter(|_| input.way() == HandoverWay::Host)
}

fn stages(input: &PlanInput, v: &PlanValues) -> (Vec<Stage>, Option<PlannedHandover>) {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let target = Resource::database(v.target);
    let mut stages = vec![stage("restore", vec![restore(input, v, &mut jobs)])];
    let verify = jobs.job(
        "verify-restored",
        JobKind::Verify,
        &input.target_host,
        &target,
        &lines([
            "it is an ADSync database, and not an empty one",
            "the installer is not older than the Connect version that used it last",
            "last synchronisation: more than three weeks ago means a full import",
            "forests, connectors and last owner, as the copy has them",
        ]),
        &[],
    );
    stages.push(stage("verify the copy", vec![verify]));
    let registered = input.request.knows_source();
    // A server that no lease speaks of is stopped all the same, under the seat of the new one.
    let resource = if registered {
        Resource::database(v.source.id)
    } else {
        target.clone()
    };
    if let Some(old) = stopped(input) {
        let stop = jobs.job(
            "stop-old-server",
            JobKind::Stop,
            old,
            &resource,
            &lines([
                "it is configured for this database, and its wizard is closed",
                "Set-Service ADSync -StartupType Disabled; Stop-Service ADSync",
                "see it stopped and disabled",
            ]),
            &[format!(
                "the service ADSync on {} is stopped and disabled, so that it does not export when its SQL Server returns; a cancellation puts it back",
                old.name
            )],
        );
        stages.push(stage(
            "put the old server out",
            vec![if registered { stop } else { beside(stop) }],
        ));
    } else if registered && input.old_server().is_some() {
        stages.push(stage("put the old server out", vec![]));
    }
    let handover = (registered && input.old_server().is_some()).then(|| handover(input, &resource, stages.len() - 1));
    stages.push(stage("install", vec![install(input, v, &mut jobs)]));
    let server = jobs.job(
        "verify-server",
        JobKind::Verify,
        &input.connect_host,
        &target,
        &lines([
            "registry ADSync\\Parameters, service and account",
            "Get-ADSyncScheduler: staging mode on",
            "Get-ADSyncConnector: every connector is there",
        ]),
        &[],
    );
    let database = jobs.job(
        "verify-database",
        JobKind::Verify,
        &input.target_host,
        &target,
        &lines([
            "only the new server's ADSync is connected",
            "connectors, rules and objects as right after the restore",
        ]),
        &[],
    );
    let mut last = vec![server, database];
    if let Some(old) = stopped(input) {
        last.push(beside(jobs.job(
            "verify-old-server-out",
            JobKind::Verify,
            old,
            &resource,
            &lines(["the service ADSync is still stopped and disabled"]),
            &[],
        )));
    }
    stages.push(stage("verify", last));
    (stages, handover)
}

fn restore(input: &PlanInput, v: &PlanValues, jobs: &mut Jobs<'_>) -> syncferry_shared::plan::PlannedJob {
    let mut changes = vec![format!(
        "a new database [{}] on {}",
        v.expect.database, v.target_server_name
    )];
    let bring = match &v.backup {
        Some(b) if b.here && b.root.is_empty() => format!("hash {}, for the record: there is no manifest", b.path),
        Some(b) if b.here => format!("hash {} and hold it against its manifest", b.path),
        Some(b) => {
            changes.insert(
                0,
                "a copy of the backup in the staging folder, deleted at the end".to_string(),
            );
            format!("fetch {} from the agent that has it, every chunk verified", b.path)
        }
        None => String::new(),
    };
    if let Some(account) = &v.expect.service_account {
        changes.push(format!(
            "a login for {account} (where missing), and db_owner of the new database for it"
        ));
    }
    let counted = v.backup.as_ref().is_some_and(|b| b.counts.is_some());
    jobs.job(
        "restore",
        JobKind::Restore,
        &input.target_host,
        &Resource::database(v.target),
        &[
            bring,
            "accept the set only if GUIDs and header are those that were planned".to_string(),
            format!(
                "RESTORE DATABASE [{}] with new files (REPLACE does not occur)",
                v.temporary_name
            ),
            "DBCC CHECKDB".to_string(),
            "owner, orphaned users, the service account's rights; marks that came along".to_string(),
            if counted {
                "compare every table's rows and columns with what was counted when the backup was made".to_string()
            } else {
                "count: there is nothing to compare with".to_string()
            },
            format!("rename to [{}]", v.expect.database),
        ],
        &changes,
    )
}

fn install(input: &PlanInput, v: &PlanValues, jobs: &mut Jobs<'_>) -> syncferry_shared::plan::PlannedJob {
    jobs.job(
        "install",
        JobKind::Install,
        &input.connect_host,
        &Resource::database(v.target),
        &[
            format!("check {} again", input.request.installer),
            format!("msiexec: Connect {} (lays down the wizard)", v.expect.version),
            "GATE: a person goes through the wizard with /useexistingdatabase; the cards say what to enter".to_string(),
            "watch registry, service and trace log until it is proven".to_string(),
        ],
        &[format!(
            "Microsoft Entra Connect {} on {}",
            v.expect.version, input.connect_host.name
        )],
    )
}

/// The old database's lease becomes free with a proof, and nobody's: what it was about is gone.
fn handover(input: &PlanInput, resource: &Resource, stage: usize) -> PlannedHandover {
    let (way, old) = (input.way(), input.old_server());
    let from = old.map_or("nobody", |h| h.name.as_str()).to_string();
    let (lease, to) = (&input.source.lease_name, &input.connect_host.name);
    let mut steps = match way {
        HandoverWay::Host => vec![format!(
            "the agent on {from} saw the service ADSync stopped and disabled"
        )],
        HandoverWay::PowerOff => vec![
            format!("wait until the lease of {lease} is free with a proof"),
            command(way, lease, &from),
            format!("an agent's probe tells twice that {from} is off"),
        ],
        HandoverWay::Sql => vec![],
        HandoverWay::Attested => vec![
            format!("wait until the lease of {lease} is free with a proof"),
            command(way, lease, &from),
            format!("another operator, within 15 minutes: {}", attest(lease, &from)),
        ],
    };
    steps.push(format!(
        "{lease} is nobody's: every token of {from} is void. {to} holds the restored database under a lease of its own"
    ));
    let proves = match way {
        HandoverWay::Host => format!(
            "holder_stopped: {from} cannot start by itself, also not when its SQL Server returns. Not that nobody starts it by hand: the watch tells then"
        ),
        HandoverWay::PowerOff => format!(
            "power_off: {from} was off when it was looked at. Not that nobody switches it on again: the watch tells then"
        ),
        HandoverWay::Sql => String::new(),
        HandoverWay::Attested => format!(
            "operator_attested: two people said that {from} cannot write any more. It shows nothing by itself, is the weakest, and raises an alarm"
        ),
    };
    PlannedHandover {
        stage,
        resource: resource.clone(),
        lease_name: lease.clone(),
        from: old.map(|h| h.id),
        from_name: from,
        to: input.connect_host.id,
        to_name: "nobody".to_string(),
        way,
        proves,
        steps,
        frees: true,
        takes: None,
    }
}

fn rollback(input: &PlanInput, v: &PlanValues, h: Option<&PlannedHandover>) -> Vec<String> {
    let (db, new) = (&v.expect.database, &input.connect_host.name);
    let old = h.map_or_else(|| "the old server".to_string(), |h| h.from_name.clone());
    let mut steps = vec![format!(
        "Until the old server is put out: `syncferry cancel`. [{db}] on {} is dropped (only if it is provably the one that was restored); the backup file stays.",
        v.target_server_name
    )];
    if stopped(input).is_some() {
        steps.push(format!(
            "After that, while no page of the wizard was completed: `syncferry cancel`. Connect is uninstalled on {new}; {old} holds its lease again and its service gets its start type back."
        ));
    } else {
        steps.push(format!(
            "After that, while no page of the wizard was completed: `syncferry cancel`. Connect is uninstalled on {new}. The lease of the old database stays free."
        ));
    }
    steps.push(format!(
        "Point of no return: the wizard is completed on {new}. Should the old SQL Server come back, {old} must stay out: its database is older than what {new} synchronises from then on. To go back to it: `syncferry plan decommission --server {new}` first."
    ));
    steps
}
