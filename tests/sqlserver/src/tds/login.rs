//! From the first byte to a session: PRELOGIN, TLS, LOGIN7 and its answer.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::types::{Login, Message};

use super::backend::Backend;
use super::encode::login::{Server, put_login_reply};
use super::encode::{self, Done, Text};
use super::error::ProtocolError;
use super::login7::Login7;
use super::packet::{Assembly, Kind};
use super::prelogin::{self, Encryption, PreLogin};
use super::reader::{LOGIN_LIMIT, read_message, read_packet};
use super::tls::Identity;
use super::version::Version;
use super::wire::{Wire, first_byte};
use super::writer::PacketWriter;

/// The first byte of a TLS handshake record: a TDS 8.0 client.
const TLS_HANDSHAKE: u8 = 0x16;
/// The named and the default database cannot be opened: 18456 follows.
const CANNOT_OPEN_DATABASE: [i32; 2] = [4060, 4064];
/// The backend's word for hanging up without an answer.
const HANG_UP: i32 = 17829;

/// A connection whose client has logged in.
pub(crate) struct Established<S> {
    pub(crate) wire: Wire,
    pub(crate) session: S,
    pub(crate) version: Version,
    pub(crate) packet_size: usize,
}

/// Runs the login. `None` is a client that was refused or left; it has been told all there is.
pub(crate) async fn establish<B: Backend>(
    tcp: TcpStream,
    peer: SocketAddr,
    backend: &B,
    identity: &Identity,
) -> io::Result<Option<Established<B::Session>>> {
    let mut wire = match first_byte(&tcp).await? {
        None => return Ok(None),
        Some(TLS_HANDSHAKE) => Wire::strict(tcp, identity.strict()).await?,
        Some(_) => Wire::plain(tcp),
    };
    let strict = wire.is_encrypted();
    let Some(first) = read_message(&mut wire, &mut Assembly::new(LOGIN_LIMIT)).await? else {
        return Ok(None);
    };
    if first.kind != Kind::PreLogin {
        return Err(ProtocolError::Unexpected(first.kind.into()).into());
    }
    let (answer, encryption) = prelogin::negotiate(PreLogin::decode(&first.payload)?.wish, backend.force_encryption());
    let mut writer = PacketWriter::new(wire);
    writer
        .buffer()
        .extend(prelogin::encode(backend.product_version(), answer));
    writer.finish().await?;
    wire = writer.into_stream();
    if !strict && encryption != Encryption::None {
        wire = wire
            .upgraded(identity.in_packets(), encryption == Encryption::LoginOnly)
            .await?;
    }
    let login_only = !strict && encryption == Encryption::LoginOnly;
    let Some((wire, payload)) = read_login(wire, login_only).await? else {
        return Ok(None);
    };
    admit(wire, peer, backend, &Login7::decode(&payload)?).await
}

/// Reads LOGIN7 packet by packet, because with login-only encryption TLS may end after any of them.
async fn read_login(mut wire: Wire, login_only: bool) -> io::Result<Option<(Wire, Vec<u8>)>> {
    let mut assembly = Assembly::new(LOGIN_LIMIT);
    loop {
        let Some((header, body)) = read_packet(&mut wire).await? else {
            return Ok(None);
        };
        if login_only {
            wire = wire.after_login_packet(header.ends_message()).await?;
        }
        if let Some(message) = assembly.push(header, &body)? {
            return match message.kind {
                Kind::Login7 => Ok(Some((wire, message.payload))),
                other => Err(ProtocolError::Unexpected(other.into()).into()),
            };
        }
    }
}

/// Asks the backend for a session and answers.
async fn admit<B: Backend>(
    wire: Wire,
    peer: SocketAddr,
    backend: &B,
    login: &Login7,
) -> io::Result<Option<Established<B::Session>>> {
    let server = Server {
        name: backend.server_name(),
        product: backend.product_version(),
    };
    let encrypted = wire.is_encrypted();
    let mut writer = PacketWriter::new(wire);
    let outcome = if login.integrated {
        Err(untrusted_domain())
    } else {
        backend.login(request(login, peer, encrypted)).await
    };
    let (session, reply) = match outcome {
        Ok(admitted) => admitted,
        Err(message) if message.number == HANG_UP => return Ok(None),
        Err(message) => {
            refuse(writer, &message, login, &server.name).await?;
            return Ok(None);
        }
    };
    writer.set_spid(crate::tds::backend::BackendSession::spid(&session));
    put_login_reply(writer.buffer(), login, &reply, &server);
    backend.tamper(writer.buffer());
    writer.finish().await?;
    let packet_size = login.negotiated_packet_size();
    Ok(Some(Established {
        wire: writer.into_stream(),
        session,
        version: login.version,
        packet_size,
    }))
}

fn request(login: &Login7, peer: SocketAddr, encrypted: bool) -> Login {
    Login {
        user: login.user.clone(),
        password: login.password.clone(),
        host_name: login.host_name.clone(),
        app_name: login.app_name.clone(),
        library: login.library.clone(),
        server_name: login.server_name.clone(),
        database: login.database.clone(),
        client_pid: login.client_pid,
        client_address: peer.ip().to_string(),
        encrypted,
    }
}

/// Sends the error and closes so that the client can read it: a reset would throw it away.
async fn refuse(mut writer: PacketWriter<Wire>, message: &Message, login: &Login7, server: &str) -> io::Result<()> {
    tracing::info!(user = login.user, number = message.number, "login refused");
    let mut messages = vec![message.clone()];
    if CANNOT_OPEN_DATABASE.contains(&message.number) {
        messages.push(login_failed(&login.user));
    }
    for message in &messages {
        encode::put_message(writer.buffer(), Text::Error, message, server, login.version);
    }
    encode::put_done(writer.buffer(), Done::ERROR, login.version);
    writer.finish().await?;
    let mut wire = writer.into_stream();
    wire.shutdown().await?;
    drain(&mut wire).await;
    Ok(())
}

/// Waits for the client to close too.
async fn drain(wire: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = [0; 512];
    let patience = std::time::Duration::from_secs(2);
    let draining = async { while wire.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(patience, draining).await.ok();
}

fn login_failed(user: &str) -> Message {
    error(18456, 1, 14, format!("Login failed for user '{user}'."))
}

fn untrusted_domain() -> Message {
    let text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.";
    error(18452, 1, 14, text.into())
}

fn error(number: i32, state: u8, class: u8, text: String) -> Message {
    Message {
        number,
        state,
        class,
        text,
        server: String::new(),
        procedure: String::new(),
        line: 1,
    }
}
