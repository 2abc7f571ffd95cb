//! Small pieces of text: ids by their tail, times, sizes, and words broken into lines.

use syncferry_proto::millis;
use syncferry_shared::Millis;

use super::Look;

/// Text from elsewhere, safe for a terminal: what could move the cursor, change colours or turn the reading direction
/// shows as `·`, line ends as spaces.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '·',
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '·',
            c => c,
        })
        .collect()
}

/// The tail of an id: eight hexadecimal digits. What is no id stays as it is.
pub fn short(id: &str) -> String {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        digits[24..].to_string()
    } else {
        clean(id)
    }
}

/// An instant to the second, in UTC: `2026-11-22T09:14:03Z`.
pub fn moment(at: Millis) -> String {
    Millis(at.0.div_euclid(1000) * 1000).rfc3339()
}

/// An instant and how long ago it was; `–` when there is none.
pub fn at(at: Option<&prost_types::Timestamp>, look: &Look) -> String {
    match at.map(millis) {
        Some(at) => format!("{} ({})", moment(at), ago(at, look.now)),
        None => "–".to_string(),
    }
}

/// How long ago something was, or when it will be.
pub fn ago(at: Millis, now: Millis) -> String {
    // To the nearest second: "in 59 min" would be odd a moment after "for an hour" was said.
    let seconds = now.since(at).saturating_add(500).div_euclid(1000);
    match seconds {
        0 => "now".to_string(),
        1.. => format!("{} ago", span(seconds.saturating_mul(1000))),
        _ => format!("in {}", span(seconds.saturating_mul(-1000))),
    }
}

/// A span of milliseconds, as people say it.
pub fn span(ms: i64) -> String {
    let s = ms / 1000;
    match s {
        ..1 => format!("{ms} ms"),
        1..60 => format!("{s} s"),
        60..600 => format!("{} min {} s", s / 60, s % 60).replace(" 0 s", ""),
        600..3600 => format!("{} min", s / 60),
        3600..172_800 => format!("{} h {} min", s / 3600, s % 3600 / 60).replace(" 0 min", ""),
        _ => format!("{} days", s / 86_400),
    }
}

/// A number of bytes.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut rest, mut unit) = (n, 0, 0);
    while value >= 1024 && unit + 1 < UNITS.len() {
        (rest, value, unit) = (value % 1024, value / 1024, unit + 1);
    }
    if unit == 0 {
        format!("{value} B")
    } else {
        format!("{value}.{} {}", rest * 10 / 1024, UNITS[unit])
    }
}

/// Bytes per second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for people; `as` saturates"
)]
pub fn rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second as u64))
}

/// Breaks text into lines of at most `width` columns, the first one after `first`, the others after `rest`. Words that
/// are longer stand alone and are never broken, because somebody will copy them.
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    let mut lines = String::from(first);
    let (mut column, mut fresh) = (first.chars().count(), true);
    for word in clean(text).split_whitespace() {
        let length = word.chars().count();
        if !fresh && column + 1 + length > width {
            lines.push('\n');
            lines.push_str(rest);
            (column, fresh) = (rest.chars().count(), true);
        }
        if !fresh {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        (column, fresh) = (column + length, false);
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{7}\nc\u{202e}d\u{9b}"), "a·[31mb· c·d·");
        assert_eq!(wrap("a\u{1b}]0;x\u{7}b", 40, "", ""), "a·]0;x·b\n");
    }

    #[test]
    fn ids_are_shown_by_their_tail() {
        assert_eq!(short("01932c5e-7d3a-7c1b-9f3e-0242ac120002"), "ac120002");
        assert_eq!(short("adsync-db:x"), "adsync-db:x");
    }

    #[test]
    fn spans_are_what_people_say() {
        let said: Vec<String> = [
            0,
            999,
            1_000,
            59_999,
            60_000,
            61_000,
            600_000,
            3_600_000,
            5_400_000,
            200_000_000,
        ]
        .into_iter()
        .map(span)
        .collect();
        assert_eq!(
            said,
            [
                "0 ms",
                "999 ms",
                "1 s",
                "59 s",
                "1 min",
                "1 min 1 s",
                "10 min",
                "1 h",
                "1 h 30 min",
                "2 days"
            ]
        );
        assert_eq!(ago(Millis(0), Millis(180_000)), "3 min ago");
        assert_eq!(ago(Millis(180_000), Millis(0)), "in 3 min");
        assert_eq!(ago(Millis(5), Millis(0)), "now");
        assert_eq!(ago(Millis(3_600_000), Millis(12)), "in 1 h");
        assert_eq!(ago(Millis(i64::MAX), Millis(i64::MIN)), "in 106751991167 days");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(rate(120.0 * 1024.0 * 1024.0), "120.0 MiB/s");
        assert_eq!(rate(f64::NAN), "0 B/s");
    }

    #[test]
    fn long_words_are_never_broken() {
        assert_eq!(wrap("one two three", 9, "- ", "  "), "- one two\n  three\n");
        assert_eq!(
            wrap(r"C:\Program_Files\Connect.msi x", 10, "", " "),
            "C:\\Program_Files\\Connect.msi\n x\n"
        );
    }
}
