//! Runs at SQL Server: what speaks against one, as an operator reads it; and what was read back, as a proof or not.

use std::collections::BTreeMap;

use syncferry_shared::fence::{
    FenceDatabaseTask, FencePreview, FenceReadBack, MARK_EPOCH, MARK_OWNER, MARK_UID, MarksReadBack, PreviewStatement,
    PrincipalFacts, SessionLook,
};
use syncferry_shared::inventory::{DatabaseAddress, SessionFacts};
use syncferry_shared::lease::{LeaseState, Resource};
use syncferry_shared::plan::{LeaseRun, LeaseTask, Plan};
use syncferry_shared::spec::DatabaseIdentity;
use syncferry_shared::{DatabaseId, Finding, HostId, JobId, MigrationId, Millis};
use uuid::Uuid;

use crate::plan::fence::{FenceInput, cleaned, fenced, plan};

const OLD: &str = r"CONTOSO\svc-sync1";
const NEW: &str = r"CONTOSO\svc-sync2";

fn id() -> DatabaseId {
    DatabaseId(Uuid::from_u128(5))
}

fn task() -> FenceDatabaseTask {
    FenceDatabaseTask {
        database: DatabaseIdentity {
            id: id(),
            address: DatabaseAddress {
                instance: "default".into(),
                database: "ADSync".into(),
            },
            server_name: "SQL01".into(),
            database_guid: Uuid::from_u128(6),
            family_guid: Uuid::from_u128(7),
        },
        epoch: 4,
        owner: None,
        deny: vec![OLD.into()],
        grant: None,
        preview_digest: String::new(),
    }
}

fn principal(login: &str, connect: &str) -> PrincipalFacts {
    PrincipalFacts {
        login: login.into(),
        exists: Some(true),
        user: Some(login.into()),
        is_owner: Some(false),
        is_sysadmin: Some(false),
        groups: Some(vec![]),
        connect: Some(connect.into()),
    }
}

fn input() -> FenceInput {
    FenceInput {
        migration: MigrationId(Uuid::from_u128(1)),
        job: JobId(Uuid::from_u128(2)),
        more_jobs: vec![],
        run: LeaseRun {
            resource: Resource::database(id()),
            seen_state: LeaseState::Lost,
            seen_epoch: 3,
            reason: "SYNC01 is gone".into(),
            task: LeaseTask::Fence(task()),
            statements: vec![],
        },
        name: "SQL01/default/ADSync".into(),
        host: HostId(Uuid::from_u128(3)),
        host_name: "SQL01".into(),
        preview: Some(FencePreview {
            statements: vec![PreviewStatement {
                purpose: "deny and mark".into(),
                text: "DENY CONNECT TO [CONTOSO\\svc-sync1];".into(),
            }],
            principals: vec![principal(OLD, "GRANT")],
            marks: BTreeMap::new(),
            lacks: vec![],
            updateability: Some("READ_WRITE".into()),
        }),
        problem: None,
        servers: vec![(OLD.into(), "SYNC01".into()), (NEW.into(), "SYNC02".into())],
    }
}

fn told(findings: &[Finding]) -> String {
    let one = |f: &Finding| {
        let seen: Vec<String> = f
            .evidence
            .iter()
            .map(|e| format!("{}: {}", e.looked_at, e.found))
            .collect();
        format!(
            "{} {}: {}\n  seen {}\n  next {}\n",
            f.severity.as_str(),
            f.rule,
            f.title,
            seen.join("\n  seen "),
            f.next_step
        )
    };
    findings.iter().map(one).collect()
}

#[test]
fn a_run_that_nothing_speaks_against() {
    let plan = plan(&input());
    assert_eq!(told(&plan.findings), "");
    assert!(!plan.blocked());
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
}

/// What is changed in the good input.
type Change = fn(&mut FenceInput);

fn of(i: &mut FenceInput) -> &mut PrincipalFacts {
    &mut i.preview.as_mut().unwrap().principals[0]
}

fn task_of(i: &mut FenceInput) -> &mut FenceDatabaseTask {
    match &mut i.run.task {
        LeaseTask::Fence(t) | LeaseTask::Open(t) => t,
        LeaseTask::RemoveMarks(_) | LeaseTask::Prove(_) => panic!("no fence"),
    }
}

#[test]
fn where_a_denial_would_not_bind_no_fence_is_offered() {
    let cases: &[(&str, Change)] = &[
        ("owner", |i| of(i).is_owner = Some(true)),
        ("owner unknown", |i| of(i).is_owner = None),
        ("sysadmin", |i| of(i).is_sysadmin = Some(true)),
        ("sysadmin unknown", |i| of(i).is_sysadmin = None),
        ("group", |i| of(i).groups = Some(vec![r"CONTOSO\AAD-Admins".into()])),
        ("group unknown", |i| of(i).groups = None),
        ("shared account", |i| i.servers[1].0 = OLD.to_lowercase()),
        ("shared with the holder", |i| {
            let t = task_of(i);
            (t.grant, t.owner) = (Some(OLD.into()), Some("h".into()));
        }),
        ("not seen", |i| i.preview.as_mut().unwrap().principals.clear()),
        ("no login", |i| task_of(i).deny.clear()),
        ("secondary replica", |i| {
            i.preview.as_mut().unwrap().updateability = Some("READ_ONLY".into())
        }),
        ("not permitted", |i| {
            i.preview.as_mut().unwrap().lacks = vec!["ALTER ANY USER".into(), "ALTER ANY CONNECTION".into()]
        }),
        ("a copy", |i| {
            i.preview
                .as_mut()
                .unwrap()
                .marks
                .insert(MARK_UID.into(), "other".into());
        }),
        ("a newer epoch", |i| {
            i.preview.as_mut().unwrap().marks.insert(MARK_EPOCH.into(), "9".into());
        }),
        ("the same epoch with another owner", |i| {
            let marks = &mut i.preview.as_mut().unwrap().marks;
            marks.insert(MARK_EPOCH.into(), "4".into());
            marks.insert(MARK_OWNER.into(), "somebody".into());
        }),
        ("no preview", |i| {
            i.preview = None;
            i.problem = Some("instance default: login failed".into());
        }),
        ("nothing to run", |i| i.preview.as_mut().unwrap().statements.clear()),
    ];
    let mut text = String::new();
    for (name, change) in cases {
        let mut i = input();
        change(&mut i);
        let plan: Plan = plan(&i);
        assert!(plan.blocked() && plan.stages.is_empty(), "{name}");
        text.push_str(&format!("== {name}\n{}", told(&plan.findings)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_obstacle() {
    let cases: &[(&str, Change)] = &[
        ("the instance does not know the login", |i| of(i).exists = Some(false)),
        ("an older epoch", |i| {
            i.preview.as_mut().unwrap().marks.insert(MARK_EPOCH.into(), "3".into());
        }),
        ("the same epoch and owner: the run was lost on the way", |i| {
            i.preview.as_mut().unwrap().marks.insert(MARK_EPOCH.into(), "4".into());
        }),
    ];
    for (name, change) in cases {
        let mut i = input();
        change(&mut i);
        assert!(!plan(&i).blocked(), "{name}");
    }
}

fn back() -> FenceReadBack {
    let look = |at| SessionLook {
        at: Millis(at),
        sessions: vec![],
    };
    FenceReadBack {
        server_name: "SQL01".into(),
        database_guid: Some(Uuid::from_u128(6)),
        updateability: Some("READ_WRITE".into()),
        marks: BTreeMap::from([
            (MARK_UID.into(), id().to_string()),
            (MARK_EPOCH.into(), "4".into()),
            (MARK_OWNER.into(), String::new()),
        ]),
        principals: vec![principal(OLD, "DENY")],
        killed: vec![],
        looks: vec![look(10_000), look(12_000)],
    }
}

#[test]
fn what_was_read_back_proves_a_fence_or_it_does_not() {
    assert!(fenced(&task(), Some(&back())).is_ok());
    assert!(fenced(&task(), None).is_err());
    type Spoil = fn(&mut FenceReadBack);
    let session = |login: &str| SessionFacts {
        id: 70,
        login: login.into(),
        host: None,
        program: None,
        process_id: None,
        address: None,
    };
    let cases: &[(&str, Spoil)] = &[
        ("another server", |b| b.server_name = "SQL02".into()),
        ("another database", |b| b.database_guid = Some(Uuid::from_u128(66))),
        ("a replica that became a secondary", |b| {
            b.updateability = Some("READ_ONLY".into())
        }),
        ("an agent that does not say", |b| b.updateability = None),
        ("another uid", |b| drop(b.marks.insert(MARK_UID.into(), "x".into()))),
        ("an older epoch", |b| {
            drop(b.marks.insert(MARK_EPOCH.into(), "3".into()))
        }),
        ("an owner", |b| drop(b.marks.insert(MARK_OWNER.into(), "x".into()))),
        ("no marks", |b| b.marks.clear()),
        ("still granted", |b| b.principals[0].connect = Some("GRANT".into())),
        ("nothing of its own", |b| b.principals[0].connect = None),
        ("not seen", |b| b.principals.clear()),
        ("owner after all", |b| b.principals[0].is_owner = Some(true)),
        ("sysadmin unknown", |b| b.principals[0].is_sysadmin = None),
        ("one look", |b| drop(b.looks.pop())),
        ("two looks in one breath", |b| b.looks[1].at = Millis(11_999)),
        ("clock went back", |b| b.looks[1].at = Millis(1)),
    ];
    for (name, spoil) in cases {
        let mut b = back();
        spoil(&mut b);
        let against = fenced(&task(), Some(&b)).expect_err(name);
        assert!(against.iter().all(|f| f.rule == "fence-not-proven"), "{name}");
    }
    for n in [0, 1] {
        let mut b = back();
        b.looks[n].sessions.push(session(&OLD.to_uppercase()));
        assert!(fenced(&task(), Some(&b)).is_err(), "a session in look {n}");
        let mut b = back();
        b.looks[n].sessions.push(session(NEW));
        assert!(fenced(&task(), Some(&b)).is_ok(), "somebody else's session");
    }
    let mut open = task();
    (open.owner, open.grant) = (Some("h".into()), Some(NEW.into()));
    let mut b = back();
    b.marks.insert(MARK_OWNER.into(), "h".into());
    assert!(fenced(&open, Some(&b)).is_err(), "the holder's login was not seen");
    b.principals.push(principal(NEW, "GRANT"));
    assert!(fenced(&open, Some(&b)).is_ok());
    b.principals[1].connect = None;
    assert!(fenced(&open, Some(&b)).is_err(), "neither granted nor inside anyway");
    b.principals[1].is_owner = Some(true);
    assert!(fenced(&open, Some(&b)).is_ok(), "the owner needs no grant");
}

#[test]
fn a_database_is_clean_when_nothing_of_ours_is_left() {
    assert!(cleaned(Some(&MarksReadBack::default())).is_ok());
    assert!(cleaned(None).is_err());
    let mark = MarksReadBack {
        marks: BTreeMap::from([(MARK_EPOCH.into(), "4".into())]),
        ..MarksReadBack::default()
    };
    assert!(cleaned(Some(&mark)).is_err());
    let unknown = MarksReadBack {
        marks: BTreeMap::from([("syncferry.later".into(), "x".into())]),
        ..MarksReadBack::default()
    };
    assert!(cleaned(Some(&unknown)).is_err(), "a mark of a later release");
    let denied = |allowed: &[&str]| MarksReadBack {
        denied: vec!["svc".into(), "dba".into()],
        allowed: allowed.iter().map(|a| (*a).to_string()).collect(),
        ..MarksReadBack::default()
    };
    assert!(cleaned(Some(&denied(&["SVC"]))).is_err(), "ours is still there");
    let told = cleaned(Some(&denied(&["another"]))).unwrap();
    assert_eq!(
        told["denied_by_others"],
        serde_json::json!(["svc", "dba"]),
        "somebody else's stays"
    );
}
