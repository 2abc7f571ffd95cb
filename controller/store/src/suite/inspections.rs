//! Inspections.

use serde_json::json;

use super::Bench;
use super::world::{id, world};
use crate::{InspectionState, NewInspection};

pub(super) async fn are_answered_once(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (migration, ..) = w.migration(tx.as_mut()).await;
    let ask = |migration| NewInspection {
        id: id!(InspectionId),
        host: w.sql,
        request: json!({ "connect": true }),
        purpose: "plan".into(),
        migration,
    };
    let (first, second) = (ask(Some(migration)), ask(None));
    let made = tx.add_inspection(&first).await.unwrap();
    tx.add_inspection(&second).await.unwrap();
    assert_eq!(tx.inspection(first.id).await.unwrap(), Some(made.clone()));
    assert_eq!(tx.pending_inspections(w.sql).await.unwrap().len(), 2);
    assert_eq!(tx.pending_inspections(w.old).await.unwrap(), vec![]);
    assert_eq!(tx.inspections_of(migration).await.unwrap(), vec![made]);

    let done = tx
        .complete_inspection(first.id, Ok(&json!({ "found": 1 })))
        .await
        .unwrap();
    assert_eq!(
        (done.state, done.inventory),
        (InspectionState::Done, Some(json!({ "found": 1 })))
    );
    assert_eq!(done.completed_at, Some(tx.now()));
    let failed = tx
        .complete_inspection(second.id, Err("no such instance"))
        .await
        .unwrap();
    assert_eq!(
        (failed.state, failed.error.as_deref()),
        (InspectionState::Failed, Some("no such instance"))
    );
    assert!(tx.complete_inspection(first.id, Err("x")).await.unwrap_err().is_moved());
    assert!(
        tx.complete_inspection(id!(InspectionId), Err("x"))
            .await
            .unwrap_err()
            .is_missing()
    );
    assert_eq!(tx.pending_inspections(w.sql).await.unwrap(), vec![]);
}
