//! Dates and times from the wire. What lies outside the calendar is malformed, never a panic.

use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::tds::bytes::Reader;
use crate::tds::encode::moment::{EPOCH_1900, FIRST_DAY};
use crate::tds::error::ProtocolError;
use crate::types::Value;

const WHAT: &str = "a date or time";

fn malformed() -> ProtocolError {
    ProtocolError::Malformed(WHAT)
}

/// `datetime` (days and 1/300 s) or `smalldatetime` (days and minutes).
pub(super) fn datetime(fields: &mut Reader<'_>) -> Result<Value, ProtocolError> {
    let (days, after_midnight) = match fields.remaining() {
        4 => (i64::from(fields.u16()?), Duration::minutes(fields.u16()?.into())),
        8 => {
            let days = i64::from(fields.i32()?);
            let ticks = i64::from(fields.u32()?);
            // To the millisecond, as SQL Server itself prints them: .000, .003, .007.
            (days, Duration::milliseconds((ticks * 10 + 1) / 3))
        }
        _ => return Err(malformed()),
    };
    let midnight = EPOCH_1900
        .checked_add(Duration::days(days))
        .ok_or_else(malformed)?
        .midnight();
    midnight
        .checked_add(after_midnight)
        .map(Value::DateTime)
        .ok_or_else(malformed)
}

/// Three bytes of days since 0001-01-01.
pub(super) fn date(fields: &mut Reader<'_>) -> Result<Date, ProtocolError> {
    let low = i64::from(fields.u16()?);
    let days = low | (i64::from(fields.u8()?) << 16);
    FIRST_DAY.checked_add(Duration::days(days)).ok_or_else(malformed)
}

/// Units of 10^-scale seconds since midnight, in as many bytes as are left to be read for the time.
fn clock(bytes: &[u8], scale: u8) -> Result<Time, ProtocolError> {
    if bytes.len() > 8 || scale > 7 {
        return Err(malformed());
    }
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    let nanoseconds = u64::from_le_bytes(whole)
        .checked_mul(10_u64.pow(9 - u32::from(scale)))
        .ok_or_else(malformed)?;
    let seconds = nanoseconds / 1_000_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // The hour may be too large for a byte; the other parts cannot be.
    let hour = u8::try_from(hour).map_err(|_| malformed())?;
    Time::from_hms_nano(hour, minute as u8, second as u8, (nanoseconds % 1_000_000_000) as u32).map_err(|_| malformed())
}

pub(super) fn time(fields: &mut Reader<'_>, scale: u8) -> Result<Time, ProtocolError> {
    let length = fields.remaining();
    clock(fields.take(length)?, scale)
}

pub(super) fn datetime2(fields: &mut Reader<'_>, scale: u8) -> Result<PrimitiveDateTime, ProtocolError> {
    let length = fields
        .remaining()
        .checked_sub(3)
        .ok_or(ProtocolError::Truncated(WHAT))?;
    let time = clock(fields.take(length)?, scale)?;
    Ok(date(fields)?.with_time(time))
}

/// The wire has UTC and the offset in minutes.
pub(super) fn datetimeoffset(fields: &mut Reader<'_>, scale: u8) -> Result<OffsetDateTime, ProtocolError> {
    let length = fields
        .remaining()
        .checked_sub(5)
        .ok_or(ProtocolError::Truncated(WHAT))?;
    let time = clock(fields.take(length)?, scale)?;
    let utc = date(fields)?.with_time(time).assume_utc();
    let minutes = i32::from(fields.i16()?);
    let offset = UtcOffset::from_whole_seconds(minutes * 60).map_err(|_| malformed())?;
    utc.checked_to_offset(offset).ok_or_else(malformed)
}
