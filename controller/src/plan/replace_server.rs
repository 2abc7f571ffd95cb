//! `replace-server`: verify → backup and its test restore → the lease changes hands, with proof → install → verify. The
//! database stays where it is; the new server ends in staging mode on it, and the old one is proven out.
//!
//! The wizard may upgrade the only copy in place. So nothing of it begins before a backup was made *and restored*, and before
//! the old server's lease became free by a proof.

use syncferry_shared::Finding;
use syncferry_shared::inventory::ServiceFacts;
use syncferry_shared::lease::Resource;
use syncferry_shared::plan::{HandoverWay, Plan, PlanValues, PlannedHandover, Stage, TestInstance};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect, JobKind};

use super::PlanInput;
use super::common::{self, Jobs, backup_file, beside, can_compress, instance_field, lines, stage, temporary_name};
use super::rules::{self, backup_bytes};

/// Makes the plan.
pub fn plan(input: &PlanInput) -> Plan {
    let mut findings = rules::replace_server(input);
    let blocked = findings.iter().any(Finding::blocks);
    let values = if blocked { None } else { values(input) };
    if values.is_none() && !blocked {
        findings.insert(0, incomplete(input));
    }
    let (stages, handover) = match &values {
        Some(v) => {
            let (stages, handover) = stages(input, v);
            (stages, Some(handover))
        }
        None => (vec![], None),
    };
    let rollback = match (&values, &handover) {
        (Some(v), Some(h)) => rollback(input, v, h),
        _ => vec![],
    };
    Plan {
        migration: input.ids.migration,
        request: Some(input.request.clone()),
        stages,
        findings,
        rollback,
        values,
        lease_run: None,
        handover,
        verdicts: vec![],
        staging: None,
    }
}

fn incomplete(input: &PlanInput) -> Finding {
    common::incomplete(&[
        (
            &input.source_host,
            &[
                ("instance", input.source_instance().is_some()),
                ("instance for the test restore", input.test_instance().is_some()),
                ("database", input.source_facts().is_some()),
            ],
        ),
        (
            &input.connect_host,
            &[("installer", input.connect_host.installer().is_some())],
        ),
    ])
}

/// The values that jobs are made of. `None` only where a blocker says what is missing.
fn values(input: &PlanInput) -> Option<PlanValues> {
    let source = input.source_facts()?;
    let instance = input.source_instance()?;
    let test = input.test_instance()?;
    let adsync = source.adsync.as_ref()?;
    let installer = input.connect_host.installer()?;
    let old = input.old_server();
    Some(PlanValues {
        source: DatabaseIdentity {
            id: input.source.id,
            address: input.source.address.clone(),
            server_name: source.server_name.clone(),
            database_guid: source.database_guid?,
            family_guid: source.family_guid?,
        },
        source_host: input.source_host.id,
        source_holder: old.map(|h| h.id),
        source_holder_name: old.map(|h| h.computer_name().to_string()),
        connect_on_source: false,
        source_staging: adsync.staging_mode,
        source_scheduler: None,
        connect_version: adsync.connect_version,
        compression: can_compress(instance),
        expected_bytes: backup_bytes(input)?,
        artifact: input.ids.artifact,
        // The database is its own target: nothing is restored for good.
        target: input.source.id,
        target_address: input.source.address.clone(),
        target_server_name: source.server_name.clone(),
        temporary_name: temporary_name(&input.source.address.database, &input.ids.migration.short()),
        connect_name: input.connect_host.computer_name().to_string(),
        installer_hash: installer.hash.clone(),
        product_code: installer.product_code.clone(),
        expect: ExpectedConnect {
            server: instance
                .connect_host
                .clone()
                .unwrap_or_else(|| instance.machine_name.clone()),
            instance: instance_field(instance.instance_name.as_deref(), instance.connect_port),
            database: input.source.address.database.clone(),
            service_account: input.request.service_account.clone(),
            version: installer.product_version.parse().ok()?,
        },
        forests: adsync.forests.clone(),
        test: Some(TestInstance {
            instance: test.name.clone(),
            server_name: test.server_name.clone(),
        }),
        old_service: old_service(input),
        backup: None,
        pages: vec![],
        in_place: None,
    })
}

pub(super) fn old_service(input: &PlanInput) -> Option<ServiceFacts> {
    let inventory = input.old_server()?.inventory.as_ref()?;
    inventory.connect.as_ref()?.service.clone()
}

/// Whether the old server's own agent stops it.
fn stops_old_server(input: &PlanInput) -> bool {
    input.way() == HandoverWay::Host && input.old_server().is_some()
}

fn stages(input: &PlanInput, v: &PlanValues) -> (Vec<Stage>, PlannedHandover) {
    let mut jobs = Jobs::new(&input.ids.jobs);
    let resource = Resource::database(v.source.id);
    let (db, sql) = (&v.source.address.database, &input.source_host);
    let test = v.test.as_ref().map_or("", |t| t.server_name.as_str());
    let verify = beside(jobs.job(
        "verify-source",
        JobKind::Verify,
        sql,
        &resource,
        &lines([
            "look at the instance and the database again",
            "prove that it is the registered database",
            "count rows, connectors, rules",
        ]),
        &[],
    ));
    let backup = beside(jobs.job(
        "backup",
        JobKind::Backup,
        sql,
        &resource,
        &[
            "wait until no synchronisation cycle runs".to_string(),
            format!("BACKUP DATABASE [{db}] WITH COPY_ONLY, CHECKSUM (online; the database stays as it is)"),
            "RESTORE VERIFYONLY, HEADERONLY, FILELISTONLY".to_string(),
            "hash the file, chunk by chunk".to_string(),
        ],
        &[format!(
            "{}; it stays there, because it is the way back",
            backup_file(v.expected_bytes, sql)
        )],
    ));
    let test_restore = beside(jobs.job(
        "test-restore",
        JobKind::Restore,
        sql,
        &resource,
        &[
            "accept the set only if GUIDs, hashes and the run's own mark fit".to_string(),
            format!(
                "RESTORE DATABASE [{}] on {test} with new files (REPLACE does not occur)",
                v.temporary_name
            ),
            "DBCC CHECKDB".to_string(),
            "compare every table's rows and columns with the original".to_string(),
            format!("drop [{}] again", v.temporary_name),
        ],
        &[format!(
            "a database [{}] on {test}, dropped at the end",
            v.temporary_name
        )],
    ));
    let mut stages = vec![
        stage("verify the database", vec![verify]),
        stage("backup", vec![backup]),
        stage("test restore", vec![test_restore]),
    ];
    let unused = jobs.job(
        "verify-unused",
        JobKind::Verify,
        sql,
        &resource,
        &[format!("no synchronisation service is on [{db}]")],
        &[],
    );
    let mut after = Vec::new();
    if let Some(old) = input.old_server().filter(|_| stops_old_server(input)) {
        let stop = jobs.job(
            "stop-old-server",
            JobKind::Stop,
            old,
            &resource,
            &lines([
                "it uses this database, and its wizard is closed",
                "wait until no synchronisation cycle runs",
                "Set-Service ADSync -StartupType Disabled; Stop-Service ADSync",
                "see it stopped and disabled",
            ]),
            &[format!(
                "the service ADSync on {} is stopped and disabled; a cancellation puts it back",
                old.name
            )],
        );
        stages.push(stage("stop the old server", vec![stop]));
        stages.push(stage("hand over", vec![unused]));
    } else {
        stages.push(stage("hand over", vec![]));
        after.push(stage("look once more", vec![unused]));
    }
    let handover = handover(input, &resource, stages.len() - 1);
    stages.extend(after);
    let install = jobs.job(
        "install",
        JobKind::Install,
        &input.connect_host,
        &resource,
        &[
            format!("check {} again", input.request.installer),
            format!("msiexec: Connect {} (lays down the wizard)", v.expect.version),
            "GATE: a person goes through the wizard with /useexistingdatabase; the cards say what to enter".to_string(),
            "watch registry, service and trace log until it is proven".to_string(),
        ],
        &[
            format!(
                "Microsoft Entra Connect {} on {}",
                v.expect.version, input.connect_host.name
            ),
            format!("[{db}] itself: the wizard may upgrade it in place"),
        ],
    );
    stages.push(stage("install", vec![install]));
    let server = jobs.job(
        "verify-server",
        JobKind::Verify,
        &input.connect_host,
        &resource,
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
        sql,
        &resource,
        &lines([
            "only the new server's ADSync is connected",
            "connectors, rules, attribute flows, filtering, features and objects as before the backup",
        ]),
        &[],
    );
    let mut last = vec![server, database];
    if let Some(old) = input.old_server().filter(|_| stops_old_server(input)) {
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

fn handover(input: &PlanInput, resource: &Resource, stage: usize) -> PlannedHandover {
    let way = input.way();
    let old = input.old_server();
    let from_name = old.map_or("nobody", |h| h.name.as_str()).to_string();
    let (lease, to, sql) = (
        &input.source.lease_name,
        &input.connect_host.name,
        &input.source_host.name,
    );
    let mut steps = match (way, old) {
        (_, None) => vec![format!(
            "nobody holds {lease}, or {to} does already: there is nothing to take"
        )],
        (HandoverWay::Host, Some(_)) => vec![
            format!("the agent on {from_name} saw the service ADSync stopped and disabled"),
            format!("the agent on {sql} saw no synchronisation service on {lease} after that"),
        ],
        (HandoverWay::PowerOff, Some(_)) => vec![
            format!("wait until the lease of {lease} is free with a proof"),
            command(way, lease, &from_name),
            format!("an agent's probe tells twice that {from_name} is off"),
        ],
        (HandoverWay::Sql, Some(_)) => vec![
            format!("wait until the lease of {lease} is free with a proof"),
            command(way, lease, &from_name),
            "the exact T-SQL is shown and approved for that run".to_string(),
        ],
        (HandoverWay::Attested, Some(_)) => vec![
            format!("wait until the lease of {lease} is free with a proof"),
            command(way, lease, &from_name),
            format!("another operator, within 15 minutes: {}", attest(lease, &from_name)),
        ],
    };
    steps.push(format!(
        "{to} holds {lease} under a new epoch; every token of {from_name} is void"
    ));
    if way == HandoverWay::Sql && old.is_some() {
        steps.push(format!("{}: SQL Server lets {to} in, and nobody else", open(lease)));
    }
    if old.is_some() && way != HandoverWay::Host {
        steps.push("any other proof that frees the lease is as good".to_string());
    }
    PlannedHandover {
        stage,
        resource: resource.clone(),
        lease_name: lease.clone(),
        from: old.map(|h| h.id),
        from_name: from_name.clone(),
        to: input.connect_host.id,
        to_name: to.clone(),
        way,
        proves: proves(way, old.is_some(), &from_name),
        steps,
        frees: false,
        takes: None,
    }
}

/// What a way proves, and what it does not.
fn proves(way: HandoverWay, taken: bool, old: &str) -> String {
    if !taken {
        return "nothing new: the proof is in the lease's history".to_string();
    }
    match way {
        HandoverWay::Host => format!(
            "holder_stopped: {old} cannot start by itself, and nobody was on the database. Not that nobody starts it by hand: the watch tells then"
        ),
        HandoverWay::PowerOff => format!(
            "power_off: {old} was off when it was looked at. Not that nobody switches it on again: the watch tells then, and SQL Server does not refuse it"
        ),
        HandoverWay::Sql => format!(
            "sql_fenced: SQL Server refuses {old}'s account in this database, read back, whatever {old} does later"
        ),
        HandoverWay::Attested => format!(
            "operator_attested: two people said that {old} cannot write any more. It shows nothing by itself, is the weakest, and raises an alarm"
        ),
    }
}

/// What an operator types so that the lease becomes free.
pub fn command(way: HandoverWay, lease: &str, old: &str) -> String {
    match way {
        HandoverWay::Host => format!("syncferry lease fence {lease} --reason <why>"),
        HandoverWay::PowerOff => {
            format!("syncferry lease fence {lease} --power-off --via <host> --reason <why>")
        }
        HandoverWay::Sql => format!("syncferry lease fence {lease} --sql --reason <why>"),
        HandoverWay::Attested => {
            format!("syncferry lease break-glass {lease} --server {old} --ticket <ticket> --reason <why>")
        }
    }
}

/// What the second of two people types.
pub fn attest(lease: &str, old: &str) -> String {
    format!("syncferry lease attest {lease} --server {old} --reason <why>")
}

/// What an operator types so that SQL Server lets the new holder in.
pub fn open(lease: &str) -> String {
    format!("syncferry lease open {lease} --reason <why>")
}

fn rollback(input: &PlanInput, v: &PlanValues, h: &PlannedHandover) -> Vec<String> {
    let (db, sql, new, old) = (
        &v.expect.database,
        &input.source_host.name,
        &input.connect_host.name,
        &h.from_name,
    );
    let staging = common::staging(&input.source_host);
    let given_back = match (h.way, h.from) {
        (_, None) => "the lease is free again".to_string(),
        (HandoverWay::Host, Some(_)) => format!("{old} holds it again and its service is started"),
        (HandoverWay::Sql, Some(_)) => format!(
            "the lease is free, and SQL Server still refuses {old} (`syncferry lease marks remove {lease}` takes that back); `syncferry lease handover {lease} --to <server>` seats one",
            lease = h.lease_name
        ),
        (_, Some(_)) => format!(
            "the lease is free; `syncferry lease handover {} --to <server>` seats one",
            h.lease_name
        ),
    };
    vec![
        format!(
            "Until the hand-over: `syncferry cancel`. The backup file on {sql} is deleted, the test copy is gone; {}",
            if stops_old_server(input) {
                format!(
                    "the service on {old} gets its start type back and is started. {old} held the lease all the time."
                )
            } else {
                "nothing else was changed.".to_string()
            }
        ),
        format!(
            "After the hand-over, while no page of the wizard was completed: `syncferry cancel`. Connect is uninstalled on {new}, the lease is taken back from it: {given_back}. The backup in {staging} on {sql} is kept."
        ),
        format!(
            "Point of no return: the wizard's page \"Install required components\" on {new}. From there on setup may have upgraded [{db}], the only copy, and {old} can not go back to it. `syncferry cancel` refuses when Connect is configured."
        ),
        format!(
            "The way back from there is by hand, with the backup in {staging} on {sql}: uninstall Connect on {new}; a DBA renames [{db}] and restores the backup under its name; `syncferry database add` registers what is there then (a restore has another identity). What was synchronised after the backup is found again by full import."
        ),
    ]
}
