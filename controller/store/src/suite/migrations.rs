//! Migrations.

use serde_json::json;
use syncferry_shared::state::MigrationState::{self, Inspecting, Planned, Running, Succeeded};

use super::Bench;
use super::world::{id, world};
use crate::{Cause, MigrationFilter};

pub(super) async fn plan_and_transitions(b: Bench) {
    let (w, other) = (world(&*b.store).await, world(&*b.store).await);
    let mut tx = b.store.begin("test").await.unwrap();
    let (id, ..) = w.migration(tx.as_mut()).await;
    other.migration(tx.as_mut()).await;
    let row = tx.migration(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.plan, row.created_at), (Inspecting, None, tx.now()));
    tx.commit().await.unwrap();

    b.time.advance(10).await;
    let mut tx = b.store.begin("test").await.unwrap();
    tx.set_plan(id, &json!({ "stages": [] }), "d1").await.unwrap();
    tx.transition_migration(id, Inspecting, Planned).await.unwrap();
    let lost_race = tx.transition_migration(id, Inspecting, Planned).await.unwrap_err();
    assert!(lost_race.is_moved(), "{lost_race}");
    let illegal = tx.transition_migration(id, Planned, Succeeded).await.unwrap_err();
    assert!(matches!(illegal.cause, Cause::NoTransition { .. }), "{illegal}");
    tx.transition_migration(id, Planned, Running).await.unwrap();
    assert!(
        tx.set_plan(id, &json!({}), "d2").await.unwrap_err().is_moved(),
        "what runs keeps its plan"
    );
    assert!(
        tx.transition_migration(id!(MigrationId), Planned, Running)
            .await
            .unwrap_err()
            .is_missing()
    );
    let row = tx.migration(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.plan_digest.as_deref()), (Running, Some("d1")));
    assert!(row.updated_at > row.created_at);

    let count = async |tx: &mut dyn crate::Tx, site, states: &[MigrationState]| {
        let filter = MigrationFilter {
            site,
            states: states.to_vec(),
        };
        tx.migrations(&filter).await.unwrap().len()
    };
    assert_eq!(count(tx.as_mut(), None, &[]).await, 2);
    assert_eq!(count(tx.as_mut(), Some(w.site), &[]).await, 1);
    assert_eq!(count(tx.as_mut(), None, &[Running, Planned]).await, 1);
    assert_eq!(count(tx.as_mut(), Some(other.site), &[Running]).await, 0);
}
