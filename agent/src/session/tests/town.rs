//! A controller for tests: it does what it is told, and remembers what it heard. Over gRPC as well.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::v1::agent_server::Agent;
use syncferry_proto::{duration, schema, v1};
use syncferry_shared::token::AttemptToken;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::controller::{CallError, Called, Controller};

/// The controller.
pub(crate) struct Town {
    pub(crate) desired: Mutex<v1::PullResponse>,
    pub(crate) order: Mutex<v1::Order>,
    pub(crate) withdraw: AtomicBool,
    pub(crate) silent: AtomicBool,
    pub(crate) no_streams: AtomicBool,
    pub(crate) stale: Mutex<Vec<v1::AttemptToken>>,
    pub(crate) heartbeat_ms: AtomicI64,
    pub(crate) silence_ms: AtomicI64,
    pub(crate) hints: Mutex<Vec<mpsc::Sender<v1::Hint>>>,
    pub(crate) heard: watch::Sender<Heard>,
    /// Signs the agent's next certificate, and says its generation.
    pub(crate) certify: Mutex<Option<Certify>>,
}

pub(crate) type Certify = Box<dyn Fn(&str) -> v1::RenewCertificateResponse + Send>;

/// What it heard.
#[derive(Default, Clone)]
pub(crate) struct Heard {
    pub(crate) hellos: Vec<v1::HelloRequest>,
    pub(crate) pulls: usize,
    pub(crate) accepts: Vec<v1::AcceptRequest>,
    pub(crate) heartbeats: Vec<v1::HeartbeatRequest>,
    pub(crate) renewals: Vec<v1::RenewLeaseRequest>,
    pub(crate) inspections: Vec<v1::ReportInspectionRequest>,
    pub(crate) reports: BTreeMap<(i32, i64), v1::ReportRequest>,
    pub(crate) lines: Vec<String>,
    pub(crate) certificates: usize,
}

impl Heard {
    /// How an attempt ended.
    pub(crate) fn end(&self, attempt: i32) -> Option<v1::EndKind> {
        self.reports
            .iter()
            .filter(|((a, _), _)| *a == attempt)
            .find_map(|(_, r)| match &r.what {
                Some(v1::report_request::What::End(e)) => Some(e.kind()),
                _ => None,
            })
    }
}

impl Town {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            desired: Mutex::default(),
            order: Mutex::new(v1::Order::Continue),
            withdraw: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            no_streams: AtomicBool::new(false),
            stale: Mutex::default(),
            heartbeat_ms: AtomicI64::new(20),
            silence_ms: AtomicI64::new(100_000),
            hints: Mutex::default(),
            heard: watch::Sender::new(Heard::default()),
            certify: Mutex::new(None),
        })
    }

    fn hear<T>(&self, note: impl FnOnce(&mut Heard) -> T) -> Called<T> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(CallError::Unreachable("silent".into()));
        }
        let mut result = None;
        self.heard.send_modify(|h| result = Some(note(h)));
        result.ok_or_else(|| CallError::Unreachable("never".into()))
    }

    /// Waits until it heard something.
    pub(crate) async fn until(&self, what: impl FnMut(&Heard) -> bool) -> Heard {
        let mut heard = self.heard.subscribe();
        let waiting = heard.wait_for(what);
        let heard = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        heard.expect("it was never heard").unwrap().clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut v1::PullResponse)) {
        change(&mut self.desired.lock().unwrap());
    }

    /// Wakes everybody who listens.
    pub(crate) fn hint(&self) {
        let hint = v1::Hint {
            reason: v1::HintReason::Work.into(),
        };
        self.hints.lock().unwrap().retain(|h| h.try_send(hint).is_ok());
    }
}

/// An offer.
pub(crate) fn offer(token: &AttemptToken, spec: &str) -> v1::Offer {
    v1::Offer {
        token: Some(token.into()),
        spec: Some(v1::Document {
            schema: schema::JOB_SPEC.into(),
            json: spec.as_bytes().to_vec(),
        }),
        mode: v1::JobMode::Do.into(),
        signature: Vec::new(),
    }
}

#[async_trait]
impl Controller for Town {
    async fn hello(&self, r: v1::HelloRequest) -> Called<v1::HelloResponse> {
        let order = *self.order.lock().unwrap();
        let orders = r.open_attempts.iter().map(|o| v1::AttemptOrder {
            token: o.token.clone(),
            order: order.into(),
        });
        let orders = orders.collect();
        self.hear(|h| h.hellos.push(r))?;
        Ok(v1::HelloResponse {
            incarnation: 1,
            heartbeat_interval: Some(duration(self.heartbeat_ms.load(Ordering::SeqCst))),
            silence_limit: Some(duration(self.silence_ms.load(Ordering::SeqCst))),
            orders,
            ..Default::default()
        })
    }
    async fn hints(&self, _: v1::SessionRequest) -> Called<mpsc::Receiver<v1::Hint>> {
        if self.no_streams.load(Ordering::SeqCst) {
            return Err(CallError::Refused("a proxy".into()));
        }
        self.hear(|_| ())?;
        let (send, receive) = mpsc::channel(8);
        self.hints.lock().unwrap().push(send);
        Ok(receive)
    }
    async fn pull(&self, _: v1::PullRequest) -> Called<v1::PullResponse> {
        self.hear(|h| h.pulls += 1)?;
        Ok(self.desired.lock().unwrap().clone())
    }
    async fn accept(&self, r: v1::AcceptRequest) -> Called<v1::AcceptResponse> {
        self.hear(|h| h.accepts.push(r))?;
        self.change(|d| d.offers.clear());
        Ok(v1::AcceptResponse {
            accepted: !self.withdraw.load(Ordering::SeqCst),
            reason: "withdrawn".into(),
        })
    }
    async fn report(&self, r: v1::ReportRequest) -> Called<v1::ReportResponse> {
        let attempt = r.token.as_ref().unwrap().attempt;
        self.hear(|h| {
            h.reports.entry((attempt, r.number)).or_insert(r);
        })?;
        Ok(v1::ReportResponse {
            current: true,
            order: v1::Order::Continue.into(),
        })
    }
    async fn log_chunk(&self, r: v1::LogChunkRequest) -> Called<v1::LogChunkResponse> {
        self.hear(|h| h.lines.extend(r.lines))?;
        Ok(v1::LogChunkResponse {})
    }
    async fn heartbeat(&self, r: v1::HeartbeatRequest) -> Called<v1::HeartbeatResponse> {
        self.hear(|h| h.heartbeats.push(r))?;
        Ok(v1::HeartbeatResponse {
            stale: self.stale.lock().unwrap().clone(),
            pull: false,
        })
    }
    async fn authorize(&self, _: v1::AuthorizeRequest) -> Called<v1::AuthorizeResponse> {
        self.hear(|_| ())?;
        Ok(v1::AuthorizeResponse {
            permitted: true,
            valid_for: Some(duration(60_000)),
            reason: String::new(),
        })
    }
    async fn renew_lease(&self, r: v1::RenewLeaseRequest) -> Called<v1::RenewLeaseResponse> {
        self.hear(|h| h.renewals.push(r))?;
        Ok(v1::RenewLeaseResponse {
            renewed: true,
            valid_for: Some(duration(90_000)),
            reason: String::new(),
        })
    }
    async fn report_inspection(&self, r: v1::ReportInspectionRequest) -> Called<v1::ReportInspectionResponse> {
        self.hear(|h| h.inspections.push(r))?;
        Ok(v1::ReportInspectionResponse {})
    }
    async fn request_transfer(&self, _: v1::RequestTransferRequest) -> Called<v1::RequestTransferResponse> {
        Err(CallError::Refused("no".into()))
    }
    async fn renew_certificate(&self, r: v1::RenewCertificateRequest) -> Called<v1::RenewCertificateResponse> {
        self.hear(|h| h.certificates += 1)?;
        match self.certify.lock().unwrap().as_ref() {
            Some(certify) => Ok(certify(&r.csr_pem)),
            None => Err(CallError::Refused("not now".into())),
        }
    }
}

/// The same over gRPC.
pub(crate) struct Hall(pub(crate) Arc<Town>);

fn answer<T>(called: Called<T>) -> Result<Response<T>, Status> {
    called.map(Response::new).map_err(|e| match e {
        CallError::Unreachable(e) => Status::unavailable(e),
        e => Status::failed_precondition(e.to_string()),
    })
}

macro_rules! served {
    ($($call:ident($request:ty) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl Agent for Hall {
            $(
            async fn $call(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                syncferry_proto::transport::require_agent(&request)?;
                answer(self.0.$call(request.into_inner()).await)
            }
            )*

            async fn report_watch(&self, _: Request<v1::ReportWatchRequest>) -> Result<Response<v1::ReportWatchResponse>, Status> {
                Ok(Response::new(v1::ReportWatchResponse {}))
            }

            type SessionStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::Hint, Status>> + Send>>;

            async fn session(&self, request: Request<v1::SessionRequest>) -> Result<Response<Self::SessionStream>, Status> {
                use tokio_stream::StreamExt as _;
                let hints = self.0.hints(request.into_inner()).await;
                let hints = answer(hints)?.into_inner();
                Ok(Response::new(Box::pin(ReceiverStream::new(hints).map(Ok))))
            }
        }
    };
}

served! {
    hello(v1::HelloRequest) -> v1::HelloResponse;
    pull(v1::PullRequest) -> v1::PullResponse;
    accept(v1::AcceptRequest) -> v1::AcceptResponse;
    report(v1::ReportRequest) -> v1::ReportResponse;
    log_chunk(v1::LogChunkRequest) -> v1::LogChunkResponse;
    heartbeat(v1::HeartbeatRequest) -> v1::HeartbeatResponse;
    authorize(v1::AuthorizeRequest) -> v1::AuthorizeResponse;
    renew_lease(v1::RenewLeaseRequest) -> v1::RenewLeaseResponse;
    report_inspection(v1::ReportInspectionRequest) -> v1::ReportInspectionResponse;
    request_transfer(v1::RequestTransferRequest) -> v1::RequestTransferResponse;
    renew_certificate(v1::RenewCertificateRequest) -> v1::RenewCertificateResponse;
}
