//! Random contents for a store: a few worlds with everything that a store keeps, made by the store's own functions, so that a
//! copy can be held against them. Texts are as awkward as people's.

use proptest::prelude::*;
use serde_json::json;
use syncferry_shared::alarm::AlarmKind;
use syncferry_shared::event::{NewEvent, StreamKind};
use syncferry_shared::lease::ProofKind;
use syncferry_shared::state::AttemptState;

use super::world::{add_world, by, id, session, two_people, word};
use crate::{
    Highest, NewAlarm, NewAttempt, NewDatabase, NewOperator, NewProof, NewToken, NewWitness, Step, Store, Tx, Way,
};

/// One world's worth.
#[derive(Debug, Clone)]
pub struct Part {
    texts: Vec<String>,
    numbers: Vec<i64>,
    fraction: f64,
    bytes: Vec<u8>,
    leases: Vec<u8>,
    attempts: u8,
    restored: bool,
}

/// What fills a store.
pub fn any() -> impl Strategy<Value = Vec<Part>> {
    // A text in PostgreSQL has no NUL, so none of ours may have one.
    let text = any::<String>().prop_map(|t| t.replace('\0', "\u{1}"));
    let part = (
        prop::collection::vec(text, 1..4),
        prop::collection::vec(any::<i64>(), 1..4),
        -1e12..1e12f64,
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(0..6u8, 0..5),
        0..4u8,
        any::<bool>(),
    );
    let part = part.prop_map(|(texts, numbers, fraction, bytes, leases, attempts, restored)| Part {
        texts,
        numbers,
        fraction,
        bytes,
        leases,
        attempts,
        restored,
    });
    return prop::collection::vec(part, 1..4);

    fn any<T: Arbitrary>() -> impl Strategy<Value = T> {
        proptest::arbitrary::any::<T>()
    }
}

/// Fills a store.
pub async fn fill(store: &dyn Store, parts: &[Part]) {
    for part in parts {
        let mut tx = store.begin("contents.fill").await.unwrap();
        add(tx.as_mut(), part).await;
        tx.commit().await.unwrap();
    }
}

async fn add(tx: &mut dyn Tx, part: &Part) {
    let w = add_world(tx).await;
    let text = |n: usize| part.texts[n % part.texts.len()].clone();
    let odd = json!({"texts": part.texts, "numbers": part.numbers, "fraction": part.fraction, "none": null});
    let (id_of, tag) = (id!(OperatorId), id!(OperatorId).to_string());
    tx.add_operator(&NewOperator {
        id: id_of,
        name: format!("{} {tag}", text(0)),
        fingerprint: format!("f{tag}"),
        serial: text(1),
    })
    .await
    .unwrap();
    tx.add_token(&NewToken {
        hash: format!("h{tag}"),
        host: w.sql,
        expires_at: tx.now().plus(1_000),
        uses: 2,
        actor: text(2),
    })
    .await
    .unwrap();
    let database = NewDatabase {
        facts: odd.clone(),
        ..w.database(&format!("inst:{tag}|{}", text(0)))
    };
    tx.add_database(&database).await.unwrap();
    let (migration, job, _) = w.migration(tx).await;
    let spec = serde_json::to_vec(&odd).unwrap();
    tx.set_job_spec(job, &[spec, part.bytes.clone()].concat())
        .await
        .unwrap();
    for n in 1..=i32::from(part.attempts) {
        let opened = tx
            .open_attempt(&NewAttempt {
                job,
                agent: id!(AgentId),
                epoch: part.numbers[0],
                digest: text(1),
                undo: n % 2 == 0,
            })
            .await
            .unwrap();
        tx.transition_attempt(job, opened.attempt, AttemptState::Offered, AttemptState::Failed)
            .await
            .unwrap();
        tx.put_step(&Step {
            job,
            attempt: opened.attempt,
            ordinal: n,
            name: text(0),
            state: syncferry_shared::state::StepState::Running,
            detail: odd.clone(),
            started_at: Some(tx.now()),
            ended_at: None,
        })
        .await
        .unwrap();
    }
    for way in &part.leases {
        lease(tx, &w, *way).await;
    }
    tx.keep_watch(w.old, &odd).await.unwrap();
    let alarm = NewAlarm {
        id: id!(AlarmId),
        kind: AlarmKind::LeaseLost,
        subject: format!("{} {tag}", text(1)),
        finding: odd.clone(),
    };
    tx.raise_alarm(&alarm).await.unwrap();
    for n in 0..part.texts.len() {
        tx.append_event(NewEvent {
            stream_kind: StreamKind::Migration,
            stream_id: migration.to_string(),
            kind: "test".into(),
            actor: text(n),
            payload: odd.clone(),
        })
        .await
        .unwrap();
    }
    tx.hear_witness(&NewWitness {
        host: w.new,
        incarnation: part.numbers[0],
        epochs: [(text(0), part.numbers[0])].into(),
        open: json!([odd]),
    })
    .await
    .unwrap();
    if part.restored {
        tx.begin_incarnation(&Highest::default(), &by()).await.unwrap();
        tx.add_recovery(Way::Note, &odd).await.unwrap();
    }
}

/// A lease with a past of some kind.
async fn lease(tx: &mut dyn Tx, w: &super::world::World, way: u8) {
    let r = w.free_lease(tx).await;
    if way == 0 {
        return;
    }
    if way == 1 {
        tx.quarantine_lease(&r, 0, &by()).await.unwrap();
        return;
    }
    let s = session();
    if tx.acquire_lease(&w.grant(&r, 0, s), &by()).await.is_err() {
        // The server holds another one.
        return;
    }
    let proof = |kind, second: Option<&str>| NewProof {
        kind,
        evidence: json!({"seen": "x"}),
        actor: "operator:ada".into(),
        second: second.map(Into::into),
    };
    match way {
        2 => drop(tx.request_handover(&r, 1, Some(w.old), &by()).await.unwrap()),
        3 => drop(
            tx.release_lease(&r, 1, Some(s), &proof(ProofKind::HolderStopped, None), &by())
                .await
                .unwrap(),
        ),
        4 => {
            two_people(tx, &r, 1).await;
            tx.break_glass(&r, 1, "operator:bob", &by()).await.unwrap();
            let word = proof(ProofKind::OperatorAttested, Some("operator:bob"));
            tx.add_proof(&r, 2, &word).await.unwrap();
            tx.end_fence(&r, 2, &by()).await.unwrap();
        }
        _ => drop(tx.add_attestation(&word(&r, 1, "operator:eve")).await.unwrap()),
    }
}
