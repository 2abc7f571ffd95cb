//! The byte stream of a connection: plain, TLS, or TLS whose handshake travels inside TDS packets.
//!
//! ```text
//!   TDS 7.x                                        TDS 8.0
//!   PRELOGIN  ->  <- PRELOGIN                      TLS handshake (ALPN tds/8.0)
//!   [0x12|ClientHello] -> <- [0x12|ServerHello …]  PRELOGIN -> <- PRELOGIN
//!   [0x12|…Finished]   -> <- [0x12|Finished]       LOGIN7 …
//!   from here raw TLS records: everything,
//!   or the first LOGIN7 packet only
//! ```

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::packet::{DEFAULT_SIZE, HEADER, Header, Kind, STATUS_END};

const RECORD_HEADER: usize = 5;

/// How [`Carrier`] reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Bytes as they are.
    Raw,
    /// A TLS handshake inside packets of type 0x12.
    Handshake,
    /// Raw, but never reading beyond the current TLS record: what follows may be plain TDS.
    Record,
}

/// A TCP stream below TLS.
#[derive(Debug)]
pub(crate) struct Carrier {
    tcp: TcpStream,
    mode: Mode,
    /// The header that is being read, of a packet or a record.
    header: Vec<u8>,
    /// A record's header, which TLS wants to see although it has been read already.
    ahead: Vec<u8>,
    /// Bytes of the packet or record that are still to be handed on.
    left: usize,
    /// The handshake's flight, collected until it is flushed.
    flight: Vec<u8>,
    /// Framed bytes on their way out.
    outgoing: Vec<u8>,
}

impl Carrier {
    fn new(tcp: TcpStream, mode: Mode) -> Self {
        Self {
            tcp,
            mode,
            header: Vec::new(),
            ahead: Vec::new(),
            left: 0,
            flight: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        self.header.clear();
        self.ahead.clear();
        self.left = 0;
    }

    /// Whether the next byte belongs to a TLS record and not to a TDS packet. Record types are 20 to 23; the only
    /// packet type a client sends here is LOGIN7, 16.
    async fn continues_with_tls(&self) -> io::Result<bool> {
        let mut first = [0];
        let count = self.tcp.peek(&mut first).await?;
        Ok(count == 1 && (20..=23).contains(&first[0]))
    }

    fn header_length(&self) -> usize {
        if self.mode == Mode::Handshake {
            HEADER
        } else {
            RECORD_HEADER
        }
    }

    /// Reads the header of the next packet or record. `false` is the end of the stream.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let wanted = self.header_length();
        while self.header.len() < wanted {
            let mut bytes = [0; HEADER];
            let mut buffer = ReadBuf::new(&mut bytes[..wanted - self.header.len()]);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.header.extend_from_slice(buffer.filled());
        }
        Poll::Ready(Ok(true))
    }

    /// Starts the packet or record whose header has been read.
    fn open_unit(&mut self) -> io::Result<()> {
        let header = std::mem::take(&mut self.header);
        if self.mode == Mode::Record {
            self.left = RECORD_HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
            self.ahead = header;
            return Ok(());
        }
        let mut bytes = [0; HEADER];
        bytes.copy_from_slice(&header);
        let header = Header::decode(bytes)?;
        if header.kind != Kind::PreLogin {
            return Err(super::ProtocolError::Unexpected(header.kind.into()).into());
        }
        self.left = header.length - HEADER;
        Ok(())
    }

    /// Frames the flight that has been collected.
    fn frame_flight(&mut self) {
        let room = DEFAULT_SIZE - HEADER;
        let flight = std::mem::take(&mut self.flight);
        let packets = flight.len().div_ceil(room);
        for (index, body) in flight.chunks(room).enumerate() {
            let status = if index + 1 == packets { STATUS_END } else { 0 };
            let number = (index + 1) as u8;
            let header = Header {
                kind: Kind::PreLogin,
                status,
                length: HEADER + body.len(),
                spid: 0,
                number,
            };
            self.outgoing.extend_from_slice(&header.encode());
            self.outgoing.extend_from_slice(body);
        }
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Carrier {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.mode == Mode::Raw {
            return Pin::new(&mut this.tcp).poll_read(cx, buffer);
        }
        while this.left == 0 {
            if !ready!(this.poll_header(cx))? {
                return Poll::Ready(Ok(()));
            }
            this.open_unit()?;
        }
        if !this.ahead.is_empty() {
            let count = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead[..count]);
            this.ahead.drain(..count);
            this.left -= count;
            return Poll::Ready(Ok(()));
        }
        let wanted = this.left.min(buffer.remaining());
        let mut limited = ReadBuf::new(buffer.initialize_unfilled_to(wanted));
        ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut limited))?;
        let count = limited.filled().len();
        this.left -= count;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_outgoing(cx))?;
        if this.mode == Mode::Handshake {
            this.flight.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.frame_flight();
        ready!(self.poll_outgoing(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A connection's stream, whatever carries it.
#[derive(Debug)]
pub(crate) enum Wire {
    Plain(Carrier),
    Tls(Box<TlsStream<Carrier>>),
}

impl Wire {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self::Plain(Carrier::new(tcp, Mode::Raw))
    }

    /// TLS before anything else (TDS 8.0).
    pub(crate) async fn strict(tcp: TcpStream, acceptor: &TlsAcceptor) -> io::Result<Self> {
        let tls = accept(Carrier::new(tcp, Mode::Raw), acceptor).await?;
        if tls.get_ref().1.alpn_protocol() != Some(b"tds/8.0".as_slice()) {
            return Err(super::ProtocolError::Malformed("the client's ALPN").into());
        }
        Ok(Self::Tls(Box::new(tls)))
    }

    /// TLS inside packets after PRELOGIN. With `login_only`, [`Self::after_login_packet`] drops it again.
    pub(crate) async fn upgraded(self, acceptor: &TlsAcceptor, login_only: bool) -> io::Result<Self> {
        let Self::Plain(mut carrier) = self else {
            return Ok(self);
        };
        carrier.set_mode(Mode::Handshake);
        let mut tls = accept(carrier, acceptor).await?;
        tls.flush().await?;
        tls.get_mut()
            .0
            .set_mode(if login_only { Mode::Record } else { Mode::Raw });
        Ok(Self::Tls(Box::new(tls)))
    }

    /// With login-only encryption: after a packet of LOGIN7. Some clients encrypt its first packet only, some all.
    pub(crate) async fn after_login_packet(self, ends_message: bool) -> io::Result<Self> {
        let Self::Tls(tls) = self else {
            return Ok(self);
        };
        if !ends_message && tls.get_ref().0.continues_with_tls().await? {
            return Ok(Self::Tls(tls));
        }
        let (mut carrier, _) = tls.into_inner();
        carrier.set_mode(Mode::Raw);
        Ok(Self::Plain(carrier))
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

async fn accept(carrier: Carrier, acceptor: &TlsAcceptor) -> io::Result<TlsStream<Carrier>> {
    match acceptor.accept(carrier).into_fallible().await {
        Ok(tls) => Ok(tls),
        Err((error, mut carrier)) => {
            // The alert that tells the client why may still wait in the flight.
            carrier.flush().await.ok();
            Err(error)
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(carrier) => Pin::new(carrier).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(carrier) => Pin::new(carrier).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(carrier) => Pin::new(carrier).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(carrier) => Pin::new(carrier).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// The first byte a client sends, without taking it. `None` is a connection that ends at once.
pub(crate) async fn first_byte(tcp: &TcpStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    Ok((tcp.peek(&mut first).await? == 1).then_some(first[0]))
}
