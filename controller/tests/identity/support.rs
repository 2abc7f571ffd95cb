//! An authority, servers that guard a health service, and clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use syncferry_controller::identity::{Authority, Issued, Keys, ServerCertificate};
use syncferry_proto::transport::{
    ConnectInfo, Dial, ExpectedPeer, Fingerprint, Identity, Limits, Profile, connect, connect_pinned, csr, explain,
    listen, require_agent, require_operator,
};
use syncferry_shared::secret::Secret;
use syncferry_shared::{AgentId, Millis, OperatorId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use uuid::Uuid;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Millis(since.as_millis().try_into().unwrap())
}

pub(crate) fn agent(n: u128) -> AgentId {
    AgentId(Uuid::from_u128(n))
}

/// An authority of its own.
pub(crate) struct World {
    pub(crate) authority: Arc<Authority>,
    _data: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let keys = Keys::open(data.path(), now()).unwrap();
        Self {
            authority: Arc::new(keys.authority),
            _data: data,
        }
    }

    pub(crate) fn ca(&self) -> String {
        self.authority.pem().to_string()
    }

    pub(crate) fn controller(&self) -> Identity {
        let names = vec!["localhost".to_string()];
        ServerCertificate::new(self.authority.clone(), names, DAY, now())
            .unwrap()
            .identity()
            .clone()
    }

    /// An operator whose certificate was issued at `at` for a day.
    pub(crate) fn operator_issued(&self, at: Millis) -> Identity {
        let operator = OperatorId(Uuid::from_u128(1));
        let (issued, key) = self.authority.issue_operator("Ada", operator, DAY, at).unwrap();
        Identity::from_pem(&issued.cert_pem, &key).unwrap()
    }

    pub(crate) fn operator(&self) -> Identity {
        self.operator_issued(now())
    }

    pub(crate) fn agent_certificate(&self, id: AgentId, generation: u32, validity: Duration) -> (Issued, Secret) {
        let request = csr::make().unwrap();
        let issued = self
            .authority
            .issue_agent_from_csr(&request.csr_pem, id, generation, validity, now())
            .unwrap();
        (issued, request.key_pem)
    }

    /// An agent whose certificate was issued at `at` for a day.
    pub(crate) fn agent_issued(&self, id: AgentId, at: Millis) -> Identity {
        let request = csr::make().unwrap();
        let issued = self
            .authority
            .issue_agent_from_csr(&request.csr_pem, id, 1, DAY, at)
            .unwrap();
        Identity::from_pem(&issued.cert_pem, &request.key_pem).unwrap()
    }

    pub(crate) fn agent(&self, id: AgentId) -> Identity {
        let (issued, key) = self.agent_certificate(id, 1, DAY);
        Identity::from_pem(&issued.cert_pem, &key).unwrap()
    }
}

/// Whom a service lets in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guard {
    Anyone,
    Agents,
    Operators,
}

impl Guard {
    fn check(self, request: &Request<()>) -> Result<(), Status> {
        match self {
            Guard::Anyone => Ok(()),
            Guard::Agents => require_agent(request).map(|_| ()),
            Guard::Operators => require_operator(request).map(|_| ()),
        }
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// Who made each request.
    pub(crate) seen: mpsc::UnboundedReceiver<ConnectInfo>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

pub(crate) async fn serve(identity: &Identity, ca: &str, guard: Guard) -> Running {
    serve_at(([127, 0, 0, 1], 0).into(), identity, ca, guard, Limits::default()).await
}

pub(crate) async fn serve_at(
    address: SocketAddr,
    identity: &Identity,
    ca: &str,
    guard: Guard,
    limits: Limits,
) -> Running {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = listen(listener, identity, ca, limits).unwrap();
    let (saw, seen) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let (reporter, _) = tonic_health::server::health_reporter();
    let health = HealthServer::new(tonic_health::server::HealthService::from_health_reporter(reporter));
    let guarded = InterceptedService::new(health, move |request: Request<()>| {
        saw.send(request.extensions().get::<ConnectInfo>().unwrap().clone())
            .ok();
        guard.check(&request).map(|()| request)
    });
    let server = Profile::Control.server().add_service(guarded);
    let serving = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async {
        stopped.await.ok();
    }));
    Running {
        address,
        seen,
        stop,
        serving,
    }
}

pub(crate) fn dial(address: SocketAddr, ca: String, identity: Option<Identity>, expected: ExpectedPeer) -> Channel {
    connect(Dial {
        endpoint: address.to_string(),
        ca_pem: ca,
        identity,
        expected,
        profile: Profile::Control,
    })
    .unwrap()
}

pub(crate) fn dial_controller(server: &Running, world: &World, identity: Option<Identity>) -> Channel {
    dial(server.address, world.ca(), identity, ExpectedPeer::Controller)
}

pub(crate) fn dial_pinned(server: &Running, fingerprint: Fingerprint) -> Channel {
    connect_pinned(&server.address.to_string(), fingerprint).unwrap()
}

/// A call that any service answers.
pub(crate) async fn check(channel: &Channel) -> Result<(), Status> {
    let mut client = HealthClient::new(channel.clone());
    client.check(HealthCheckRequest::default()).await.map(|_| ())
}

/// The explanation of a call that must fail.
pub(crate) async fn refused(channel: &Channel) -> String {
    explain(&check(channel).await.unwrap_err())
}
