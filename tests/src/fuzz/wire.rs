//! Messages between controller, agents and operators: protobuf, and the JSON documents inside, turned into our types.
//!
//! The first byte chooses the message, the rest is the message.

use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use syncferry_agent::session::offers;
use syncferry_controller::api::agent::what;
use syncferry_proto::v1::{self, Document};
use syncferry_proto::{duration, millis, millis_of_duration, schema, timestamp};
use syncferry_shared::artifact::Manifest;
use syncferry_shared::card::Card;
use syncferry_shared::finding::Evidence;
use syncferry_shared::inventory::{DatabaseFacts, HostFacts, InspectionRequest, Inventory};
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::plan::Plan;
use syncferry_shared::progress::{Progress, Unit};
use syncferry_shared::report::Report;
use syncferry_shared::spec::JobSpec;
use syncferry_shared::token::{AttemptToken, digest};
use syncferry_shared::{JobId, Millis};
use uuid::Uuid;

/// Decodes a message; what decodes is encoded and decoded again the same.
fn decode<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = M::decode(message.encode_to_vec().as_slice());
    // A number that is none is not equal to itself, but has the same bytes.
    let bytes = again.as_ref().map(Message::encode_to_vec);
    let same = again.as_ref() == Ok(&message) || bytes == Ok(message.encode_to_vec());
    assert!(same, "{message:?} became {again:?}");
    Some(message)
}

/// Reads a message of the kind that the first byte names.
pub fn read(bytes: &[u8]) -> bool {
    let Some((kind, bytes)) = bytes.split_first() else {
        return false;
    };
    match kind % 10 {
        0 => decode(bytes).is_some_and(|t| token(&t)),
        1 => decode(bytes).is_some_and(|p| progress(&p)),
        2 => decode(bytes).is_some_and(|o| offer(&o)),
        3 => decode(bytes).is_some_and(|d| document(&d)),
        4 => decode::<v1::ReportRequest>(bytes).is_some_and(|r| what(r).is_ok()),
        5 => decode(bytes).is_some_and(|t| instant(&t)),
        6 => decode(bytes).is_some_and(|d| span(&d)),
        7 => decode::<v1::HelloRequest>(bytes)
            .is_some_and(|h| h.open_attempts.iter().all(|o| o.token.as_ref().is_some_and(token))),
        8 => decode::<v1::PullResponse>(bytes).is_some_and(|p| p.offers.iter().all(offer)),
        _ => decode::<v1::Migration>(bytes).is_some(),
    }
}

fn token(message: &v1::AttemptToken) -> bool {
    let Ok(token) = AttemptToken::try_from(message) else {
        return false;
    };
    let again = AttemptToken::try_from(&v1::AttemptToken::from(&token));
    assert_eq!(again.as_ref(), Ok(&token));
    assert!(token.attempt >= 1);
    true
}

fn progress(message: &v1::Progress) -> bool {
    let Ok(progress) = Progress::try_from(message) else {
        return false;
    };
    assert!(progress.rate.is_finite());
    let again = Progress::try_from(&v1::Progress::from(&progress));
    assert_eq!(again.as_ref(), Ok(&progress));
    true
}

/// An offer that is taken has the bytes that its digest is over.
fn offer(message: &v1::Offer) -> bool {
    let Ok(offer) = offers::read(message) else {
        return false;
    };
    assert_eq!(digest(offer.spec.as_bytes()), offer.token.digest);
    let ledger = syncferry_agent::journal::Ledger::default();
    let _ = offers::judge(&ledger, &offer);
    true
}

/// A document as every shape that there is.
fn document(message: &Document) -> bool {
    [
        shape::<JobSpec>(message, schema::JOB_SPEC),
        shape::<InspectionRequest>(message, schema::INSPECTION_REQUEST),
        shape::<Inventory>(message, schema::INVENTORY),
        shape::<HostFacts>(message, schema::HOST_FACTS),
        shape::<DatabaseFacts>(message, schema::DATABASE_FACTS),
        shape::<Plan>(message, schema::PLAN),
        shape::<Outcome>(message, schema::OUTCOME),
        shape::<Failure>(message, schema::FAILURE),
        shape::<Vec<Evidence>>(message, schema::EVIDENCE),
        shape::<Vec<Card>>(message, schema::CARDS),
        shape::<Manifest>(message, schema::MANIFEST),
        shape::<serde_json::Value>(message, schema::JSON),
        shape::<Report>(message, schema::REPORT),
    ]
    .contains(&true)
}

fn shape<T: Serialize + DeserializeOwned>(message: &Document, name: &'static str) -> bool {
    let Ok(value) = message.read::<T>(name) else {
        return false;
    };
    assert_eq!(message.schema, name, "the shape's name decides");
    let again: T = Document::of(name, &value).read(name).expect("what was written is read");
    assert_eq!(serde_json::to_value(&again).ok(), serde_json::to_value(&value).ok());
    true
}

fn instant(message: &prost_types::Timestamp) -> bool {
    let at = millis(message);
    // Out there it is saturated; within reason it is exact.
    if (0..=4_102_444_800).contains(&message.seconds) && (0..1_000_000_000).contains(&message.nanos) {
        assert_eq!(millis(&timestamp(at)), at);
        return true;
    }
    false
}

fn span(message: &prost_types::Duration) -> bool {
    let ms = millis_of_duration(message);
    assert_eq!(millis_of_duration(&duration(ms)), ms);
    true
}

/// One of each.
pub fn seeds() -> Vec<Vec<u8>> {
    let spec = super::job_spec::seeds().swap_remove(0);
    let token = AttemptToken {
        job: JobId(Uuid::from_u128(7)),
        attempt: 1,
        epoch: 2,
        incarnation: 1,
        digest: digest(&spec),
    };
    let token: v1::AttemptToken = (&token).into();
    let progress = Progress {
        step: "backup".into(),
        message: String::new(),
        done: 1,
        total: 2,
        unit: Unit::Bytes,
        rate: 3.5,
        left_ms: Some(4),
    };
    let offer = v1::Offer {
        token: Some(token.clone()),
        spec: Some(Document {
            schema: schema::JOB_SPEC.into(),
            json: spec,
        }),
        mode: v1::JobMode::Do.into(),
        signature: Vec::new(),
    };
    let end = v1::ReportRequest {
        token: Some(token.clone()),
        what: Some(v1::report_request::What::End(v1::EndReport {
            kind: v1::EndKind::Succeeded.into(),
            result: Some(Document::of(schema::OUTCOME, &Outcome::default())),
        })),
        ..Default::default()
    };
    let hello = v1::HelloRequest {
        open_attempts: vec![v1::OpenAttempt {
            token: Some(token.clone()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let pull = v1::PullResponse {
        offers: vec![offer.clone()],
        ..Default::default()
    };
    let plan = Document::of(schema::PLAN, &super::sample("/plan/document"));
    let bodies = [
        token.encode_to_vec(),
        v1::Progress::from(&progress).encode_to_vec(),
        offer.encode_to_vec(),
        plan.encode_to_vec(),
        end.encode_to_vec(),
        timestamp(Millis(1_795_338_843_123)).encode_to_vec(),
        duration(1_500).encode_to_vec(),
        hello.encode_to_vec(),
        pull.encode_to_vec(),
        v1::Migration::default().encode_to_vec(),
    ];
    (0..)
        .zip(bodies)
        .map(|(kind, body)| [vec![kind], body].concat())
        .collect()
}
