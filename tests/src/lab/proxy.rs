//! A breakable wire: a TCP relay in user space between an agent and its controller. It knows nothing of what it carries.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const BUFFER: usize = 16 * 1024;

/// How the wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// It carries everything.
    Whole,
    /// Connections break, and new ones are closed at once: as a host that is down, or a firewall that says so.
    Broken,
    /// Nothing arrives and nobody is told: as a cable that was pulled. What was sent arrives when it is whole again.
    Silent,
}

/// A running relay. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and carries what comes to `to`.
    pub async fn open(to: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (wire, seen) = watch::channel(Wire::Whole);
        let task = tokio::spawn(serve(listener, to, seen));
        Ok(Proxy { address, wire, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the wire from now on.
    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, wire: watch::Receiver<Wire>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(carry(client, to, wire.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until an end closes it or the wire breaks.
async fn carry(client: TcpStream, to: SocketAddr, wire: watch::Receiver<Wire>) {
    let mut broken = wire.clone();
    tokio::select! {
        biased;
        _ = broken.wait_for(|w| *w == Wire::Broken) => {}
        _ = both_ways(client, to, wire) => {}
    }
}

async fn both_ways(client: TcpStream, to: SocketAddr, mut wire: watch::Receiver<Wire>) -> io::Result<()> {
    hearing(&mut wire).await?;
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, wire.clone()),
        pump(from_server, to_client, wire)
    )?;
    Ok(())
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: watch::Receiver<Wire>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        // What was read, an end included, waits here while the wire is silent.
        hearing(&mut wire).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn hearing(wire: &mut watch::Receiver<Wire>) -> io::Result<()> {
    let whole = wire.wait_for(|w| *w != Wire::Silent).await;
    whole.map(|_| ()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    async fn said(stream: &mut TcpStream, word: &[u8; 4]) -> io::Result<[u8; 4]> {
        stream.write_all(word).await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_broken_wire_breaks_what_there_is_and_refuses_what_comes() {
        let proxy = Proxy::open(echo().await).await.unwrap();
        let mut before = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(said(&mut before, b"abcd").await.unwrap(), *b"abcd");
        proxy.set(Wire::Broken);
        assert!(said(&mut before, b"efgh").await.is_err());
        let mut during = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(said(&mut during, b"efgh").await.is_err());
        proxy.set(Wire::Whole);
        let mut after = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(said(&mut after, b"ijkl").await.unwrap(), *b"ijkl");
    }

    #[tokio::test]
    async fn a_silent_wire_loses_nothing_and_says_nothing() {
        let proxy = Proxy::open(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(said(&mut stream, b"abcd").await.unwrap(), *b"abcd");
        proxy.set(Wire::Silent);
        let silent = tokio::time::timeout(Duration::from_millis(100), said(&mut stream, b"efgh")).await;
        assert!(silent.is_err(), "nothing comes through");
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(100), said(&mut new, b"ijkl")).await;
        assert!(silent.is_err(), "nor on a new connection");
        proxy.set(Wire::Whole);
        let mut late = [0; 4];
        stream.read_exact(&mut late).await.unwrap();
        assert_eq!(late, *b"efgh", "what was sent meanwhile arrives");
    }
}
