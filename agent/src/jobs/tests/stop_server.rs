//! Stopping an old server: disabled and stopped, seen to be so, and put back when it does not come to that.

use std::sync::atomic::Ordering;

use syncferry_shared::inventory::ConnectParameters;
use syncferry_shared::spec::{StopServerTask, Task, VerifyStoppedTask};

use super::world::{Site, done, stopped};
use crate::journal::End;

fn stop() -> Task {
    Task::StopServer(StopServerTask {
        database: "ADSync".into(),
        idle_timeout_s: 60,
        before: None,
        sql_is_gone: false,
        then_uninstalled: false,
    })
}

async fn site(database: &str) -> Site {
    let site = Site::new("ADSync").await;
    let parameters = ConnectParameters {
        server: "SQL01".into(),
        instance: String::new(),
        database: database.into(),
    };
    *site.machine.installed.lock().unwrap() = Some(("{x}".into(), parameters));
    site
}

fn service(site: &Site) -> (String, String) {
    site.machine.service.lock().unwrap().clone()
}

#[tokio::test]
async fn it_is_stopped_disabled_and_seen_so() {
    let site = site("ADSync").await;
    let look = || {
        Task::VerifyStopped(VerifyStoppedTask {
            server: "SYNC01".into(),
        })
    };
    stopped(site.run(look()).await, "look-at-old-server", "old-server-not-out");
    let outcome = done(site.run(stop()).await);
    assert!(outcome.stopped.unwrap().is_out());
    assert_eq!(service(&site), ("stopped".into(), "disabled".into()));
    assert!(done(site.run(look()).await).stopped.unwrap().is_out());
    // Once more: found done.
    assert!(done(site.run(stop()).await).stopped.unwrap().is_out());
}

#[tokio::test]
async fn what_does_not_stop_gets_its_start_type_back() {
    let site = site("ADSync").await;
    site.machine.stops.store(false, Ordering::SeqCst);
    let End::Failed { failure } = site.run(stop()).await else {
        panic!("it did not fail");
    };
    assert_eq!(failure.findings[0].rule, "host-refused");
    assert!(failure.undone, "{failure:?}");
    assert_eq!(service(&site), ("running".into(), "automatic".into()));
    site.machine.stops.store(true, Ordering::SeqCst);
    done(site.run(stop()).await);
    assert_eq!(service(&site), ("stopped".into(), "disabled".into()));
}

#[tokio::test]
async fn a_server_of_another_database_is_left_alone() {
    let site = site("Other").await;
    stopped(site.run(stop()).await, "look-at-server", "server-uses-another-database");
    assert_eq!(service(&site), ("running".into(), "automatic".into()));
}
