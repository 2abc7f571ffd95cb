//! What the agent asks of its controller, as a trait: the real one speaks gRPC (`session/remote.rs`), simulations and tests
//! bring their own.

use async_trait::async_trait;
use syncferry_proto::v1;
use tokio::sync::mpsc;

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody answered, or the answer was lost: the call may or may not have arrived. Trying again is right.
    #[error("the controller does not answer: {0}")]
    Unreachable(String),
    /// The controller understood and refused. Trying the same again is pointless.
    #[error("the controller refused: {0}")]
    Refused(String),
    /// The controller does not know this agent, or does not let it in.
    #[error("the controller does not let this agent in: {0}")]
    Denied(String),
}

impl CallError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, CallError::Unreachable(_))
    }
}

/// The result of a call.
pub type Called<T> = Result<T, CallError>;

/// The controller, as an agent sees it.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// Says who is there.
    async fn hello(&self, request: v1::HelloRequest) -> Called<v1::HelloResponse>;
    /// Opens the stream of hints. It ends when the connection does.
    async fn hints(&self, request: v1::SessionRequest) -> Called<mpsc::Receiver<v1::Hint>>;
    /// Asks for everything.
    async fn pull(&self, request: v1::PullRequest) -> Called<v1::PullResponse>;
    /// Takes an offer.
    async fn accept(&self, request: v1::AcceptRequest) -> Called<v1::AcceptResponse>;
    /// Tells what happened.
    async fn report(&self, request: v1::ReportRequest) -> Called<v1::ReportResponse>;
    /// Adds lines to a log.
    async fn log_chunk(&self, request: v1::LogChunkRequest) -> Called<v1::LogChunkResponse>;
    /// Says that the agent lives.
    async fn heartbeat(&self, request: v1::HeartbeatRequest) -> Called<v1::HeartbeatResponse>;
    /// Asks for a permit.
    async fn authorize(&self, request: v1::AuthorizeRequest) -> Called<v1::AuthorizeResponse>;
    /// Extends a lease.
    async fn renew_lease(&self, request: v1::RenewLeaseRequest) -> Called<v1::RenewLeaseResponse>;
    /// Answers an inspection.
    async fn report_inspection(&self, request: v1::ReportInspectionRequest) -> Called<v1::ReportInspectionResponse>;
    /// Tells what was watched.
    async fn report_watch(&self, request: v1::ReportWatchRequest) -> Called<v1::ReportWatchResponse>;
    /// Gets a ticket.
    async fn request_transfer(&self, request: v1::RequestTransferRequest) -> Called<v1::RequestTransferResponse>;
    /// Gets a new certificate.
    async fn renew_certificate(&self, request: v1::RenewCertificateRequest) -> Called<v1::RenewCertificateResponse>;
}
