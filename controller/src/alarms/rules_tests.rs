//! Every rule with what an operator reads, and what is no alarm.

use syncferry_shared::inventory::{ConnectFacts, ConnectParameters, DatabaseAddress, SchedulerFacts, ServiceFacts};

use super::*;

fn host(n: u128, name: &str) -> HostView {
    HostView {
        id: HostId(Uuid::from_u128(n)),
        name: name.into(),
        computer: Some(name.into()),
        expected: false,
        held_before: false,
        refused: None,
    }
}

fn db() -> DatabaseId {
    DatabaseId(Uuid::from_u128(50))
}

/// SYNC01 holds ADSync on SQL01 and exports; SYNC02 is known, SYNC09 is not.
fn world() -> World {
    let lease = |name: &str, kind, database| LeaseView {
        name: name.into(),
        kind,
        state: LeaseState::Held,
        since: Millis(1_000),
        epoch: 3,
        holder: Some(HostId(Uuid::from_u128(1))),
        tenant_hosts: vec![HostId(Uuid::from_u128(1)), HostId(Uuid::from_u128(2))],
        database,
    };
    let registered = Some((db(), Some(Uuid::from_u128(7)), Some(Uuid::from_u128(8))));
    World {
        now: Millis(2_000),
        restored: BTreeSet::new(),
        leases: vec![
            lease("SQL01/default/ADSync", LeaseKind::Database, registered),
            lease("contoso/export", LeaseKind::TenantExport, None),
        ],
        hosts: vec![host(1, "SYNC01"), host(2, "SYNC02"), host(3, "SQL01")],
        looks: vec![
            (
                HostId(Uuid::from_u128(1)),
                connect("running", false, r"CONTOSO\svc-sync1", "SQL01"),
            ),
            (
                HostId(Uuid::from_u128(2)),
                connect("running", true, r"CONTOSO\svc-sync2", "SQL02"),
            ),
            (
                HostId(Uuid::from_u128(3)),
                sessions(vec![session("miiserver.exe", "SYNC01", r"CONTOSO\svc-sync1")]),
            ),
        ],
    }
}

fn connect(state: &str, staging_mode: bool, account: &str, server: &str) -> WatchReport {
    WatchReport {
        connect: Some(WatchedConnect {
            error: None,
            facts: ConnectFacts {
                service: Some(ServiceFacts {
                    state: state.into(),
                    start: "automatic".into(),
                    account: account.into(),
                }),
                parameters: Some(ConnectParameters {
                    server: server.into(),
                    instance: String::new(),
                    database: "ADSync".into(),
                }),
                scheduler: Some(SchedulerFacts {
                    sync_cycle_enabled: true,
                    staging_mode,
                    suspended: false,
                    cycle_in_progress: false,
                    next_policy: "Delta".into(),
                }),
                ..ConnectFacts::default()
            },
        }),
        ..WatchReport::default()
    }
}

fn sessions(sessions: Vec<SessionFacts>) -> WatchReport {
    WatchReport {
        databases: vec![WatchedDatabase {
            database: db(),
            address: DatabaseAddress {
                instance: "default".into(),
                database: "ADSync".into(),
            },
            error: None,
            database_guid: Some(Uuid::from_u128(7)),
            recovery_fork_guid: Some(Uuid::from_u128(8)),
            sessions: Some(sessions),
            marks: Default::default(),
        }],
        ..WatchReport::default()
    }
}

fn session(program: &str, host: &str, login: &str) -> SessionFacts {
    SessionFacts {
        id: 61,
        login: login.into(),
        host: Some(host.into()),
        program: Some(program.into()),
        process_id: Some(4),
        address: None,
    }
}

fn told(judgement: &Judgement) -> String {
    judgement.alarming.iter().map(tell).collect()
}

fn tell(a: &Alarming) -> String {
    let f = &a.finding;
    let seen: Vec<String> = f
        .evidence
        .iter()
        .map(|e| format!("{}: {}", e.looked_at, e.found))
        .collect();
    format!(
        "{} [{}]\n  {} {}: {}\n  seen {}\n  source {}\n  next {}\n",
        a.kind,
        a.subject,
        f.severity.as_str(),
        f.rule,
        f.title,
        seen.join("\n  seen "),
        f.source,
        f.next_step
    )
}

#[test]
fn nothing_is_alarming_in_an_orderly_world() {
    let judgement = judge(&world());
    assert_eq!(judgement.alarming, vec![], "{}", told(&judgement));
    assert!(judgement.ended(AlarmKind::ForeignSession, "SQL01/default/ADSync from SYNC09"));
    assert!(judgement.ended(AlarmKind::SecondActiveServer, "contoso/export by SYNC02"));
    assert!(judgement.ended(AlarmKind::OldServerAlive, "SYNC02"));
    assert!(judgement.ended(AlarmKind::LeaseLost, "SQL01/default/ADSync"));
    assert!(
        !judgement.ended(AlarmKind::LeaseLost, "SQL01/default/ADSync2"),
        "another one"
    );
    assert!(
        !judgement.ended(AlarmKind::BreakGlass, "SQL01/default/ADSync"),
        "an occurrence ends with a person"
    );
}

#[test]
fn who_is_not_heard_of_ends_no_alarm() {
    let silent = World {
        looks: vec![],
        ..world()
    };
    let judgement = judge(&silent);
    assert_eq!(judgement.alarming, vec![]);
    for (kind, subject) in [
        (AlarmKind::ForeignSession, "SQL01/default/ADSync from SYNC09"),
        (AlarmKind::SecondActiveServer, "contoso/export by SYNC02"),
        (AlarmKind::OldServerAlive, "SYNC02"),
        (AlarmKind::CannotWatch, "SQL01/default/ADSync"),
    ] {
        assert!(!judgement.ended(kind, subject), "{kind}");
    }
    // Nor does one that could not look.
    let mut blind = world();
    blind.looks[2].1.databases[0].sessions = None;
    assert!(!judge(&blind).ended(AlarmKind::ForeignSession, "SQL01/default/ADSync from SYNC09"));
}

#[test]
fn other_programs_sessions_are_no_alarm() {
    let mut w = world();
    w.looks[2].1 = sessions(vec![
        session("miiserver.exe", "sync01", r"CONTOSO\svc-sync1"),
        session("Microsoft SQL Server Management Studio", "ADMIN7", r"CONTOSO\ada"),
        session("SQLAgent", "SQL01", r"NT SERVICE\SQLAgent"),
    ]);
    assert_eq!(told(&judge(&w)), "");
}

/// What is changed in the orderly world.
type Change = fn(&mut World);

#[test]
fn what_is_alarming() {
    let cases: &[(&str, Change)] = &[
        ("a server that nobody knows", |w| {
            w.looks[2].1 = sessions(vec![session("miiserver.exe", "SYNC09", r"CONTOSO\svc-sync9"); 2]);
        }),
        ("another server's account, whatever the host name says", |w| {
            w.looks[2].1 = sessions(vec![session("odd.exe", "SYNC01", r"contoso\SVC-SYNC2")]);
        }),
        ("a session while nobody holds it", |w| {
            w.leases[0].holder = None;
            w.leases[0].state = LeaseState::Free;
        }),
        ("a second active server", |w| {
            w.looks[1].1 = connect("running", false, r"CONTOSO\svc-sync2", "SQL02");
        }),
        ("an active server without the export", |w| {
            w.leases[1].holder = Some(HostId(Uuid::from_u128(2)));
        }),
        ("an old server", |w| w.hosts[1].held_before = true),
        ("an old server that SQL Server refuses", |w| {
            w.hosts[1].held_before = true;
            w.hosts[1].refused = Some("SQL02/default/ADSync at epoch 4".into());
            w.looks[1].1 = connect("stopped", true, r"CONTOSO\svc-sync2", "SQL02");
        }),
        ("a lost lease", |w| w.leases[0].state = LeaseState::Lost),
        ("a doubtful lease", |w| w.leases[0].state = LeaseState::Quarantined),
        ("a long fence", |w| {
            w.leases[0].state = LeaseState::Fencing;
            w.now = Millis(1_001 + FENCING_LIMIT_MS);
        }),
        ("restored in place", |w| {
            w.looks[2].1.databases[0].recovery_fork_guid = Some(Uuid::from_u128(99))
        }),
        ("another database", |w| {
            w.looks[2].1.databases[0].database_guid = Some(Uuid::from_u128(98))
        }),
        ("blind", |w| w.looks[2].1.databases[0].sessions = None),
        ("not there", |w| {
            w.looks[2].1.databases[0].error = Some("SQL01 does not answer".into())
        }),
    ];
    let mut text = String::new();
    for (name, change) in cases {
        let mut w = world();
        change(&mut w);
        text.push_str(&format!("== {name}\n{}", told(&judge(&w))));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_not_alarming() {
    let cases: &[(&str, Change)] = &[
        ("a fence of a quarter of an hour", |w| {
            w.leases[0].state = LeaseState::Fencing;
            w.now = Millis(1_000 + FENCING_LIMIT_MS);
        }),
        ("a server that a migration is about to seat", |w| {
            w.hosts[1].held_before = true;
            w.hosts[1].expected = true;
        }),
        ("an old server that is stopped", |w| {
            w.hosts[1].held_before = true;
            w.looks[1].1 = connect("stopped", true, r"CONTOSO\svc-sync2", "SQL02");
        }),
        ("the only active server, not registered yet", |w| {
            w.leases[1].holder = None;
            w.leases[1].state = LeaseState::Free;
        }),
    ];
    for (name, change) in cases {
        let mut w = world();
        change(&mut w);
        assert_eq!(told(&judge(&w)), "", "{name}");
    }
}

#[test]
fn a_wizard_that_nobody_expected() {
    let nothing = WatchReport {
        connect: Some(WatchedConnect::default()),
        ..WatchReport::default()
    };
    let unreadable = WatchReport {
        connect: Some(WatchedConnect {
            error: Some("access is denied".into()),
            facts: ConnectFacts::default(),
        }),
        ..WatchReport::default()
    };
    let local = connect("running", false, r"NT SERVICE\ADSync", "(localdb)");
    let full = connect("running", true, r"CONTOSO\svc-sync2", "SQL01");
    let mut expected = host(2, "SYNC02");
    expected.expected = true;
    let plain = host(2, "SYNC02");
    let fresh = wizard(&plain, false, &nothing, &local).unwrap();
    let moved = wizard(&plain, true, &local, &full).unwrap();
    insta::assert_snapshot!(format!("{}{}", tell(&fresh), tell(&moved)));
    for (why, found) in [
        ("a migration waits for it", wizard(&expected, false, &nothing, &full)),
        ("it holds the seat", wizard(&plain, true, &nothing, &full)),
        ("nothing changed", wizard(&plain, false, &full, &full)),
        ("it was removed", wizard(&plain, false, &full, &nothing)),
        ("what was before is unknown", wizard(&plain, false, &unreadable, &full)),
        ("what is now is unknown", wizard(&plain, false, &nothing, &unreadable)),
    ] {
        assert_eq!(found, None, "{why}");
    }
}

#[test]
fn a_lease_that_waits_since_a_restore_is_told_apart_from_one_in_doubt() {
    let mut world = world();
    world.leases[0].state = LeaseState::Quarantined;
    let told = |w: &World| {
        let judgement = judge(w);
        let alarm = judgement
            .alarming
            .into_iter()
            .find(|a| a.kind == AlarmKind::LeaseQuarantined);
        alarm.unwrap().finding.next_step
    };
    assert!(told(&world).contains("Find out what happened"));
    world.restored.insert("SQL01/default/ADSync".into());
    assert!(told(&world).contains("recover") && told(&world).contains("lease adopt"));
}
