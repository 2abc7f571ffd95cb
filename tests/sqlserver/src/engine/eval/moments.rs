//! Functions on dates and times.

use time::{PrimitiveDateTime, UtcOffset};

use super::dates::{self, Part};
use super::functions::Call;
use crate::engine::errors::{Result, err, raw_error};
use crate::types::{SqlType, Value};

pub(super) fn now(call: &Call<'_>) -> Result<Value> {
    let utc = matches!(call.name, "GETUTCDATE" | "SYSUTCDATETIME");
    let offset = if utc {
        UtcOffset::UTC
    } else {
        call.env.session.inst.offset()
    };
    Ok(super::convert::moment_value(call.env.now, offset, call.ty))
}

fn part(call: &Call<'_>) -> Result<Part> {
    dates::part(call.text(0)).ok_or_else(|| {
        raw_error(
            155,
            15,
            1,
            format!(
                "'{}' is not a recognized {} option.",
                call.text(0).to_lowercase(),
                call.name.to_lowercase()
            ),
        )
        .ends_batch()
    })
}

fn moment(value: &Value) -> Option<(PrimitiveDateTime, UtcOffset)> {
    Some(match value {
        Value::DateTime(d) => (*d, UtcOffset::UTC),
        Value::Date(d) => (d.midnight(), UtcOffset::UTC),
        Value::Time(t) => (dates::epoch().replace_time(*t), UtcOffset::UTC),
        Value::DateTimeOffset(d) => (PrimitiveDateTime::new(d.date(), d.time()), d.offset()),
        _ => return None,
    })
}

/// Moments that are compared count in UTC.
fn utc(value: &Value) -> Option<PrimitiveDateTime> {
    match value {
        Value::DateTimeOffset(d) => Some(dates::local(*d, UtcOffset::UTC)),
        other => moment(other).map(|m| m.0),
    }
}

fn back(at: PrimitiveDateTime, offset: UtcOffset, ty: &SqlType) -> Value {
    match ty {
        SqlType::Date => Value::Date(at.date()),
        SqlType::Time(_) => Value::Time(at.time()),
        SqlType::DateTimeOffset(_) => Value::DateTimeOffset(at.assume_offset(offset)),
        SqlType::DateTime => Value::DateTime(dates::round_datetime(at)),
        _ => Value::DateTime(at),
    }
}

pub(super) fn dateadd(call: &Call<'_>) -> Result<Value> {
    let part = part(call)?;
    let Some((at, offset)) = moment(&call.values[2]) else {
        return Ok(Value::Null);
    };
    let added = dates::add(at, part, call.int(1).unwrap_or(0));
    let added = added.ok_or_else(|| err!(517, super::types::type_name(call.ty)))?;
    Ok(back(added, offset, call.ty))
}

pub(super) fn datediff(call: &Call<'_>) -> Result<Value> {
    let part = part(call)?;
    let (Some(from), Some(to)) = (utc(&call.values[1]), utc(&call.values[2])) else {
        return Ok(Value::Null);
    };
    let diff = dates::diff(from, to, part);
    let fits = if *call.ty == SqlType::Int {
        i32::try_from(diff).ok().map(i64::from)
    } else {
        i64::try_from(diff).ok()
    };
    fits.map(Value::Int).ok_or_else(|| err!(535))
}

pub(super) fn datepart(call: &Call<'_>) -> Result<Value> {
    let part = part(call)?;
    Ok(moment(&call.values[1]).map_or(Value::Null, |(at, offset)| Value::Int(dates::extract(at, offset, part))))
}

pub(super) fn datename(call: &Call<'_>) -> Result<Value> {
    let part = part(call)?;
    let Some((at, offset)) = moment(&call.values[1]) else {
        return Ok(Value::Null);
    };
    let name = match part {
        Part::Month => at.month().to_string(),
        Part::Weekday => at.weekday().to_string(),
        other => dates::extract(at, offset, other).to_string(),
    };
    Ok(Value::Str(name.into()))
}

fn extract(call: &Call<'_>, part: Part) -> Result<Value> {
    Ok(moment(&call.values[0]).map_or(Value::Null, |(at, offset)| Value::Int(dates::extract(at, offset, part))))
}

pub(super) fn year(call: &Call<'_>) -> Result<Value> {
    extract(call, Part::Year)
}

pub(super) fn month(call: &Call<'_>) -> Result<Value> {
    extract(call, Part::Month)
}

pub(super) fn day(call: &Call<'_>) -> Result<Value> {
    extract(call, Part::Day)
}

pub(super) fn eomonth(call: &Call<'_>) -> Result<Value> {
    let Some((at, _)) = moment(&call.values[0]) else {
        return Ok(Value::Null);
    };
    let shifted = dates::add(at, Part::Month, call.int(1).unwrap_or(0)).ok_or_else(|| err!(517, "date"))?;
    let last = shifted.month().length(shifted.year());
    Ok(shifted.date().replace_day(last).map_or(Value::Null, Value::Date))
}

pub(super) fn isdate(call: &Call<'_>) -> Result<Value> {
    let is = match &call.values[0] {
        Value::Str(s) => !s.trim().is_empty() && dates::parse(s, &call.env.session.conversion().date_format).is_ok(),
        Value::DateTime(_) => true,
        _ => false,
    };
    Ok(Value::Int(i64::from(is)))
}

fn offset_arg(call: &Call<'_>) -> Option<UtcOffset> {
    match &call.values[1] {
        Value::Int(minutes) => UtcOffset::from_whole_seconds(i32::try_from(*minutes).ok()?.checked_mul(60)?).ok(),
        Value::Str(s) => dates::parse(&format!("2000-01-01 00:00:00 {s}"), "ymd").ok()?.offset,
        _ => None,
    }
}

pub(super) fn switchoffset(call: &Call<'_>) -> Result<Value> {
    let (Some((at, own)), Some(offset)) = (moment(&call.values[0]), offset_arg(call)) else {
        return Ok(Value::Null);
    };
    Ok(Value::DateTimeOffset(at.assume_offset(own).to_offset(offset)))
}

pub(super) fn todatetimeoffset(call: &Call<'_>) -> Result<Value> {
    let (Some((at, _)), Some(offset)) = (moment(&call.values[0]), offset_arg(call)) else {
        return Ok(Value::Null);
    };
    Ok(Value::DateTimeOffset(at.assume_offset(offset)))
}

pub(super) fn datefromparts(call: &Call<'_>) -> Result<Value> {
    let text = format!(
        "{:04}{:02}{:02}",
        call.int(0).unwrap_or(0),
        call.int(1).unwrap_or(0),
        call.int(2).unwrap_or(0)
    );
    let at = dates::parse(&text, "ymd").map_err(|_| {
        raw_error(
            289,
            16,
            1,
            "Cannot construct data type date, some of the arguments have values which are not valid.".to_owned(),
        )
    })?;
    Ok(Value::Date(at.local.date()))
}
