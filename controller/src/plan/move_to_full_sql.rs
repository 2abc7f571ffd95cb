//! `move-to-full-sql`: verify → backup → restore → install → verify. The old server stays active on its database; the new
//! one ends in staging mode on the restored copy.

use syncferry_shared::Finding;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{Plan, PlanValues, Stage};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect, JobKind};

use super::PlanInput;
use super::common::{self, Jobs, backup_file, can_compress, instance_field, lines, stage, temporary_name};
use super::rules::{self, backup_bytes};

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::move_to_full_sql(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let mut jobs = Jobs::new(&input.ids.jobs);
    let stages = values.as_ref().map(|v| stages(input, v, &mut jobs)).unwrap_or_default();
    let rollback = values.as_ref().map(|v| rollback(input, v)).unwrap_or_default();
    Plan {
        migration: input.ids.migration,
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        lease_run: None,
        handover: None,
        verdicts: vec![],
        staging: None,
    }
}

pub(super) fn incomplete(input: &PlanInput) -> Finding {
    common::incomplete(&[
        (
            &input.source_host,
            &[
                ("instance", input.source_instance().is_some()),
                ("database", input.source_facts().is_some()),
            ],
        ),
        (&input.target_host, &[("instance", input.target_instance().is_some())]),
        (
            &input.connect_host,
            &[("installer", input.connect_host.installer().is_some())],
        ),
    ])
}

/// The values that jobs are made of. `None` only where a blocker says what is missing.
pub(super) fn values(input: &PlanInput) -> Option<PlanValues> {
    let source = input.source_facts()?;
    let source_instance = input.source_instance()?;
    let target = input.target_instance()?;
    let adsync = source.adsync.as_ref()?;
    let installer = input.connect_host.installer()?;
    let holder = input.holder.as_ref();
    let on_source = holder.is_some_and(|h| h.id == input.source_host.id);
    let scheduler = holder.and_then(|h| h.inventory.as_ref()?.connect.as_ref()?.scheduler.as_ref());
    Some(PlanValues {
        source: DatabaseIdentity {
            id: input.source.id,
            address: input.source.address.clone(),
            server_name: source.server_name.clone(),
            database_guid: source.database_guid?,
            family_guid: source.family_guid?,
        },
        source_host: input.source_host.id,
        source_holder: holder.map(|h| h.id),
        source_holder_name: holder.map(|h| h.computer_name().to_string()),
        connect_on_source: on_source,
        source_staging: scheduler.map(|s| s.staging_mode).or(adsync.staging_mode),
        source_scheduler: scheduler.map(|s| s.sync_cycle_enabled),
        connect_version: adsync.connect_version,
        compression: can_compress(source_instance),
        expected_bytes: backup_bytes(input)?,
        artifact: input.ids.artifact,
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
        forests: adsync.forests.clone(),
        test: None,
        old_service: None,
        backup: None,
        pages: vec![],
        in_place: None,
    })
}

pub(super) fn stages(input: &PlanInput, v: &PlanValues, jobs: &mut Jobs<'_>) -> Vec<Stage> {
    let source = Resource::database(v.source.id);
    let target = Resource::database(v.target);
    let db = &v.source.address.database;
    let verify = jobs.job(
        "verify-source",
        JobKind::Verify,
        &input.source_host,
        &source,
        &lines([
            "look at the instance and the database again",
            "prove that it is the registered database",
            "count rows, connectors, rules",
        ]),
        &[],
    );
    let mut backup_changes = vec![backup_file(v.expected_bytes, &input.source_host)];
    if v.connect_on_source {
        backup_changes.push("the scheduler of the old server is held while the backup runs, and put back".to_string());
    }
    let backup = jobs.job(
        "backup",
        JobKind::Backup,
        &input.source_host,
        &source,
        &[
            "wait until no synchronisation cycle runs".to_string(),
            format!("BACKUP DATABASE [{db}] WITH COPY_ONLY, CHECKSUM (online; the database stays as it is)"),
            "RESTORE VERIFYONLY, HEADERONLY, FILELISTONLY".to_string(),
            "hash the file, chunk by chunk".to_string(),
        ],
        &backup_changes,
    );
    let mut restore_changes = vec![
        format!(
            "{}, deleted at the end",
            backup_file(v.expected_bytes, &input.target_host)
        ),
        format!("a new database [{}] on {}", v.expect.database, v.target_server_name),
    ];
    if let Some(account) = &v.expect.service_account {
        restore_changes.push(format!(
            "a login for {account} (where missing), and db_owner of the new database for it"
        ));
    }
    let restore = jobs.job(
        "restore",
        JobKind::Restore,
        &input.target_host,
        &target,
        &[
            format!(
                "fetch the backup from the agent on {}, every chunk verified",
                input.source_host.name
            ),
            "accept the set only if GUIDs, hashes and the run's own mark fit".to_string(),
            format!(
                "RESTORE DATABASE [{}] with new files (REPLACE does not occur)",
                v.temporary_name
            ),
            "DBCC CHECKDB".to_string(),
            "owner, orphaned users, the service account's rights".to_string(),
            "compare every table's rows and columns with the source".to_string(),
            format!("rename to [{}]", v.expect.database),
        ],
        &restore_changes,
    );
    let install = jobs.job(
        "install",
        JobKind::Install,
        &input.connect_host,
        &target,
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
    );
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
            "connectors, rules, attribute flows, filtering, features and objects as before the backup",
        ]),
        &[],
    );
    let delete = if input.request.keep_backup {
        vec![]
    } else {
        vec!["the backup file is deleted".to_string()]
    };
    let old = jobs.job(
        "verify-old-server",
        JobKind::Verify,
        &input.source_host,
        &source,
        &lines([
            "the old server still uses its database",
            "staging mode and scheduler as before",
        ]),
        &delete,
    );
    vec![
        stage("verify the source", vec![verify]),
        stage("backup", vec![backup]),
        stage("restore", vec![restore]),
        stage("install", vec![install]),
        stage("verify", vec![server, database, old]),
    ]
}

pub(super) fn rollback(input: &PlanInput, v: &PlanValues) -> Vec<String> {
    vec![
        format!(
            "Until the restore: delete the backup file on {}. Nothing else was changed; the old server was never stopped.",
            input.source_host.name
        ),
        format!(
            "After the restore: drop [{}] on {} (only if it is provably the one that was restored).",
            v.expect.database, v.target_server_name
        ),
        format!("After the installer: uninstall Connect on {}.", input.connect_host.name),
        format!(
            "Point of no return for Syncferry: the wizard is completed on {}. From there on the old server on {} is the way back: \
             it is still active and its database untouched. Uninstall Connect on {} by hand before anything else uses [{}].",
            input.connect_host.name,
            v.source_holder_name.as_deref().unwrap_or(&input.source_host.name),
            input.connect_host.name,
            v.expect.database
        ),
    ]
}
