//! The watch over databases: who is there, what is marked, and what could not be seen.

use std::sync::Arc;

use syncferry_proto::v1;
use syncferry_shared::spec::Task;

use super::site::*;
use crate::runner::tests::world::{Both, Machine, new_world};
use crate::watch::Watcher;

fn watcher(site: &Site) -> Watcher {
    Watcher {
        host: Arc::new(Machine(new_world())),
        sql: site.sql.clone(),
        clocks: Arc::new(Both::new()),
    }
}

fn duty(databases: &[(&str, &str)]) -> v1::WatchDuty {
    v1::WatchDuty {
        every: None,
        databases: databases
            .iter()
            .map(|(instance, database)| v1::WatchTarget {
                database_id: uid().to_string(),
                instance: (*instance).into(),
                database: (*database).into(),
            })
            .collect(),
        connect: true,
    }
}

#[tokio::test]
async fn services_and_strangers_are_seen_with_the_marks() {
    let site = Site::start().await;
    let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
    succeeded(site.does(Task::FenceDatabase(task)).await);
    let service = site.service(B, "SYNC02");
    service.is_in().await;
    let report = watcher(&site).look(&duty(&[("default", "ADSync")])).await;
    let [seen] = report.databases.as_slice() else {
        panic!("{:?}", report.databases)
    };
    assert_eq!((seen.error.as_deref(), seen.database), (None, uid()));
    assert_eq!(seen.database_guid, Some(site.identity().await.database_guid));
    assert_eq!(seen.marks["syncferry.epoch"], "7");
    let sessions = seen.sessions.as_ref().unwrap();
    assert_eq!(sessions.len(), 1, "our own sessions are left out: {sessions:?}");
    assert_eq!(
        (sessions[0].login.as_str(), sessions[0].host.as_deref()),
        (B, Some("SYNC02"))
    );
    assert!(sessions[0].is_sync_service());
    // The old server comes back: it is let in again by somebody, and seen at once.
    site.sa(&format!("USE ADSync; GRANT CONNECT TO [{A}];")).await;
    let old = site.service(A, "SYNC01");
    old.is_in().await;
    let report = watcher(&site).look(&duty(&[("default", "ADSync")])).await;
    let who: Vec<_> = report.databases[0]
        .sessions
        .iter()
        .flatten()
        .map(|s| s.login.as_str())
        .collect();
    assert_eq!(who, [B, A]);
    drop((service, old));
    site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_seen_is_never_nobody() {
    let site = Site::start().await;
    let report = watcher(&site)
        .look(&duty(&[("default", "Nothing"), ("unknown", "ADSync")]))
        .await;
    assert_eq!(report.databases.len(), 2);
    for seen in &report.databases {
        assert!(seen.error.is_some() && seen.sessions.is_none(), "{seen:?}");
    }
    // This machine has no Connect to ask.
    assert!(report.connect.unwrap().error.is_some());
    site.sa("REVOKE VIEW SERVER STATE FROM agent;").await;
    let report = watcher(&site).look(&duty(&[("default", "ADSync")])).await;
    let seen = &report.databases[0];
    assert!(
        seen.error.is_none() && seen.sessions.is_none() && seen.database_guid.is_some(),
        "{seen:?}"
    );
    site.stop().await;
}
