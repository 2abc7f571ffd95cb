//! What agents watch, and what a person must know of it.

use syncferry_proto::v1;
use syncferry_shared::finding::Finding;
use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::watch::{WatchReport, WatchedConnect, WatchedDatabase};

use crate::support::{World, until};

fn session(host: &str) -> SessionFacts {
    SessionFacts {
        id: 61,
        login: r"CONTOSO\svc".into(),
        host: Some(host.into()),
        program: Some("miiserver.exe".into()),
        process_id: None,
        address: None,
    }
}

/// What the agent on SYNC01 was asked to watch, with these sessions.
async fn look(w: &World, hosts: &[&str]) -> WatchReport {
    let duty = until("there is something to watch", async || {
        w.old.pull().await.ok()?.watch.filter(|d| !d.databases.is_empty())
    })
    .await;
    assert!(duty.connect && duty.every.is_some());
    let target = &duty.databases[0];
    let facts = w.old.journal(|j| j.inventory.databases[0].clone());
    WatchReport {
        databases: vec![WatchedDatabase {
            database: target.database_id.parse().unwrap(),
            address: syncferry_shared::inventory::DatabaseAddress {
                instance: target.instance.clone(),
                database: target.database.clone(),
            },
            error: None,
            database_guid: facts.database_guid,
            recovery_fork_guid: facts.recovery_fork_guid,
            sessions: Some(hosts.iter().map(|h| session(h)).collect()),
            marks: Default::default(),
        }],
        ..WatchReport::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_session_is_an_alarm_until_it_is_gone() {
    let w = World::new().await;
    w.old.watched(&look(&w, &["SYNC01"]).await).await.unwrap();
    assert_eq!(w.operator.alarms().await, vec![]);
    w.old.watched(&look(&w, &["SYNC01", "SYNC09"]).await).await.unwrap();
    let alarm = w.operator.until_alarm("foreign-session", "raised").await;
    assert_eq!(alarm.subject, "SYNC01/localdb/ADSync from SYNC09");
    let finding: Finding = alarm
        .finding
        .clone()
        .unwrap()
        .read(syncferry_proto::schema::FINDING)
        .unwrap();
    assert!(
        finding.next_step.contains("On SYNC09: Stop-Service ADSync"),
        "{finding:?}"
    );
    // Seen again, it is the same alarm; known, it stays known.
    let request = v1::AcknowledgeAlarmRequest {
        alarm: alarm.id[28..].to_string(),
        remark: "on it".into(),
    };
    w.operator.client.clone().acknowledge_alarm(request).await.unwrap();
    w.old.watched(&look(&w, &["SYNC09"]).await).await.unwrap();
    let known = w.operator.until_alarm("foreign-session", "acknowledged").await;
    assert_eq!((known.id, known.remark.as_str()), (alarm.id, "on it"));
    // Another agent's look says nothing of a database that it does not reach.
    w.sql.watched(&look(&w, &[]).await).await.unwrap();
    assert_eq!(
        w.operator
            .until_alarm("foreign-session", "acknowledged")
            .await
            .cleared_at,
        None
    );
    w.old.watched(&look(&w, &["SYNC01"]).await).await.unwrap();
    w.operator.until_alarm("foreign-session", "cleared").await;
    w.controller.stop_and_audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wizard_that_nobody_expected_and_a_second_active_server() {
    let w = World::new().await;
    let mut look = WatchReport {
        connect: Some(WatchedConnect::default()),
        ..WatchReport::default()
    };
    w.new.watched(&look).await.unwrap();
    let mut facts = w.old.journal(|j| j.inventory.connect.clone().unwrap());
    facts.scheduler.as_mut().unwrap().staging_mode = false;
    look.connect = Some(WatchedConnect { error: None, facts });
    w.new.watched(&look).await.unwrap();
    let alarm = w.operator.until_alarm("unexpected-wizard", "raised").await;
    assert_eq!(alarm.subject, "SYNC02");
    let second = w.operator.until_alarm("second-active-server", "raised").await;
    assert_eq!(second.subject, "contoso/export by SYNC02");
    look.connect
        .as_mut()
        .unwrap()
        .facts
        .scheduler
        .as_mut()
        .unwrap()
        .staging_mode = true;
    w.new.watched(&look).await.unwrap();
    w.operator.until_alarm("second-active-server", "cleared").await;
    // What happened once does not end by itself.
    w.operator.until_alarm("unexpected-wizard", "raised").await;
}
