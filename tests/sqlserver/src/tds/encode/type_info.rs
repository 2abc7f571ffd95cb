//! TYPE_INFO of columns and output parameters. Always the nullable forms: INTN and not INT4.

use crate::tds::collation;
use crate::tds::version::Version;
use crate::types::SqlType;

use super::on_wire;

/// The longest value of a `text`, `ntext`, `image` column.
const LONG: u32 = 0x7FFF_FFFF;
const MAX: u16 = 0xFFFF;

/// How a value's length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One byte before the value, 0 for NULL.
    Byte,
    /// Two bytes, 0xFFFF for NULL.
    Short,
    /// Eight bytes, then chunks.
    Partial,
    /// A text pointer, then four bytes: `text` and the like in rows.
    Long,
    /// Four bytes, 0 for NULL, then the value's own type.
    Variant,
}

/// Appends the TYPE_INFO.
pub(crate) fn put_type_info(out: &mut Vec<u8>, ty: &SqlType, version: Version) {
    match &*on_wire(ty, version) {
        SqlType::Bit => out.extend([0x68, 1]),
        SqlType::TinyInt => out.extend([0x26, 1]),
        SqlType::SmallInt => out.extend([0x26, 2]),
        SqlType::Int => out.extend([0x26, 4]),
        SqlType::BigInt => out.extend([0x26, 8]),
        SqlType::Float => out.extend([0x6D, 8]),
        SqlType::Real => out.extend([0x6D, 4]),
        SqlType::Numeric { precision, scale } => out.extend([0x6C, numeric_length(*precision), *precision, *scale]),
        SqlType::Money => out.extend([0x6E, 8]),
        SqlType::Guid => out.extend([0x24, 16]),
        SqlType::DateTime => out.extend([0x6F, 8]),
        SqlType::SmallDateTime => out.extend([0x6F, 4]),
        SqlType::Date => out.push(0x28),
        SqlType::Time(scale) => out.extend([0x29, *scale]),
        SqlType::DateTime2(scale) => out.extend([0x2A, *scale]),
        SqlType::DateTimeOffset(scale) => out.extend([0x2B, *scale]),
        SqlType::Char(bytes) => characters(out, 0xAF, *bytes),
        SqlType::VarChar(Some(bytes)) => characters(out, 0xA7, *bytes),
        SqlType::NChar(units) => characters(out, 0xEF, units.saturating_mul(2)),
        SqlType::NVarChar(Some(units)) => characters(out, 0xE7, units.saturating_mul(2)),
        SqlType::Binary(bytes) => binary(out, 0xAD, *bytes),
        SqlType::VarBinary(Some(bytes)) => binary(out, 0xA5, *bytes),
        SqlType::VarChar(None) if version.has_large_types() => characters(out, 0xA7, MAX),
        SqlType::NVarChar(None) if version.has_large_types() => characters(out, 0xE7, MAX),
        SqlType::VarBinary(None) if version.has_large_types() => binary(out, 0xA5, MAX),
        SqlType::VarChar(None) => long_characters(out, 0x23),
        SqlType::NVarChar(None) => long_characters(out, 0x63),
        SqlType::VarBinary(None) => {
            out.push(0x22);
            out.extend(LONG.to_le_bytes());
        }
        SqlType::Xml => out.extend([0xF1, 0]),
        SqlType::Variant => {
            out.push(0x62);
            out.extend(8009_u32.to_le_bytes());
        }
    }
}

/// How values of this type are written.
pub(super) fn layout(ty: &SqlType, version: Version) -> Layout {
    match ty {
        SqlType::Char(_)
        | SqlType::NChar(_)
        | SqlType::Binary(_)
        | SqlType::VarChar(Some(_))
        | SqlType::NVarChar(Some(_))
        | SqlType::VarBinary(Some(_)) => Layout::Short,
        SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::VarBinary(None) | SqlType::Xml => {
            if version.has_large_types() {
                Layout::Partial
            } else {
                Layout::Long
            }
        }
        SqlType::Variant => Layout::Variant,
        _ => Layout::Byte,
    }
}

/// Whether COLMETADATA has a table name after the type: `text`, `ntext` and `image` only.
pub(super) fn has_table_name(ty: &SqlType, version: Version) -> bool {
    layout(&on_wire(ty, version), version) == Layout::Long
}

/// A decimal's longest value with its sign byte.
pub(super) fn numeric_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

fn characters(out: &mut Vec<u8>, id: u8, bytes: u16) {
    binary(out, id, bytes);
    out.extend(collation::DEFAULT);
}

fn binary(out: &mut Vec<u8>, id: u8, bytes: u16) {
    out.push(id);
    out.extend(bytes.to_le_bytes());
}

fn long_characters(out: &mut Vec<u8>, id: u8) {
    out.push(id);
    out.extend(LONG.to_le_bytes());
    out.extend(collation::DEFAULT);
}
