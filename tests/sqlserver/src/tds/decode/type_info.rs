//! TYPE_INFO of a parameter: its type and how its value's length is written ([MS-TDS] 2.2.5.6).

use crate::tds::bytes::Reader;
use crate::tds::collation;
use crate::tds::error::ProtocolError;
use crate::types::SqlType;

/// How long a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Always so many bytes; never NULL.
    Fixed(usize),
    /// One byte; 0 is NULL.
    Byte,
    /// Two bytes; 0xFFFF is NULL.
    Short,
    /// Four bytes; 0xFFFFFFFF is NULL.
    Long,
    /// Four bytes; 0 is NULL. The value says its own type.
    Variant,
    /// Chunks after eight bytes of length.
    Partial,
    /// Nothing follows: the value is NULL.
    Null,
}

/// The family a value's bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Null,
    Bit,
    Integer,
    Float,
    Money,
    Decimal(u8),
    Guid,
    DateTime,
    Date,
    Time(u8),
    DateTime2(u8),
    DateTimeOffset(u8),
    /// Characters in the code page of the collation.
    Narrow([u8; 5]),
    /// UTF-16.
    Wide,
    Binary,
    Variant,
}

/// A parameter's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeInfo {
    pub(super) ty: SqlType,
    pub(super) family: Family,
    pub(super) length: Length,
}

/// The fixed types, which have no further fields: id, type, family, length.
const FIXED: [(u8, SqlType, Family, usize); 12] = [
    (0x30, SqlType::TinyInt, Family::Integer, 1),
    (0x32, SqlType::Bit, Family::Bit, 1),
    (0x34, SqlType::SmallInt, Family::Integer, 2),
    (0x38, SqlType::Int, Family::Integer, 4),
    (0x3A, SqlType::SmallDateTime, Family::DateTime, 4),
    (0x3B, SqlType::Real, Family::Float, 4),
    (0x3C, SqlType::Money, Family::Money, 8),
    (0x3D, SqlType::DateTime, Family::DateTime, 8),
    (0x3E, SqlType::Float, Family::Float, 8),
    (0x7A, SqlType::Money, Family::Money, 4),
    (0x7F, SqlType::BigInt, Family::Integer, 8),
    (0x1F, SqlType::NVarChar(Some(1)), Family::Null, 0),
];

impl TypeInfo {
    pub(super) fn decode(fields: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let id = fields.u8()?;
        if let Some((_, ty, family, length)) = FIXED.into_iter().find(|(known, ..)| *known == id) {
            let length = if family == Family::Null {
                Length::Null
            } else {
                Length::Fixed(length)
            };
            return Ok(Self { ty, family, length });
        }
        match id {
            0x24 => Self::sized(fields, Family::Guid, &[(16, SqlType::Guid), (0, SqlType::Guid)]),
            0x26 => Self::sized(
                fields,
                Family::Integer,
                &[
                    (1, SqlType::TinyInt),
                    (2, SqlType::SmallInt),
                    (4, SqlType::Int),
                    (8, SqlType::BigInt),
                ],
            ),
            0x68 => Self::sized(fields, Family::Bit, &[(1, SqlType::Bit)]),
            0x6D => Self::sized(fields, Family::Float, &[(4, SqlType::Real), (8, SqlType::Float)]),
            0x6E => Self::sized(fields, Family::Money, &[(4, SqlType::Money), (8, SqlType::Money)]),
            0x6F => Self::sized(
                fields,
                Family::DateTime,
                &[(4, SqlType::SmallDateTime), (8, SqlType::DateTime)],
            ),
            0x37 | 0x3F | 0x6A | 0x6C => Self::decimal(fields),
            0x28 => Ok(Self {
                ty: SqlType::Date,
                family: Family::Date,
                length: Length::Byte,
            }),
            0x29..=0x2B => Self::scaled(id, fields),
            0x25 | 0x2D => Self::legacy_binary(fields, id == 0x2D),
            0x27 | 0x2F => Self::legacy_narrow(fields, id == 0x2F),
            0xA5 | 0xAD => Self::binary(fields, id == 0xAD),
            0xA7 | 0xAF => Self::narrow(fields, id == 0xAF),
            0xE7 | 0xEF => Self::wide(fields, id == 0xEF),
            0xF1 => Self::xml(fields),
            0x22 | 0x23 | 0x63 => Self::long(id, fields),
            0x62 => {
                fields.u32()?;
                Ok(Self {
                    ty: SqlType::Variant,
                    family: Family::Variant,
                    length: Length::Variant,
                })
            }
            other => Err(ProtocolError::Type(other)),
        }
    }

    fn sized(fields: &mut Reader<'_>, family: Family, sizes: &[(u8, SqlType)]) -> Result<Self, ProtocolError> {
        let size = fields.u8()?;
        let known = sizes.iter().find(|(known, _)| *known == size);
        let (_, ty) = known.ok_or(ProtocolError::Malformed("a type's length"))?;
        Ok(Self {
            ty: ty.clone(),
            family,
            length: Length::Byte,
        })
    }

    fn decimal(fields: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let (_length, precision, scale) = (fields.u8()?, fields.u8()?, fields.u8()?);
        if precision == 0 || precision > 38 || scale > precision {
            return Err(ProtocolError::Malformed("a decimal's precision"));
        }
        Ok(Self {
            ty: SqlType::Numeric { precision, scale },
            family: Family::Decimal(scale),
            length: Length::Byte,
        })
    }

    fn scaled(id: u8, fields: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let scale = fields.u8()?;
        if scale > 7 {
            return Err(ProtocolError::Malformed("a time's scale"));
        }
        let (ty, family) = match id {
            0x29 => (SqlType::Time(scale), Family::Time(scale)),
            0x2A => (SqlType::DateTime2(scale), Family::DateTime2(scale)),
            _ => (SqlType::DateTimeOffset(scale), Family::DateTimeOffset(scale)),
        };
        Ok(Self {
            ty,
            family,
            length: Length::Byte,
        })
    }

    fn legacy_binary(fields: &mut Reader<'_>, fixed: bool) -> Result<Self, ProtocolError> {
        let size = u16::from(fields.u8()?);
        let ty = if fixed {
            SqlType::Binary(size)
        } else {
            SqlType::VarBinary(Some(size))
        };
        Ok(Self {
            ty,
            family: Family::Binary,
            length: Length::Byte,
        })
    }

    fn legacy_narrow(fields: &mut Reader<'_>, fixed: bool) -> Result<Self, ProtocolError> {
        let size = u16::from(fields.u8()?);
        let ty = if fixed {
            SqlType::Char(size)
        } else {
            SqlType::VarChar(Some(size))
        };
        Ok(Self {
            ty,
            family: Family::Narrow(collation::DEFAULT),
            length: Length::Byte,
        })
    }

    fn binary(fields: &mut Reader<'_>, fixed: bool) -> Result<Self, ProtocolError> {
        let (size, length) = counted(fields)?;
        let ty = if fixed {
            SqlType::Binary(size.unwrap_or(8000))
        } else {
            SqlType::VarBinary(size)
        };
        Ok(Self {
            ty,
            family: Family::Binary,
            length,
        })
    }

    fn narrow(fields: &mut Reader<'_>, fixed: bool) -> Result<Self, ProtocolError> {
        let (size, length) = counted(fields)?;
        let family = Family::Narrow(collation(fields)?);
        let ty = if fixed {
            SqlType::Char(size.unwrap_or(8000))
        } else {
            SqlType::VarChar(size)
        };
        Ok(Self { ty, family, length })
    }

    fn wide(fields: &mut Reader<'_>, fixed: bool) -> Result<Self, ProtocolError> {
        let (size, length) = counted(fields)?;
        collation(fields)?;
        let size = size.map(|bytes| bytes / 2);
        let ty = if fixed {
            SqlType::NChar(size.unwrap_or(4000))
        } else {
            SqlType::NVarChar(size)
        };
        Ok(Self {
            ty,
            family: Family::Wide,
            length,
        })
    }

    fn xml(fields: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        if fields.u8()? != 0 {
            fields.b_varchar()?;
            fields.b_varchar()?;
            let units = usize::from(fields.u16()?);
            fields.utf16(units)?;
        }
        Ok(Self {
            ty: SqlType::Xml,
            family: Family::Wide,
            length: Length::Partial,
        })
    }

    /// `image`, `text`, `ntext`: the MAX types of clients before 7.2.
    fn long(id: u8, fields: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        fields.u32()?;
        let (ty, family) = match id {
            0x22 => (SqlType::VarBinary(None), Family::Binary),
            0x23 => (SqlType::VarChar(None), Family::Narrow(collation(fields)?)),
            _ => {
                collation(fields)?;
                (SqlType::NVarChar(None), Family::Wide)
            }
        };
        Ok(Self {
            ty,
            family,
            length: Length::Long,
        })
    }
}

/// The declared size in bytes, `None` for MAX.
fn counted(fields: &mut Reader<'_>) -> Result<(Option<u16>, Length), ProtocolError> {
    match fields.u16()? {
        u16::MAX => Ok((None, Length::Partial)),
        size => Ok((Some(size), Length::Short)),
    }
}

fn collation(fields: &mut Reader<'_>) -> Result<[u8; 5], ProtocolError> {
    let mut collation = [0; 5];
    collation.copy_from_slice(fields.take(5)?);
    Ok(collation)
}
