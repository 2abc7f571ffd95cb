//! Papers of a whole move, and that none of them says what is not so.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::clock::Millis;
use crate::ids::JobId;
use crate::inventory::{AdsyncFacts, DatabaseFacts, FileFacts, HostFacts, InstanceFacts, Inventory, ReachFacts};
use crate::plan::{Plan, PlannedJob, Scenario, Stage};
use crate::report::sample;
use crate::spec::JobKind;
use crate::sync_config::ConnectorConfig;

fn job(plan: &Plan, name: &str, kind: JobKind, host: &str, changes: &[&str]) -> PlannedJob {
    let like = plan.jobs().next().unwrap().clone();
    PlannedJob {
        id: JobId(uuid::Uuid::from_u128(name.len() as u128)),
        name: name.into(),
        kind,
        host_name: host.into(),
        changes: changes.iter().map(ToString::to_string).collect(),
        ..like
    }
}

fn input() -> PaperInput {
    let mut plan = sample::report().plan.unwrap().plan().unwrap();
    let stage = |name: &str, jobs: Vec<PlannedJob>| Stage {
        name: name.into(),
        jobs,
    };
    plan.stages = vec![
        stage(
            "verify the source",
            vec![job(&plan, "verify-source", JobKind::Verify, "SYNC01", &[])],
        ),
        stage(
            "backup",
            vec![job(
                &plan,
                "backup",
                JobKind::Backup,
                "SYNC01",
                &["a file of at most 9.0 GiB"],
            )],
        ),
        stage(
            "restore",
            vec![job(
                &plan,
                "restore",
                JobKind::Restore,
                "SQL01",
                &["a new database [ADSync] on SQL01"],
            )],
        ),
        stage(
            "install",
            vec![job(
                &plan,
                "install",
                JobKind::Install,
                "SYNC02",
                &["Microsoft Entra Connect 2.5.79.0"],
            )],
        ),
        stage(
            "verify",
            vec![
                job(&plan, "verify-server", JobKind::Verify, "SYNC02", &[]),
                job(&plan, "verify-database", JobKind::Verify, "SQL01", &[]),
                job(
                    &plan,
                    "verify-old-server",
                    JobKind::Verify,
                    "SYNC01",
                    &["the backup file is deleted"],
                ),
            ],
        ),
    ];
    let request = plan.request.clone().unwrap();
    let values = plan.values.clone().unwrap();
    let staging = |dir: &str| HostFacts {
        staging_dir: dir.into(),
        ..HostFacts::default()
    };
    let source = Inventory {
        host: staging(r"C:\ProgramData\Syncferry\staging"),
        instances: vec![InstanceFacts {
            name: "localdb".into(),
            server_name: r"SYNC01\LOCALDB#SH4C2B1A".into(),
            login: r"CONTOSO\syncferry-sync01$".into(),
            is_localdb: true,
            can_view_state: true,
            ..InstanceFacts::default()
        }],
        databases: vec![DatabaseFacts {
            instance: "localdb".into(),
            name: "ADSync".into(),
            used_bytes: Some(9_700_000_000),
            can_backup: true,
            files: vec![
                FileFacts {
                    name: "ADSync".into(),
                    kind: "ROWS".into(),
                    path: "x".into(),
                    bytes: 1,
                },
                FileFacts {
                    name: "ADSync_log".into(),
                    kind: "LOG".into(),
                    path: "y".into(),
                    bytes: 1,
                },
            ],
            adsync: Some(AdsyncFacts {
                forests: vec!["contoso.com".into()],
                sign_on_method: Some("PassThroughAuthentication".into()),
                features: BTreeMap::from([("PasswordHashSync".to_string(), "True".to_string())]),
                last_sync: Some(Millis(0)),
                config: crate::sync_config::SyncConfig {
                    connectors: vec![ConnectorConfig {
                        name: "contoso.com".into(),
                        objects: Some(84_000),
                        ..ConnectorConfig::default()
                    }],
                    ..Default::default()
                },
                ..AdsyncFacts::default()
            }),
            ..DatabaseFacts::default()
        }],
        ..Inventory::default()
    };
    let target = Inventory {
        host: staging(r"D:\Staging"),
        instances: vec![InstanceFacts {
            name: "default".into(),
            server_name: "SQL01".into(),
            connect_host: Some("sql01.contoso.com".into()),
            connect_port: Some(1433),
            login: r"CONTOSO\syncferry-sql01$".into(),
            can_create_database: true,
            service_account: Some(r"NT SERVICE\MSSQLSERVER".into()),
            data_path: Some(r"D:\Data\".into()),
            log_path: Some(r"L:\Log\".into()),
            ..InstanceFacts::default()
        }],
        ..Inventory::default()
    };
    let connect = Inventory {
        reach: vec![ReachFacts {
            target: "sql01.contoso.com,1433".into(),
            reached: false,
            error: Some("timed out".into()),
        }],
        ..Inventory::default()
    };
    let host = |id, name: &str, inventory, transfer: Option<&str>| PaperHost {
        id,
        name: name.into(),
        inventory: Some(inventory),
        transfer_address: transfer.map(str::to_string),
    };
    PaperInput {
        hosts: vec![
            host(values.source_host, "SYNC01", source, Some("sync01.contoso.com:7444")),
            host(request.target_host, "SQL01", target, None),
            host(request.connect_host, "SYNC02", connect, None),
        ],
        source: (values.source_host, "localdb".into(), "ADSync".into()),
        plan,
        migration: "ac120001".into(),
        scenario: Scenario::MoveToFullSql,
        site: "Contoso".into(),
        tenant: "3f0e1f5c-5d1b-4c43-9d0a-1b8f3c2a7e11".into(),
        controller: "controller.contoso.com:7443".into(),
        rates: Rates {
            backup: vec![80e6],
            restore: vec![],
            wizard: vec![],
        },
    }
}

#[test]
fn each_paper_is_as_reviewed() {
    let input = input();
    for kind in PaperKind::ALL {
        let paper = paper(*kind, &input);
        insta::assert_snapshot!(format!("paper_{}", kind.as_str()), text(&paper));
    }
}

#[test]
fn the_runbook_numbers_every_step_and_each_can_be_taken() {
    let book = paper(PaperKind::Runbook, &input());
    let steps: Vec<&RunbookStep> = book
        .blocks
        .iter()
        .filter_map(|b| match b {
            Block::Step(s) => Some(s.as_ref()),
            _ => None,
        })
        .collect();
    assert!(steps.len() >= 12, "{}", steps.len());
    for (n, s) in (1..).zip(&steps) {
        assert_eq!(s.number, n);
        assert!(
            !s.owner.is_empty() && !s.host.is_empty() && !s.expected.is_empty(),
            "{s:?}"
        );
    }
    let all: String = steps.iter().map(|s| s.command.as_str()).collect();
    assert!(!all.contains("WITH REPLACE") && all.contains("COPY_ONLY") && all.contains("/useexistingdatabase"));
}

#[test]
fn a_blocked_plan_has_papers_too() {
    let mut blocked = input();
    blocked.plan.stages.clear();
    blocked.plan.values = None;
    for kind in PaperKind::ALL {
        let paper = paper(*kind, &blocked);
        assert!(!text(&paper).is_empty() && html(&paper).ends_with("</html>\n"));
    }
    assert!(text(&paper(PaperKind::Runbook, &blocked)).contains("The plan is blocked"));
    blocked.hosts.iter_mut().for_each(|h| h.inventory = None);
    assert!(text(&paper(PaperKind::Permissions, &blocked)).contains("Microsoft Entra ID"));
}

#[test]
fn an_estimate_says_what_it_rests_on() {
    let mut i = input();
    let find = |e: &Estimate, what: &str| e.machines.iter().find(|l| l.what == what).cloned().unwrap();
    let e = estimate(&i);
    assert_eq!(find(&e, "backup").basis, Basis::Measured(1));
    assert_eq!(find(&e, "restore").basis, Basis::Assumed);
    assert_eq!(e.people.len(), 1);
    i.rates.restore = vec![10e6, 40e6, f64::NAN, 0.0];
    let line = find(&estimate(&i), "restore");
    assert_eq!(line.basis, Basis::Measured(2));
    assert!(line.least_s < line.most_s);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Names are quoted in T-SQL and never become markup.
    #[test]
    fn names_stay_names(name in "[\\]'<>&a-z;\\- ]{1,12}") {
        let mut i = input();
        i.plan.request.as_mut().unwrap().target_database = name.clone();
        i.plan.values.as_mut().unwrap().expect.database = name.clone();
        i.source.2 = name.clone();
        for kind in PaperKind::ALL {
            let paper = paper(*kind, &i);
            let page = html(&paper);
            prop_assert!(!page.contains("<script") && page.matches("<main>").count() == 1);
            let tags = page.matches('<').count();
            let mut plain = i.clone();
            plain.source.2 = "x".into();
            plain.plan.request.as_mut().unwrap().target_database = "x".into();
            plain.plan.values.as_mut().unwrap().expect.database = "x".into();
            prop_assert_eq!(tags, html(&super::paper(*kind, &plain)).matches('<').count());
        }
    }
}
