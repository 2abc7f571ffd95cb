//! Dates and times to the wire, and to text for clients that do not know their types.

use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time, macros::date};

/// Day 0 of `datetime` and `smalldatetime`.
pub(crate) const EPOCH_1900: Date = date!(1900 - 01 - 01);
/// Day 0 of `date`, `datetime2` and `datetimeoffset`.
pub(crate) const FIRST_DAY: Date = date!(0001 - 01 - 01);

const TICKS_PER_DAY: u64 = 300 * 86_400;
const NANOSECONDS_PER_DAY: u64 = 86_400_000_000_000;

fn since_midnight(time: Time) -> u64 {
    let (hour, minute, second, nanosecond) = time.as_hms_nano();
    let seconds = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    seconds * 1_000_000_000 + u64::from(nanosecond)
}

fn days_since(epoch: Date, date: Date) -> i32 {
    date.to_julian_day() - epoch.to_julian_day()
}

/// `datetime`: days since 1900 and 1/300 s, rounded.
pub(super) fn datetime(value: PrimitiveDateTime) -> [u8; 8] {
    let mut days = days_since(EPOCH_1900, value.date());
    let mut ticks = (since_midnight(value.time()) * 3 + 5_000_000) / 10_000_000;
    if ticks >= TICKS_PER_DAY {
        days += 1;
        ticks = 0;
    }
    let mut out = [0; 8];
    out[..4].copy_from_slice(&days.to_le_bytes());
    out[4..].copy_from_slice(&(ticks as u32).to_le_bytes());
    out
}

/// `smalldatetime`: days since 1900 and minutes, rounded. Days outside 1900 to 2079 are clamped.
pub(super) fn smalldatetime(value: PrimitiveDateTime) -> [u8; 4] {
    let mut days = days_since(EPOCH_1900, value.date());
    let mut minutes = (since_midnight(value.time()) + 30_000_000_000) / 60_000_000_000;
    if minutes >= 1440 {
        days += 1;
        minutes = 0;
    }
    let days = (days.clamp(0, i32::from(u16::MAX)) as u16).to_le_bytes();
    let minutes = (minutes as u16).to_le_bytes();
    [days[0], days[1], minutes[0], minutes[1]]
}

/// `date`: three bytes of days. The calendar of `Date` also has years before 1, which count as the first day.
pub(super) fn date(value: Date) -> [u8; 3] {
    let [low, middle, high, _] = days_since(FIRST_DAY, value).max(0).to_le_bytes();
    [low, middle, high]
}

/// Units of 10^-scale seconds since midnight, rounded; `true` when that is the next midnight.
fn units(time: Time, scale: u8) -> (u64, bool) {
    let unit = 10_u64.pow(9 - u32::from(scale.min(7)));
    let count = (since_midnight(time) + unit / 2) / unit;
    if count * unit >= NANOSECONDS_PER_DAY {
        (0, true)
    } else {
        (count, false)
    }
}

fn put_units(out: &mut Vec<u8>, count: u64, scale: u8) {
    let length = match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    };
    out.extend_from_slice(&count.to_le_bytes()[..length]);
}

/// `time(scale)`. There is no next day to carry to, so it ends at the last unit of this one.
pub(super) fn time(value: Time, scale: u8) -> Vec<u8> {
    let (count, next_day) = units(value, scale);
    let last = NANOSECONDS_PER_DAY / 10_u64.pow(9 - u32::from(scale.min(7))) - 1;
    let mut out = Vec::with_capacity(5);
    put_units(&mut out, if next_day { last } else { count }, scale);
    out
}

/// `datetime2(scale)`.
pub(super) fn datetime2(value: PrimitiveDateTime, scale: u8) -> Vec<u8> {
    let (count, next_day) = units(value.time(), scale);
    let mut day = value.date();
    if next_day {
        day = day.next_day().unwrap_or(day);
    }
    let mut out = Vec::with_capacity(8);
    put_units(&mut out, count, scale);
    out.extend(date(day));
    out
}

/// `datetimeoffset(scale)`: UTC, then the offset in minutes.
pub(super) fn datetimeoffset(value: OffsetDateTime, scale: u8) -> Vec<u8> {
    let utc = value.to_offset(time::UtcOffset::UTC);
    let mut out = datetime2(PrimitiveDateTime::new(utc.date(), utc.time()), scale);
    out.extend(value.offset().whole_minutes().to_le_bytes());
    out
}

/// `hh:mm:ss.fffffff` with `scale` digits.
fn clock_text(time: Time, scale: u8) -> String {
    let (count, next_day) = units(time, scale);
    let per_second = 10_u64.pow(scale.min(7).into());
    let count = if next_day { 86_400 * per_second - 1 } else { count };
    let (seconds, fraction) = (count / per_second, count % per_second);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if scale == 0 {
        clock
    } else {
        format!("{clock}.{fraction:0width$}", width = usize::from(scale))
    }
}

/// A date as SQL Server sends it to clients before 7.3.
pub(super) fn date_text(value: Date) -> String {
    format!("{:04}-{:02}-{:02}", value.year(), u8::from(value.month()), value.day())
}

/// A time as SQL Server sends it to clients before 7.3.
pub(super) fn time_text(value: Time, scale: u8) -> String {
    clock_text(value, scale)
}

/// A `datetime2` as SQL Server sends it to clients before 7.3.
pub(super) fn datetime_text(value: PrimitiveDateTime, scale: u8) -> String {
    let (_, next_day) = units(value.time(), scale);
    let value = if next_day {
        value.saturating_add(Duration::seconds(1)).replace_time(Time::MIDNIGHT)
    } else {
        value
    };
    format!("{} {}", date_text(value.date()), clock_text(value.time(), scale))
}

/// A `datetimeoffset` as SQL Server sends it to clients before 7.3.
pub(super) fn offset_text(value: OffsetDateTime, scale: u8) -> String {
    let minutes = i32::from(value.offset().whole_minutes());
    let sign = if minutes < 0 { '-' } else { '+' };
    let local = datetime_text(PrimitiveDateTime::new(value.date(), value.time()), scale);
    format!("{local} {sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, time};

    use super::*;

    #[test]
    fn rounding_carries_to_the_next_day() {
        let almost = datetime!(2024-12-31 23:59:59.999);
        assert_eq!(datetime(almost), datetime(datetime!(2025-01-01 0:00)));
        assert_eq!(datetime2(almost, 0), datetime2(datetime!(2025-01-01 0:00), 0));
        assert_eq!(datetime_text(almost, 0), "2025-01-01 00:00:00");
        assert_eq!(smalldatetime(almost), smalldatetime(datetime!(2025-01-01 0:00)));
    }

    #[test]
    fn a_time_never_leaves_its_day() {
        assert_eq!(time(time!(23:59:59.999), 0), time(time!(23:59:59), 0));
        assert_eq!(time_text(time!(23:59:59.999), 0), "23:59:59");
    }

    #[test]
    fn old_clients_read_text() {
        assert_eq!(
            offset_text(datetime!(2026-01-02 03:04:05.6 -05:30), 7),
            "2026-01-02 03:04:05.6000000 -05:30"
        );
        assert_eq!(time_text(time!(1:02:03), 3), "01:02:03.000");
    }
}
