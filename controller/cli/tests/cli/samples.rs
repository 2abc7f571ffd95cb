//! A site, its hosts, a plan with findings of every severity, a migration in each state that matters.

use serde_json::json;
use syncferry_proto::v1::*;
use syncferry_proto::{schema, timestamp};
use syncferry_shared::artifact::{Counts, Manifest, SetHeader};
use syncferry_shared::card::{Card, Field};
use syncferry_shared::outcome::{Failure, Level, Outcome};
use syncferry_shared::plan::{Plan, PlanRequest, PlannedJob, Scenario, Stage};
use syncferry_shared::report::plan_digest;
use syncferry_shared::spec::JobKind;
use syncferry_shared::{DatabaseId, Finding, HostId, JobId, MigrationId, Millis, SiteId};
use uuid::Uuid;

pub(crate) const NOW: Millis = Millis(1_795_338_843_000);
pub(crate) const MIGRATION: &str = "019ab000-0000-7000-8000-0242ac120002";
pub(crate) const GATE: &str = "019ab000-0000-7000-8000-0000000a6a7e";

/// So many minutes before now.
pub(crate) fn ago(minutes: i64) -> Option<prost_types::Timestamp> {
    Some(timestamp(NOW.plus(-60_000 * minutes)))
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x019a_b000_0000_7000_8000_0000_0000_0000 + n)
}

pub(crate) fn site() -> Site {
    Site {
        id: id(1).to_string(),
        name: "contoso".into(),
        tenant_id: "3f0e1f5c-0000-4000-8000-000000000001".into(),
        labels: [("customer".into(), "42".into()), ("wave".into(), "1".into())].into(),
        created_at: ago(60 * 30),
        same_tenant: vec!["contoso-apac".into()],
    }
}

/// The lease that two sites share.
pub(crate) fn export() -> Lease {
    Lease {
        resource: "tenant:3f0e1f5c-0000-4000-8000-000000000001:export".into(),
        kind: "tenant-export".into(),
        subject: "export of contoso, contoso-apac".into(),
        name: "contoso/export".into(),
        sites: vec!["contoso".into(), "contoso-apac".into()],
        ..lease()
    }
}

pub(crate) fn host(name: &str) -> Host {
    let facts = json!({
        "computer_name": name, "fqdn": null, "os": "Windows Server 2022", "os_version": "10.0.20348", "tls12": true,
        "memory_mb": 16384, "staging_dir": r"D:\Syncferry", "instances": [{"name": "default"}, {"name": "sync"}],
    });
    Host {
        id: id(2).to_string(),
        name: name.into(),
        site: "contoso".into(),
        roles: vec!["sql-host".into(), "connect-server".into()],
        agent_state: "online".into(),
        agent_id: id(3).to_string(),
        agent_version: "0.1.0".into(),
        last_heartbeat_at: Some(timestamp(NOW.plus(-4_000))),
        computer_name: name.into(),
        facts: Some(Document::of(schema::HOST_FACTS, &facts)),
    }
}

pub(crate) fn fresh_host() -> Host {
    Host {
        id: id(4).to_string(),
        name: "SYNC02".into(),
        site: "contoso".into(),
        roles: vec!["connect-server".into()],
        agent_state: "none".into(),
        ..Host::default()
    }
}

pub(crate) fn database() -> Database {
    let facts = json!({"recovery_model": "SIMPLE", "bytes": 4_000_000_000_u64, "orphaned_users": [], "owner": "sa"});
    Database {
        id: id(5).to_string(),
        site: "contoso".into(),
        host: "SYNC01".into(),
        instance: "localdb".into(),
        server_name: r"SYNC01\LOCALDB#SH1A2B3C".into(),
        name: "ADSync".into(),
        identity_state: "confirmed".into(),
        database_guid: "11111111-1111-4111-8111-111111111111".into(),
        family_guid: "22222222-2222-4222-8222-222222222222".into(),
        resource: format!("adsync-db:{}", id(5)),
        facts: Some(Document::of(schema::DATABASE_FACTS, &facts)),
        seen_at: ago(3),
    }
}

pub(crate) fn blocker() -> Finding {
    Finding::blocker("target-is-localdb", "The target is SQL Server Express LocalDB")
        .saw("SERVERPROPERTY('IsLocalDB') on SQL01", 1)
        .source("Microsoft Learn: Install Microsoft Entra Connect by using an existing ADSync database")
        .next("Connect can be installed on an existing database only on full SQL Server. Choose another instance.")
}

pub(crate) fn warning() -> Finding {
    Finding::warning(
        "target-engine-old",
        "The target's SQL Server version is out of mainstream support",
    )
    .saw("SERVERPROPERTY('ProductVersion') on SQL01", "15.0.4415.2")
    .saw("SERVERPROPERTY('Edition') on SQL01", "Standard Edition (64-bit)")
    .source("Microsoft Learn: Prerequisites for Microsoft Entra Connect")
    .next("Connect supports mainstream-supported versions, up to SQL Server 2022. Choose 2022, or accept it.")
}

pub(crate) fn note() -> Finding {
    Finding::note(
        "installer-is-newer",
        "The installer upgrades Connect from 2.4.18.0 to 2.5.3.0",
    )
    .saw(r"ProductVersion of C:\Install\AzureADConnect.msi", "2.5.3.0")
    .next("Default rules may change; verify-database allows for it.")
}

fn planned_job(n: u128, name: &str, kind: JobKind, host: &str, steps: &[&str], changes: &[&str]) -> PlannedJob {
    PlannedJob {
        id: JobId(id(n)),
        name: name.into(),
        kind,
        host: HostId(id(2)),
        host_name: host.into(),
        resource: syncferry_shared::lease::Resource::database(DatabaseId(id(5))),
        lease: syncferry_shared::plan::LeaseUse::default(),
        steps: steps.iter().map(|s| s.to_string()).collect(),
        changes: changes.iter().map(|s| s.to_string()).collect(),
    }
}

pub(crate) fn plan(findings: Vec<Finding>) -> Plan {
    let blocked = findings.iter().any(Finding::blocks);
    let stages = vec![
        Stage {
            name: "verify the source".into(),
            jobs: vec![planned_job(
                20,
                "verify-source",
                JobKind::Verify,
                "SYNC01",
                &[
                    "look at the instance and the database again",
                    "count rows, connectors, rules",
                ],
                &[],
            )],
        },
        Stage {
            name: "backup".into(),
            jobs: vec![planned_job(
                21,
                "backup",
                JobKind::Backup,
                "SYNC01",
                &["BACKUP DATABASE [ADSync] WITH COPY_ONLY, CHECKSUM (online; the database stays as it is)"],
                &[
                    r"a file of at most 4.1 GiB in C:\ProgramData\Syncferry\staging",
                    "the scheduler of the old server is held while the backup runs, and put back",
                ],
            )],
        },
    ];
    Plan {
        migration: MigrationId(MIGRATION.parse().unwrap()),
        request: Some(PlanRequest {
            scenario: Scenario::MoveToFullSql,
            site: SiteId(id(1)),
            source: DatabaseId(id(5)),
            target_host: HostId(id(6)),
            target_instance: "default".into(),
            target_database: "ADSync".into(),
            connect_host: HostId(id(4)),
            installer: r"C:\Install\AzureADConnect.msi".into(),
            service_account: None,
            data_dir: None,
            log_dir: None,
            keep_backup: false,
            handover: None,
            test_instance: None,
            backup_file: None,
            artifact: None,
            old_server: None,
            in_place: false,
            dba: false,
        }),
        stages: if blocked { vec![] } else { stages },
        findings,
        rollback: if blocked {
            vec![]
        } else {
            vec![
                "Until the restore: delete the backup file on SYNC01. Nothing else was changed; the old server was never stopped."
                    .into(),
                "Point of no return for Syncferry: the wizard is completed on SYNC02.".into(),
            ]
        },
        values: None,
        lease_run: None,
        handover: None,
        verdicts: vec![],
        staging: None,
    }
}

pub(crate) fn migration(state: &str) -> Migration {
    Migration {
        id: MIGRATION.into(),
        scenario: "move-to-full-sql".into(),
        site: "contoso".into(),
        state: state.into(),
        created_by: "operator:ada".into(),
        created_at: ago(25),
        updated_at: ago(2),
        ..Migration::default()
    }
}

/// A migration with its plan.
pub(crate) fn planned(findings: Vec<Finding>) -> Migration {
    let plan = plan(findings);
    let state = if plan.findings.iter().any(Finding::blocks) {
        "blocked"
    } else {
        "planned"
    };
    let json = serde_json::to_value(&plan).unwrap();
    Migration {
        plan_digest: plan_digest(&json),
        plan: Some(Document::of(schema::PLAN, &json)),
        ..migration(state)
    }
}

fn job(n: u128, stage: i32, name: &str, kind: &str, host: &str, state: &str) -> Job {
    Job {
        id: id(n).to_string(),
        name: name.into(),
        kind: kind.into(),
        stage,
        host: host.into(),
        state: state.into(),
        ..Job::default()
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        artifact: syncferry_shared::ArtifactId(id(30)),
        migration: MigrationId(MIGRATION.parse().unwrap()),
        host: HostId(id(2)),
        path: r"C:\ProgramData\Syncferry\staging\adsync.bak".into(),
        size: 4_000_000,
        chunk_size: 4 << 20,
        chunks: vec!["ab".repeat(32)],
        root: "cd".repeat(32),
        header: SetHeader {
            backup_set_guid: id(31),
            family_guid: id(32),
            binding_id: id(33),
            database_name: "ADSync".into(),
            server_name: "SYNC01".into(),
            software_major: 15,
            database_version: 904,
            description: String::new(),
            first_lsn: "1".into(),
            last_lsn: "2".into(),
            checkpoint_lsn: "1".into(),
            collation: "SQL_Latin1_General_CP1_CI_AS".into(),
            backup_size: 4_000_000,
            files: vec![],
        },
        taken_at: NOW.plus(-600_000),
    }
}

pub(crate) fn backup_outcome() -> Outcome {
    Outcome {
        manifest: Some(manifest()),
        counts: Some(Counts::default()),
        levels: vec![Level::L0, Level::L1],
        ..Outcome::default()
    }
}

/// `done` of `total` bytes at 120 MiB/s.
pub(crate) fn transfer(done: u64, total: u64) -> Progress {
    Progress {
        step: "fetch".into(),
        message: "from SYNC01".into(),
        done,
        total,
        unit: ProgressUnit::Bytes.into(),
        rate: 125_829_120.0,
        left_ms: Some(45_000),
    }
}

pub(crate) fn running() -> Migration {
    let backup = Job {
        attempt: 1,
        started_at: ago(20),
        ended_at: ago(10),
        result: Some(Document::of(schema::OUTCOME, &backup_outcome())),
        ..job(21, 2, "backup", "backup", "SYNC01", "succeeded")
    };
    let restore = Job {
        attempt: 2,
        started_at: ago(9),
        progress: Some(transfer(1_800_000_000, 4_000_000_000)),
        steps: vec![Step {
            ordinal: 1,
            name: "fetch".into(),
            state: "running".into(),
            ..Step::default()
        }],
        ..job(22, 3, "restore", "restore", "SQL01", "running")
    };
    Migration {
        jobs: vec![backup, restore, job(23, 4, "install", "install", "SYNC02", "waiting")],
        waiting_for: "job restore on SQL01".into(),
        ..migration("running")
    }
}

pub(crate) fn stopped() -> Migration {
    let finding = Finding::blocker("disk-full", "The disk for the restored database is full")
        .saw(
            "RESTORE DATABASE on SQL01",
            "error 3257: There is insufficient free space on disk volume 'D:\\'",
        )
        .source("SQL Server error 3257")
        .next("Free 4.1 GiB on D: of SQL01, then run: syncferry apply ac120002");
    let failure = Failure {
        step: "restore".into(),
        findings: vec![finding],
        undone: true,
    };
    let mut m = running();
    m.state = "stopped".into();
    m.waiting_for = "an operator: apply it again, or cancel it".into();
    m.jobs[1].state = "failed".into();
    m.jobs[1].progress = None;
    m.jobs[1].ended_at = ago(2);
    m.jobs[1].result = Some(Document::of(schema::FAILURE, &failure));
    m
}

pub(crate) fn cards() -> Vec<Card> {
    vec![
        Card {
            page: "Start".into(),
            instruction: "If the wizard opened by itself, it is in Express mode: close it with Exit. Then start it in an elevated prompt.".into(),
            fields: vec![Field::exact(
                "Command",
                r#""C:\Program Files\Microsoft Azure Active Directory Connect\AzureADConnect.exe" /useexistingdatabase"#,
            )],
        },
        Card {
            page: "Install required components".into(),
            instruction: "Use an existing SQL Server is ticked. Enter these, then Install.".into(),
            fields: vec![
                Field::exact("SQL Server name", "SQL01"),
                Field::exact("Database name", "ADSync"),
                Field::exact("Domain account", r"CONTOSO\svc-adsync"),
                Field::yours("Password", "the account's password"),
            ],
        },
    ]
}

pub(crate) fn gate(state: &str) -> Gate {
    Gate {
        id: GATE.into(),
        migration_id: MIGRATION.into(),
        job_id: id(23).to_string(),
        host: "SYNC02".into(),
        title: "Go through the wizard with /useexistingdatabase".into(),
        state: state.into(),
        cards: Some(Document::of(schema::CARDS, &cards())),
        claimed_by: String::new(),
        observation: "the wizard runs; ADSync is not configured yet".into(),
        opened_at: ago(3),
    }
}

pub(crate) fn event(seq: i64, kind: &str, actor: &str, payload: serde_json::Value) -> Event {
    Event {
        seq,
        r#type: kind.into(),
        actor: actor.into(),
        at: ago(25 - seq),
        payload: Some(Document::of(schema::JSON, &payload)),
        prev_hash: "0".repeat(64),
        hash: "1".repeat(64),
        stream_kind: "migration".into(),
        stream_id: MIGRATION.into(),
    }
}

pub(crate) fn events() -> Vec<Event> {
    let digest = "3f2a9c1b2d4e".to_string() + &"0".repeat(52);
    vec![
        event(
            1,
            "migration.created",
            "operator:ada",
            json!({"scenario": "move-to-full-sql", "site": "contoso", "request": {}}),
        ),
        event(
            2,
            "migration.applied",
            "operator:ada",
            json!({"plan_digest": digest, "accepted_warnings": ["target-engine-old"], "reason": ""}),
        ),
        event(3, "job.started", "agent:SYNC01", json!({"job": "backup", "attempt": 1})),
        event(
            4,
            "job.succeeded",
            "agent:SYNC01",
            json!({"job": "backup", "host": MIGRATION, "outcome": backup_outcome()}),
        ),
        event(
            5,
            "job.failed",
            "agent:SQL01",
            json!({"job": "restore", "step": "restore", "findings": [blocker()]}),
        ),
    ]
}

pub(crate) fn lease() -> Lease {
    Lease {
        resource: format!("adsync-db:{}", id(5)),
        kind: "database".into(),
        state: "held".into(),
        epoch: 1,
        holder: "SYNC01".into(),
        renewer: "SYNC01".into(),
        granted_at: ago(60 * 30),
        expires_at: ago(-2),
        fenced_epoch: 0,
        row_version: 2,
        subject: "SYNC01 / ADSync".into(),
        ..Lease::default()
    }
}

pub(crate) fn seat() -> Lease {
    Lease {
        resource: format!("adsync-db:{}", id(7)),
        state: "lost".into(),
        epoch: 12,
        holder: "SYNC02".into(),
        renewer: "SQL01".into(),
        subject: "SQL01 / ADSync".into(),
        expires_at: ago(4),
        fenced_epoch: 11,
        ..lease()
    }
}

pub(crate) fn lease_detail() -> GetLeaseResponse {
    let change = |row_version, event: &str, from: &str, to: &str, epoch, minutes| LeaseChange {
        row_version,
        epoch,
        event: event.into(),
        from_state: from.into(),
        to_state: to.into(),
        actor: "controller".into(),
        at: ago(minutes),
        detail: Some(Document::of(
            schema::JSON,
            &json!({"reason": "seat of the new Connect server"}),
        )),
    };
    GetLeaseResponse {
        lease: Some(seat()),
        history: vec![
            change(1, "create", "free", "free", 0, 20),
            change(2, "acquire", "free", "held", 12, 20),
            change(3, "expire", "held", "lost", 12, 2),
        ],
        proofs: vec![LeaseProof {
            epoch: 0,
            kind: "never_used".into(),
            evidence: Some(Document::of(
                schema::JSON,
                &json!({"sessions": 0, "planned_key": "planned:SQL01|adsync"}),
            )),
            actor: "operator:ada".into(),
            actor2: String::new(),
            at: ago(20),
        }],
    }
}

/// What a lease verb would do, or did.
pub(crate) fn lease_answer(dry_run: bool) -> LeaseAnswer {
    LeaseAnswer {
        lease: Some(seat()),
        steps: vec![
            "lost becomes fencing at epoch 13: every token of SYNC02 is void".into(),
            "fencing becomes free, on the proof that the service on SYNC02 is stopped and disabled".into(),
        ],
        findings: Some(Document::of(schema::FINDINGS, &Vec::<Finding>::new())),
        ready: true,
        next_step: if dry_run {
            String::new()
        } else {
            "`syncferry lease handover ADSync --to SYNC03` seats the next server.".into()
        },
    }
}

/// A lease verb that cannot go on.
pub(crate) fn lease_obstacle() -> LeaseAnswer {
    let finding = Finding::blocker("service-runs", "The service on SYNC02 runs")
        .saw("service ADSync on SYNC02", "running, automatic")
        .source("Syncferry: a lease is freed by proof")
        .next("Stop-Service ADSync; Set-Service ADSync -StartupType Disabled");
    LeaseAnswer {
        findings: Some(Document::of(schema::FINDINGS, &vec![finding])),
        ready: false,
        ..lease_answer(true)
    }
}

/// An alarm.
pub(crate) fn alarm() -> Alarm {
    let finding = Finding::blocker("foreign-session", "SYNC09 uses ADSync, which SYNC01 holds")
        .saw("session 61 in sys.dm_exec_sessions", "miiserver.exe from SYNC09")
        .source("Syncferry: one Connect server uses one database")
        .next("Stop the service ADSync on SYNC09 and disable it, now.");
    Alarm {
        id: id(77).to_string(),
        kind: "foreign-session".into(),
        state: "raised".into(),
        subject: "SYNC01 / ADSync".into(),
        finding: Some(Document::of(schema::FINDING, &finding)),
        raised_at: ago(90),
        seen_at: ago(5),
        ..Alarm::default()
    }
}

/// A run at SQL Server, planned.
pub(crate) fn fence_run() -> Migration {
    Migration {
        scenario: "fence-database".into(),
        ..migration("planned")
    }
}
