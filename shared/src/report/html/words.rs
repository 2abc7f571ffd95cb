//! Times, spans, sizes and states, as a page says them.

use super::markup::Html;
use crate::clock::Millis;

/// An instant to the second: `2026-11-22 09:14:03`. The page says once that everything is UTC.
pub(super) fn moment(at: Millis) -> String {
    let whole = Millis(at.0.div_euclid(1000).saturating_mul(1000)).rfc3339();
    whole.trim_end_matches('Z').replacen('T', " ", 1)
}

/// A span of milliseconds.
pub(super) fn span(ms: i64) -> String {
    match ms / 1000 {
        ..1 => format!("{ms} ms"),
        s @ 1..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        s @ 3600..172_800 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        s => format!("{} days {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// From one instant to another, where both are known.
pub(super) fn took(from: Option<Millis>, to: Option<Millis>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => span(to.since(from).max(0)),
        _ => String::new(),
    }
}

pub(super) use crate::finding::bytes;

/// A count with groups of three digits.
pub(super) fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if n < 0 { format!("−{text}") } else { text }
}

/// `1 job`, `2 jobs`.
pub(super) fn counted(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// A state as a badge.
pub(super) fn state(word: &str) -> Html {
    Html::says("span", tone(word), word)
}

/// The look of a state, of whatever it is a state.
fn tone(state: &str) -> &'static str {
    match state {
        "succeeded" | "done" | "held" | "proven" | "planned" => "state good",
        "blocked" | "open" | "claimed" | "cancelled" | "undone" | "draining" | "superseded" => "state warn",
        "stopped" | "stuck" | "failed" | "unknown" | "quarantined" | "lost" | "fencing" => "state bad",
        _ => "state",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instants may come from another host.
    #[test]
    fn absurd_instants_and_spans_have_words() {
        for at in [i64::MIN, i64::MAX, 0, -1] {
            assert!(!moment(Millis(at)).is_empty());
            assert!(!span(at).is_empty());
            assert!(!took(Some(Millis(at)), Some(Millis(i64::MAX))).is_empty());
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped = |n| grouped(n).replace('\u{202f}', " ");
        assert_eq!(
            [grouped(0), grouped(999), grouped(1000), grouped(-1234567)],
            ["0", "999", "1 000", "−1 234 567"]
        );
    }
}
