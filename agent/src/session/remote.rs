//! The controller over gRPC. One channel, which connects when it is first used and again whenever it broke.

use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::transport::{Profile, explain};
use syncferry_proto::v1;
use syncferry_proto::v1::agent_client::AgentClient;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::controller::{CallError, Called, Controller};

/// How long an answer may take.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The controller, far away.
#[derive(Debug, Clone)]
pub struct Remote {
    client: AgentClient<Channel>,
}

impl Remote {
    /// Speaks over this channel.
    pub fn new(channel: Channel) -> Self {
        let most = Profile::Control.max_message_bytes();
        let client = AgentClient::new(channel)
            .max_decoding_message_size(most)
            .max_encoding_message_size(most);
        Self { client }
    }
}

fn limited<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_LIMIT);
    request
}

/// What a status means for us. What may pass is tried again; what will not is said.
pub(crate) fn call_error(status: &Status) -> CallError {
    let text = explain(status);
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::Unknown
        | Code::Internal
        | Code::ResourceExhausted => CallError::Unreachable(text),
        Code::Unauthenticated | Code::PermissionDenied => CallError::Denied(text),
        _ => CallError::Refused(text),
    }
}

macro_rules! unary {
    ($($call:ident($request:ty) -> $response:ty;)*) => {
        #[async_trait]
        impl Controller for Remote {
            $(
            async fn $call(&self, request: $request) -> Called<$response> {
                let mut client = self.client.clone();
                // The header tells the server; the timer here does not depend on it.
                match tokio::time::timeout(CALL_LIMIT, client.$call(limited(request))).await {
                    Ok(Ok(response)) => Ok(response.into_inner()),
                    Ok(Err(status)) => Err(call_error(&status)),
                    Err(_) => Err(CallError::Unreachable("no answer in time".into())),
                }
            }
            )*

            async fn hints(&self, request: v1::SessionRequest) -> Called<mpsc::Receiver<v1::Hint>> {
                let mut client = self.client.clone();
                let opened = tokio::time::timeout(CALL_LIMIT, client.session(request)).await;
                let mut stream = match opened {
                    Ok(Ok(response)) => response.into_inner(),
                    Ok(Err(status)) => return Err(call_error(&status)),
                    Err(_) => return Err(CallError::Unreachable("no answer in time".into())),
                };
                let (send, receive) = mpsc::channel(16);
                tokio::spawn(async move {
                    // Ends when the stream does, or when nobody listens any more.
                    while let Ok(Some(hint)) = stream.message().await {
                        if send.send(hint).await.is_err() {
                            return;
                        }
                    }
                });
                Ok(receive)
            }
        }
    };
}

unary! {
    hello(v1::HelloRequest) -> v1::HelloResponse;
    pull(v1::PullRequest) -> v1::PullResponse;
    accept(v1::AcceptRequest) -> v1::AcceptResponse;
    report(v1::ReportRequest) -> v1::ReportResponse;
    log_chunk(v1::LogChunkRequest) -> v1::LogChunkResponse;
    heartbeat(v1::HeartbeatRequest) -> v1::HeartbeatResponse;
    authorize(v1::AuthorizeRequest) -> v1::AuthorizeResponse;
    renew_lease(v1::RenewLeaseRequest) -> v1::RenewLeaseResponse;
    report_inspection(v1::ReportInspectionRequest) -> v1::ReportInspectionResponse;
    report_watch(v1::ReportWatchRequest) -> v1::ReportWatchResponse;
    request_transfer(v1::RequestTransferRequest) -> v1::RequestTransferResponse;
    renew_certificate(v1::RenewCertificateRequest) -> v1::RenewCertificateResponse;
}
