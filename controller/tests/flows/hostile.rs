//! Messages that nobody of ours would send: every method gets bytes of every kind and answers with a status. Nothing panics,
//! nothing is changed, and the same connection goes on.

use std::sync::Mutex;

use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncferry_proto::v1;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Bytes;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::World;

/// Sends and receives bytes as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        use prost::bytes::BufMut as _;
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf as _;
        let all: Bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(all.to_vec()))
    }
}

/// Sends bytes to a method; only the first answer of a stream is awaited.
async fn send(channel: &Channel, path: &str, bytes: Vec<u8>) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let path = path.parse().unwrap();
    let mut answer = grpc
        .server_streaming(Request::new(bytes), path, Raw)
        .await?
        .into_inner();
    answer.message().await.map(|_| ())
}

/// Valid messages, to be spoiled.
fn samples(token: &v1::AttemptToken, session: &str, migration: &str) -> Vec<(&'static str, Vec<u8>)> {
    let document = |schema: &str, json: &str| v1::Document {
        schema: schema.to_string(),
        json: json.as_bytes().to_vec(),
    };
    let what = v1::report_request::What::End(v1::EndReport {
        kind: v1::EndKind::Succeeded.into(),
        result: Some(document("syncferry.outcome.v1", "{\"levels\":[\"L9\"]}")),
    });
    let gate = v1::report_request::What::Gate(v1::GateReport {
        sight: 99,
        ..Default::default()
    });
    let step = v1::report_request::What::Step(v1::StepReport {
        ordinal: i32::MIN,
        state: "dancing".to_string(),
        ..Default::default()
    });
    let report = |what| v1::ReportRequest {
        token: Some(token.clone()),
        number: i64::MIN,
        what: Some(what),
    };
    let text = |t: &str| t.to_string();
    vec![
        (
            "Agent/Hello",
            v1::HelloRequest {
                session_id: text(session),
                journal_seq: i64::MAX,
                highest_epochs: [(text("x"), i64::MAX)].into(),
                open_attempts: vec![v1::OpenAttempt {
                    token: None,
                    ..Default::default()
                }],
                host_facts: Some(document("syncferry.host-facts.v1", "[]")),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "Agent/Session",
            v1::SessionRequest {
                session_id: text(session),
            }
            .encode_to_vec(),
        ),
        (
            "Agent/Pull",
            v1::PullRequest {
                session_id: text("not an id"),
            }
            .encode_to_vec(),
        ),
        (
            "Agent/Accept",
            v1::AcceptRequest {
                token: None,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("Agent/Report", report(what).encode_to_vec()),
        ("Agent/Report", report(gate).encode_to_vec()),
        ("Agent/Report", report(step).encode_to_vec()),
        (
            "Agent/LogChunk",
            v1::LogChunkRequest {
                token: Some(token.clone()),
                number: -1,
                lines: vec![text("\u{1b}[2J\nfake")],
            }
            .encode_to_vec(),
        ),
        (
            "Agent/Heartbeat",
            v1::HeartbeatRequest {
                session_id: text(session),
                progress: vec![v1::AttemptProgress {
                    token: Some(token.clone()),
                    progress: None,
                }],
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "Agent/Authorize",
            v1::AuthorizeRequest {
                token: Some(v1::AttemptToken {
                    attempt: -1,
                    ..token.clone()
                }),
                budget: Some(prost_types::Duration {
                    seconds: i64::MIN,
                    nanos: i32::MAX,
                }),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "Agent/RenewLease",
            v1::RenewLeaseRequest {
                resource: text("'; DROP TABLE lease; --"),
                epoch: i64::MIN,
                session_id: text(session),
            }
            .encode_to_vec(),
        ),
        (
            "Agent/ReportInspection",
            v1::ReportInspectionRequest {
                inspection_id: text("01932c5e-7d3a-7c1b-9f3e-0242ac120002"),
                inventory: Some(document("syncferry.inventory.v1", "{\"taken_at\":1e999}")),
                error: String::new(),
            }
            .encode_to_vec(),
        ),
        (
            "Agent/RequestTransfer",
            v1::RequestTransferRequest {
                token: Some(token.clone()),
                artifact_id: text("x"),
            }
            .encode_to_vec(),
        ),
        (
            "Agent/RenewCertificate",
            v1::RenewCertificateRequest {
                csr_pem: text("-----BEGIN X-----"),
            }
            .encode_to_vec(),
        ),
        (
            "Enrolment/Enrol",
            v1::EnrolRequest {
                token: text("sft1.a.b"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("Operator/GetVersion", vec![]),
        (
            "Operator/AddSite",
            v1::AddSiteRequest {
                name: text("../x"),
                tenant_id: text("y"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("Operator/ListSites", vec![]),
        (
            "Operator/GetSite",
            v1::GetSiteRequest { site: text("%") }.encode_to_vec(),
        ),
        (
            "Operator/AddHost",
            v1::AddHostRequest {
                site: text("contoso"),
                name: text("n\0"),
                roles: vec![text("king")],
                token_minutes: u32::MAX,
            }
            .encode_to_vec(),
        ),
        (
            "Operator/ListHosts",
            v1::ListHostsRequest { site: text("nowhere") }.encode_to_vec(),
        ),
        (
            "Operator/GetHost",
            v1::GetHostRequest { host: text("ÄÖÜ") }.encode_to_vec(),
        ),
        (
            "Operator/CreateToken",
            v1::CreateTokenRequest {
                host: text("SQL01"),
                minutes: u32::MAX,
            }
            .encode_to_vec(),
        ),
        (
            "Operator/AddDatabase",
            v1::AddDatabaseRequest {
                site: text("x"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("Operator/ListDatabases", vec![]),
        (
            "Operator/GetDatabase",
            v1::GetDatabaseRequest { database: text("-") }.encode_to_vec(),
        ),
        (
            "Operator/CreatePlan",
            v1::CreatePlanRequest {
                scenario: text("x"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "Operator/Apply",
            v1::ApplyRequest {
                migration: text("x"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "Operator/Cancel",
            v1::CancelRequest {
                migration: text("----"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "Operator/GetMigration",
            v1::GetMigrationRequest {
                migration: text(migration),
            }
            .encode_to_vec(),
        ),
        ("Operator/ListMigrations", vec![]),
        (
            "Operator/Watch",
            v1::WatchRequest {
                migration: text(migration),
                after_seq: i64::MIN,
            }
            .encode_to_vec(),
        ),
        (
            "Operator/ListEvents",
            v1::ListEventsRequest {
                stream_kind: text("lease"),
                stream_id: text("x"),
                after_seq: i64::MAX,
                limit: i32::MIN,
            }
            .encode_to_vec(),
        ),
        (
            "Operator/ListGates",
            v1::ListGatesRequest {
                migration: text("x"),
                open_only: true,
            }
            .encode_to_vec(),
        ),
        (
            "Operator/CompleteGate",
            v1::CompleteGateRequest {
                gate: text("0000"),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("Operator/ListLeases", vec![]),
        (
            "Operator/GetLease",
            v1::GetLeaseRequest { resource: text("x") }.encode_to_vec(),
        ),
        (
            "Operator/GetReport",
            v1::GetReportRequest {
                migration: text(migration),
            }
            .encode_to_vec(),
        ),
    ]
}

/// Changes some bytes: flips, cuts, doubles, or replaces all of them.
fn spoil(bytes: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut spoiled = bytes.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=spoiled.len());
        match random.random_range(0..5) {
            0 if at < spoiled.len() => spoiled[at] ^= 1 << random.random_range(0..8),
            1 => spoiled.truncate(at),
            2 => spoiled.insert(at, random.random()),
            3 => spoiled.extend_from_slice(&bytes[..at.min(bytes.len())]),
            _ => spoiled = (0..random.random_range(0..64)).map(|_| random.random()).collect(),
        }
    }
    spoiled
}

/// Where a panic of the controller's was.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A task that panics takes its connection down and says nothing more; so the panics themselves are noted.
fn note_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let ours = panic.location().filter(|l| l.file().contains("/src/"));
        if let Some(place) = ours {
            PANICS.lock().unwrap().push(place.to_string());
        }
        before(panic);
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_answered_with_a_status() {
    note_panics();
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    let session = w.old.journal(|j| j.session.to_string());
    let (agent, operator) = (w.old.channel(), w.controller.credentials().connect().unwrap());
    let before = w.operator.history(&id).await;
    let mut random = StdRng::seed_from_u64(0x5f);
    for (method, valid) in samples(&backup.token, &session, &id) {
        for round in 0..12 {
            let bytes = if round == 0 {
                valid.clone()
            } else {
                spoil(&valid, &mut random)
            };
            let channel = if method.starts_with("Operator") {
                &operator
            } else {
                &agent
            };
            let path = format!("/syncferry.v1.{method}");
            let sent = send(channel, &path, bytes.clone());
            let answer = tokio::time::timeout(crate::support::PATIENCE, sent).await;
            let answer = answer.unwrap_or_else(|_| panic!("{method} hangs on {bytes:02x?}"));
            if let Err(status) = answer {
                // Bytes that are no message at all are `internal` by the library's choice.
                let undecodable = status.message().contains("decode Protobuf");
                let ours = matches!(status.code(), Code::Internal | Code::Unknown | Code::Unavailable);
                assert!(undecodable || !ours, "{method} with {bytes:02x?}: {status:?}");
                assert!(!status.message().is_empty(), "{method}: {status:?}");
            }
        }
    }
    assert_eq!(*PANICS.lock().unwrap(), Vec::<String>::new());
    // The same connections, and the same migration, go on.
    w.old.hello().await.unwrap();
    assert_eq!(w.operator.history(&id).await, before, "nothing of it counted");
    w.old.succeed(&backup).await;
    w.operator.until_job(&id, "backup", "succeeded").await;
    w.controller.stop_and_audit().await;
}

/// Documents of the right shape with absurd values.
#[tokio::test(flavor = "multi_thread")]
async fn absurd_documents_do_no_harm() {
    let w = World::new().await;
    let (id, backup) = w.at("backup").await;
    let mut outcome = crate::support::facts::outcome(&backup.spec);
    let manifest = outcome.manifest.as_mut().unwrap();
    manifest.size = u64::MAX;
    manifest.path = "x".repeat(100_000);
    manifest.taken_at = syncferry_shared::Millis(i64::MIN);
    w.old.end(&backup, crate::support::succeeded(&outcome)).await;
    let restore = w.sql.offered("restore").await;
    assert_eq!(restore.spec.migration.to_string(), id);
    w.operator.report(&id).await.verify().unwrap();
}
