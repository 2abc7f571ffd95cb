//! RPC requests: by name or well-known id, one or several in a message ([MS-TDS] 2.2.6.6).

use crate::tds::backend::RpcCall;
use crate::tds::bytes::Reader;
use crate::tds::error::ProtocolError;
use crate::tds::version::Version;
use crate::types::Param;

use super::type_info::TypeInfo;
use super::value;

/// In place of a name's length: a two-byte id follows.
const BY_ID: u16 = 0xFFFF;
const STATUS_BY_REFERENCE: u8 = 0x01;
const STATUS_ENCRYPTED: u8 = 0x08;

/// Well-known ids from 1 on.
const WELL_KNOWN: [&str; 15] = [
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_cursorfetch",
    "sp_cursoroption",
    "sp_cursorclose",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
];

pub(super) fn decode(payload: &[u8], version: Version) -> Result<Vec<RpcCall>, ProtocolError> {
    let mut fields = Reader::new(payload, "the procedure call");
    let mut calls = Vec::new();
    loop {
        let name = procedure(&mut fields)?;
        let _option_flags = fields.u16()?;
        let mut params = Vec::new();
        while fields.peek().is_some_and(|byte| !separates(byte, version)) {
            params.push(param(&mut fields)?);
        }
        calls.push(RpcCall { name, params });
        if fields.is_empty() {
            return Ok(calls);
        }
        fields.u8()?;
        if fields.is_empty() {
            // A separator after the last call is allowed.
            return Ok(calls);
        }
    }
}

/// A byte that cannot start a parameter, whose name has 128 units at most: another call follows.
fn separates(byte: u8, version: Version) -> bool {
    match byte {
        0xFE | 0xFF => true,
        0x80 => !version.has_large_types(),
        _ => false,
    }
}

fn procedure(fields: &mut Reader<'_>) -> Result<String, ProtocolError> {
    match fields.u16()? {
        BY_ID => {
            let id = usize::from(fields.u16()?);
            let name = id.checked_sub(1).and_then(|index| WELL_KNOWN.get(index));
            name.map(|name| (*name).to_string())
                .ok_or(ProtocolError::Malformed("the procedure's id"))
        }
        units => fields.utf16(usize::from(units)),
    }
}

fn param(fields: &mut Reader<'_>) -> Result<Param, ProtocolError> {
    let name = fields.b_varchar()?;
    let status = fields.u8()?;
    if status & STATUS_ENCRYPTED != 0 {
        return Err(ProtocolError::Malformed("an encrypted parameter"));
    }
    let info = TypeInfo::decode(fields)?;
    let value = value::decode(fields, &info)?;
    Ok(Param {
        name,
        ty: info.ty,
        value,
        output: status & STATUS_BY_REFERENCE != 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{date, datetime, time};
    use uuid::Uuid;

    use super::*;
    use crate::tds::encode;
    use crate::types::{SqlType, Value};

    /// A call of sp_executesql with `params`, written with the server's own encoders.
    fn call(params: &[(SqlType, Value)]) -> Vec<u8> {
        let mut out = vec![0xFF, 0xFF, 10, 0, 0, 0];
        for (ty, value) in params {
            out.extend_from_slice(&[2, b'@', 0, b'p', 0, STATUS_BY_REFERENCE]);
            encode::put_type_info(&mut out, ty, Version::V74);
            encode::put_value(&mut out, ty, value, Version::V74).unwrap();
        }
        out
    }

    fn samples() -> Vec<(SqlType, Value)> {
        let long = "ä€😀".repeat(5000);
        vec![
            (SqlType::Bit, Value::Bit(true)),
            (SqlType::TinyInt, Value::Int(255)),
            (SqlType::SmallInt, Value::Int(-2)),
            (SqlType::Int, Value::Int(i32::MIN.into())),
            (SqlType::BigInt, Value::Int(i64::MAX)),
            (SqlType::Float, Value::Float(-1.5e300)),
            (SqlType::Real, Value::Float(0.5)),
            (
                SqlType::Numeric {
                    precision: 25,
                    scale: 0,
                },
                Value::Decimal(37_000_000_033_600_001, 0),
            ),
            (
                SqlType::Numeric {
                    precision: 38,
                    scale: 4,
                },
                Value::Decimal(-(10_i128.pow(38) - 1), 4),
            ),
            (SqlType::Money, Value::Decimal(-12_345_678_901, 4)),
            (
                SqlType::Guid,
                Value::Guid(Uuid::from_u128(0x0123_4567_89AB_CDEF_0011_2233_4455_6677)),
            ),
            (SqlType::DateTime, Value::DateTime(datetime!(2024-02-29 23:59:59.99))),
            (SqlType::SmallDateTime, Value::DateTime(datetime!(2024-02-29 23:59))),
            (SqlType::Date, Value::Date(date!(0001 - 01 - 01))),
            (SqlType::Time(3), Value::Time(time!(12:34:56.789))),
            (
                SqlType::DateTime2(7),
                Value::DateTime(datetime!(9999-12-31 23:59:59.999_999_9)),
            ),
            (
                SqlType::DateTimeOffset(7),
                Value::DateTimeOffset(datetime!(2026-01-02 03:04:05.6 -05:30)),
            ),
            (SqlType::Char(3), Value::Str("ab€".into())),
            (SqlType::VarChar(Some(10)), Value::Str("äöü".into())),
            (SqlType::NChar(2), Value::Str("Жß".into())),
            (SqlType::NVarChar(Some(4000)), Value::Str("日本".into())),
            (SqlType::NVarChar(None), Value::Str(long.into())),
            (SqlType::VarChar(None), Value::Str("x".repeat(100_000).into())),
            (SqlType::Binary(2), Value::Bytes([1, 2].into())),
            (SqlType::VarBinary(Some(8000)), Value::Bytes([0; 8000].into())),
            (SqlType::VarBinary(None), Value::Bytes(vec![7; 70_000].into())),
            (SqlType::Xml, Value::Str("<a/>".into())),
            (SqlType::Variant, Value::Int(5)),
            (SqlType::Variant, Value::Str("v".into())),
        ]
    }

    #[test]
    fn every_type_comes_back_as_it_was_encoded() {
        let samples = samples();
        let calls = decode(&call(&samples), Version::V74).unwrap();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].name, "sp_executesql");
        for (param, (ty, value)) in calls[0].params.iter().zip(&samples) {
            assert_eq!((&param.ty, &param.value), (ty, value));
            assert_eq!((param.name.as_str(), param.output), ("@p", true));
        }
        assert_eq!(calls[0].params.len(), samples.len());
    }

    #[test]
    fn null_of_every_type_comes_back() {
        let nulls: Vec<_> = samples().into_iter().map(|(ty, _)| (ty, Value::Null)).collect();
        let calls = decode(&call(&nulls), Version::V74).unwrap();
        assert!(calls[0].params.iter().all(|param| param.value == Value::Null));
        assert_eq!(calls[0].params.len(), nulls.len());
    }

    #[test]
    fn two_calls_in_one_message_are_two() {
        let mut payload = call(&[(SqlType::Int, Value::Int(1))]);
        payload.push(0xFF);
        payload.extend(call(&[(SqlType::Int, Value::Int(2))]));
        let calls = decode(&payload, Version::V74).unwrap();
        assert_eq!(
            calls
                .iter()
                .map(|call| call.params[0].value.clone())
                .collect::<Vec<_>>(),
            [Value::Int(1), Value::Int(2)]
        );
    }

    #[test]
    fn a_name_instead_of_an_id() {
        let payload = [2, 0, b's', 0, b'p', 0, 0, 0];
        assert_eq!(decode(&payload, Version::V74).unwrap()[0].name, "sp");
    }

    #[test]
    fn every_truncation_is_refused_or_shorter() {
        let whole = call(&samples()[..24]);
        for end in 0..whole.len().min(20_000) {
            let _ = decode(&whole[..end], Version::V74);
        }
    }

    proptest! {
        #[test]
        fn any_params_decode_or_are_refused(bytes: Vec<u8>, id in 1_u8..16) {
            let mut payload = vec![0xFF, 0xFF, id, 0, 0, 0];
            payload.extend(bytes);
            let _ = decode(&payload, Version::V71);
            let _ = decode(&payload, Version::V74);
        }

        #[test]
        fn any_value_of_any_type_decodes_or_is_refused(id: u8, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut payload = vec![0xFF, 0xFF, 10, 0, 0, 0, 0, 0, id];
            payload.extend(bytes);
            let _ = decode(&payload, Version::V74);
        }

        #[test]
        fn any_damage_decodes_or_is_refused(at in 0_usize..600, byte: u8) {
            let mut payload = call(&samples()[..20]);
            let at = at.min(payload.len() - 1);
            payload[at] = byte;
            let _ = decode(&payload, Version::V74);
        }
    }
}
