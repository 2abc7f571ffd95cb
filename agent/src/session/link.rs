//! The link to the controller: a controller that notes when it last answered. Silence is measured here, on the monotonic
//! clock, and by answers only: an open connection proves nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::v1;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::controller::{Called, Controller};

/// A controller with a memory of its last answer.
pub struct Link {
    inner: Arc<dyn Controller>,
    last_answer: Mutex<Instant>,
    /// Told when a call found nobody.
    pub(crate) lost: Notify,
}

impl Link {
    /// Watches a controller.
    pub fn new(inner: Arc<dyn Controller>) -> Self {
        Self {
            inner,
            last_answer: Mutex::new(Instant::now()),
            lost: Notify::new(),
        }
    }

    /// How long ago the controller last answered anything.
    pub fn silent_for(&self) -> Duration {
        self.last_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    fn note<T>(&self, called: Called<T>) -> Called<T> {
        match &called {
            Err(e) if e.is_passing() => self.lost.notify_one(),
            _ => *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now(),
        }
        called
    }
}

macro_rules! watched {
    ($($call:ident($request:ty) -> $response:ty;)*) => {
        #[async_trait]
        impl Controller for Link {$(
            async fn $call(&self, request: $request) -> Called<$response> {
                self.note(self.inner.$call(request).await)
            }
        )*}
    };
}

watched! {
    hello(v1::HelloRequest) -> v1::HelloResponse;
    hints(v1::SessionRequest) -> mpsc::Receiver<v1::Hint>;
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
