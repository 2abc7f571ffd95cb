//! What `syncferry watch` told, read off its lines: the number of the last event, so that the next watch goes on right behind it.

use std::io::Write;

/// Passes on what is written, and remembers the number that the last event's line begins with.
pub(super) struct Told<W> {
    to: W,
    line: Vec<u8>,
    /// The last event that was shown; 0 when none was.
    pub(super) last: i64,
}

impl<W: Write> Told<W> {
    pub(super) fn new(to: W) -> Self {
        Told {
            to,
            line: Vec::new(),
            last: 0,
        }
    }

    fn end_of_line(&mut self) {
        let line = plain(&String::from_utf8_lossy(&self.line));
        let mut words = line.split_whitespace();
        let number = words.next().and_then(|w| w.parse().ok());
        // An event's number is followed by its time; other lines may begin with numbers, too.
        let is_event = words.next().is_some_and(|w| w.contains('T') && w.contains(':'));
        if let (Some(number), true) = (number, is_event) {
            self.last = self.last.max(number);
        }
        self.line.clear();
    }
}

/// A line without what makes it coloured.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

impl<W: Write> Write for Told<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.to.write(bytes)?;
        for byte in &bytes[..n] {
            match byte {
                b'\n' | b'\r' => self.end_of_line(),
                byte => self.line.push(*byte),
            }
        }
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_known_by_its_line() {
        let mut told = Told::new(Vec::new());
        write!(told, "  18 2026-11-23T02:24:41Z  gate.cla").unwrap();
        assert_eq!(told.last, 0, "the line is not at its end");
        writeln!(told, "imed  operator:admin\n  500 deletions per run").unwrap();
        assert_eq!(told.last, 18);
        writeln!(
            told,
            "\u{1b}[2m  20\u{1b}[0m \u{1b}[2m2026-11-23T02:24:42Z\u{1b}[0m  step.done"
        )
        .unwrap();
        assert_eq!(told.last, 20);
        assert!(told.to.ends_with(b"step.done\n"), "everything is passed on");
    }
}
