//! Decodes requests. Pure: bytes in, a [`Request`] or an error out, whatever the bytes are.

mod moment;
mod rpc;
mod transaction;
mod type_info;
mod value;

use super::backend::{RpcCall, TransactionRequest};
use super::bytes::{Reader, utf16};
use super::error::ProtocolError;
use super::packet::{Kind, Message};
use super::version::Version;

/// What a client asks for after login.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Batch(String),
    /// One or more calls in one message.
    Rpc(Vec<RpcCall>),
    Transaction(TransactionRequest),
    /// The rows of an INSERT BULK, which the stand-in does not take.
    BulkLoad,
    /// MS DTC's address, which there is none of.
    DtcAddress,
}

impl Request {
    pub(crate) fn decode(message: &Message, version: Version) -> Result<Self, ProtocolError> {
        let payload = message.payload.as_slice();
        match message.kind {
            Kind::Batch => Ok(Self::Batch(utf16(without_headers(payload, version)))),
            Kind::Rpc => rpc::decode(without_headers(payload, version), version).map(Self::Rpc),
            Kind::Transaction => transaction::decode(without_headers(payload, version)),
            Kind::BulkLoad => Ok(Self::BulkLoad),
            other => Err(ProtocolError::Unexpected(other.into())),
        }
    }
}

/// Skips ALL_HEADERS, which 7.2 and later put before requests. Some clients leave them out nevertheless, so they
/// must be right in every length to be taken for headers: no T-SQL text looks like that.
fn without_headers(payload: &[u8], version: Version) -> &[u8] {
    if !version.has_large_types() {
        return payload;
    }
    headers_length(payload).map_or(payload, |length| &payload[length..])
}

fn headers_length(payload: &[u8]) -> Option<usize> {
    let total = Reader::new(payload, "the headers").u32().ok()? as usize;
    let mut headers = Reader::new(payload.get(4..total)?, "the headers");
    while !headers.is_empty() {
        let length = headers.u32().ok()? as usize;
        headers.take(length.checked_sub(4)?).ok()?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tds::packet::Reset;

    fn message(kind: Kind, payload: Vec<u8>) -> Message {
        Message {
            kind,
            reset: Reset::Keep,
            ignored: false,
            payload,
        }
    }

    fn with_headers(sql: &str) -> Vec<u8> {
        let mut payload = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0];
        payload.extend_from_slice(&[0; 8]);
        payload.extend_from_slice(&[1, 0, 0, 0]);
        payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
        payload
    }

    #[test]
    fn a_batch_is_read_with_and_without_headers() {
        let batch = Request::Batch("SELECT N'ä'".into());
        let with = message(Kind::Batch, with_headers("SELECT N'ä'"));
        assert_eq!(Request::decode(&with, Version::V74), Ok(batch.clone()));
        let without = message(
            Kind::Batch,
            "SELECT N'ä'".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        );
        assert_eq!(Request::decode(&without, Version::V74), Ok(batch.clone()));
        assert_eq!(Request::decode(&without, Version::V71), Ok(batch));
    }

    proptest! {
        #[test]
        fn any_request_decodes_or_is_refused(kind: u8, payload: Vec<u8>) {
            for version in [Version::V71, Version::V74] {
                let _ = Request::decode(&message(kind.into(), payload.clone()), version);
            }
        }
    }
}
