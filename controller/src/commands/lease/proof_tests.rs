//! What was seen of a holder, and what it proves. Every refusal as an operator reads it.

use syncferry_shared::inventory::{
    ConnectFacts, ConnectParameters, DatabaseFacts, Inventory, Problem, SchedulerFacts, ServiceFacts, SessionFacts,
};
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, Resource};
use syncferry_shared::{HostId, Millis, OrgId, SiteId};
use syncferry_store::{Host, HostRole};
use uuid::Uuid;

use super::{Sight, gave_up};
use crate::commands::lease::fence::proven;
use crate::recovery::status::{Before, Pending};

fn holder() -> Host {
    Host {
        id: HostId(Uuid::from_u128(1)),
        org: OrgId(Uuid::from_u128(2)),
        site: SiteId(Uuid::from_u128(3)),
        name: "SYNC01".into(),
        roles: vec![HostRole::ConnectServer],
        computer_name: Some("SYNC01".into()),
        inventory: None,
        inventoried_at: None,
        created_at: Millis(0),
    }
}

fn lease(kind: LeaseKind) -> Lease {
    Lease {
        resource: Resource("adsync-db:x".into()),
        kind,
        state: LeaseState::Lost,
        epoch: 3,
        holder: Some(HostId(Uuid::from_u128(1))),
        holder_session: None,
        renewer: None,
        granted_at: None,
        expires_at: None,
        handover_to: None,
        fenced_epoch: 2,
        row_version: 5,
    }
}

fn service(state: &str, start: &str) -> Inventory {
    Inventory {
        connect: Some(ConnectFacts {
            service: Some(ServiceFacts {
                state: state.into(),
                start: start.into(),
                account: r"CONTOSO\svc-sync1".into(),
            }),
            parameters: Some(ConnectParameters {
                server: "SQL01".into(),
                instance: String::new(),
                database: "ADSync".into(),
            }),
            ..ConnectFacts::default()
        }),
        ..Inventory::default()
    }
}

fn session(program: &str, host: &str) -> SessionFacts {
    SessionFacts {
        id: 61,
        login: r"CONTOSO\svc-sync1".into(),
        host: Some(host.into()),
        program: Some(program.into()),
        process_id: Some(4),
        address: None,
    }
}

fn database(sessions: Option<Vec<SessionFacts>>) -> DatabaseFacts {
    DatabaseFacts {
        name: "ADSync".into(),
        server_name: "SQL01".into(),
        sessions,
        ..DatabaseFacts::default()
    }
}

fn said(kind: LeaseKind, sight: &Sight) -> String {
    match gave_up(&lease(kind), &holder(), sight) {
        Ok((evidence, notes)) => format!("PROVEN by {evidence}\n{}", tell(&notes)),
        Err(against) => format!("NOT PROVEN\n{}", tell(&against)),
    }
}

fn tell(findings: &[syncferry_shared::Finding]) -> String {
    findings
        .iter()
        .map(|f| {
            let seen: Vec<String> = f
                .evidence
                .iter()
                .map(|e| format!("{}: {}", e.looked_at, e.found))
                .collect();
            format!(
                "{} {}: {}\n  {}\n  -> {}\n",
                f.severity.as_str(),
                f.rule,
                f.title,
                seen.join("\n  "),
                f.next_step
            )
        })
        .collect()
}

#[test]
fn what_proves_that_a_holder_stopped() {
    let quiet = || Some(Ok(database(Some(vec![session("SSMS", "ADMIN7")]))));
    let sight = |holder: Inventory| Sight {
        holder: Some(Ok(holder)),
        others: vec![],
        database: quiet(),
    };
    let scheduler = |staging_mode| SchedulerFacts {
        sync_cycle_enabled: true,
        staging_mode,
        suspended: false,
        cycle_in_progress: false,
        next_policy: "Delta".into(),
    };
    let mut staging = service("running", "automatic");
    staging.connect.as_mut().unwrap().scheduler = Some(scheduler(true));
    let mut active = service("running", "automatic");
    active.connect.as_mut().unwrap().scheduler = Some(scheduler(false));
    let unreadable = Inventory {
        problems: vec![Problem {
            subject: "Connect".into(),
            error: "access is denied".into(),
            next_step: "run the agent as LocalSystem".into(),
        }],
        ..Inventory::default()
    };
    let gone = Inventory {
        connect: Some(ConnectFacts::default()),
        ..Inventory::default()
    };
    let db = LeaseKind::Database;
    let cases: [(&str, LeaseKind, Sight); 12] = [
        ("stopped and disabled", db, sight(service("stopped", "disabled"))),
        ("stopped, would start again", db, sight(service("stopped", "automatic"))),
        ("running", db, sight(service("running", "automatic"))),
        ("disabled and still running", db, sight(service("running", "disabled"))),
        ("uninstalled", db, sight(gone)),
        ("unreadable", db, sight(unreadable)),
        (
            "silent",
            db,
            Sight {
                holder: Some(Err("the agent on SYNC01 is not in touch".into())),
                others: vec![],
                database: quiet(),
            },
        ),
        (
            "stopped, and yet a session",
            db,
            Sight {
                holder: Some(Ok(service("stopped", "disabled"))),
                others: vec![],
                database: Some(Ok(database(Some(vec![session("miiserver.exe", "SYNC01")])))),
            },
        ),
        (
            "stopped, sessions not seen",
            db,
            Sight {
                holder: Some(Ok(service("stopped", "disabled"))),
                others: vec![],
                database: Some(Ok(database(None))),
            },
        ),
        (
            "stopped with its LocalDB",
            db,
            Sight {
                holder: Some(Ok(service("stopped", "disabled"))),
                others: vec![],
                database: Some(Err("instance localdb does not answer".into())),
            },
        ),
        ("in staging mode", LeaseKind::TenantExport, sight(staging)),
        ("active", LeaseKind::TenantExport, sight(active)),
    ];
    let text: String = cases
        .iter()
        .map(|(name, kind, sight)| format!("== {name}: {}\n", said(*kind, sight)))
        .collect();
    insta::assert_snapshot!(text);
}

/// Simulation, seed 236: the backup named SYNC01, which had long handed over to SYNC02.
#[test]
fn after_a_restore_the_backups_holder_is_not_taken_for_the_last_one() {
    let lease = lease(LeaseKind::Database);
    let pending = |unheard: &[&str], seen: Option<(i64, &str)>| Pending {
        lease: lease.clone(),
        name: "SQL01/default/ADSync".into(),
        was: Before {
            state: LeaseState::Held,
            epoch: 1,
        },
        holder: Some("SYNC01".into()),
        seen: seen.map(|(epoch, host)| (epoch, host.to_string())),
        unheard: unheard.iter().map(|h| (*h).to_string()).collect(),
        next: String::new(),
    };
    let sync02 = |seen: Inventory| {
        let host = Host {
            id: HostId(Uuid::from_u128(9)),
            name: "SYNC02".into(),
            ..holder()
        };
        (host, Ok(seen))
    };
    let unseen = || Some(Err("instance default does not answer".to_string()));
    let empty = || Some(Ok(database(Some(vec![]))));
    let judge = |p: &Pending, other: Inventory, database: Option<Result<DatabaseFacts, String>>| {
        let sight = Sight {
            holder: Some(Ok(service("stopped", "disabled"))),
            others: vec![sync02(other)],
            database,
        };
        match proven(&lease, Some(&holder()), None, &sight, Some(p)) {
            Ok((_, evidence, _)) => Ok(evidence),
            Err(against) => Err(against.into_iter().map(|f| f.rule).collect::<Vec<_>>().join(" ")),
        }
    };
    let (runs, stopped) = (|| service("running", "automatic"), || service("stopped", "disabled"));
    let heard = pending(&[], Some((1, "SYNC01")));
    // Nobody knows of a later epoch, and yet a grant may have been lost on its way.
    assert_eq!(judge(&heard, runs(), unseen()), Err("holder-not-stopped".into()));
    assert_eq!(
        judge(&heard, stopped(), unseen()).unwrap()["others"][0]["host"],
        "SYNC02"
    );
    // It runs on another database: nobody is on this one.
    assert!(judge(&heard, runs(), empty()).is_ok());
    // Its own agent need not have said hello: it answers now.
    assert!(judge(&pending(&["SYNC01"], None), stopped(), unseen()).is_ok());
    assert_eq!(
        judge(&pending(&["SYNC02"], None), stopped(), empty()),
        Err("agent-not-heard".into())
    );
    let later = pending(&[], Some((3, "SYNC02")));
    assert_eq!(judge(&later, runs(), empty()), Err("holder-not-stopped".into()));
    assert!(judge(&later, stopped(), empty()).is_ok());
}
