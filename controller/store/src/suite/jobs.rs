//! Jobs.

use serde_json::json;
use syncferry_shared::state::JobState::{Offered, Ready, Running, Succeeded, UndoReady, Waiting};

use super::Bench;
use super::world::{id, world};
use crate::{Cause, JobFilter};

pub(super) async fn readiness_and_transitions(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (migration, first, second) = w.migration(tx.as_mut()).await;
    let of = |states: &[_]| JobFilter {
        migration: Some(migration),
        host: Some(w.sql),
        states: states.to_vec(),
    };
    let all = tx.jobs(&of(&[])).await.unwrap();
    assert_eq!(all.iter().map(|j| j.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(tx.jobs(&of(&[Waiting])).await.unwrap().len(), 2);
    assert_eq!(tx.ready_jobs(w.sql).await.unwrap(), vec![]);
    tx.transition_job(first, Waiting, Ready).await.unwrap();
    assert_eq!(tx.ready_jobs(w.sql).await.unwrap()[0].id, first);
    assert_eq!(tx.ready_jobs(w.old).await.unwrap(), vec![]);
    tx.transition_job(first, Ready, Offered).await.unwrap();
    assert!(tx.transition_job(first, Ready, Offered).await.unwrap_err().is_moved());
    let illegal = tx.transition_job(first, Offered, Succeeded).await.unwrap_err();
    assert!(matches!(illegal.cause, Cause::NoTransition { .. }), "{illegal}");
    tx.transition_job(first, Offered, Running).await.unwrap();
    tx.transition_job(first, Running, Succeeded).await.unwrap();
    tx.transition_job(first, Succeeded, UndoReady).await.unwrap();
    assert_eq!(
        tx.ready_jobs(w.sql).await.unwrap().len(),
        1,
        "what is to be undone may be offered too"
    );
    assert_eq!(tx.job(id!(JobId)).await.unwrap(), None);
    let again = tx.job(first).await.unwrap().unwrap();
    let twice = crate::NewJob {
        id: id!(JobId),
        stage: 5,
        ordinal: 0,
        name: again.name,
        kind: again.kind,
        host: again.host,
        resource: again.resource,
    };
    assert!(tx.add_jobs(migration, &[twice]).await.unwrap_err().is_conflict());
}

pub(super) async fn specification_and_results(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (_, job, _) = w.migration(tx.as_mut()).await;
    let digest = tx.set_job_spec(job, b"bytes \0 as they travel").await.unwrap();
    assert_eq!(digest, syncferry_shared::token::digest(b"bytes \0 as they travel"));
    tx.transition_job(job, Waiting, Ready).await.unwrap();
    tx.transition_job(job, Ready, Offered).await.unwrap();
    assert!(
        tx.set_job_spec(job, b"other").await.unwrap_err().is_moved(),
        "what was offered stays as it is"
    );
    tx.set_job_progress(job, Some(&json!({ "done": 1 }))).await.unwrap();
    tx.set_job_failure(job, &json!({ "step": "act" })).await.unwrap();
    let row = tx.job(job).await.unwrap().unwrap();
    assert_eq!(
        (row.spec.as_deref(), row.digest),
        (Some(&b"bytes \0 as they travel"[..]), Some(digest))
    );
    assert_eq!(
        (row.progress, row.failure),
        (Some(json!({ "done": 1 })), Some(json!({ "step": "act" })))
    );
    tx.set_job_outcome(job, &json!({ "levels": ["L0"] })).await.unwrap();
    tx.set_job_progress(job, None).await.unwrap();
    let row = tx.job(job).await.unwrap().unwrap();
    assert_eq!(
        (row.outcome, row.failure, row.progress),
        (Some(json!({ "levels": ["L0"] })), None, None)
    );
    assert!(
        tx.set_job_outcome(id!(JobId), &json!({}))
            .await
            .unwrap_err()
            .is_missing()
    );
}
