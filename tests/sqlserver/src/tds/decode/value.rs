//! A parameter's value.

use std::borrow::Cow;

use uuid::Uuid;

use crate::tds::bytes::{Reader, utf16};
use crate::tds::collation;
use crate::tds::error::ProtocolError;
use crate::types::Value;

use super::moment;
use super::type_info::{Family, Length, TypeInfo};

const WHAT: &str = "a parameter's value";
const PARTIAL_NULL: u64 = u64::MAX;

/// Reads the value that follows a TYPE_INFO.
pub(super) fn decode(fields: &mut Reader<'_>, info: &TypeInfo) -> Result<Value, ProtocolError> {
    if info.length == Length::Variant {
        return variant(fields);
    }
    match bytes(fields, info.length)? {
        Some(bytes) => of_family(&bytes, info.family),
        None => Ok(Value::Null),
    }
}

fn bytes<'a>(fields: &mut Reader<'a>, length: Length) -> Result<Option<Cow<'a, [u8]>>, ProtocolError> {
    let count = match length {
        Length::Null => return Ok(None),
        Length::Partial => return partial(fields),
        Length::Fixed(count) => Some(count),
        Length::Byte => Some(usize::from(fields.u8()?)).filter(|count| *count != 0),
        Length::Short => Some(fields.u16()?).filter(|count| *count != u16::MAX).map(usize::from),
        Length::Long => Some(fields.u32()?)
            .filter(|count| *count != u32::MAX)
            .map(|count| count as usize),
        Length::Variant => Some(fields.u32()? as usize).filter(|count| *count != 0),
    };
    count.map(|count| fields.take(count).map(Cow::Borrowed)).transpose()
}

/// The chunks of a MAX value. The announced length is not trusted for an allocation.
fn partial<'a>(fields: &mut Reader<'a>) -> Result<Option<Cow<'a, [u8]>>, ProtocolError> {
    if fields.u64()? == PARTIAL_NULL {
        return Ok(None);
    }
    let mut whole = Vec::new();
    loop {
        match fields.u32()? {
            0 => return Ok(Some(Cow::Owned(whole))),
            count => whole.extend_from_slice(fields.take(count as usize)?),
        }
    }
}

fn of_family(bytes: &[u8], family: Family) -> Result<Value, ProtocolError> {
    let mut fields = Reader::new(bytes, WHAT);
    match family {
        Family::Null => Ok(Value::Null),
        Family::Bit => Ok(Value::Bit(fields.u8()? != 0)),
        Family::Integer => integer(&mut fields).map(Value::Int),
        Family::Float if bytes.len() == 4 => fields.f32().map(|value| Value::Float(value.into())),
        Family::Float => fields.f64().map(Value::Float),
        Family::Money => money(&mut fields),
        Family::Decimal(scale) => decimal(bytes, scale),
        Family::Guid => guid(bytes),
        Family::DateTime => moment::datetime(&mut fields),
        Family::Date => moment::date(&mut fields).map(Value::Date),
        Family::Time(scale) => moment::time(&mut fields, scale).map(Value::Time),
        Family::DateTime2(scale) => moment::datetime2(&mut fields, scale).map(Value::DateTime),
        Family::DateTimeOffset(scale) => moment::datetimeoffset(&mut fields, scale).map(Value::DateTimeOffset),
        Family::Narrow(collation) => Ok(Value::Str(collation::decode(bytes, collation).into())),
        Family::Wide if bytes.len().is_multiple_of(2) => Ok(Value::Str(utf16(bytes).into())),
        Family::Wide => Err(ProtocolError::Malformed(WHAT)),
        Family::Binary => Ok(Value::Bytes(bytes.into())),
        // Only `variant` reads these, and never inside one another.
        Family::Variant => Err(ProtocolError::Malformed(WHAT)),
    }
}

/// 1 byte is `tinyint` and unsigned.
fn integer(fields: &mut Reader<'_>) -> Result<i64, ProtocolError> {
    match fields.remaining() {
        1 => Ok(fields.u8()?.into()),
        2 => Ok(fields.i16()?.into()),
        4 => Ok(fields.i32()?.into()),
        8 => fields.i64(),
        _ => Err(ProtocolError::Malformed(WHAT)),
    }
}

/// Ten-thousandths; eight bytes have their upper half first.
fn money(fields: &mut Reader<'_>) -> Result<Value, ProtocolError> {
    let units = match fields.remaining() {
        4 => i64::from(fields.i32()?),
        _ => (i64::from(fields.i32()?) << 32) | i64::from(fields.u32()?),
    };
    Ok(Value::Decimal(units.into(), 4))
}

/// A sign byte and a magnitude of 4 to 16 bytes.
fn decimal(bytes: &[u8], scale: u8) -> Result<Value, ProtocolError> {
    let (sign, magnitude) = bytes.split_first().ok_or(ProtocolError::Truncated(WHAT))?;
    if magnitude.len() > 16 {
        return Err(ProtocolError::Malformed(WHAT));
    }
    let mut whole = [0; 16];
    whole[..magnitude.len()].copy_from_slice(magnitude);
    let value = i128::try_from(u128::from_le_bytes(whole)).map_err(|_| ProtocolError::Malformed(WHAT))?;
    Ok(Value::Decimal(if *sign == 0 { -value } else { value }, scale))
}

fn guid(bytes: &[u8]) -> Result<Value, ProtocolError> {
    let bytes = bytes.try_into().map_err(|_| ProtocolError::Malformed(WHAT))?;
    Ok(Value::Guid(Uuid::from_bytes_le(bytes)))
}

/// `sql_variant`: the base type, its properties, then the bytes to the end.
fn variant(fields: &mut Reader<'_>) -> Result<Value, ProtocolError> {
    let Some(whole) = bytes(fields, Length::Variant)? else {
        return Ok(Value::Null);
    };
    let mut inner = Reader::new(&whole, WHAT);
    let id = inner.u8()?;
    let properties_length = usize::from(inner.u8()?);
    let properties = inner.take(properties_length)?;
    let family = variant_family(id, properties)?;
    of_family(inner.rest(), family)
}

fn variant_family(id: u8, properties: &[u8]) -> Result<Family, ProtocolError> {
    let scale = || {
        properties
            .first()
            .copied()
            .filter(|scale| *scale <= 7)
            .ok_or(ProtocolError::Malformed(WHAT))
    };
    Ok(match id {
        0x24 => Family::Guid,
        0x30 | 0x34 | 0x38 | 0x7F => Family::Integer,
        0x32 => Family::Bit,
        0x3A | 0x3D => Family::DateTime,
        0x3B | 0x3E => Family::Float,
        0x3C | 0x7A => Family::Money,
        0x28 => Family::Date,
        0x29 => Family::Time(scale()?),
        0x2A => Family::DateTime2(scale()?),
        0x2B => Family::DateTimeOffset(scale()?),
        0x6A | 0x6C => Family::Decimal(properties.get(1).copied().unwrap_or(0)),
        0xA5 | 0xAD => Family::Binary,
        0xA7 | 0xAF => Family::Narrow(collation::DEFAULT),
        0xE7 | 0xEF => Family::Wide,
        other => return Err(ProtocolError::Type(other)),
    })
}
