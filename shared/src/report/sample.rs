//! A report as a whole migration leaves it, for tests and for the page in `docs/samples`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::aftercare::{CareFacts, ItemState};
use crate::artifact::{Counts, Manifest, SetHeader};
use crate::card::Field;
use crate::finding::{Evidence, Finding};
use crate::ids::{ArtifactId, DatabaseId, HostId, JobId};
use crate::inventory::{AdsyncFacts, ConnectParameters, DatabaseAddress, SessionFacts};
use crate::lease::{LeaseKind, LeaseState, ProofKind, Resource};
use crate::outcome::{Failure, Level, Outcome, Restored, SeenConnect};
use crate::plan::{PlanRequest, PlanValues, PlannedJob, Stage};
use crate::spec::{DatabaseIdentity, ExpectedConnect, JobKind};
use crate::state::{AttemptState, JobState, StepState};

const START: Millis = Millis(1_795_338_843_000);

/// So many seconds after the migration was asked for.
fn at(seconds: i64) -> Millis {
    START.plus(seconds * 1000)
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x019a_b000_0000_7000_8000_0242_ac12_0000 + n)
}

/// A GUID that looks like one.
fn guid(n: u128) -> Uuid {
    Uuid::from_u128(0x5f3c_91d2_8a47_4c10_9e6b_7714_02d3_a800 + n * 0x1111_0000_0000_0000_0001)
}

fn hash(n: u8) -> String {
    crate::token::digest(&[n])
}

/// A migration that went well, with one retry.
pub(crate) fn report() -> Report {
    let document = plan();
    let digest = plan_digest(&document);
    let events = chain(&digest);
    Report {
        schema: SCHEMA.into(),
        migration: MigrationId(id(1)),
        scenario: Scenario::MoveToFullSql,
        site: ReportSite {
            id: SiteId(id(2)),
            name: "Contoso".into(),
            tenant_id: "3f0e1f5c-5d1b-4c43-9d0a-1b8f3c2a7e11".into(),
        },
        state: MigrationState::Succeeded,
        created_by: "operator:ada".into(),
        created_at: at(0),
        ended_at: Some(at(2_875)),
        made_at: at(3_600),
        plan: Some(ReportPlan {
            digest,
            document,
            accepted_warnings: vec!["target-engine-old".into()],
            acceptances: vec![super::ReportAcceptance {
                rule: "target-engine-old".into(),
                by: "operator:ada".into(),
                reason: "change 4711".into(),
                at: Millis(1_795_168_800_000),
                until: Some(Millis(1_797_760_800_000)),
            }],
            applied_by: Some("operator:ada".into()),
            applied_at: Some(at(190)),
        }),
        jobs: jobs(),
        gates: vec![gate()],
        leases: leases(),
        level: Some(LevelStanding::of(Level::L5, Level::ALL.iter().copied())),
        checklist: Some(checklist(&events)),
        chain_head: events.last().map(|e| e.hash.clone()).unwrap_or_default(),
        events,
        syncferry_version: "0.1.0".into(),
        seal: String::new(),
    }
    .sealed()
}

/// Pass-through authentication, half done.
fn checklist(events: &[Event]) -> Checklist {
    let facts = CareFacts {
        new_server: "SYNC02".into(),
        old_server: Some("SYNC01".into()),
        before: Some(AdsyncFacts {
            sign_on_method: Some("PassThroughAuthentication".into()),
            connect_version: "2.4.129.0".parse().ok(),
            ..AdsyncFacts::default()
        }),
        installed: "2.5.79.0".parse().ok(),
        installed_at: Some(at(2_600)),
        ..CareFacts::default()
    };
    let mut list = Checklist::of(MigrationId(id(1)), &facts, events, &[], at(9_000));
    for (item, state, by, said) in [
        (
            "staging-mode",
            ItemState::Proven,
            "agent:SYNC02",
            "Get-ADSyncScheduler: StagingModeEnabled True",
        ),
        (
            "pass-through-sign-in",
            ItemState::Attested,
            "operator:ada",
            "set at 14:20, agent registered",
        ),
        (
            "initial-sync",
            ItemState::Contradicted,
            "agent:SQL01",
            "no completed run since the installation: contoso.com",
        ),
    ] {
        if let Some(i) = list.items.iter_mut().find(|i| i.id == item) {
            (i.state, i.by, i.at) = (state, Some(by.into()), Some(at(2_900)));
            i.evidence = Some(said.into());
        }
    }
    list
}

/// A migration that stopped in the restore.
pub(crate) fn stopped() -> Report {
    let mut r = report();
    r.state = MigrationState::Stopped;
    r.ended_at = None;
    r.jobs.truncate(3);
    r.jobs[2].state = JobState::Failed;
    r.jobs[2].outcome = None;
    r.jobs[2].failure = Some(disk_full());
    r.gates.clear();
    r
}

fn disk_full() -> Failure {
    let finding = Finding::blocker("disk-full", "The disk for the restored database is full")
        .saw(
            "RESTORE DATABASE on SQL01",
            r"error 3257: There is insufficient free space on disk volume 'D:\'",
        )
        .source("SQL Server error 3257")
        .next("Free 6.2 GiB on D: of SQL01, then apply the migration again.");
    Failure {
        step: "restore".into(),
        findings: vec![finding],
        undone: true,
    }
}

fn findings() -> Vec<Finding> {
    vec![
        Finding::warning(
            "target-engine-old",
            "The target's SQL Server version is out of mainstream support",
        )
        .saw("SERVERPROPERTY('ProductVersion') on SQL01", "15.0.4415.2")
        .source("Microsoft Learn: Prerequisites for Microsoft Entra Connect")
        .next("Connect supports mainstream-supported versions, up to SQL Server 2022. Choose 2022, or accept it."),
        Finding::note(
            "installer-is-newer",
            "The installer upgrades Connect from 2.4.129.0 to 2.5.79.0",
        )
        .saw(r"ProductVersion of C:\Install\AzureADConnect.msi", "2.5.79.0")
        .saw("mms_server_configuration of ADSync", "2.4.129.0")
        .source("Syncferry: default rules may change with the version")
        .next("verify-database allows for changed default rules."),
    ]
}

fn plan() -> Value {
    let job = |n, name: &str, kind, host: &str| PlannedJob {
        id: JobId(id(n)),
        name: name.into(),
        kind,
        host: HostId(id(20)),
        host_name: host.into(),
        resource: Resource::database(DatabaseId(id(5))),
        lease: Default::default(),
        steps: vec![],
        changes: vec![],
    };
    let connect = "2.5.79.0".parse().unwrap();
    let plan = Plan {
        migration: MigrationId(id(1)),
        request: Some(PlanRequest {
            scenario: Scenario::MoveToFullSql,
            site: SiteId(id(2)),
            source: DatabaseId(id(5)),
            target_host: HostId(id(21)),
            target_instance: "default".into(),
            target_database: "ADSync".into(),
            connect_host: HostId(id(22)),
            installer: r"C:\Install\AzureADConnect.msi".into(),
            service_account: Some(r"CONTOSO\svc-adsync$".into()),
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
        stages: vec![Stage {
            name: "backup".into(),
            jobs: vec![job(11, "backup", JobKind::Backup, "SYNC01")],
        }],
        findings: findings(),
        rollback: vec!["After the restore: drop [ADSync] on SQL01.".into()],
        values: Some(PlanValues {
            source: DatabaseIdentity {
                id: DatabaseId(id(5)),
                address: DatabaseAddress {
                    instance: "localdb".into(),
                    database: "ADSync".into(),
                },
                server_name: r"SYNC01\LOCALDB#SH4C2B1A".into(),
                database_guid: guid(1),
                family_guid: guid(2),
            },
            source_host: HostId(id(20)),
            source_holder: Some(HostId(id(20))),
            source_holder_name: Some("SYNC01".into()),
            connect_on_source: true,
            source_staging: Some(false),
            source_scheduler: Some(true),
            connect_version: "2.4.129.0".parse().ok(),
            compression: false,
            expected_bytes: 9_700_000_000,
            artifact: ArtifactId(id(6)),
            target: DatabaseId(id(7)),
            target_address: DatabaseAddress {
                instance: "default".into(),
                database: "ADSync".into(),
            },
            target_server_name: "SQL01".into(),
            temporary_name: "ADSync__syncferry_ac120001".into(),
            connect_name: "SYNC02".into(),
            installer_hash: hash(9),
            product_code: "{3F6F0B5C-0000-4000-8000-000000000001}".into(),
            expect: ExpectedConnect {
                server: "SQL01".into(),
                instance: String::new(),
                database: "ADSync".into(),
                service_account: Some(r"CONTOSO\svc-adsync$".into()),
                version: connect,
            },
            forests: vec!["contoso.com".into()],
            test: None,
            old_service: None,
            backup: None,
            pages: vec![],
            in_place: None,
        }),
        lease_run: None,
        handover: None,
        verdicts: vec![],
        staging: None,
    };
    serde_json::to_value(plan).unwrap()
}

fn manifest() -> Manifest {
    Manifest {
        artifact: ArtifactId(id(6)),
        migration: MigrationId(id(1)),
        host: HostId(id(20)),
        path: r"C:\ProgramData\Syncferry\staging\adsync-ac120001.bak".into(),
        size: 9_412_345_856,
        chunk_size: crate::artifact::CHUNK_SIZE,
        chunks: (0..2245).map(|n| crate::token::digest(&[7, (n % 256) as u8])).collect(),
        root: hash(1),
        header: SetHeader {
            backup_set_guid: guid(3),
            family_guid: guid(2),
            binding_id: guid(1),
            database_name: "ADSync".into(),
            server_name: r"SYNC01\LOCALDB#SH4C2B1A".into(),
            software_major: 15,
            database_version: 904,
            description: "syncferry ac120001".into(),
            first_lsn: "41000000052800037".into(),
            last_lsn: "41000000054500001".into(),
            checkpoint_lsn: "41000000052800037".into(),
            collation: "SQL_Latin1_General_CP1_CI_AS".into(),
            backup_size: 9_412_000_000,
            files: vec![],
        },
        taken_at: at(610),
    }
}

fn counts() -> Counts {
    let rows = [
        ("dbo.mms_connectorspace", 412_877),
        ("dbo.mms_metaverse", 118_204),
        ("dbo.mms_csmv_link", 236_391),
    ];
    Counts {
        rows: rows.map(|(t, n)| (t.to_string(), n)).into(),
        connectors: vec!["contoso.com".into(), "contoso.onmicrosoft.com - AAD".into()],
        rules: Some(147),
        pending_exports: [].into(),
        connect_version: "2.4.129.0".parse().ok(),
        schema_digest: hash(4),
    }
}

fn outcome(levels: &[Level], seen: &[(&str, &str)]) -> Outcome {
    let fact = |(a, b): &(&str, &str)| Evidence {
        looked_at: (*a).into(),
        found: (*b).into(),
    };
    Outcome {
        levels: levels.to_vec(),
        evidence: seen.iter().map(fact).collect(),
        ..Outcome::default()
    }
}

fn outcomes() -> [Outcome; 7] {
    let restored = Restored {
        server_name: "SQL01".into(),
        database: "ADSync".into(),
        database_guid: guid(5),
        family_guid: guid(2),
        recovery_fork_guid: Some(guid(6)),
        service_broker_guid: Some(guid(7)),
    };
    let session = SessionFacts {
        id: 61,
        login: r"CONTOSO\svc-adsync$".into(),
        host: Some("SYNC02".into()),
        program: Some("ADSync".into()),
        process_id: Some(4120),
        address: Some("10.20.0.12".into()),
    };
    let connect = SeenConnect {
        parameters: ConnectParameters {
            server: "SQL01".into(),
            instance: String::new(),
            database: "ADSync".into(),
        },
        service_account: r"CONTOSO\svc-adsync$".into(),
        version: "2.5.79.0".into(),
        staging_mode: true,
    };
    [
        Outcome {
            counts: Some(counts()),
            ..outcome(&[], &[("database_guid of ADSync", "the registered one")])
        },
        Outcome {
            manifest: Some(manifest()),
            counts: Some(counts()),
            ..outcome(
                &[Level::L0],
                &[
                    ("SyncCycleEnabled on SYNC01, before", "True"),
                    (
                        "BACKUP DATABASE, last message",
                        "BACKUP DATABASE successfully processed 1148967 pages",
                    ),
                    ("RESTORE VERIFYONLY on SYNC01", "The backup set on file 1 is valid."),
                    ("SyncCycleEnabled on SYNC01, after", "True"),
                ],
            )
        },
        Outcome {
            restored: Some(restored),
            counts: Some(counts()),
            findings: vec![
                Finding::note("login-created", r"A login for CONTOSO\svc-adsync$ was created")
                    .saw("sys.server_principals on SQL01", "no such login")
                    .source("Microsoft Learn: Microsoft Entra Connect: accounts and permissions")
                    .next("Nothing: the account is db_owner of ADSync only."),
            ],
            ..outcome(
                &[Level::L1, Level::L2, Level::L3, Level::L4],
                &[
                    ("BLAKE3 of the file on SQL01", "the manifest's"),
                    (
                        "RESTORE VERIFYONLY WITH CHECKSUM on SQL01",
                        "The backup set on file 1 is valid.",
                    ),
                    ("DBCC CHECKDB", "0 allocation errors and 0 consistency errors"),
                    ("rows of 61 tables", "as counted in the source"),
                ],
            )
        },
        outcome(
            &[],
            &[
                (r"BLAKE3 of C:\Install\AzureADConnect.msi", "as planned"),
                ("msiexec", "exit code 0"),
                (r"HKLM\…\ADSync\Parameters", "Server=SQL01 SQLInstance= DBName=ADSync"),
            ],
        ),
        Outcome {
            connect: Some(connect),
            ..outcome(&[Level::L5], &[("Get-ADSyncScheduler", "StagingModeEnabled: True")])
        },
        Outcome {
            sessions: vec![session],
            ..outcome(&[], &[("connectors, rules, objects", "as before the backup")])
        },
        outcome(
            &[],
            &[(
                "Get-ADSyncScheduler on SYNC01",
                "StagingModeEnabled: False, SyncCycleEnabled: True",
            )],
        ),
    ]
}

fn jobs() -> Vec<ReportJob> {
    let planned = [
        ("verify-source", JobKind::Verify, 1, "SYNC01", 195, 212),
        ("backup", JobKind::Backup, 2, "SYNC01", 214, 688),
        ("restore", JobKind::Restore, 3, "SQL01", 690, 1_804),
        ("install", JobKind::Install, 4, "SYNC02", 1_806, 2_790),
        ("verify-server", JobKind::Verify, 5, "SYNC02", 2_792, 2_815),
        ("verify-database", JobKind::Verify, 5, "SQL01", 2_792, 2_870),
        ("verify-old-server", JobKind::Verify, 5, "SYNC01", 2_793, 2_812),
    ];
    let job = |(n, ((name, kind, stage, host, from, to), outcome)): (u128, (_, Outcome))| {
        let (from, to): (i64, i64) = (from, to);
        let attempt = |attempt, state, from, to| ReportAttempt {
            attempt,
            state,
            undo: false,
            epoch: 1,
            digest: hash(attempt as u8),
            opened_at: at(from),
            ended_at: Some(at(to)),
        };
        let attempts = if name == "restore" {
            vec![
                attempt(1, AttemptState::Failed, from, from + 402),
                attempt(2, AttemptState::Succeeded, from + 420, to),
            ]
        } else {
            vec![attempt(1, AttemptState::Succeeded, from, to)]
        };
        ReportJob {
            id: JobId(id(n + 10)),
            name: String::from(name),
            kind,
            stage,
            host: String::from(host),
            state: JobState::Succeeded,
            attempts,
            steps: steps(name, from, to),
            started_at: Some(at(from)),
            ended_at: Some(at(to)),
            outcome: Some(ReportOutcome::from(&outcome)),
            failure: (name == "restore").then(disk_full),
        }
    };
    (0..).zip(planned.into_iter().zip(outcomes())).map(job).collect()
}

fn steps(job: &str, from: i64, to: i64) -> Vec<ReportStep> {
    let names: &[&str] = match job {
        "backup" => &[
            "wait-for-idle",
            "hold-scheduler",
            "backup",
            "verify",
            "hash",
            "release-scheduler",
        ],
        "restore" => &[
            "fetch",
            "accept-set",
            "restore",
            "checkdb",
            "rights",
            "compare",
            "rename",
        ],
        "install" => &["check-installer", "msiexec", "wizard"],
        _ => &["look"],
    };
    let each = (to - from) / names.len() as i64;
    let step = |(n, name): (i64, &&str)| ReportStep {
        ordinal: n as i32 + 1,
        name: (*name).into(),
        state: StepState::Done,
        started_at: Some(at(from + n * each)),
        ended_at: Some(at(from + (n + 1) * each)),
    };
    (0..).zip(names).map(step).collect()
}

fn gate() -> ReportGate {
    let card = |page: &str, instruction: &str, fields| Card {
        page: page.into(),
        instruction: instruction.into(),
        fields,
    };
    ReportGate {
        id: GateId(id(30)),
        job: "install".into(),
        host: "SYNC02".into(),
        title: "Go through the wizard with /useexistingdatabase".into(),
        state: GateState::Proven,
        cards: vec![
            card(
                "Start",
                "If the wizard opened by itself, it is in Express mode: close it with Exit. Then start it in an elevated prompt.",
                vec![Field::exact(
                    "Command",
                    r#""C:\Program Files\Microsoft Azure Active Directory Connect\AzureADConnect.exe" /useexistingdatabase"#,
                )],
            ),
            card(
                "Install required components",
                "Use an existing SQL Server is ticked. Enter these, then Install.",
                vec![
                    Field::exact("SQL Server name", "SQL01"),
                    Field::exact("Database name", "ADSync"),
                    Field::exact("Managed Service Account", r"CONTOSO\svc-adsync$"),
                ],
            ),
            card(
                "Configuration complete",
                "Exit. The server is in staging mode: it exports nothing.",
                vec![],
            ),
        ],
        claimed_by: Some("operator:ada".into()),
        observation: Some("ADSync runs on SQL01 / ADSync in staging mode".into()),
        opened_at: at(1_902),
        closed_at: Some(at(2_781)),
    }
}

fn leases() -> Vec<ReportLease> {
    let point = |state, epoch, holder: Option<&str>| LeasePoint {
        state,
        epoch,
        holder: holder.map(str::to_string),
        fenced_epoch: 0,
    };
    let change =
        |row_version, epoch, event: &str, from, to, holder: Option<&str>, seconds, reason: &str| ReportLeaseChange {
            row_version,
            epoch,
            event: event.into(),
            from,
            to,
            holder: holder.map(str::to_string),
            actor: "operator:ada".into(),
            at: at(seconds),
            detail: json!({"reason": reason}),
            by_this_migration: seconds > 0,
        };
    let proof = |seconds, evidence| ReportProof {
        epoch: 0,
        kind: ProofKind::NeverUsed,
        evidence,
        actor: "operator:ada".into(),
        actor2: None,
        at: at(seconds),
    };
    let held = LeaseState::Held;
    vec![
        ReportLease {
            resource: Resource::database(DatabaseId(id(5))),
            subject: r"SYNC01\LOCALDB#SH4C2B1A / ADSync".into(),
            kind: LeaseKind::Database,
            before: Some(point(held, 1, Some("SYNC01"))),
            after: point(held, 1, Some("SYNC01")),
            history: vec![
                change(
                    1,
                    0,
                    "create",
                    LeaseState::Free,
                    LeaseState::Free,
                    None,
                    -90_000,
                    "registered",
                ),
                change(
                    2,
                    1,
                    "acquire",
                    LeaseState::Free,
                    held,
                    Some("SYNC01"),
                    -90_000,
                    "registered",
                ),
            ],
            proofs: vec![proof(-90_000, json!({"sessions": ["ADSync from SYNC01"]}))],
        },
        ReportLease {
            resource: Resource::database(DatabaseId(id(7))),
            subject: "SQL01 / ADSync".into(),
            kind: LeaseKind::Database,
            before: None,
            after: point(held, 1, Some("SYNC02")),
            history: vec![
                change(
                    1,
                    0,
                    "create",
                    LeaseState::Free,
                    LeaseState::Free,
                    None,
                    190,
                    "the database does not exist yet",
                ),
                change(
                    2,
                    1,
                    "acquire",
                    LeaseState::Free,
                    held,
                    Some("SYNC02"),
                    190,
                    "seat of the new Connect server",
                ),
                change(
                    3,
                    1,
                    "adopt",
                    held,
                    held,
                    Some("SYNC02"),
                    2_790,
                    "Connect is installed; its own host's agent renews",
                ),
            ],
            proofs: vec![proof(
                190,
                json!({"reason": "the database does not exist yet", "planned_key": "planned:SQL01|adsync"}),
            )],
        },
    ]
}

fn chain(plan_digest: &str) -> Vec<Event> {
    let summary = serde_json::to_value(ManifestSummary::from(&manifest())).unwrap();
    let told: Vec<(i64, &str, &str, Value)> = vec![
        (
            0,
            "migration.created",
            "operator:ada",
            json!({"scenario": "move-to-full-sql", "site": "Contoso"}),
        ),
        (
            41,
            "plan.made",
            "controller",
            json!({"digest": plan_digest, "blocked": false, "findings": findings()}),
        ),
        (
            190,
            "migration.applied",
            "operator:ada",
            json!({"plan_digest": plan_digest, "accepted_warnings": ["target-engine-old"], "reason": "change 4711"}),
        ),
        (
            195,
            "job.accepted",
            "agent:SYNC01",
            json!({"job": "verify-source", "attempt": 1}),
        ),
        (
            212,
            "job.succeeded",
            "agent:SYNC01",
            json!({"job": "verify-source", "attempt": 1}),
        ),
        (
            214,
            "job.accepted",
            "agent:SYNC01",
            json!({"job": "backup", "attempt": 1}),
        ),
        (
            688,
            "job.succeeded",
            "agent:SYNC01",
            json!({"job": "backup", "attempt": 1, "levels": ["L0"], "manifest": summary}),
        ),
        (
            690,
            "job.accepted",
            "agent:SQL01",
            json!({"job": "restore", "attempt": 1}),
        ),
        (
            1_092,
            "job.failed",
            "agent:SQL01",
            json!({"job": "restore", "attempt": 1, "step": "restore", "findings": disk_full().findings, "undone": true}),
        ),
        (
            1_108,
            "job.retried",
            "operator:ada",
            json!({"job": "restore", "reason": "freed space on D:"}),
        ),
        (
            1_108,
            "migration.resumed",
            "operator:ada",
            json!({"reason": "freed space on D:"}),
        ),
        (
            1_804,
            "job.succeeded",
            "agent:SQL01",
            json!({"job": "restore", "attempt": 2, "levels": ["L1", "L2", "L3", "L4"]}),
        ),
        (
            1_902,
            "gate.opened",
            "agent:SYNC02",
            json!({"job": "install", "title": "Go through the wizard with /useexistingdatabase"}),
        ),
        (
            2_744,
            "gate.claimed",
            "operator:ada",
            json!({"title": "Go through the wizard with /useexistingdatabase", "remark": ""}),
        ),
        (
            2_781,
            "gate.proven",
            "agent:SYNC02",
            json!({"observation": "ADSync runs on SQL01 / ADSync in staging mode"}),
        ),
        (
            2_790,
            "job.succeeded",
            "agent:SYNC02",
            json!({"job": "install", "attempt": 1}),
        ),
        (
            2_812,
            "job.succeeded",
            "agent:SYNC01",
            json!({"job": "verify-old-server", "attempt": 1}),
        ),
        (
            2_815,
            "job.succeeded",
            "agent:SYNC02",
            json!({"job": "verify-server", "attempt": 1, "levels": ["L5"]}),
        ),
        (
            2_870,
            "job.succeeded",
            "agent:SQL01",
            json!({"job": "verify-database", "attempt": 1}),
        ),
        (2_875, "migration.succeeded", "controller", json!({})),
    ];
    let mut events: Vec<Event> = Vec::new();
    for (seq, (seconds, kind, actor, payload)) in (1..).zip(told) {
        let mut event = Event {
            stream_kind: crate::event::StreamKind::Migration,
            stream_id: id(1).to_string(),
            seq,
            kind: kind.into(),
            schema_version: 1,
            payload,
            actor: actor.into(),
            at: at(seconds),
            prev_hash: events.last().map(|e| e.hash.clone()).unwrap_or_default(),
            hash: String::new(),
        };
        event.hash = event.compute_hash();
        events.push(event);
    }
    events
}
