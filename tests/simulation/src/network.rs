//! turmoil's connections, for the product's own transport: both ends speak real HTTP/2 and TLS over them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use syncferry_proto::transport::{Dial, DialError, Listener, connect_over};
use tonic::transport::Channel;
use turmoil::net::{TcpListener, TcpStream};

/// The controller's name and port in the simulated network.
pub(crate) const CONTROLLER: &str = "controller";
/// See [`CONTROLLER`].
pub(crate) const PORT: u16 = 7443;

/// A simulated port.
pub(crate) struct Port(TcpListener);

impl Port {
    pub(crate) async fn bind() -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT)).await?;
        let bound = listener.local_addr()?;
        Ok((Self(listener), bound))
    }
}

impl Listener for Port {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }
}

/// Dials over the simulated network.
pub(crate) fn dial(dial: Dial) -> Result<Channel, DialError> {
    connect_over(dial, |host, port| async move {
        TcpStream::connect((host.as_str(), port)).await
    })
}
