//! A restored copy with marks waits for a person, and is clean afterwards; one without goes on by itself.

use std::sync::Arc;

use syncferry_shared::spec::{JobSpec, Task};
use syncferry_shared::{Finding, outcome::Outcome};
use tokio::sync::{mpsc, watch};

use super::site::*;
use crate::jobs::travelled;
use crate::journal::{AttemptKey, End, Journal, Sight};
use crate::runner::tests::world::until;
use crate::runner::{Builder, Controls, Ended, Job, run};
use crate::sql::ops::{fence, identity_facts};

const COPY: &str = "ADSync__copy";

/// A site with a fenced database, and a copy of it.
async fn copied(fenced: bool) -> Site {
    let site = Site::start().await;
    if fenced {
        let task = site.fence_task(7, Some("SYNC02"), &[A], Some(B)).await;
        succeeded(site.does(Task::FenceDatabase(task)).await);
    } else {
        site.sa(&format!("USE ADSync; DENY CONNECT TO [{A}];")).await;
    }
    site.sa(r"BACKUP DATABASE ADSync TO DISK = N'D:\a.bak' WITH COPY_ONLY, FORMAT;")
        .await;
    site.sa(&format!(
        r"RESTORE DATABASE {COPY} FROM DISK = N'D:\a.bak' WITH MOVE N'ADSync' TO N'E:\copy.mdf', MOVE N'ADSync_log' TO N'E:\copy.ldf';"
    ))
    .await;
    site
}

fn only_these() -> Arc<dyn Builder> {
    Arc::new(|_: &JobSpec| -> Result<Job, Box<Finding>> {
        Ok(Job::new(travelled::steps("default", COPY).into(), |_| {
            Outcome::default()
        }))
    })
}

/// Begins, and does something when the gate is open.
async fn with_gate(site: &Site, journal: &Journal, key: AttemptKey, at_gate: impl AsyncFnOnce(&Controls)) -> End {
    let (log, _lines) = mpsc::unbounded_channel();
    let paused = watch::Sender::new(false);
    let controls = Controls::new(paused.subscribe());
    let deps = site.deps_with(journal, only_these());
    let running = run(&deps, key, controls.clone(), log);
    let person = async {
        let waits = |r: &crate::journal::Report| {
            matches!(
                r,
                crate::journal::Report::Gate {
                    sight: Sight::Waiting,
                    ..
                }
            )
        };
        until(journal, |l| l.attempts[&key].unacked.values().any(waits)).await;
        at_gate(&controls).await;
    };
    let (ended, ()) = tokio::join!(running, person);
    assert_eq!(ended, Ended::Reported);
    journal.attempt(key).unwrap().end.unwrap()
}

async fn begun(site: &Site) -> (tempfile::TempDir, Journal, AttemptKey) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let task = Task::RemoveMarks(site.removal_task(&[]).await);
    let key = accept(&journal, task).await;
    (dir, journal, key)
}

#[tokio::test]
async fn nothing_is_removed_before_a_person_agrees() {
    let site = copied(true).await;
    let (_dir, journal, key) = begun(&site).await;
    let mut agent = site.agent().await;
    let end = with_gate(&site, &journal, key, async |controls| {
        assert_eq!(fence::marks(&mut agent, COPY).await.unwrap().len(), 3);
        controls.claims.notify_one();
    })
    .await;
    succeeded(end);
    assert!(
        identity_facts(&mut agent, COPY)
            .await
            .unwrap()
            .unwrap()
            .marks
            .is_empty()
    );
    assert!(fence::denied(&mut agent, COPY).await.unwrap().is_empty());
    // The original keeps its own.
    assert_eq!(fence::marks(&mut agent, "ADSync").await.unwrap().len(), 3);
    assert!(!site.lets_in(A).await);
    site.stop().await;
}

#[tokio::test]
async fn a_person_may_remove_them_by_hand() {
    let site = copied(true).await;
    let (_dir, journal, key) = begun(&site).await;
    let end = with_gate(&site, &journal, key, async |_| {
        for mark in ["db_uid", "epoch", "owner"] {
            site.sa(&format!(
                "USE {COPY}; EXEC sys.sp_dropextendedproperty @name = N'syncferry.{mark}';"
            ))
            .await;
        }
    })
    .await;
    let outcome = succeeded(end);
    // The denial stays, because without marks nobody knows whose it is; and it is told.
    let rules: Vec<&str> = outcome.findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(rules, ["denials-travelled"]);
    site.stop().await;
}

#[tokio::test]
async fn denials_of_others_are_told_and_stay() {
    let site = copied(false).await;
    let (_dir, journal, key) = begun(&site).await;
    let (log, _lines) = mpsc::unbounded_channel();
    let paused = watch::Sender::new(false);
    let deps = site.deps_with(&journal, only_these());
    let ended = run(&deps, key, Controls::new(paused.subscribe()), log).await;
    assert_eq!(ended, Ended::Reported);
    let outcome = succeeded(journal.attempt(key).unwrap().end.unwrap());
    let rules: Vec<&str> = outcome.findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(rules, ["denials-travelled"]);
    let mut agent = site.agent().await;
    assert_eq!(fence::denied(&mut agent, COPY).await.unwrap()[0].user, A);
    site.stop().await;
}
