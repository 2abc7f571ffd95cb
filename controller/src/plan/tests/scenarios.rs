//! The scenarios beside move and replacement: the good plan of each is not blocked and every job of it gets its specification; each
//! way to spoil it is met by the rule that is about it; and a plan that is blocked has no job.

use std::collections::BTreeMap;

use proptest::prelude::*;
use syncferry_shared::aftercare::{CareFacts, Checklist};
use syncferry_shared::artifact::{CHUNK_SIZE, Counts, SetHeader};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::{BackupFacts, ProductFacts, SchedulerFacts, ServiceFacts};
use syncferry_shared::lease::{LeaseKind, LeaseRef, LeaseState, Resource};
use syncferry_shared::plan::{HandoverWay, KnownBackup, LeaseUse, Plan, Scenario};
use syncferry_shared::spec::{JobSpec, Task, VerifyStoppedTask};
use syncferry_shared::{AgentId, ConnectVersion, DatabaseId, Finding, HostId, JobId, MigrationId, capability};
use uuid::Uuid;

use super::facts;
use super::world::{SOURCE, SQL01, SYNC01, SYNC02, good, lease};
use crate::plan::specs::{Known, spec};
use crate::plan::{KnownDatabase, KnownExport, OpenCare, PlanInput, plan};

const STAGING: DatabaseId = DatabaseId(Uuid::from_u128(0xd3));

fn export(holder: syncferry_shared::HostId, epoch: i64) -> KnownExport {
    let mut of = lease(SOURCE, LeaseState::Held, Some(holder));
    of.resource = Resource::tenant_export("8f3c1a52-6d0e-4b7a-9c51-2e7d4f60ab13");
    of.kind = LeaseKind::TenantExport;
    of.epoch = epoch;
    KnownExport {
        lease: of,
        name: "contoso/export".to_string(),
        holder_name: Some(if holder == SYNC01 { "SYNC01" } else { "SYNC02" }.to_string()),
    }
}

fn scheduler(staging_mode: bool) -> SchedulerFacts {
    SchedulerFacts {
        sync_cycle_enabled: true,
        staging_mode,
        suspended: false,
        cycle_in_progress: false,
        next_policy: "Delta".to_string(),
    }
}

/// A backup file on SQL01 that somebody has, of the database that SYNC01 used.
fn restored() -> PlanInput {
    let mut input = good();
    input.request.scenario = Scenario::RestoreFromBackup;
    input.request.handover = Some(HandoverWay::Host);
    input.request.backup_file = Some(r"D:\Backup\ADSync.bak".to_string());
    input.sql().backup = Some(backup_file());
    if let Some(old) = &mut input.holder
        && let Some(i) = &mut old.inventory
    {
        // Its SQL Server is gone.
        i.instances.clear();
        i.databases.clear();
    }
    input.source_host = input.target_host.clone();
    input
}

fn provisioned() -> PlanInput {
    let mut input = good();
    input.request.scenario = Scenario::ProvisionStaging;
    input
}

/// SYNC01 goes on, on the database that moves to SQL01.
pub(super) fn in_place() -> PlanInput {
    let mut input = good();
    input.request.in_place = true;
    input.request.keep_backup = true;
    input.request.connect_host = SYNC01;
    input.holder_exports = true;
    let new = input.connect_host.inventory.clone().unwrap_or_default();
    for host in [Some(&mut input.source_host), input.holder.as_mut()]
        .into_iter()
        .flatten()
    {
        let old = host.inventory.get_or_insert_default();
        old.installer.clone_from(&new.installer);
        old.reach.clone_from(&new.reach);
        old.account.clone_from(&new.account);
        let connect = old.connect.get_or_insert_default();
        connect.products = vec![ProductFacts {
            name: "Microsoft Azure AD Connect".to_string(),
            version: "1.6.16.0".to_string(),
            product_code: "{old}".to_string(),
        }];
    }
    input.connect_host = input.source_host.clone();
    input
}

fn drilled() -> PlanInput {
    let mut input = good();
    input.request.scenario = Scenario::Drill;
    input.request.installer = String::new();
    input.request.connect_host = SQL01;
    input.connect_host = input.target_host.clone();
    input
}

/// SYNC01 is active on its LocalDB; SYNC02 is in staging mode on SQL01.
fn switched() -> PlanInput {
    let mut input = good();
    input.request.scenario = Scenario::SwitchActive;
    input.request.handover = Some(HandoverWay::Host);
    input.request.installer = String::new();
    let held = lease(STAGING, LeaseState::Held, Some(SYNC02));
    let mut database = input.source_db().clone();
    database.instance = "default".to_string();
    database.server_name = "SQL01".to_string();
    database.sessions = Some(vec![]);
    input.sql().databases = vec![database];
    input.staging = Some(KnownDatabase {
        id: STAGING,
        lease: Some(held.clone()),
        lease_name: "SQL01/default/ADSync".to_string(),
        address: syncferry_shared::inventory::DatabaseAddress {
            instance: "default".to_string(),
            database: "ADSync".to_string(),
        },
        server_name: "SQL01".to_string(),
        ..input.source.clone()
    });
    input.connect_host.holds = Some(held);
    let connect = input.new_server().connect.get_or_insert_default();
    connect.scheduler = Some(scheduler(true));
    connect.service = Some(ServiceFacts {
        state: "running".to_string(),
        start: "automatic".to_string(),
        account: facts::ACCOUNT.to_string(),
    });
    input.export = Some(export(SYNC01, 1));
    input.holder_exports = true;
    input
}

/// SYNC02 was active, was installed anew in place, and is in staging mode: nobody else is there.
fn switched_back() -> PlanInput {
    let mut input = switched();
    input.export = Some(export(SYNC02, 1));
    input.holder = Some(input.connect_host.clone());
    input.request.old_server = Some(SYNC02);
    input.request.handover = None;
    if let Some(staging) = &input.staging {
        input.source = staging.clone();
        input.request.source = staging.id;
    }
    input.source_host = input.target_host.clone();
    input
}

/// After the switch: SYNC01 is in staging mode, SYNC02 exports.
fn retired() -> PlanInput {
    let mut input = switched();
    input.request.scenario = Scenario::Decommission;
    input.request.connect_host = SYNC01;
    input.request.old_server = Some(SYNC01);
    input.staging = None;
    input.export = Some(export(SYNC02, 3));
    input.holder_exports = false;
    input.old_scheduler(Some(scheduler(true)));
    input.connect_host = input.source_host.clone();
    input
}

impl PlanInput {
    fn old_scheduler(&mut self, to: Option<SchedulerFacts>) {
        for host in [self.holder.as_mut(), Some(&mut self.source_host)]
            .into_iter()
            .flatten()
        {
            if let Some(connect) = host.inventory.as_mut().and_then(|i| i.connect.as_mut()) {
                connect.scheduler.clone_from(&to);
            }
        }
    }
}

/// The good worlds, with the scenario of each.
pub(super) fn worlds() -> impl Iterator<Item = (Scenario, fn() -> PlanInput)> {
    GOOD.iter().map(|(_, good)| (good().request.scenario, *good))
}

/// What spoils the world of a scenario here.
pub(super) fn spoils(scenario: Scenario) -> impl Iterator<Item = fn(&mut PlanInput)> {
    let of = move |good: &Good| good().request.scenario == scenario;
    SPOILED
        .iter()
        .filter(move |(good, _, _, _)| of(good))
        .map(|(_, spoil, _, _)| *spoil)
}

/// The rules that have a case here.
pub(super) fn rules() -> impl Iterator<Item = String> {
    SPOILED.iter().map(|(_, _, rule, _)| rule.to_string())
}

pub(super) type Good = fn() -> PlanInput;
type Spoil = fn(&mut PlanInput);

pub(super) const GOOD: &[(&str, Good)] = &[
    ("restore-from-backup", restored),
    ("move-in-place", in_place),
    ("switch-active-same-host", switched_back),
    ("provision-staging", provisioned),
    ("drill", drilled),
    ("switch-active", switched),
    ("decommission", retired),
];

fn backup(input: &mut PlanInput) -> &mut syncferry_shared::inventory::BackupFacts {
    input.sql().backup.get_or_insert_with(backup_file)
}

/// What the migration that seated the staging server left to do.
fn care() -> OpenCare {
    let facts = CareFacts {
        new_server: "SYNC02".to_string(),
        ..CareFacts::default()
    };
    let migration = MigrationId(Uuid::from_u128(7));
    OpenCare {
        migration,
        items: Checklist::of(migration, &facts, &[], &[], syncferry_shared::Millis(0))
            .open_that_matter()
            .cloned()
            .collect(),
    }
}

/// A drill of a backup file instead of a backup made now.
fn from_file(input: &mut PlanInput) -> &mut BackupFacts {
    let file = backup(input);
    let path = file.path.clone();
    input.request.backup_file = Some(path);
    backup(input)
}

/// What is spoiled, and the rule that says so; whether it blocks.
const SPOILED: &[(Good, Spoil, &str, bool)] = &[
    (restored, |i| i.sql().backup = None, "backup-unreadable", true),
    (restored, |i| backup(i).backup_type = 5, "backup-not-full", true),
    (restored, |i| backup(i).sets = 2, "backup-has-several-sets", true),
    (restored, |i| backup(i).stripes = 2, "backup-is-striped", true),
    (restored, |i| backup(i).is_damaged = true, "backup-damaged", true),
    (
        restored,
        |i| backup(i).encryptor = Some("0xAB".into()),
        "backup-encrypted",
        false,
    ),
    (
        restored,
        |i| backup(i).has_checksums = false,
        "backup-without-checksums",
        false,
    ),
    (restored, |_| {}, "backup-without-manifest", false),
    (
        restored,
        |i| backup(i).header.family_guid = Uuid::from_u128(9),
        "backup-of-another-database",
        true,
    ),
    (
        restored,
        |i| backup(i).header.software_major = 17,
        "target-engine-older",
        true,
    ),
    (
        restored,
        |i| backup(i).header.collation = "Latin1_General_CS_AS".into(),
        "collation-case-sensitive",
        true,
    ),
    (
        restored,
        |i| backup(i).finished_at = Some(facts::NOW.plus(-22 * 86_400_000)),
        "backup-too-old",
        false,
    ),
    (restored, |i| backup(i).finished_at = None, "backup-age-unknown", false),
    (
        restored,
        |i| backup(i).header.files[0].size = u64::MAX,
        "no-space",
        true,
    ),
    (
        restored,
        |i| i.request.handover = Some(HandoverWay::Sql),
        "way-needs-sql-server",
        true,
    ),
    (
        restored,
        |i| {
            i.request.source = DatabaseId(Uuid::nil());
            i.source.lease = None;
            i.source.family_guid = None;
            i.holder = None;
        },
        "old-server-not-named",
        true,
    ),
    (
        restored,
        |i| {
            i.request.source = DatabaseId(Uuid::nil());
            i.request.handover = Some(HandoverWay::Attested);
        },
        "old-server-has-no-lease",
        true,
    ),
    (
        provisioned,
        |i| {
            let name = i.source_host.inventory.as_ref().unwrap().instances[0]
                .server_name
                .clone();
            i.target().server_name = name;
        },
        "staging-beside-active",
        true,
    ),
    (
        restored,
        |i| {
            if let Some(l) = &mut i.source.lease {
                l.holder = Some(SYNC02);
            }
        },
        "old-server-is-the-new-one",
        true,
    ),
    (
        restored,
        |i| {
            if let Some(old) = &mut i.holder
                && let Some(inventory) = &mut old.inventory
            {
                inventory.connect = None;
            }
        },
        "old-server-unseen",
        true,
    ),
    (restored, |_| {}, "backup-age", false),
    (switched, |_| {}, "sign-in-tasks", false),
    (switched, |i| i.care = Some(care()), "aftercare-open", true),
    (switched, |_| {}, "old-server-goes-first", false),
    (switched, |i| i.sql().databases.clear(), "staging-database-unseen", true),
    (retired, |_| {}, "leftovers", false),
    (
        provisioned,
        |i| i.old_scheduler(Some(scheduler(true))),
        "source-not-active",
        false,
    ),
    (
        drilled,
        |i| {
            let name = i.source.server_name.clone();
            i.target().server_name = name;
        },
        "drill-on-production",
        true,
    ),
    (
        drilled,
        |i| i.registered_on_target = vec![("default".into(), "ADSync2".into(), "x".into())],
        "drill-beside-connect",
        false,
    ),
    (switched, |i| i.export = None, "export-unknown", true),
    (switched_back, |_| {}, "export-is-the-new-servers", false),
    (
        switched,
        |i| {
            i.export = Some(export(SYNC02, 2));
            i.new_server().connect.get_or_insert_default().scheduler = Some(scheduler(false));
        },
        "export-is-the-new-servers",
        true,
    ),
    (in_place, |i| i.request.dba = true, "dba-steps", false),
    (restored, |i| i.request.dba = true, "dba-steps", false),
    (provisioned, |i| i.request.dba = true, "dba-steps", false),
    (drilled, |i| i.request.dba = true, "dba-steps", false),
    (in_place, |_| {}, "in-place-no-synchronization", false),
    (in_place, |_| {}, "in-place-no-way-back", false),
    (in_place, |_| {}, "in-place-ends-in-staging", false),
    (
        in_place,
        |i| {
            let reaches = i.target_host.inventory.clone();
            i.target_host = i.connect_host.clone();
            i.target_host.inventory = reaches;
        },
        "in-place-backup-not-off-host",
        true,
    ),
    (
        in_place,
        |i| i.new_server().connect.get_or_insert_default().products.clear(),
        "in-place-nothing-to-uninstall",
        true,
    ),
    (
        in_place,
        |i| {
            let connect = i.new_server().connect.get_or_insert_default();
            connect
                .products
                .iter_mut()
                .for_each(|p| p.version = "9.9.9.9".to_string());
        },
        "in-place-installer-older",
        true,
    ),
    (
        in_place,
        |i| {
            let connect = i.new_server().connect.get_or_insert_default();
            connect.scheduler = Some(SchedulerFacts {
                cycle_in_progress: true,
                ..scheduler(false)
            });
        },
        "in-place-cycle-runs",
        false,
    ),
    (
        in_place,
        |i| i.msi().product_version = "1.0.0.0".to_string(),
        "installer-too-old",
        true,
    ),
    (
        in_place,
        |i| i.new_server().reach.iter_mut().for_each(|r| r.reached = false),
        "connect-host-cannot-reach-sql",
        true,
    ),
    (in_place, |i| i.sql().host.staging_free = Some(1), "no-space", true),
    (
        in_place,
        |i| {
            if let Some(l) = &mut i.connect_host.holds {
                l.resource = Resource::database(STAGING);
            }
        },
        "lease-held",
        true,
    ),
    (
        switched,
        |i| {
            if let Some(e) = &mut i.export {
                e.lease.state = LeaseState::Lost;
            }
        },
        "old-server-not-heard-of",
        true,
    ),
    (switched, |i| i.staging = None, "new-server-has-no-database", true),
    (
        switched,
        |i| i.new_server().connect.get_or_insert_default().scheduler = Some(scheduler(false)),
        "two-active-servers",
        true,
    ),
    (
        switched,
        |i| i.new_server().connect.get_or_insert_default().scheduler = None,
        "staging-mode-unknown",
        true,
    ),
    // G10: said to be gone, and still active.
    (
        switched,
        |i| i.request.handover = Some(HandoverWay::Attested),
        "old-server-still-active",
        true,
    ),
    (
        switched,
        |i| i.request.handover = Some(HandoverWay::Sql),
        "way-does-not-fit",
        true,
    ),
    (
        switched,
        |i| {
            if let Some(a) = &mut i.sql().databases[0].adsync {
                a.last_sync = Some(facts::NOW.plus(-48 * 3_600_000));
            }
        },
        "staging-is-behind",
        false,
    ),
    (retired, |i| i.holder_exports = true, "server-is-active", true),
    (
        retired,
        |i| i.old_scheduler(Some(scheduler(false))),
        "server-not-in-staging",
        true,
    ),
    (retired, |i| i.old_scheduler(None), "staging-mode-unknown", true),
    (retired, |i| i.export = None, "nobody-exports", false),
    (retired, |i| i.holder = None, "holder-not-known", true),
    (restored, |i| backup(i).header.collation.clear(), "gate-unknown", true),
    (
        restored,
        |i| {
            let b = i.backup();
            i.artifact = b.map(|b| KnownBackup {
                counts: Some(Counts {
                    connect_version: Some(ConnectVersion([9, 9, 9, 9])),
                    ..Counts::default()
                }),
                ..b
            });
        },
        "installer-older-than-database",
        true,
    ),
    (
        restored,
        |i| {
            let connect = i.holder.as_mut().and_then(|h| h.inventory.as_mut()?.connect.as_mut());
            if let Some(service) = connect.and_then(|c| c.service.as_mut()) {
                service.account = facts::ACCOUNT.to_string();
            }
        },
        "service-account-shared",
        false,
    ),
    (
        drilled,
        |i| i.source_host.inventory = None,
        "agent-does-not-answer",
        true,
    ),
    (drilled, |i| from_file(i).backup_type = 5, "backup-not-full", true),
    (drilled, |i| from_file(i).sets = 2, "backup-has-several-sets", true),
    (drilled, |i| from_file(i).stripes = 2, "backup-is-striped", true),
    (drilled, |i| from_file(i).is_damaged = true, "backup-damaged", true),
    (
        drilled,
        |i| from_file(i).encryptor = Some("0xAB".into()),
        "backup-encrypted",
        false,
    ),
    (
        drilled,
        |i| from_file(i).has_checksums = false,
        "backup-without-checksums",
        false,
    ),
    (drilled, |i| from_file(i).sets = 1, "backup-without-manifest", false),
    (
        drilled,
        |i| {
            from_file(i);
            i.sql().backup = None;
        },
        "backup-unreadable",
        true,
    ),
    (
        switched,
        |i| {
            if let Some(e) = &mut i.export {
                e.lease.state = LeaseState::Quarantined;
            }
        },
        "lease-quarantined",
        true,
    ),
    (
        switched,
        |i| {
            if let Some(s) = &mut i.staging {
                s.id = SOURCE;
            }
        },
        "source-is-shared",
        true,
    ),
    (
        switched,
        |i| i.sql().databases[0].adsync = None,
        "plan-incomplete",
        true,
    ),
    (
        retired,
        |i| {
            i.source_host.inventory = None;
            i.source.family_guid = None;
        },
        "plan-incomplete",
        true,
    ),
];

fn told(plan: &Plan) -> String {
    plan.findings
        .iter()
        .map(|f| format!("{}: {} | {}\n", f.rule, f.title, f.next_step))
        .collect()
}

/// What a person reads of each plan, and what its agents are told.
#[test]
fn the_good_plans() {
    for (name, good) in GOOD {
        let plan = plan(&good());
        assert!(!plan.blocked(), "{name}:\n{}", told(&plan));
        let mut text = String::new();
        for stage in &plan.stages {
            text += &format!("== {}\n", stage.name);
            for job in &stage.jobs {
                text += &format!("{} ({:?}) on {}\n", job.name, job.lease, job.host_name);
                text += &job.steps.iter().map(|s| format!("  - {s}\n")).collect::<String>();
                text += &job
                    .changes
                    .iter()
                    .map(|s| format!("  changes {s}\n"))
                    .collect::<String>();
            }
        }
        if let Some(h) = &plan.handover {
            text += &format!("== {} -> {} after stage {}\n", h.from_name, h.to_name, h.stage);
            text += &h.steps.iter().map(|s| format!("  - {s}\n")).collect::<String>();
            text += &format!("  proves {}\n", h.proves);
        }
        text += "== back\n";
        text += &plan.rollback.iter().map(|s| format!("  - {s}\n")).collect::<String>();
        text += &format!("== findings\n{}", told(&plan));
        insta::assert_snapshot!(format!("scenario-{name}"), text);
        assert!(
            plan.rollback.iter().any(|r| r.contains("oint of no return")),
            "{name}: where the way back ends"
        );
        specs(&plan);
    }
}

/// Every job gets its specification from what the jobs before it left.
fn specs(plan: &Plan) -> Vec<Task> {
    let mut outcomes = BTreeMap::new();
    let mut made = Vec::new();
    for job in plan.jobs() {
        let known = Known {
            outcomes: &outcomes,
            lease: LeaseRef {
                resource: job.resource.clone(),
                epoch: 1,
            },
            source_agent: Some(AgentId(Uuid::from_u128(0xa9))),
            source_address: Some("sync01.contoso.example:7444".to_string()),
        };
        let spec = spec(plan, job, &known).unwrap();
        assert_eq!(spec.task.kind(), job.kind, "{}", job.name);
        let need = capability::of_job(&job.name, job.kind);
        assert_eq!(capability::of_task(&spec.task), need, "{}", job.name);
        let mut outcome = facts::outcome(&spec);
        if matches!(spec.task, Task::Restore(_)) {
            outcome.counts = outcome.counts.or_else(|| Some(Default::default()));
        }
        outcomes.insert(job.name.clone(), outcome);
        made.push(spec.task);
    }
    made
}

#[test]
fn every_rule_meets_what_it_is_about() {
    for (good, spoil, rule, blocks) in SPOILED {
        let mut input = good();
        spoil(&mut input);
        let plan = plan(&input);
        let found = plan.findings.iter().find(|f| f.rule == *rule);
        let found = found.unwrap_or_else(|| panic!("{rule} is not found:\n{}", told(&plan)));
        assert_eq!(found.blocks(), *blocks, "{rule}");
        assert!(!found.evidence.is_empty() && !found.source.is_empty(), "{rule}");
        assert!(found.next_step.ends_with('.'), "{rule}: {}", found.next_step);
        assert_eq!(
            plan.blocked(),
            plan.findings.iter().any(Finding::blocks),
            "{rule}:\n{}",
            told(&plan)
        );
    }
}

/// What only the copy says reaches the person at the wizard: without a manifest the forests are read after the restore.
#[test]
fn the_cards_name_the_forests_of_the_copy() {
    let tasks = specs(&plan(&restored()));
    let cards = tasks.iter().find_map(|t| match t {
        Task::Install(t) => Some(&t.cards),
        _ => None,
    });
    let directories = cards
        .unwrap()
        .iter()
        .find(|c| c.page == "Connect your directories")
        .unwrap();
    assert_eq!(directories.fields[0].label, "contoso.example");
    let restore = tasks.iter().find_map(|t| match t {
        Task::Restore(t) => Some(t),
        _ => None,
    });
    let restore = restore.unwrap();
    assert_eq!(restore.here.as_deref(), Some(r"D:\Backup\ADSync.bak"));
    assert!(
        restore.uncounted && restore.root.is_empty(),
        "what is unknown is said, not guessed"
    );
}

/// A drill never gives a name for good, nor lets an account in, nor installs anything.
/// What the new server's own tool listed is what the gate shows; an agent that cannot list is told of before anything is touched.
#[test]
fn what_is_listed_is_shown_at_the_gate() {
    let tasks = specs(&plan(&switched()));
    let at = |fits: fn(&Task) -> bool| tasks.iter().position(fits).unwrap();
    let (list, review) = (
        at(|t| matches!(t, Task::ListExports(_))),
        at(|t| matches!(t, Task::ReviewExports(_))),
    );
    assert!(list < review);
    let Task::ReviewExports(task) = &tasks[review] else {
        unreachable!()
    };
    assert_eq!(task.exports, Some(ExportList::default()));
    let mut input = switched();
    input.connect_host.capabilities.retain(|c| c != "job.list-exports.v1");
    let plan = plan(&input);
    let found = plan.findings.iter().find(|f| f.rule == "agent-too-old").unwrap();
    assert!(plan.blocked() && found.title.contains("SYNC02"), "{}", told(&plan));
    assert_eq!(found.evidence[1].looked_at, "job list-exports");
}

#[test]
fn a_drill_leaves_nothing() {
    let tasks = specs(&plan(&drilled()));
    assert!(
        !tasks
            .iter()
            .any(|t| matches!(t, Task::Install(_) | Task::Restore(_) | Task::StopServer(_)))
    );
    let drill = tasks.iter().find_map(|t| match t {
        Task::Drill(t) => Some(t),
        _ => None,
    });
    let drill = drill.unwrap();
    assert_eq!(drill.restore.service_account, None);
    assert!(drill.restore.final_name.starts_with("syncferry_drill_"));
}

/// Nobody may use two databases: up to the uninstallation the new one is nobody's, and what is done with it is done beside its lease.
#[test]
fn in_place_the_new_lease_comes_when_the_old_installation_is_gone() {
    let plan = plan(&in_place());
    let h = plan.handover.clone().unwrap();
    assert_eq!((h.from, h.to, h.frees), (Some(SYNC01), SYNC01, true));
    assert_eq!(plan.stages[h.stage].jobs[0].name, "uninstall");
    let taken = h.takes.unwrap();
    for (n, stage) in plan.stages.iter().enumerate() {
        for job in stage.jobs.iter().filter(|j| j.resource == taken) {
            assert_eq!(job.lease == LeaseUse::Beside, n <= h.stage, "{}", job.name);
        }
        for job in stage.jobs.iter().filter(|j| j.resource == h.resource) {
            assert!(n <= h.stage, "{}: the old installation is gone by then", job.name);
        }
    }
    let at = |name: &str| plan.stages.iter().position(|s| s.jobs.iter().any(|j| j.name == name));
    let order = [
        "backup",
        "restore",
        "document-installation",
        "verify-way-back",
        "stop-old-server",
        "uninstall",
        "install",
    ];
    assert!(
        order.windows(2).all(|w| at(w[0]) < at(w[1])),
        "proven elsewhere before it goes"
    );
    let tasks = specs(&plan);
    assert!(tasks.iter().any(|t| matches!(t, Task::Restore(r) if r.keep_copy)));
    assert!(tasks.iter().any(|t| matches!(t, Task::VerifyWayBack(_))));
    assert!(
        tasks
            .iter()
            .any(|t| matches!(t, Task::Uninstall(u) if u.stays.as_ref().is_some_and(|s| !s.files.is_empty())))
    );
    assert!(
        !tasks.iter().any(|t| matches!(t, Task::VerifyOldServer(_))),
        "it is the new one"
    );
}

/// Without the old server there is no gate for it: its export is freed by another proof, or nothing goes on.
#[test]
fn a_dead_active_server_is_not_asked() {
    let mut input = switched();
    input.request.handover = Some(HandoverWay::PowerOff);
    if let Some(old) = &mut input.holder {
        old.inventory = None;
        old.online = false;
    }
    input.source_host.inventory = None;
    let plan = plan(&input);
    assert!(!plan.blocked(), "{}", told(&plan));
    assert!(plan.jobs().all(|j| j.host != SYNC01), "nobody asks it");
    let h = plan.handover.unwrap();
    assert!(plan.stages[h.stage].jobs.is_empty() && h.steps.iter().any(|s| s.contains("--power-off")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a world is spoiled: a plan with a blocker has no job and no value, so nothing can touch a host; one without has
    /// a specification for every job.
    #[test]
    fn a_blocked_plan_has_nothing_to_do(
        of in 0..GOOD.len(),
        spoils in proptest::collection::vec(0..SPOILED.len(), 0..4),
    ) {
        let good = GOOD[of].1;
        let mut input = good();
        for s in spoils {
            let (for_good, spoil, _, _) = SPOILED[s];
            if for_good().request.scenario == input.request.scenario {
                spoil(&mut input);
            }
        }
        let plan = plan(&input);
        let blocker = plan.findings.iter().any(Finding::blocks);
        prop_assert_eq!(plan.blocked(), blocker);
        prop_assert_eq!(plan.stages.is_empty(), blocker);
        prop_assert_eq!(plan.values.is_none(), blocker);
        let own = input.export.as_ref().is_some_and(|e| e.lease.holder == Some(input.request.connect_host));
        let hands_over = match input.request.scenario {
            Scenario::SwitchActive => !own,
            Scenario::MoveToFullSql => input.request.in_place,
            Scenario::RestoreFromBackup | Scenario::Decommission => true,
            _ => false,
        };
        prop_assert_eq!(plan.handover.is_none(), blocker || !hands_over);
        if !blocker {
            specs(&plan);
        }
    }
}

/// A backup file that somebody has, as an instance of the target reads it.
fn backup_file() -> BackupFacts {
    let spec = JobSpec {
        schema_version: 1,
        migration: MigrationId(Uuid::nil()),
        job: JobId(Uuid::nil()),
        host: HostId(Uuid::nil()),
        lease: LeaseRef {
            resource: Resource::database(DatabaseId(Uuid::nil())),
            epoch: 1,
        },
        task: Task::VerifyStopped(VerifyStoppedTask { server: String::new() }),
    };
    BackupFacts {
        path: r"D:\Backup\ADSync.bak".to_string(),
        size: Some(CHUNK_SIZE),
        header: SetHeader {
            description: String::new(),
            ..facts::header(&spec, facts::FAMILY_GUID)
        },
        sets: 1,
        stripes: 1,
        backup_type: 1,
        has_checksums: true,
        is_damaged: false,
        encryptor: None,
        finished: Some("2026-11-19 22:00:00".to_string()),
        finished_at: Some(facts::NOW.plus(-12 * 3_600_000)),
    }
}
