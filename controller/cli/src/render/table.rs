//! Tables: columns as wide as their widest cell, two spaces apart, numbers to the right.

use super::{Look, Tone, clean};

/// A table in the making.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// A table with these headings. A heading that begins with `>` makes a column of numbers.
    pub fn new(headings: &[&str]) -> Self {
        let column = |h: &&str| match h.strip_prefix('>') {
            Some(h) => (h.to_string(), true),
            None => ((*h).to_string(), false),
        };
        Self {
            columns: headings.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Cells are made clean here; empty ones show as `–`.
    pub fn row<const N: usize>(&mut self, cells: [(String, Tone); N]) {
        let cell = |(text, tone): (String, Tone)| match clean(&text) {
            text if text.is_empty() => ("–".to_string(), Tone::Dim),
            text => (text, tone),
        };
        self.rows.push(cells.map(cell).to_vec());
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, each line after `indent`.
    pub fn render(&self, look: &Look, indent: &str) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|i| self.width(i)).collect();
        let headings: Vec<(String, Tone)> = self.columns.iter().map(|(h, _)| (h.clone(), Tone::Dim)).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            text.push_str(indent);
            text.push_str(&self.line(row, &widths, look));
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self
            .rows
            .iter()
            .filter_map(|r| r.get(column))
            .map(|(t, _)| t.chars().count());
        cells.chain([self.columns[column].0.chars().count()]).max().unwrap_or(0)
    }

    fn line(&self, row: &[(String, Tone)], widths: &[usize], look: &Look) -> String {
        let mut line = String::new();
        for (i, (text, tone)) in row.iter().enumerate() {
            let padding = " ".repeat(widths[i].saturating_sub(text.chars().count()));
            let painted = look.paint(*tone, text);
            let last = i + 1 == row.len();
            match (self.columns[i].1, last) {
                (true, _) => line.push_str(&(padding + &painted)),
                (false, true) => line.push_str(&painted),
                (false, false) => line.push_str(&(painted + &padding)),
            }
            if !last {
                line.push_str("  ");
            }
        }
        line
    }
}

/// A cell as it is.
pub(super) fn plain(text: impl ToString) -> (String, Tone) {
    (text.to_string(), Tone::Plain)
}

/// A less important cell.
pub(super) fn dim(text: impl ToString) -> (String, Tone) {
    (text.to_string(), Tone::Dim)
}

/// A state's cell.
pub(super) fn state(text: &str) -> (String, Tone) {
    (text.to_string(), super::tone_of(text))
}

/// Names and values below each other, the values aligned.
pub(super) fn pairs(look: &Look, indent: &str, pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in shown {
        let padding = " ".repeat(width - name.chars().count());
        text.push_str(&format!("{indent}{}{padding}  {value}\n", look.paint(Tone::Dim, name)));
    }
    text
}

#[cfg(test)]
mod tests {
    use syncferry_shared::Millis;

    use super::*;

    #[test]
    fn columns_line_up_with_and_without_colours() {
        let mut table = Table::new(&["NAME", ">EPOCH", "STATE"]);
        table.row([plain("a"), plain(7), state("held")]);
        table.row([plain("Öresund"), plain(12), state("")]);
        let look = |color| Look {
            color,
            width: 80,
            now: Millis(0),
        };
        let text = table.render(&look(false), "  ");
        assert_eq!(
            text,
            "  NAME     EPOCH  STATE\n  a            7  held\n  Öresund     12  –\n"
        );
        assert!(table.render(&look(true), "").contains("\u{1b}[32mheld\u{1b}[0m"));
    }
}
