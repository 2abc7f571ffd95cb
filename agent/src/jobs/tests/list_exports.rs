//! Pending exports by attribute: what the machine lists is the outcome; what it cannot list is unknown,
//! with the reason, and fails nothing.

use std::path::Path;
use std::sync::Arc;

use syncferry_shared::exports::{ExportList, OperationExports};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::{ListExportsTask, Task};
use syncferry_shared::sync_config::Unknown;
use tokio::sync::{mpsc, watch};

use super::site::{accept, succeeded};
use crate::instances::Instances;
use crate::jobs;
use crate::journal::Journal;
use crate::runner::tests::world::{Boss, Both, Machine, PACE, new_world};
use crate::runner::{Controls, Deps, Ended, Env, LeaseBook, run};
use crate::transfer::Artifacts;

/// What the job ends with on a machine whose tool lists this.
async fn listed(exports: Option<ExportList>) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let task = Task::ListExports(ListExportsTask {
        server: "SYNC02".into(),
    });
    let key = accept(&journal, task).await;
    let world = new_world();
    world.lock().unwrap().exports = exports;
    let deps = Deps {
        journal: journal.clone(),
        env: Arc::new(Env {
            host: Arc::new(Machine(world)),
            controller: Arc::new(Boss::default()),
            clocks: Arc::new(Both::new()),
            data_dir: Default::default(),
            staging_dir: String::new(),
            sql: Instances::new(&[]).unwrap(),
            artifacts: Artifacts::new(Path::new("/nowhere")),
            dial_as: None,
            leases: LeaseBook::default(),
            pace: PACE,
        }),
        builder: Arc::new(jobs::build),
    };
    let (log, _lines) = mpsc::unbounded_channel();
    let paused = watch::Sender::new(false);
    let ended = run(&deps, key, Controls::new(paused.subscribe()), log).await;
    assert_eq!(ended, Ended::Reported);
    succeeded(journal.attempt(key).unwrap().end.unwrap())
}

#[tokio::test]
async fn what_the_tool_lists_is_the_outcome() {
    let mut list = ExportList::default();
    let updates = OperationExports {
        objects: 3,
        attributes: [("mail".to_string(), 2), ("title".to_string(), 1)].into(),
    };
    list.connectors
        .entry("AAD".into())
        .or_default()
        .insert("update".into(), updates);
    list.unknown.push(Unknown {
        fact: "contoso.com".into(),
        why: "csexport.exe ended with exit code: 5".into(),
    });
    assert_eq!(listed(Some(list.clone())).await.exports, Some(list));
}

#[tokio::test]
async fn a_machine_without_the_tool_knows_nothing_and_says_so() {
    let list = listed(None).await.exports.unwrap();
    assert_eq!((list.connectors.len(), list.unknown.len()), (0, 1));
    assert_eq!(list.unknown[0].fact, "attributes of the pending exports of SYNC02");
    assert!(!list.unknown[0].why.is_empty());
}

#[tokio::test]
async fn nothing_pending_is_said_as_well() {
    let mut list = ExportList::default();
    list.connectors.entry("AAD".into()).or_default();
    assert_eq!(listed(Some(list.clone())).await.exports, Some(list));
}
