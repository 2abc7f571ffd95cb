//! An accepted connection: its stream, who is at the other end, and until when that is believed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use syncferry_shared::Millis;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::peer::{Peer, PeerCertificate};

/// Who made a request; in the extensions of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectInfo {
    /// Where it comes from.
    pub remote_addr: SocketAddr,
    /// The verified certificate, if one was presented.
    pub peer_certificate: Option<PeerCertificate>,
}

impl ConnectInfo {
    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer_certificate
            .as_ref()
            .map_or(Peer::Anonymous, |certificate| certificate.peer)
    }
}

/// An accepted TLS connection. It ends when the client's certificate does: TLS looks at the validity only during the
/// handshake, and a stream that is open for weeks would outlive every renewal and every refusal to renew.
pub struct Connection<S = TcpStream> {
    stream: TlsStream<S>,
    info: ConnectInfo,
    lifetime: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    /// A connection that is closed after `anonymous_lifetime`, or at the end of the certificate.
    pub(super) fn new(stream: TlsStream<S>, info: ConnectInfo, now: Millis, anonymous_lifetime: Duration) -> Self {
        let lifetime = match &info.peer_certificate {
            Some(certificate) => Duration::from_millis(certificate.not_after.since(now).try_into().unwrap_or(0)),
            None => anonymous_lifetime,
        };
        Self {
            stream,
            info,
            lifetime: Box::pin(tokio::time::sleep(lifetime)),
        }
    }

    /// Who is at the other end.
    pub fn info(&self) -> &ConnectInfo {
        &self.info
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> ConnectInfo {
        self.info.clone()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.lifetime.as_mut().poll(cx).is_ready() {
            tracing::debug!(peer = %self.info.peer(), remote = %self.info.remote_addr, "connection reached its end of life");
            // Nothing read: the HTTP/2 layer takes that as the end of the stream and closes the connection.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
