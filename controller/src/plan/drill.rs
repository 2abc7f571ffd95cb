//! `drill`: a recovery is rehearsed. A backup (made now, or the one that is there) is restored under a scratch name on an
//! instance that no Connect server uses, checked, counted and dropped; what it took is the report. Connect is never installed or
//! started, no lease changes hands, and no account gets into the copy.

use syncferry_shared::Finding;
use syncferry_shared::finding;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{Plan, PlanValues, Stage};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect, JobKind};
use syncferry_shared::{ConnectVersion, HostId};

use super::common::{self, Jobs, backup_file, beside, can_compress, lines, stage, temporary_name};
use super::rules::{self, backup_bytes};
use super::{KnownHost, PlanInput};

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::drill(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let stages = values.as_ref().map(|v| stages(input, v)).unwrap_or_default();
    let rollback = values.as_ref().map(|v| rollback(input, v)).unwrap_or_default();
    Plan {
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        ..Plan::nothing(input.ids.migration)
    }
}

fn incomplete(input: &PlanInput) -> Finding {
    common::incomplete(&[
        (&input.source_host, &[("database", input.source_facts().is_some())]),
        (&input.target_host, &[("instance", input.target_instance().is_some())]),
    ])
}

/// What the database is: as it is there now, or as the backup's header has it.
fn source(input: &PlanInput) -> Option<DatabaseIdentity> {
    if let Some(backup) = input.backup() {
        return Some(DatabaseIdentity {
            id: input.source.id,
            address: input.source.address.clone(),
            server_name: backup.header.server_name.clone(),
            database_guid: backup.header.binding_id,
            family_guid: backup.header.family_guid,
        });
    }
    let facts = input.source_facts()?;
    Some(DatabaseIdentity {
        id: input.source.id,
        address: input.source.address.clone(),
        server_name: facts.server_name.clone(),
        database_guid: facts.database_guid?,
        family_guid: facts.family_guid?,
    })
}

fn values(input: &PlanInput) -> Option<PlanValues> {
    let target = input.target_instance()?;
    let backup = input.backup();
    let holder: Option<&KnownHost> = input.holder.as_ref();
    let holder_id: Option<HostId> = holder.map(|h| h.id);
    let scheduler = holder.and_then(|h| h.inventory.as_ref()?.connect.as_ref()?.scheduler.as_ref());
    let expected_bytes = match &backup {
        Some(b) => b.size,
        None => backup_bytes(input)?,
    };
    Some(PlanValues {
        source: source(input)?,
        source_host: backup.as_ref().map_or(input.source_host.id, |b| b.host),
        source_holder: holder_id,
        source_holder_name: holder.map(|h| h.computer_name().to_string()),
        connect_on_source: holder_id == Some(input.source_host.id) && backup.is_none(),
        source_staging: scheduler.map(|s| s.staging_mode),
        source_scheduler: scheduler.map(|s| s.sync_cycle_enabled),
        connect_version: input.source_facts().and_then(|f| f.adsync.as_ref()?.connect_version),
        compression: input.source_instance().is_some_and(can_compress),
        expected_bytes,
        artifact: backup.as_ref().map_or(input.ids.artifact, |b| b.artifact),
        // Nothing comes into being: the scratch database is no database of ours.
        target: input.source.id,
        target_address: DatabaseAddress {
            instance: input.request.target_instance.clone(),
            database: input.request.target_database.clone(),
        },
        target_server_name: target.server_name.clone(),
        temporary_name: temporary_name(&input.request.target_database, &input.ids.migration.short()),
        // Nothing is installed.
        connect_name: String::new(),
        installer_hash: String::new(),
        product_code: String::new(),
        expect: ExpectedConnect {
            server: target.machine_name.clone(),
            instance: String::new(),
            database: input.request.target_database.clone(),
            service_account: None,
            version: ConnectVersion([0, 0, 0, 0]),
        },
        forests: vec![],
        test: None,
        old_service: None,
        in_place: None,
        backup: backup.map(Box::new),
        pages: vec![],
    })
}

fn stages(input: &PlanInput, v: &PlanValues) -> Vec<Stage> {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let resource = Resource::database(v.source.id);
    let db = &v.source.address.database;
    let mut stages = Vec::new();
    if v.backup.is_none() {
        let verify = beside(jobs.job(
            "verify-source",
            JobKind::Verify,
            &input.source_host,
            &resource,
            &lines([
                "look at the instance and the database again",
                "prove that it is the registered database",
                "count rows, connectors, rules",
            ]),
            &[],
        ));
        let mut changes = vec![format!(
            "{}, deleted at the end",
            backup_file(v.expected_bytes, &input.source_host)
        )];
        if v.connect_on_source {
            changes.push("the scheduler of the server is held while the backup runs, and put back".to_string());
        }
        let backup = beside(jobs.job(
            "backup",
            JobKind::Backup,
            &input.source_host,
            &resource,
            &[
                "wait until no synchronisation cycle runs".to_string(),
                format!("BACKUP DATABASE [{db}] WITH COPY_ONLY, CHECKSUM (online; the database stays as it is)"),
                "RESTORE VERIFYONLY, HEADERONLY, FILELISTONLY".to_string(),
                "hash the file, chunk by chunk".to_string(),
            ],
            &changes,
        ));
        stages.push(stage("verify the source", vec![verify]));
        stages.push(stage("backup", vec![backup]));
    }
    let bring = match &v.backup {
        Some(b) if b.here => format!("hash {} and hold it against its manifest", b.path),
        Some(b) => format!("fetch {} from the agent that has it, every chunk verified", b.path),
        None => format!(
            "fetch the backup from the agent on {}, every chunk verified",
            input.source_host.name
        ),
    };
    let drill = beside(jobs.job(
        "drill-restore",
        JobKind::Restore,
        &input.target_host,
        &resource,
        &[
            bring,
            "accept the set only if GUIDs and hashes fit".to_string(),
            format!(
                "RESTORE DATABASE [{}] on {} with new files (REPLACE does not occur)",
                v.temporary_name, v.target_server_name
            ),
            "DBCC CHECKDB".to_string(),
            "count, and compare with what was counted when the backup was made".to_string(),
            "work out RTO and RPO".to_string(),
            format!("drop [{}] again", v.temporary_name),
        ],
        &[format!(
            "a database [{}] of {} on {}, dropped at the end, also on failure and on `cancel`",
            v.temporary_name,
            finding::bytes(v.expected_bytes),
            v.target_server_name
        )],
    ));
    stages.push(stage("restore and drop", vec![drill]));
    if v.backup.is_none() {
        let old = beside(jobs.job(
            "verify-old-server",
            JobKind::Verify,
            &input.source_host,
            &resource,
            &lines([
                "the server still uses its database",
                "staging mode and scheduler as before",
            ]),
            &if input.request.keep_backup {
                vec![]
            } else {
                vec!["the backup file is deleted".to_string()]
            },
        ));
        stages.push(stage("clean up", vec![old]));
    }
    stages
}

fn rollback(input: &PlanInput, v: &PlanValues) -> Vec<String> {
    let mut steps = vec![format!(
        "At any time: `syncferry cancel`. [{}] on {} is dropped (only if it is provably the one that was restored); production is not touched by any step.",
        v.temporary_name, v.target_server_name
    )];
    if v.backup.is_none() {
        steps.push(format!(
            "The backup file on {} is deleted, and its scheduler is as it was.",
            input.source_host.name
        ));
    }
    steps.push("There is no point of no return: nothing that a drill makes outlives it.".to_string());
    steps
}
