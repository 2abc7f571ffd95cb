//! The eight-byte packet header, packet types and the message that packets make up.

use super::error::ProtocolError;

/// Every packet starts with so many bytes.
pub(crate) const HEADER: usize = 8;
/// The packet size before and without negotiation.
pub(crate) const DEFAULT_SIZE: usize = 4096;

/// The last packet of a message.
pub(crate) const STATUS_END: u8 = 0x01;
/// The client takes the message back; the server acknowledges with a DONE.
pub(crate) const STATUS_IGNORE: u8 = 0x02;
/// Reset the session before running the request.
pub(crate) const STATUS_RESET: u8 = 0x08;
/// The same, but keep the transaction.
pub(crate) const STATUS_RESET_KEEP_TRANSACTION: u8 = 0x10;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Batch,
    Rpc,
    Answer,
    Attention,
    BulkLoad,
    Transaction,
    Login7,
    Sspi,
    PreLogin,
    Other(u8),
}

impl From<u8> for Kind {
    fn from(byte: u8) -> Self {
        match byte {
            0x01 => Self::Batch,
            0x03 => Self::Rpc,
            0x04 => Self::Answer,
            0x06 => Self::Attention,
            0x07 => Self::BulkLoad,
            0x0E => Self::Transaction,
            0x10 => Self::Login7,
            0x11 => Self::Sspi,
            0x12 => Self::PreLogin,
            other => Self::Other(other),
        }
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Batch => 0x01,
            Kind::Rpc => 0x03,
            Kind::Answer => 0x04,
            Kind::Attention => 0x06,
            Kind::BulkLoad => 0x07,
            Kind::Transaction => 0x0E,
            Kind::Login7 => 0x10,
            Kind::Sspi => 0x11,
            Kind::PreLogin => 0x12,
            Kind::Other(other) => other,
        }
    }
}

/// A packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) status: u8,
    /// The whole packet's length with this header, at least [`HEADER`].
    pub(crate) length: usize,
    /// The server's session id; clients send 0.
    pub(crate) spid: u16,
    pub(crate) number: u8,
}

impl Header {
    pub(crate) fn decode(bytes: [u8; HEADER]) -> Result<Self, ProtocolError> {
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if length < HEADER {
            return Err(ProtocolError::Malformed("a packet's length"));
        }
        Ok(Self {
            kind: Kind::from(bytes[0]),
            status: bytes[1],
            length,
            spid: u16::from_be_bytes([bytes[4], bytes[5]]),
            number: bytes[6],
        })
    }

    pub(crate) fn encode(self) -> [u8; HEADER] {
        // Packet sizes are negotiated to at most 32,767.
        let length = (self.length as u16).to_be_bytes();
        let spid = self.spid.to_be_bytes();
        [
            self.kind.into(),
            self.status,
            length[0],
            length[1],
            spid[0],
            spid[1],
            self.number,
            0,
        ]
    }

    pub(crate) fn ends_message(self) -> bool {
        self.status & STATUS_END != 0
    }
}

/// How the session is to be reset before a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    Keep,
    Reset,
}

/// A whole message, put together from its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) reset: Reset,
    /// The client took it back while sending.
    pub(crate) ignored: bool,
    pub(crate) payload: Vec<u8>,
}

/// Puts packets together. Pure: the reader feeds it.
#[derive(Debug)]
pub(crate) struct Assembly {
    message: Option<Message>,
    limit: usize,
}

impl Assembly {
    /// Takes messages of up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { message: None, limit }
    }

    /// Whether the next packet starts a message.
    pub(crate) fn is_idle(&self) -> bool {
        self.message.is_none()
    }

    /// Takes a packet; `Some` when it was the last one of its message.
    pub(crate) fn push(&mut self, header: Header, body: &[u8]) -> Result<Option<Message>, ProtocolError> {
        let message = self.message.get_or_insert_with(|| Message {
            kind: header.kind,
            reset: reset(header.status),
            ignored: false,
            payload: Vec::with_capacity(body.len()),
        });
        if message.kind != header.kind {
            return Err(ProtocolError::Unexpected(header.kind.into()));
        }
        if message.payload.len() + body.len() > self.limit {
            return Err(ProtocolError::TooLong(self.limit));
        }
        message.payload.extend_from_slice(body);
        if !header.ends_message() {
            return Ok(None);
        }
        message.ignored = header.status & STATUS_IGNORE != 0;
        Ok(self.message.take())
    }
}

fn reset(status: u8) -> Reset {
    if status & (STATUS_RESET | STATUS_RESET_KEEP_TRANSACTION) == 0 {
        Reset::Keep
    } else {
        Reset::Reset
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(kind: u8, status: u8) -> Header {
        Header {
            kind: kind.into(),
            status,
            length: HEADER,
            spid: 0,
            number: 1,
        }
    }

    #[test]
    fn a_message_of_three_packets_is_put_together() {
        let mut assembly = Assembly::new(100);
        assert_eq!(assembly.push(header(1, STATUS_RESET), b"ab"), Ok(None));
        assert_eq!(assembly.push(header(1, 0), b"cd"), Ok(None));
        let message = assembly.push(header(1, STATUS_END), b"e").unwrap().unwrap();
        assert_eq!(message.payload, b"abcde");
        assert_eq!(message.reset, Reset::Reset);
        assert!(assembly.is_idle());
    }

    #[test]
    fn a_packet_of_another_kind_in_between_is_refused() {
        let mut assembly = Assembly::new(100);
        assembly.push(header(1, 0), b"ab").unwrap();
        assert_eq!(
            assembly.push(header(3, STATUS_END), b"cd"),
            Err(ProtocolError::Unexpected(3))
        );
    }

    #[test]
    fn the_limit_holds_over_packets() {
        let mut assembly = Assembly::new(3);
        assembly.push(header(1, 0), b"ab").unwrap();
        assert_eq!(assembly.push(header(1, 0), b"cd"), Err(ProtocolError::TooLong(3)));
    }

    proptest! {
        #[test]
        fn any_header_decodes_or_is_refused(bytes: [u8; HEADER]) {
            if let Ok(header) = Header::decode(bytes) {
                prop_assert_eq!(&header.encode()[..7], &bytes[..7]);
            }
        }

        #[test]
        fn any_packets_assemble_or_are_refused(packets: Vec<(u8, u8, Vec<u8>)>) {
            let mut assembly = Assembly::new(1000);
            for (kind, status, body) in packets {
                let _ = assembly.push(header(kind, status), &body);
            }
        }
    }
}
