//! Dates and times: reading them from text, writing them in CONVERT's styles, DATEADD and DATEDIFF.

use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::engine::errors::{Result, err};

/// A date and time as text gave it: parts that are missing take SQL Server's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Date and time.
    pub local: PrimitiveDateTime,
    /// The offset, where the text has one.
    pub offset: Option<UtcOffset>,
}

/// 1900-01-01, day zero of datetime.
pub(crate) fn epoch() -> PrimitiveDateTime {
    // A constant that exists.
    PrimitiveDateTime::new(
        Date::from_calendar_date(1900, Month::January, 1).unwrap_or(Date::MIN),
        Time::MIDNIGHT,
    )
}

/// datetime counts in 1/300 s, and shows whole milliseconds: .000, .003, .007.
pub(crate) fn round_datetime(at: PrimitiveDateTime) -> PrimitiveDateTime {
    let nanos = i64::from(at.nanosecond());
    let ticks = (nanos * 3 + 5_000_000) / 10_000_000;
    let base = at.replace_nanosecond(0).unwrap_or(at);
    base.saturating_add(Duration::milliseconds((ticks * 10 + 1) / 3))
}

/// smalldatetime counts in minutes; 30 s rounds up.
pub(crate) fn round_minute(at: PrimitiveDateTime) -> PrimitiveDateTime {
    let seconds = i64::from(at.second());
    let up = if f64::from(at.second()) + f64::from(at.nanosecond()) / 1e9 >= 29.999 {
        60
    } else {
        0
    };
    let base = at.replace_nanosecond(0).unwrap_or(at);
    base.saturating_add(Duration::seconds(up - seconds))
}

/// Rounds to a scale of 0 to 7 digits.
pub(crate) fn round_scale(at: PrimitiveDateTime, scale: u8) -> PrimitiveDateTime {
    let unit = 10_i64.pow(9 - u32::from(scale.min(7)));
    let nanos = i64::from(at.nanosecond());
    let rounded = (nanos + unit / 2) / unit * unit;
    at.saturating_add(Duration::nanoseconds(rounded - nanos))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn digits(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        if end == 0 {
            return None;
        }
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(digits)
    }

    fn number(&mut self) -> Option<i32> {
        self.digits()?.parse().ok()
    }

    fn letters(&mut self) -> Option<&'a str> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(self.rest.len());
        if end == 0 {
            return None;
        }
        let (letters, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(letters)
    }
}

/// Reads a date and time from text; `format` is DATEFORMAT (`mdy`, `dmy`, `ymd`).
pub(crate) fn parse(text: &str, format: &str) -> Result<Moment> {
    read(text, format).ok_or_else(|| err!(241))
}

fn read(text: &str, format: &str) -> Option<Moment> {
    let mut r = Reader { rest: text.trim() };
    if r.rest.is_empty() {
        return Some(Moment {
            local: epoch(),
            offset: None,
        });
    }
    let time_first = r
        .rest
        .find(':')
        .is_some_and(|p| r.rest[..p].chars().all(|c| c.is_ascii_digit()));
    let date = if time_first {
        epoch().date()
    } else {
        read_date(&mut r, format)?
    };
    if !r.eat('T') {
        r.blank();
    }
    let time = if r.rest.is_empty() {
        Time::MIDNIGHT
    } else {
        read_time(&mut r)?
    };
    r.blank();
    let offset = read_offset(&mut r)?;
    r.rest.is_empty().then_some(Moment {
        local: PrimitiveDateTime::new(date, time),
        offset,
    })
}

fn read_date(r: &mut Reader<'_>, format: &str) -> Option<Date> {
    if r.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return month_name_first(r);
    }
    let first = r.digits()?;
    if first.len() == 8 {
        return date(
            first[..4].parse().ok()?,
            first[4..6].parse().ok()?,
            first[6..].parse().ok()?,
        );
    }
    if first.len() == 6 {
        return date(
            century(first[..2].parse().ok()?),
            first[2..4].parse().ok()?,
            first[4..].parse().ok()?,
        );
    }
    let separated = r.eat('-') || r.eat('/') || r.eat('.');
    if !separated {
        r.blank();
        return day_month_name(r, first);
    }
    if let Some(name) = r.letters() {
        let _ = r.eat('-') || r.eat('/') || r.eat('.');
        return date(century(r.number()?), month(name)?, first.parse().ok()?);
    }
    let second = r.number()?;
    if !(r.eat('-') || r.eat('/') || r.eat('.')) {
        return None;
    }
    let third = r.digits()?;
    let (one, three): (i32, i32) = (first.parse().ok()?, third.parse().ok()?);
    if first.len() == 4 {
        return date(one, second, three);
    }
    match format {
        "dmy" => date(century(three), second, one),
        "ymd" if third.len() < 3 => date(century(one), second, three),
        _ => date(century(three), one, second),
    }
}

/// `Nov 22 2026`, `November 22, 2026`.
fn month_name_first(r: &mut Reader<'_>) -> Option<Date> {
    let month = month(r.letters()?)?;
    r.blank();
    let day = r.number()?;
    r.eat(',');
    r.blank();
    date(century(r.number()?), month, day)
}

/// `22 Nov 2026`.
fn day_month_name(r: &mut Reader<'_>, day: &str) -> Option<Date> {
    let month = month(r.letters()?)?;
    r.blank();
    date(century(r.number()?), month, day.parse().ok()?)
}

fn month(name: &str) -> Option<i32> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let lower = name.to_ascii_lowercase();
    let at = NAMES
        .iter()
        .position(|n| lower == *n || (lower.len() == 3 && n.starts_with(&lower)))?;
    i32::try_from(at + 1).ok()
}

fn century(year: i32) -> i32 {
    match year {
        0..=49 => 2000 + year,
        50..=99 => 1900 + year,
        other => other,
    }
}

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    if !(1..=9999).contains(&year) {
        return None;
    }
    Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()
}

fn read_time(r: &mut Reader<'_>) -> Option<Time> {
    let hour = r.number()?;
    let (mut minute, mut second, mut nanos) = (0, 0, 0);
    let has_minutes = r.eat(':');
    if has_minutes {
        minute = r.number()?;
        if r.eat(':') {
            second = r.number()?;
            if r.rest.starts_with(['.', ':']) {
                r.rest = &r.rest[1..];
                let fraction = r.digits()?;
                let padded: String = fraction.chars().chain("000000000".chars()).take(9).collect();
                nanos = padded.parse().ok()?;
            }
        }
    }
    r.blank();
    let half = r.rest.get(..2).map(str::to_ascii_uppercase);
    let hour = match half.as_deref() {
        Some("AM") => hour % 12,
        Some("PM") => hour % 12 + 12,
        _ if !has_minutes => return None,
        _ => hour,
    };
    if matches!(half.as_deref(), Some("AM" | "PM")) {
        r.rest = &r.rest[2..];
    }
    Time::from_hms_nano(
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(second).ok()?,
        nanos,
    )
    .ok()
}

#[expect(
    clippy::option_option,
    reason = "the outer says whether it could be read, the inner whether it was there"
)]
fn read_offset(r: &mut Reader<'_>) -> Option<Option<UtcOffset>> {
    if r.eat('Z') || r.eat('z') {
        return Some(Some(UtcOffset::UTC));
    }
    let sign = match r.rest.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return Some(None),
    };
    r.rest = &r.rest[1..];
    let hours = i8::try_from(r.number()?).ok()?;
    if !r.eat(':') {
        return None;
    }
    let minutes = i8::try_from(r.number()?).ok()?;
    if hours > 14 {
        return None;
    }
    Some(Some(UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?))
}

/// What of a moment a type shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// date.
    Date,
    /// time, with a scale.
    Time(u8),
    /// datetime: three digits.
    DateTime,
    /// smalldatetime: none.
    SmallDateTime,
    /// datetime2.
    DateTime2(u8),
    /// datetimeoffset.
    Offset(u8),
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment as text in one of CONVERT's styles.
pub(crate) fn format(at: PrimitiveDateTime, offset: UtcOffset, shape: Shape, style: i32) -> Option<String> {
    let new_type = !matches!(shape, Shape::DateTime | Shape::SmallDateTime);
    // The new types write ISO when no style was given.
    let style = if new_type && style == 0 { 121 } else { style };
    let (y, m, d) = (at.year(), u8::from(at.month()), at.day());
    let two = y.rem_euclid(100);
    let hms = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    let name = MONTHS[usize::from(m - 1)];
    let date = match style {
        1 => format!("{m:02}/{d:02}/{two:02}"),
        101 => format!("{m:02}/{d:02}/{y:04}"),
        2 => format!("{two:02}.{m:02}.{d:02}"),
        102 => format!("{y:04}.{m:02}.{d:02}"),
        3 => format!("{d:02}/{m:02}/{two:02}"),
        103 => format!("{d:02}/{m:02}/{y:04}"),
        4 => format!("{d:02}.{m:02}.{two:02}"),
        104 => format!("{d:02}.{m:02}.{y:04}"),
        5 => format!("{d:02}-{m:02}-{two:02}"),
        105 => format!("{d:02}-{m:02}-{y:04}"),
        6 => format!("{d:02} {name} {two:02}"),
        106 => format!("{d:02} {name} {y:04}"),
        7 => format!("{name} {d:02}, {two:02}"),
        107 => format!("{name} {d:02}, {y:04}"),
        10 => format!("{m:02}-{d:02}-{two:02}"),
        110 => format!("{m:02}-{d:02}-{y:04}"),
        11 => format!("{two:02}/{m:02}/{d:02}"),
        111 => format!("{y:04}/{m:02}/{d:02}"),
        12 => format!("{two:02}{m:02}{d:02}"),
        112 => format!("{y:04}{m:02}{d:02}"),
        23 => format!("{y:04}-{m:02}-{d:02}"),
        8 | 24 | 108 => return Some(hms),
        14 | 114 => return Some(format!("{hms}:{:03}", at.millisecond())),
        0 | 100 | 9 | 109 | 13 | 113 | 20 | 120 | 21 | 25 | 121 | 126 | 127 => {
            return long_format(at, offset, shape, style, &hms);
        }
        _ => return None,
    };
    Some(date)
}

fn long_format(at: PrimitiveDateTime, offset: UtcOffset, shape: Shape, style: i32, hms: &str) -> Option<String> {
    let (y, m, d) = (at.year(), u8::from(at.month()), at.day());
    let name = MONTHS[usize::from(m - 1)];
    let half = if at.hour() < 12 { "AM" } else { "PM" };
    let hour12 = if at.hour().is_multiple_of(12) {
        12
    } else {
        at.hour() % 12
    };
    let fraction = fraction(at, shape, style);
    let zone = if matches!(shape, Shape::Offset(_)) {
        zone(offset)
    } else {
        String::new()
    };
    Some(match style {
        0 | 100 => format!("{name} {d:>2} {y:04} {hour12:>2}:{:02}{half}", at.minute()),
        9 | 109 => format!(
            "{name} {d:>2} {y:04} {hour12:>2}:{:02}:{:02}{}{half}",
            at.minute(),
            at.second(),
            fraction.replace('.', ":")
        ),
        13 | 113 => format!("{d:02} {name} {y:04} {hms}{}", fraction.replace('.', ":")),
        126 | 127 if shape == Shape::Date => format!("{y:04}-{m:02}-{d:02}"),
        126 if matches!(shape, Shape::Time(_)) => format!("{hms}{fraction}"),
        126 => format!("{y:04}-{m:02}-{d:02}T{hms}{fraction}{zone}"),
        127 if matches!(shape, Shape::Offset(_)) => {
            let utc = at.assume_offset(offset).to_offset(UtcOffset::UTC);
            let utc = PrimitiveDateTime::new(utc.date(), utc.time());
            return long_format(
                utc,
                UtcOffset::UTC,
                Shape::DateTime2(7),
                126,
                &format!("{:02}:{:02}:{:02}", utc.hour(), utc.minute(), utc.second()),
            )
            .map(|s| format!("{s}Z"));
        }
        127 => format!("{y:04}-{m:02}-{d:02}T{hms}{fraction}"),
        _ => match shape {
            Shape::Date => format!("{y:04}-{m:02}-{d:02}"),
            Shape::Time(_) => format!("{hms}{fraction}"),
            _ => {
                let zone = if zone.is_empty() { zone } else { format!(" {zone}") };
                format!("{y:04}-{m:02}-{d:02} {hms}{fraction}{zone}")
            }
        },
    })
}

fn zone(offset: UtcOffset) -> String {
    let minutes = offset.whole_minutes();
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn fraction(at: PrimitiveDateTime, shape: Shape, style: i32) -> String {
    if matches!(style, 20 | 120) {
        return String::new();
    }
    match shape {
        // 126 leaves a zero fraction of a datetime out.
        Shape::DateTime | Shape::SmallDateTime if matches!(style, 126 | 127) && at.millisecond() == 0 => String::new(),
        Shape::DateTime | Shape::SmallDateTime => format!(".{:03}", at.millisecond()),
        Shape::Time(0) | Shape::DateTime2(0) | Shape::Offset(0) | Shape::Date => String::new(),
        Shape::Time(scale) | Shape::DateTime2(scale) | Shape::Offset(scale) => {
            format!(".{}", &format!("{:09}", at.nanosecond())[..usize::from(scale.min(7))])
        }
    }
}

/// A part of a date, as DATEPART and DATEADD name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `year`, `yy`, `yyyy`.
    Year,
    /// `quarter`.
    Quarter,
    /// `month`.
    Month,
    /// `dayofyear`.
    DayOfYear,
    /// `day`.
    Day,
    /// `week`.
    Week,
    /// `weekday`.
    Weekday,
    /// `iso_week`.
    IsoWeek,
    /// `hour`.
    Hour,
    /// `minute`.
    Minute,
    /// `second`.
    Second,
    /// `millisecond`.
    Millisecond,
    /// `microsecond`.
    Microsecond,
    /// `nanosecond`.
    Nanosecond,
    /// `tzoffset`.
    Offset,
}

/// A date part by name.
pub(crate) fn part(name: &str) -> Option<Part> {
    Some(match name.to_ascii_lowercase().as_str() {
        "year" | "yy" | "yyyy" => Part::Year,
        "quarter" | "qq" | "q" => Part::Quarter,
        "month" | "mm" | "m" => Part::Month,
        "dayofyear" | "dy" | "y" => Part::DayOfYear,
        "day" | "dd" | "d" => Part::Day,
        "week" | "wk" | "ww" => Part::Week,
        "weekday" | "dw" => Part::Weekday,
        "iso_week" | "isowk" | "isoww" => Part::IsoWeek,
        "hour" | "hh" => Part::Hour,
        "minute" | "mi" | "n" => Part::Minute,
        "second" | "ss" | "s" => Part::Second,
        "millisecond" | "ms" => Part::Millisecond,
        "microsecond" | "mcs" => Part::Microsecond,
        "nanosecond" | "ns" => Part::Nanosecond,
        "tzoffset" | "tz" => Part::Offset,
        _ => return None,
    })
}

/// `DATEADD`; None when it leaves year 1 to 9999.
pub(crate) fn add(at: PrimitiveDateTime, part: Part, n: i64) -> Option<PrimitiveDateTime> {
    let added = match part {
        Part::Year => add_months(at, n.checked_mul(12)?)?,
        Part::Quarter => add_months(at, n.checked_mul(3)?)?,
        Part::Month => add_months(at, n)?,
        Part::Week | Part::IsoWeek => at.checked_add(Duration::days(n.checked_mul(7)?))?,
        Part::Day | Part::DayOfYear | Part::Weekday => at.checked_add(Duration::days(n))?,
        Part::Hour => at.checked_add(Duration::seconds(n.checked_mul(3600)?))?,
        Part::Minute => at.checked_add(Duration::seconds(n.checked_mul(60)?))?,
        Part::Second => at.checked_add(Duration::seconds(n))?,
        Part::Millisecond => at.checked_add(Duration::milliseconds(n))?,
        Part::Microsecond => at.checked_add(Duration::microseconds(n))?,
        Part::Nanosecond => at.checked_add(Duration::nanoseconds(n))?,
        Part::Offset => return None,
    };
    (1..=9999).contains(&added.year()).then_some(added)
}

fn add_months(at: PrimitiveDateTime, n: i64) -> Option<PrimitiveDateTime> {
    let months = i64::from(at.year()) * 12 + i64::from(u8::from(at.month())) - 1 + n;
    let year = i32::try_from(months.div_euclid(12)).ok()?;
    let month = Month::try_from(u8::try_from(months.rem_euclid(12) + 1).ok()?).ok()?;
    if !(1..=9999).contains(&year) {
        return None;
    }
    let day = at.day().min(month.length(year));
    Some(PrimitiveDateTime::new(
        Date::from_calendar_date(year, month, day).ok()?,
        at.time(),
    ))
}

/// `DATEDIFF`: boundaries crossed.
pub(crate) fn diff(from: PrimitiveDateTime, to: PrimitiveDateTime, part: Part) -> i128 {
    let days = i128::from(to.date().to_julian_day()) - i128::from(from.date().to_julian_day());
    let months = |d: PrimitiveDateTime| i128::from(d.year()) * 12 + i128::from(u8::from(d.month())) - 1;
    let nanos = |d: PrimitiveDateTime| d.assume_utc().unix_timestamp_nanos();
    let units = |size: i128| nanos(to).div_euclid(size) - nanos(from).div_euclid(size);
    match part {
        Part::Year => i128::from(to.year()) - i128::from(from.year()),
        Part::Quarter => months(to).div_euclid(3) - months(from).div_euclid(3),
        Part::Month => months(to) - months(from),
        // Weeks begin on Sunday whatever DATEFIRST says.
        Part::Week => {
            let sunday = |d: PrimitiveDateTime| (i128::from(d.date().to_julian_day()) + 1).div_euclid(7);
            sunday(to) - sunday(from)
        }
        Part::IsoWeek => days / 7,
        Part::Day | Part::DayOfYear | Part::Weekday => days,
        Part::Hour => units(3_600_000_000_000),
        Part::Minute => units(60_000_000_000),
        Part::Second => units(1_000_000_000),
        Part::Millisecond => units(1_000_000),
        Part::Microsecond => units(1_000),
        Part::Nanosecond | Part::Offset => units(1),
    }
}

/// `DATEPART`.
pub(crate) fn extract(at: PrimitiveDateTime, offset: UtcOffset, part: Part) -> i64 {
    match part {
        Part::Year => at.year().into(),
        Part::Quarter => i64::from((u8::from(at.month()) - 1) / 3 + 1),
        Part::Month => u8::from(at.month()).into(),
        Part::DayOfYear => at.ordinal().into(),
        Part::Day => at.day().into(),
        Part::Week => i64::from(at.sunday_based_week()) + 1,
        Part::Weekday => at.weekday().number_from_sunday().into(),
        Part::IsoWeek => at.iso_week().into(),
        Part::Hour => at.hour().into(),
        Part::Minute => at.minute().into(),
        Part::Second => at.second().into(),
        Part::Millisecond => at.millisecond().into(),
        Part::Microsecond => at.microsecond().into(),
        Part::Nanosecond => at.nanosecond().into(),
        Part::Offset => offset.whole_minutes().into(),
    }
}

/// A moment in the server's local time without its offset.
pub(crate) fn local(at: OffsetDateTime, offset: UtcOffset) -> PrimitiveDateTime {
    let at = at.to_offset(offset);
    PrimitiveDateTime::new(at.date(), at.time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn texts_are_read() {
        for text in [
            "2026-11-22T08:44:19",
            "20261122 08:44:19",
            "11/22/2026 8:44:19 AM",
            "22 Nov 2026 08:44:19",
            "Nov 22 2026 08:44:19",
        ] {
            assert_eq!(
                parse(text, "mdy").unwrap().local,
                datetime!(2026-11-22 08:44:19),
                "{text}"
            );
        }
        assert_eq!(
            parse("2026-11-22T08:44:19.5+01:00", "mdy").unwrap().offset,
            Some(UtcOffset::from_hms(1, 0, 0).unwrap())
        );
        assert_eq!(parse("not a date", "mdy").unwrap_err().number(), 241);
    }

    #[test]
    fn styles() {
        let at = datetime!(2026-11-02 15:04:05.123);
        let styled = |style| format(at, UtcOffset::UTC, Shape::DateTime, style).unwrap();
        assert_eq!(styled(0), "Nov  2 2026  3:04PM");
        assert_eq!(styled(121), "2026-11-02 15:04:05.123");
        assert_eq!(styled(126), "2026-11-02T15:04:05.123");
        assert_eq!(styled(112), "20261102");
        assert_eq!(
            format(at, UtcOffset::UTC, Shape::Offset(7), 127).unwrap(),
            "2026-11-02T15:04:05.1230000Z"
        );
    }

    #[test]
    fn datetime_rounds_to_three_hundredths() {
        assert_eq!(round_datetime(datetime!(2026-01-01 00:00:00.001)).millisecond(), 0);
        assert_eq!(round_datetime(datetime!(2026-01-01 00:00:00.002)).millisecond(), 3);
        assert_eq!(
            round_datetime(datetime!(2026-01-01 00:00:00.999)),
            datetime!(2026-01-01 00:00:01)
        );
    }

    #[test]
    fn adding_months_keeps_the_day_or_the_last() {
        assert_eq!(
            add(datetime!(2026-01-31 00:00), Part::Month, 1),
            Some(datetime!(2026-02-28 00:00))
        );
        assert_eq!(
            diff(datetime!(2025-12-31 23:59), datetime!(2026-01-01 00:00), Part::Year),
            1
        );
    }
}
