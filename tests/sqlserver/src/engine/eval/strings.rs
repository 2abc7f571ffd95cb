//! Functions on text. Positions and lengths count UTF-16 units, as nvarchar does.

use super::compare::Collation;
use super::functions::Call;
use super::text::{self, quote_name, slice, units};
use super::types::{Family, family, is_national, text_type};
use super::{Bound, like};
use crate::engine::errors::{Result, err};
use crate::types::{SqlType, Value};

fn str_value(text: impl Into<std::sync::Arc<str>>) -> Value {
    Value::Str(text.into())
}

fn size(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

fn int(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(super) fn len(call: &Call<'_>) -> Result<Value> {
    Ok(int(units(call.text(0).trim_end_matches(' '))))
}

pub(super) fn data_length(call: &Call<'_>) -> Result<Value> {
    let ty = &call.args[0].ty;
    let length = match &call.values[0] {
        Value::Str(s) if is_national(ty) || *ty == SqlType::Variant => units(s) * 2,
        Value::Str(s) => s.chars().count(),
        Value::Bytes(b) => b.len(),
        Value::Bit(_) => 1,
        Value::Guid(_) => 16,
        Value::Date(_) => 3,
        Value::Int(_) => match ty {
            SqlType::TinyInt => 1,
            SqlType::SmallInt => 2,
            SqlType::BigInt => 8,
            _ => 4,
        },
        _ => 8,
    };
    Ok(int(length))
}

pub(super) fn left(call: &Call<'_>) -> Result<Value> {
    let n = call.int(1).unwrap_or(0);
    if n < 0 {
        Err(err!(537))
    } else {
        Ok(str_value(slice(call.text(0), 0, size(n))))
    }
}

pub(super) fn right(call: &Call<'_>) -> Result<Value> {
    let n = call.int(1).unwrap_or(0);
    if n < 0 {
        return Err(err!(536, "RIGHT"));
    }
    let length = units(call.text(0));
    Ok(str_value(slice(call.text(0), length.saturating_sub(size(n)), size(n))))
}

pub(super) fn substring_type(args: &[Bound]) -> SqlType {
    match args.first().map(|a| (&a.ty, family(&a.ty))) {
        Some((ty, Family::Binary)) => SqlType::VarBinary(super::types::length(ty)),
        Some((ty, _)) => text_type(is_national(ty), super::types::length(ty).map(usize::from)),
        None => SqlType::VarChar(Some(1)),
    }
}

pub(super) fn substring(call: &Call<'_>) -> Result<Value> {
    let (start, length) = (call.int(1).unwrap_or(1), call.int(2).unwrap_or(0));
    if length < 0 {
        return Err(err!(537));
    }
    let end = start.saturating_add(length).max(1);
    let start = start.max(1);
    let (skip, take) = (size(start - 1), size(end - start));
    Ok(match &call.values[0] {
        Value::Bytes(b) => Value::Bytes(b.iter().skip(skip).take(take).copied().collect()),
        Value::Str(s) => str_value(slice(s, skip, take)),
        _ => return Err(err!(8116, super::types::type_name(&call.args[0].ty), 1, "substring")),
    })
}

pub(super) fn upper(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(call.text(0).to_uppercase()))
}

pub(super) fn lower(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(call.text(0).to_lowercase()))
}

pub(super) fn ltrim(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(call.text(0).trim_start_matches(' ')))
}

pub(super) fn rtrim(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(call.text(0).trim_end_matches(' ')))
}

pub(super) fn trim(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(call.text(0).trim_matches(' ')))
}

/// Finds without regard to case; byte positions in `text`.
fn find(text: &str, needle: &str, from: usize) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    let needle: Vec<char> = needle.chars().flat_map(char::to_lowercase).collect();
    text.char_indices().map(|(i, _)| i).filter(|i| *i >= from).find(|i| {
        let mut rest = text[*i..].chars().flat_map(char::to_lowercase);
        needle.iter().all(|c| rest.next() == Some(*c))
    })
}

fn char_end(text: &str, from: usize, chars: usize) -> usize {
    text[from..]
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(i, _)| from + i)
}

pub(super) fn replace(call: &Call<'_>) -> Result<Value> {
    let (text, old, new) = (call.text(0), call.text(1), call.text(2));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = find(text, old, at) {
        out.push_str(&text[at..found]);
        out.push_str(new);
        at = char_end(text, found, old.chars().count());
    }
    out.push_str(&text[at..]);
    Ok(str_value(out))
}

pub(super) fn charindex(call: &Call<'_>) -> Result<Value> {
    let text = call.text(1);
    let skip = size(call.int(2).unwrap_or(1).max(1) - 1);
    let from = text
        .char_indices()
        .map(|(i, _)| i)
        .find(|i| units(&text[..*i]) >= skip)
        .unwrap_or(text.len());
    let found = find(text, call.text(0), from).map_or(0, |at| units(&text[..at]) + 1);
    Ok(int(found))
}

pub(super) fn patindex(call: &Call<'_>) -> Result<Value> {
    let (pattern, text) = (call.text(0), call.text(1));
    let anchored = !pattern.starts_with('%');
    let tail = pattern.trim_start_matches('%');
    let found = text
        .char_indices()
        .map(|(i, _)| i)
        .find(|i| like::like(&text[*i..], tail, None, Collation::Insensitive));
    Ok(match found {
        Some(0) => int(1),
        Some(at) if !anchored => int(units(&text[..at]) + 1),
        _ => int(0),
    })
}

pub(super) fn concat(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(
        (0..call.values.len()).map(|i| call.text(i)).collect::<String>(),
    ))
}

pub(super) fn concat_ws(call: &Call<'_>) -> Result<Value> {
    let parts: Vec<&str> = (1..call.values.len()).filter_map(|i| call.text_or_null(i)).collect();
    Ok(str_value(parts.join(call.text(0))))
}

pub(super) fn quotename(call: &Call<'_>) -> Result<Value> {
    let name = call.text(0);
    if units(name) > 128 {
        return Ok(Value::Null);
    }
    let quote = call.text_or_null(1).unwrap_or("[").chars().next();
    Ok(str_value(match quote {
        Some('[' | ']') => quote_name(name),
        Some('\'') => format!("'{}'", name.replace('\'', "''")),
        Some('"') => format!("\"{}\"", name.replace('"', "\"\"")),
        Some('(' | ')') => format!("({})", name.replace(')', "))")),
        Some('{' | '}') => format!("{{{}}}", name.replace('}', "}}")),
        _ => return Ok(Value::Null),
    }))
}

pub(super) fn stuff(call: &Call<'_>) -> Result<Value> {
    let (Some(text), Some(start), Some(length)) = (call.text_or_null(0), call.int(1), call.int(2)) else {
        return Ok(Value::Null);
    };
    let total = units(text);
    if start < 1 || length < 0 || size(start) > total {
        return Ok(Value::Null);
    }
    let skip = size(start) - 1;
    let rest = slice(text, skip.saturating_add(size(length)), total);
    Ok(str_value(format!("{}{}{rest}", slice(text, 0, skip), call.text(3))))
}

pub(super) fn replicate(call: &Call<'_>) -> Result<Value> {
    let n = call.int(1).unwrap_or(0);
    if n < 0 {
        return Ok(Value::Null);
    }
    let text = call.text(0);
    let limit = if matches!(call.ty, SqlType::NVarChar(None) | SqlType::VarChar(None)) {
        16 << 20
    } else {
        8000
    };
    let times = size(n).min(limit / text.len().max(1) + 1);
    Ok(str_value(text::prefix(&text.repeat(times), limit)))
}

pub(super) fn space(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(" ".repeat(size(call.int(0).unwrap_or(0)).min(8000))))
}

pub(super) fn reverse(call: &Call<'_>) -> Result<Value> {
    Ok(str_value(call.text(0).chars().rev().collect::<String>()))
}

pub(super) fn char_(call: &Call<'_>) -> Result<Value> {
    let byte = call.int(0).and_then(|i| u8::try_from(i).ok());
    Ok(byte.map_or(Value::Null, |b| str_value(text::code_page_text(&[b]))))
}

pub(super) fn nchar(call: &Call<'_>) -> Result<Value> {
    let c = call.int(0).and_then(|i| u32::try_from(i).ok()).and_then(char::from_u32);
    Ok(c.map_or(Value::Null, |c| str_value(c.to_string())))
}

pub(super) fn ascii(call: &Call<'_>) -> Result<Value> {
    Ok(text::code_page_bytes(call.text(0))
        .first()
        .map_or(Value::Null, |b| Value::Int(i64::from(*b))))
}

pub(super) fn unicode(call: &Call<'_>) -> Result<Value> {
    Ok(call
        .text(0)
        .encode_utf16()
        .next()
        .map_or(Value::Null, |u| Value::Int(i64::from(u))))
}

pub(super) fn str_(call: &Call<'_>) -> Result<Value> {
    let width = size(call.int(1).unwrap_or(10)).min(8000);
    let places = size(call.int(2).unwrap_or(0)).min(16);
    let text = format!("{:.places$}", super::compare::approximate(&call.values[0]));
    Ok(str_value(if text.len() > width {
        "*".repeat(width)
    } else {
        format!("{text:>width$}")
    }))
}

/// FORMAT knows .NET's custom date parts and `N0`/`D2` for numbers; anything else is NULL, never a guess.
pub(super) fn format(call: &Call<'_>) -> Result<Value> {
    let pattern = call.text(1);
    let at = match &call.values[0] {
        Value::DateTime(d) => Some(*d),
        Value::Date(d) => Some(d.midnight()),
        Value::DateTimeOffset(d) => Some(time::PrimitiveDateTime::new(d.date(), d.time())),
        _ => None,
    };
    if let Some(at) = at {
        return Ok(str_value(format_date(at, pattern)));
    }
    let places: Option<usize> = pattern
        .get(1..)
        .and_then(|p| if p.is_empty() { Some(2) } else { p.parse().ok() });
    let number = super::compare::approximate(&call.values[0]);
    Ok(match (pattern.chars().next(), places) {
        (Some('N' | 'n'), Some(places)) => {
            let scaled = super::convert::rescale((number * 10_000.0).round().min(1e30) as i128, 4, 4).unwrap_or(0);
            let grouped = text::money(scaled, 4, 1);
            let whole = grouped.split('.').next().unwrap_or_default();
            let fraction = format!("{:.places$}", number.fract().abs());
            str_value(format!("{whole}{}", &fraction[1..]))
        }
        (Some('D' | 'd' | '0'), Some(places)) => str_value(format!("{:0>places$}", number.round())),
        (Some('F' | 'f'), Some(places)) => str_value(format!("{number:.places$}")),
        _ => Value::Null,
    })
}

fn format_date(at: time::PrimitiveDateTime, pattern: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = pattern.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let run = chars[i..].iter().take_while(|x| **x == c).count();
        i += run;
        out.push_str(&match (c, run) {
            ('y', 4) => format!("{:04}", at.year()),
            ('y', _) => format!("{:02}", at.year() % 100),
            ('M', 3) => at.month().to_string()[..3].to_owned(),
            ('M', 4) => at.month().to_string(),
            ('M', n) => format!("{:0n$}", u8::from(at.month())),
            ('d', 3) => at.weekday().to_string()[..3].to_owned(),
            ('d', 4) => at.weekday().to_string(),
            ('d', n) => format!("{:0n$}", at.day()),
            ('H', n) => format!("{:0n$}", at.hour()),
            ('h', n) => format!("{:0n$}", if at.hour() % 12 == 0 { 12 } else { at.hour() % 12 }),
            ('m', n) => format!("{:0n$}", at.minute()),
            ('s', n) => format!("{:0n$}", at.second()),
            ('f', n) => format!("{:09}", at.nanosecond())[..n.min(9)].to_owned(),
            ('t', _) => {
                if at.hour() < 12 {
                    "AM".to_owned()
                } else {
                    "PM".to_owned()
                }
            }
            (other, n) => other.to_string().repeat(n),
        });
    }
    out
}

pub(super) fn isnumeric(call: &Call<'_>) -> Result<Value> {
    let is = match &call.values[0] {
        Value::Str(s) => {
            let t = s.trim().trim_start_matches(['$', '+', '-']).replace(',', "");
            !t.is_empty() && t.parse::<f64>().is_ok() && !t.to_ascii_lowercase().contains(['i', 'n'])
        }
        Value::Int(_) | Value::Float(_) | Value::Decimal(..) => true,
        _ => false,
    };
    Ok(Value::Int(i64::from(is)))
}

pub(super) fn parsename(call: &Call<'_>) -> Result<Value> {
    let parts: Vec<&str> = call.text(0).split('.').collect();
    let wanted = size(call.int(1).unwrap_or(0));
    let at = parts
        .len()
        .checked_sub(wanted)
        .filter(|_| wanted > 0 && parts.len() <= 4);
    Ok(at.map_or(Value::Null, |at| str_value(parts[at].trim_matches(['[', ']']))))
}

/// Not one of SQL Server's digests can be had without a hash library; NULL says so, as an unknown algorithm does there.
pub(super) fn hashbytes(_: &Call<'_>) -> Result<Value> {
    Ok(Value::Null)
}

pub(super) fn string_escape(call: &Call<'_>) -> Result<Value> {
    let quoted = serde_json::to_string(call.text(0)).unwrap_or_default();
    Ok(str_value(quoted.trim_matches('"').replace('/', "\\/")))
}
