//! Gates.

use serde_json::json;
use syncferry_shared::state::GateState::{Claimed, Open, Proven};

use super::Bench;
use super::world::{id, world};
use crate::NewGate;

pub(super) async fn claim_and_proof(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (migration, job, _) = w.migration(tx.as_mut()).await;
    let gate = || NewGate {
        id: id!(GateId),
        migration,
        job,
        title: "complete the wizard".into(),
        cards: json!([{ "page": "Welcome" }]),
    };
    let new = gate();
    let made = tx.add_gate(&new).await.unwrap();
    assert_eq!(made.cards, new.cards);
    assert!(tx.add_gate(&gate()).await.unwrap_err().is_conflict());
    assert_eq!(tx.open_gates().await.unwrap(), vec![made.clone()]);
    tx.transition_gate(new.id, Open, Claimed).await.unwrap();
    assert!(tx.transition_gate(new.id, Open, Claimed).await.unwrap_err().is_moved());
    tx.set_gate_claim(new.id, "operator:ada").await.unwrap();
    tx.set_gate_observation(new.id, &json!({ "service": "running" }))
        .await
        .unwrap();
    assert_eq!(tx.open_gates().await.unwrap().len(), 1, "a claim is no proof");
    tx.transition_gate(new.id, Claimed, Proven).await.unwrap();
    assert_eq!(tx.open_gates().await.unwrap(), vec![]);
    let row = tx.gate(new.id).await.unwrap().unwrap();
    assert_eq!(row.claimed_by.as_deref(), Some("operator:ada"));
    assert_eq!(row.observation, Some(json!({ "service": "running" })));
    tx.add_gate(&gate()).await.unwrap();
    assert_eq!(tx.gates_of(migration).await.unwrap().len(), 2);
    assert!(tx.set_gate_claim(id!(GateId), "x").await.unwrap_err().is_missing());
}
