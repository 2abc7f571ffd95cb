//! Who may call what. Every service checks the kind of the certificate, and the store whether it is still somebody's.

use syncferry_proto::transport::{Fingerprint, Identity, connect_pinned};
use syncferry_proto::v1;
use syncferry_proto::v1::agent_client::AgentClient;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{Controller, Operator, World, dial, patient};

async fn health(channel: Channel) -> Result<(), Code> {
    let request = HealthCheckRequest {
        service: "syncferry.v1.Operator".to_string(),
    };
    HealthClient::new(channel)
        .check(request)
        .await
        .map(|_| ())
        .map_err(|s| s.code())
}

async fn reflected(channel: Channel, question: MessageRequest) -> Result<MessageResponse, Code> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut client = ServerReflectionClient::new(channel);
    let asked = client.server_reflection_info(tokio_stream::iter([request])).await;
    let mut answers = asked.map_err(|s| s.code())?.into_inner();
    let answer = answers.message().await.map_err(|s| s.code())?.unwrap();
    Ok(answer.message_response.unwrap())
}

/// What `grpcurl list` asks.
async fn services(channel: Channel) -> Result<Vec<String>, Code> {
    match reflected(channel, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => Ok(list.service.into_iter().map(|s| s.name).collect()),
        other => panic!("{other:?}"),
    }
}

/// What `grpcurl describe` asks: the descriptors that a message or service needs.
async fn described(channel: Channel, symbol: &str) -> Result<usize, Code> {
    match reflected(channel, MessageRequest::FileContainingSymbol(symbol.to_string())).await? {
        MessageResponse::FileDescriptorResponse(files) => Ok(files.file_descriptor_proto.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_takes_only_its_own_kind() {
    let w = World::new().await;
    let as_operator = w.controller.credentials().connect().unwrap();
    let pinned = Fingerprint::of_pem(&w.old.ca_pem).unwrap();
    let anonymous = connect_pinned(&w.controller.address, pinned).unwrap();

    let pull = v1::PullRequest {
        session_id: w.old.journal(|j| j.session.to_string()),
    };
    let refused = AgentClient::new(as_operator.clone())
        .pull(pull.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = AgentClient::new(anonymous.clone()).pull(pull).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    for (channel, code) in [
        (w.old.channel(), Code::PermissionDenied),
        (anonymous.clone(), Code::Unauthenticated),
    ] {
        let mut operator = Operator::new(channel.clone()).client;
        assert_eq!(
            operator.get_version(v1::GetVersionRequest {}).await.unwrap_err().code(),
            code
        );
        assert_eq!(
            operator
                .list_hosts(v1::ListHostsRequest::default())
                .await
                .unwrap_err()
                .code(),
            code
        );
        assert_eq!(
            operator.cancel(v1::CancelRequest::default()).await.unwrap_err().code(),
            code
        );
        let watch = operator.watch(v1::WatchRequest::default()).await.unwrap_err();
        assert_eq!(watch.code(), code, "a stream is guarded as well");
        assert_eq!(health(channel.clone()).await, Err(code));
        assert_eq!(services(channel.clone()).await, Err(code));
        assert_eq!(described(channel, "syncferry.v1.Operator").await, Err(code));
    }
    assert_eq!(health(as_operator.clone()).await, Ok(()));
    for symbol in [
        "syncferry.v1.Operator",
        "syncferry.v1.AttemptToken",
        "grpc.health.v1.Health",
    ] {
        assert!(described(as_operator.clone(), symbol).await.unwrap() > 0, "{symbol}");
    }
    let services = services(as_operator).await.unwrap();
    for name in ["syncferry.v1.Operator", "syncferry.v1.Agent", "syncferry.v1.Enrolment"] {
        assert!(services.iter().any(|s| s == name), "{services:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_credentials_end_the_old_ones() {
    let mut controller = Controller::start(patient()).await;
    let stolen = controller.credentials();
    let channel = || stolen.connect().unwrap();
    Operator::new(channel())
        .client
        .get_version(v1::GetVersionRequest {})
        .await
        .unwrap();
    // The file is gone: the next start makes a new one.
    let file = controller.data_dir().join(syncferry_controller::app::CREDENTIALS_FILE);
    controller
        .while_stopped(async || std::fs::remove_file(&file).unwrap())
        .await;
    let fresh = controller.operator();
    fresh
        .client
        .clone()
        .get_version(v1::GetVersionRequest {})
        .await
        .unwrap();
    let refused = Operator::new(channel())
        .client
        .get_version(v1::GetVersionRequest {})
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(
        refused.message().contains("another certificate"),
        "{}",
        refused.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_follow_the_address() {
    let mut controller = Controller::start(patient()).await;
    assert_eq!(controller.credentials().controller, controller.address);
    controller
        .restart_with(|c| c.advertise = "localhost:7443".to_string())
        .await;
    assert_eq!(controller.credentials().controller, "localhost:7443");
}

/// An agent is what its certificate says, whatever it says in a message.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_speak_for_another() {
    let w = World::new().await;
    let identity: &Identity = &w.sql.identity;
    let mut client = AgentClient::new(dial(&w.controller.address, &w.sql.ca_pem, identity));
    let session_of_old = w.old.journal(|j| j.session.to_string());
    let refused = client
        .pull(v1::PullRequest {
            session_id: session_of_old,
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    let (_, backup) = w.at("backup").await;
    // Somebody else's attempt: not accepted, not reported, not resumed, not progressed.
    assert!(!w.sql.try_accept(&backup).await.unwrap().accepted);
    let told = w
        .sql
        .try_report(&backup.token, crate::support::step(1, "running"))
        .await
        .unwrap();
    assert!(!told.current);
    w.sql.journal(|j| j.open.push(backup.token.clone()));
    w.sql.hello().await.unwrap();
    assert_eq!(w.sql.journal(|j| j.orders[&backup.token.job_id]), v1::Order::Abandon);
    let beat = v1::HeartbeatRequest {
        session_id: w.sql.journal(|j| j.session.to_string()),
        journal_seq: 100,
        progress: vec![v1::AttemptProgress {
            token: Some(backup.token.clone()),
            progress: Some(v1::Progress {
                unit: v1::ProgressUnit::None.into(),
                ..Default::default()
            }),
        }],
    };
    let answer = client.heartbeat(beat).await.unwrap().into_inner();
    assert_eq!(answer.stale, [backup.token]);
}
