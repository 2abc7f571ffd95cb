//! What was measured, as lines and as a table.

use std::fmt::Write as _;

use crate::paths::PATHS;

/// All that was measured with so many side by side.
pub(crate) struct Row {
    lanes: usize,
    tpcb: f64,
    one_row: f64,
    pub(crate) postgres: Vec<f64>,
    pub(crate) sqlite: Vec<f64>,
}

impl Row {
    pub(crate) fn begin(lanes: usize, tpcb: f64, one_row: f64) -> Row {
        Row {
            lanes,
            tpcb,
            one_row,
            postgres: Vec::new(),
            sqlite: Vec::new(),
        }
    }

    /// While it runs.
    pub(crate) fn line(&self) -> String {
        let of = |rates: &[f64]| {
            let each = PATHS.iter().zip(rates).map(|(p, r)| format!("{} {r:.0}", p.name()));
            each.collect::<Vec<_>>().join(", ")
        };
        format!(
            "{:>2} side by side: pgbench TPC-B {:.0}, one row {:.0}; PostgreSQL {}; SQLite {}",
            self.lanes,
            self.tpcb,
            self.one_row,
            of(&self.postgres),
            of(&self.sqlite)
        )
    }
}

/// For `docs/BENCHMARKS.md`.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Side by side | What | PostgreSQL, per second | of TPC-B | of one row | SQLite, per second |\n|--:|---|--:|--:|--:|--:|\n",
    );
    // Writing to a String does not fail.
    let mut line = |l: String| {
        let _ = writeln!(text, "{l}");
    };
    for row in rows {
        line(format!(
            "| {} | `pgbench`, TPC-B-like | {:.0} | | | |",
            row.lanes, row.tpcb
        ));
        line(format!(
            "| {} | `pgbench`, one UPDATE | {:.0} | | | |",
            row.lanes, row.one_row
        ));
        for ((path, postgres), sqlite) in PATHS.iter().zip(&row.postgres).zip(&row.sqlite) {
            line(format!(
                "| {} | {} | {postgres:.0} | {:.2} | {:.2} | {sqlite:.0} |",
                row.lanes,
                path.name(),
                postgres / row.tpcb,
                postgres / row.one_row
            ));
        }
    }
    text
}
