//! Reads packets from a stream and puts messages together.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::packet::{Assembly, HEADER, Header, Message};

/// Requests may be long: SQL Server takes 65,536 packets.
pub(crate) const REQUEST_LIMIT: usize = 256 << 20;
/// Before login a client may not make the server allocate more than this.
pub(crate) const LOGIN_LIMIT: usize = 128 << 10;

/// Reads one packet. `None` is a clean end of the stream between two packets.
pub(crate) async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(Header, Vec<u8>)>> {
    let mut bytes = [0; HEADER];
    if stream.read(&mut bytes[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut bytes[1..]).await?;
    let header = Header::decode(bytes)?;
    let mut body = vec![0; header.length - HEADER];
    stream.read_exact(&mut body).await?;
    Ok(Some((header, body)))
}

/// Reads one whole message. `None` is a clean end of the stream between two messages.
pub(crate) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    assembly: &mut Assembly,
) -> io::Result<Option<Message>> {
    loop {
        let Some((header, body)) = read_packet(stream).await? else {
            return if assembly.is_idle() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        };
        if let Some(message) = assembly.push(header, &body)? {
            return Ok(Some(message));
        }
    }
}
