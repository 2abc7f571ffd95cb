//! One connection from accept to close.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncWrite, split};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::types::Message;

use super::backend::{Backend, BackendSession};
use super::decode::Request;
use super::encode::{self, Done, Text};
use super::error::ProtocolError;
use super::login::{Established, establish};
use super::packet::{self, Kind, Reset};
use super::run::{After, Incoming, run};
use super::sink::Dialect;
use super::tls::Identity;
use super::writer::PacketWriter;

/// SQL Server gives a client this long to log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Listener<B> {
    pub(crate) backend: B,
    pub(crate) identity: Identity,
    /// Ends every connection.
    pub(crate) shutdown: CancellationToken,
}

/// Serves one client until it leaves, is killed, or the server stops.
pub(crate) async fn serve_connection<B: Backend>(tcp: TcpStream, peer: SocketAddr, listener: &Listener<B>) {
    let login = establish(tcp, peer, &listener.backend, &listener.identity);
    let login = tokio::select! {
        login = tokio::time::timeout(LOGIN_TIMEOUT, login) => login,
        () = listener.shutdown.cancelled() => return,
    };
    let established = match login {
        Ok(Ok(Some(established))) => established,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            tracing::warn!(%peer, %error, "login broken off");
            return;
        }
        Err(_) => {
            tracing::warn!(%peer, "login timed out");
            return;
        }
    };
    let spid = established.session.spid();
    tracing::debug!(%peer, spid, "logged in");
    match converse(established, listener).await {
        Ok(()) => tracing::debug!(%peer, spid, "logged out"),
        Err(error) => tracing::debug!(%peer, spid, %error, "connection broken off"),
    }
}

/// Answers requests one after the other.
async fn converse<B: Backend>(established: Established<B::Session>, listener: &Listener<B>) -> io::Result<()> {
    let Established {
        wire,
        mut session,
        version,
        packet_size,
    } = established;
    let dialect = Dialect {
        version,
        server_name: listener.backend.server_name(),
    };
    let (reading, writing) = split(wire);
    let mut out = PacketWriter::new(writing).established(packet_size, session.spid());
    let (cancel, killed) = (session.cancel(), session.killed());
    let mut incoming = Incoming::start(reading, cancel.clone());
    let mut answered = false;
    loop {
        let message = tokio::select! {
            biased;
            () = listener.shutdown.cancelled() => break,
            () = killed.cancelled() => break,
            message = incoming.next() => message,
        };
        let Some(message) = message else {
            return Ok(());
        };
        if message.kind == Kind::Attention {
            // The answer was complete before the Attention arrived; it is acknowledged all the same.
            cancel.reset();
            answer(&mut out, &dialect, None, Done::ATTENTION).await?;
            continue;
        }
        if message.ignored {
            answer(&mut out, &dialect, None, Done::EMPTY).await?;
            continue;
        }
        if message.reset == Reset::Reset {
            session.reset();
            encode::put_reset_acknowledgement(out.buffer());
        }
        let request = match understand(&message, &dialect) {
            Ok(request) => request,
            Err(refusal) => {
                answer(&mut out, &dialect, Some(&refusal), Done::ERROR).await?;
                continue;
            }
        };
        let after = run(
            &mut session,
            request,
            &mut out,
            &dialect,
            &mut incoming,
            &listener.shutdown,
        )
        .await?;
        if after == After::Close {
            answered = true;
            break;
        }
    }
    drop(session);
    out.close().await?;
    if answered {
        drain_messages(incoming).await;
    }
    Ok(())
}

/// Reads what the client still sends, so that closing does not reset the connection under an unread answer.
async fn drain_messages(mut incoming: Incoming) {
    let draining = async { while incoming.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(2), draining).await.ok();
}

/// Decodes a request, or says what the client is told instead.
fn understand(message: &packet::Message, dialect: &Dialect) -> Result<Request, Message> {
    match Request::decode(message, dialect.version) {
        Ok(Request::BulkLoad) => Err(broken_stream("Bulk load data was not expected")),
        Ok(Request::DtcAddress) => Err(no_coordinator()),
        Ok(request) => Ok(request),
        Err(ProtocolError::Type(id)) => Err(unknown_type(id)),
        Err(error) => Err(broken_stream(&error.to_string())),
    }
}

async fn answer<W: AsyncWrite + Unpin>(
    out: &mut PacketWriter<W>,
    dialect: &Dialect,
    error: Option<&Message>,
    done: Done,
) -> io::Result<()> {
    if let Some(error) = error {
        encode::put_message(out.buffer(), Text::Error, error, &dialect.server_name, dialect.version);
    }
    encode::put_done(out.buffer(), done, dialect.version);
    out.finish().await
}

fn broken_stream(detail: &str) -> Message {
    let text = format!("The incoming tabular data stream (TDS) protocol stream is incorrect. {detail}.");
    message(4002, 16, text)
}

fn unknown_type(id: u8) -> Message {
    let text = format!(
        "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. \
         Data type 0x{id:02X} is unknown."
    );
    message(8009, 16, text)
}

fn no_coordinator() -> Message {
    message(8501, 16, "MSDTC on server is unavailable.".into())
}

/// A message of the wire's own.
pub(super) fn message(number: i32, class: u8, text: String) -> Message {
    Message {
        number,
        state: 1,
        class,
        text,
        server: String::new(),
        procedure: String::new(),
        line: 1,
    }
}
