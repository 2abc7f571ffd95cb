//! Transaction manager requests ([MS-TDS] 2.2.6.9).

use crate::tds::backend::TransactionRequest;
use crate::tds::bytes::Reader;
use crate::tds::error::ProtocolError;

use super::Request;

const GET_DTC_ADDRESS: u16 = 0;
const BEGIN: u16 = 5;
const COMMIT: u16 = 7;
const ROLLBACK: u16 = 8;
const SAVE: u16 = 9;

/// The flag after a commit's or rollback's name: begin another transaction at once.
const FLAG_BEGIN_NEXT: u8 = 0x01;

pub(super) fn decode(payload: &[u8]) -> Result<Request, ProtocolError> {
    let mut fields = Reader::new(payload, "the transaction request");
    let request = match fields.u16()? {
        GET_DTC_ADDRESS => return Ok(Request::DtcAddress),
        BEGIN => TransactionRequest::Begin {
            isolation: fields.u8()?,
            name: name(&mut fields)?,
        },
        COMMIT => TransactionRequest::Commit {
            name: name(&mut fields)?,
            begin_next: begin_next(&mut fields)?,
        },
        ROLLBACK => TransactionRequest::Rollback {
            name: name(&mut fields)?,
            begin_next: begin_next(&mut fields)?,
        },
        SAVE => TransactionRequest::Save {
            name: name(&mut fields)?,
        },
        _ => return Err(ProtocolError::Malformed("the transaction request")),
    };
    Ok(Request::Transaction(request))
}

/// The name's length counts bytes, unlike every other B_VARCHAR.
fn name(fields: &mut Reader<'_>) -> Result<String, ProtocolError> {
    let bytes = usize::from(fields.u8()?);
    fields.take(bytes).map(crate::tds::bytes::utf16)
}

fn begin_next(fields: &mut Reader<'_>) -> Result<bool, ProtocolError> {
    // Old clients end the request at the name.
    if fields.is_empty() {
        return Ok(false);
    }
    Ok(fields.u8()? & FLAG_BEGIN_NEXT != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_savepoint_has_its_name() {
        let payload = [9, 0, 4, b's', 0, b'1', 0];
        assert_eq!(
            decode(&payload),
            Ok(Request::Transaction(TransactionRequest::Save { name: "s1".into() }))
        );
    }

    #[test]
    fn a_commit_may_begin_the_next() {
        let commit = TransactionRequest::Commit {
            name: String::new(),
            begin_next: true,
        };
        assert_eq!(decode(&[7, 0, 0, 1, 0, 0]), Ok(Request::Transaction(commit)));
    }
}
