//! Accepting: a stream of finished TLS connections for `tonic::transport::Server::serve_with_incoming_shutdown`.
//!
//! Handshakes run beside each other, each with a time limit, at most `max_handshakes` at once; the others wait in the
//! kernel's backlog, so that a fleet that reconnects all at once is admitted at the speed of the machine. A failed
//! handshake is that client's problem and never ends the stream.
//!
//! A client certificate is optional here, because a host that enrols has none yet; what is presented must chain to
//! our authority and name a peer. Whether a call needs one is decided by `require`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use syncferry_shared::Millis;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::connection::{ConnectInfo, Connection};
use super::identity::Identity;
use super::peer::{PeerCertificate, PeerError};
use super::provider::{self, ALPN, VERSIONS};
use super::verifier::{self, InvalidAuthority};

/// How long, and for how many bytes, a refused client is listened to.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// What a stranger may cost us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How many handshakes may run at once.
    pub max_handshakes: usize,
    /// How long a connection without a certificate may stay open: long enough to enrol.
    pub anonymous_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 256,
            anonymous_lifetime: Duration::from_secs(5 * 60),
        }
    }
}

/// Why no TLS server can be set up.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The authority's certificate is unusable.
    #[error(transparent)]
    Authority(#[from] InvalidAuthority),
    /// No verifier can be made from it.
    #[error("client certificates cannot be verified: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// The TLS library refused our settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where connections come from: a TCP port, or a simulated one.
pub trait Listener: Send + Sync + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and where it comes from.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (tcp, remote_addr) = self.accept().await?;
        tcp.set_nodelay(true)?;
        Ok((tcp, remote_addr))
    }
}

/// Accepts TLS connections on a listener. Must be called inside a Tokio runtime. Dropping the stream closes the
/// listener; connections already handed out live on.
pub fn listen<L: Listener>(
    listener: L,
    identity: &Identity,
    ca_pem: &str,
    limits: Limits,
) -> Result<Incoming<L::Io>, ListenError> {
    let acceptor = TlsAcceptor::from(server_config(identity, ca_pem)?);
    let (finished, connections) = mpsc::channel(1);
    let accepting = tokio::spawn(accept(listener, acceptor, limits, finished)).abort_handle();
    Ok(Incoming { connections, accepting })
}

fn server_config(identity: &Identity, ca_pem: &str) -> Result<Arc<ServerConfig>, ListenError> {
    let roots = Arc::new(verifier::roots(ca_pem)?);
    let clients = WebPkiClientVerifier::builder_with_provider(roots, provider::provider())
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider::provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session takes the client's certificate from the session before, without looking at its validity again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The accepted connections.
pub struct Incoming<S = TcpStream> {
    connections: mpsc::Receiver<Connection<S>>,
    accepting: AbortHandle,
}

impl<S> Stream for Incoming<S> {
    type Item = io::Result<Connection<S>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

impl<S> Drop for Incoming<S> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<L: Listener>(listener: L, tls: TlsAcceptor, limits: Limits, finished: mpsc::Sender<Connection<L::Io>>) {
    let admission = Arc::new(Semaphore::new(limits.max_handshakes.max(1)));
    let mut handshakes = JoinSet::new();
    // The permit comes before the connection: whoever is not admitted waits in the backlog. It never fails, because
    // nobody closes the semaphore.
    while let Ok(permit) = admission.clone().acquire_owned().await {
        let (tcp, remote_addr) = next_connection(&listener).await;
        let (tls, finished) = (tls.clone(), finished.clone());
        while handshakes.try_join_next().is_some() {}
        handshakes.spawn(async move {
            let connection =
                match tokio::time::timeout(limits.handshake_timeout, handshake(tcp, remote_addr, tls)).await {
                    Ok(Ok((stream, info))) => Connection::new(stream, info, wall_clock(), limits.anonymous_lifetime),
                    Ok(Err(error)) => return tracing::debug!(remote = %remote_addr, %error, "TLS handshake failed"),
                    Err(_) => return tracing::debug!(remote = %remote_addr, "TLS handshake timed out"),
                };
            drop(permit);
            // Fails only when the server is gone.
            let _ = finished.send(connection).await;
        });
    }
}

/// The next connection. Errors are about one connection, or pass (no file descriptors left): none ends the loop.
async fn next_connection<L: Listener>(listener: &L) -> (L::Io, SocketAddr) {
    loop {
        match listener.next().await {
            Ok(connection) => return connection,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tcp: S,
    remote_addr: SocketAddr,
    tls: TlsAcceptor,
) -> Result<(tokio_rustls::server::TlsStream<S>, ConnectInfo), HandshakeError> {
    let stream = match tls.accept(tcp).into_fallible().await {
        Ok(stream) => stream,
        Err((error, tcp)) => {
            linger(tcp).await;
            return Err(error.into());
        }
    };
    let presented = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer_certificate = presented.map(|leaf| PeerCertificate::from_der(leaf)).transpose()?;
    Ok((
        stream,
        ConnectInfo {
            remote_addr,
            peer_certificate,
        },
    ))
}

/// Lets a refused client read the alert that says why. Closing a socket with unread bytes resets it, and the reset
/// overtakes the alert (always on Windows); so we read on for a moment, until the client hangs up.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut tcp: S) {
    if tcp.shutdown().await.is_ok() {
        let mut rest = tokio::io::sink();
        let mut limited = tcp.take(LINGER_BYTES);
        let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut limited, &mut rest)).await;
    }
}

/// The clock that TLS judged the certificate by: this host's, not the store's.
fn wall_clock() -> Millis {
    Millis(
        i64::try_from(UnixTime::now().as_secs())
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
    )
}
