//! Numbers and bytes as text, and text as bytes: Windows-1252 for varchar, UTF-16 for nvarchar.

/// The first `n` UTF-16 units; a pair is never split.
pub(crate) fn prefix(text: &str, n: usize) -> String {
    let mut units = 0;
    text.chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= n
        })
        .collect()
}

/// From the `skip`th UTF-16 unit, `n` of them.
pub(crate) fn slice(text: &str, skip: usize, n: usize) -> String {
    if text.is_ascii() {
        let from = skip.min(text.len());
        return text[from..from.saturating_add(n).min(text.len())].to_owned();
    }
    let units: Vec<u16> = text.encode_utf16().skip(skip).take(n).collect();
    String::from_utf16_lossy(&units)
}

/// Its length in UTF-16 units.
pub(crate) fn units(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

/// Upper-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// `-1.50`.
pub(crate) fn decimal(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// Money shows two digits, four with style 2, thousands with style 1.
pub(crate) fn money(value: i128, scale: u8, style: i32) -> String {
    let four = super::convert::rescale(value, scale, 4).unwrap_or(value);
    if style == 2 {
        return decimal(four, 4);
    }
    let two = decimal(super::convert::rescale(four, 4, 2).unwrap_or(four), 2);
    if style != 1 {
        return two;
    }
    let (whole, fraction) = two.split_once('.').unwrap_or((&two, "00"));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |d| ("-", d));
    let mut grouped = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(c);
    }
    format!("{sign}{grouped}.{fraction}")
}

/// Style 0 shows six digits at most, 1 eight, 2 sixteen; 3 what reads back the same.
pub(crate) fn float(value: f64, style: i32) -> String {
    match style {
        1 => exponent(value, 7),
        2 => exponent(value, 15),
        3 => format!("{value:e}"),
        _ => general(value),
    }
}

/// `%.6g` with a three-digit exponent.
fn general(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = exponent(value, 5);
    let power: i32 = scientific
        .split_once('e')
        .and_then(|(_, p)| p.parse().ok())
        .unwrap_or(0);
    if !(-5..6).contains(&power) {
        let (mantissa, tail) = scientific.split_once('e').unwrap_or((&scientific, "+000"));
        return format!("{}e{tail}", trim_zeros(mantissa));
    }
    let places = usize::try_from(5 - power).unwrap_or(0);
    trim_zeros(&format!("{value:.places$}")).to_owned()
}

fn trim_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

fn exponent(value: f64, places: usize) -> String {
    let text = format!("{value:.places$e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:03}", power.abs())
}

/// Windows-1252 differs from Latin-1 between 0x80 and 0x9F.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Text as Windows-1252; what it does not have becomes `?`.
pub(crate) fn code_page_bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match u8::try_from(u32::from(c)) {
            Ok(b) if !(0x80..0xa0).contains(&b) => b,
            _ => HIGH
                .iter()
                .position(|h| *h == c)
                .and_then(|p| u8::try_from(p + 0x80).ok())
                .unwrap_or(b'?'),
        })
        .collect()
}

/// Windows-1252 as text.
pub(crate) fn code_page_text(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|b| {
            if (0x80..0xa0).contains(b) {
                HIGH[usize::from(b - 0x80)]
            } else {
                char::from(*b)
            }
        })
        .collect()
}

/// UTF-16, little-endian.
pub(crate) fn utf16_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The same, back.
pub(crate) fn utf16_text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|p| u16::from_le_bytes([p[0], p[1]]))
        .collect();
    String::from_utf16_lossy(&units)
}

/// `[a]]b]`.
pub(crate) fn quote_name(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        assert_eq!(float(0.1, 0), "0.1");
        assert_eq!(float(1_234_567.0, 0), "1.23457e+006");
        assert_eq!(float(123_456.0, 0), "123456");
        assert_eq!(float(1.5, 2), "1.500000000000000e+000");
    }

    #[test]
    fn money_and_decimals() {
        assert_eq!(money(12_345_678, 4, 1), "1,234.57");
        assert_eq!(decimal(-5, 2), "-0.05");
    }

    #[test]
    fn code_page_round_trip() {
        assert_eq!(code_page_text(&code_page_bytes("Zürich €")), "Zürich €");
        assert_eq!(code_page_bytes("日"), b"?");
    }
}
