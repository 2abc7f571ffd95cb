//! The link to the controller: which of several is in use, and when it last answered. Silence is measured here, on the monotonic
//! clock, and by answers only: an open connection proves nothing.
//!
//! All controllers on one store are equal, so whoever loses one goes on with the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::v1;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::controller::{Called, Controller};

/// A controller with a memory of its last answer.
pub struct Link {
    /// What each is called in the log, and how it is reached. At least one.
    controllers: Vec<(String, Arc<dyn Controller>)>,
    /// The one in use.
    at: AtomicUsize,
    /// How many were left behind since one said welcome.
    left: AtomicUsize,
    last_answer: Mutex<Instant>,
    /// Told when a call found nobody.
    pub(crate) lost: Notify,
}

impl Link {
    /// Watches a controller.
    pub fn new(inner: Arc<dyn Controller>) -> Self {
        Self::among(String::new(), inner, Vec::new(), 0)
    }

    /// Watches one of several, which share a store, beginning with any of them: a fleet whose agents begin with different ones
    /// is spread over all.
    pub fn among(
        name: String,
        first: Arc<dyn Controller>,
        others: Vec<(String, Arc<dyn Controller>)>,
        begin: usize,
    ) -> Self {
        let controllers: Vec<_> = std::iter::once((name, first)).chain(others).collect();
        Self {
            at: AtomicUsize::new(begin % controllers.len()),
            controllers,
            left: AtomicUsize::new(0),
            last_answer: Mutex::new(Instant::now()),
            lost: Notify::new(),
        }
    }

    fn current(&self) -> &(String, Arc<dyn Controller>) {
        &self.controllers[self.at.load(Ordering::Relaxed)]
    }

    /// The name of the one in use.
    pub(crate) fn name(&self) -> &str {
        &self.current().0
    }

    /// Goes on with the next one. `true` when each of them had its turn since one said welcome: then there is time to wait.
    pub(crate) fn move_on(&self) -> bool {
        let count = self.controllers.len();
        self.at
            .store((self.at.load(Ordering::Relaxed) + 1) % count, Ordering::Relaxed);
        let left = self.left.fetch_add(1, Ordering::Relaxed) + 1;
        left.is_multiple_of(count)
    }

    /// The one in use said welcome.
    pub(crate) fn settle(&self) {
        self.left.store(0, Ordering::Relaxed);
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
                self.note(self.current().1.$call(request).await)
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
