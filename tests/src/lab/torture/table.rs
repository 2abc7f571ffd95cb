//! What came out of many runs: a line per kind of disturbance.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::verdict::{Ending, Verdict};

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Line {
    kind: String,
    runs: usize,
    same_final_state: usize,
    explained_stop: usize,
    failures: usize,
    p50_s: f64,
    max_s: f64,
}

/// All lines, and all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    first_seed: u64,
    lines: Vec<Line>,
    all: Line,
    runs: Vec<Verdict>,
}

impl Summary {
    /// Counts.
    pub(super) fn of(first_seed: u64, verdicts: &[Verdict]) -> Summary {
        let mut kinds: BTreeMap<(usize, String), Vec<&Verdict>> = BTreeMap::new();
        for v in verdicts {
            kinds.entry(group(v)).or_default().push(v);
        }
        let all: Vec<&Verdict> = verdicts.iter().collect();
        Summary {
            first_seed,
            lines: kinds.iter().map(|((_, name), vs)| line(name, vs)).collect(),
            all: line("all", &all),
            runs: verdicts.to_vec(),
        }
    }
}

/// In the order of the kinds; several disturbances are a kind of their own, the last one.
fn group(v: &Verdict) -> (usize, String) {
    match v.disturbances.as_slice() {
        [] => (0, "nothing".into()),
        [one] => (1 + one.kind as usize, one.kind.name()),
        _ => (usize::MAX, "more than one".into()),
    }
}

fn line(name: &str, verdicts: &[&Verdict]) -> Line {
    let of = |ending| verdicts.iter().filter(|v| v.ending == ending).count();
    let mut times: Vec<f64> = verdicts.iter().map(|v| v.seconds).collect();
    times.sort_by(f64::total_cmp);
    Line {
        kind: name.to_string(),
        runs: verdicts.len(),
        same_final_state: of(Ending::Same),
        explained_stop: of(Ending::Explained),
        failures: of(Ending::Failure),
        p50_s: times.get(times.len() / 2).copied().unwrap_or(0.0),
        max_s: times.last().copied().unwrap_or(0.0),
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Disturbance            runs  same final state  explained stop  failures   p50 s   max s"
        )?;
        for l in self.lines.iter().chain([&self.all]) {
            writeln!(
                f,
                "{:<22} {:>4}  {:>16}  {:>14}  {:>8}  {:>6.1}  {:>6.1}",
                l.kind, l.runs, l.same_final_state, l.explained_stop, l.failures, l.p50_s, l.max_s
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::disturbance::{Kind, draw};
    use super::*;

    fn verdict(kind: Kind, ending: Ending, seconds: f64) -> Verdict {
        Verdict {
            ending,
            problems: vec![],
            ..Verdict::missing(1, draw(1, &[kind], false), String::new(), seconds)
        }
    }

    #[test]
    fn a_line_per_kind_and_one_for_all() {
        let verdicts = [
            verdict(Kind::LongCut, Ending::Explained, 21.0),
            verdict(Kind::KillController, Ending::Same, 8.0),
            verdict(Kind::KillController, Ending::Same, 9.5),
            verdict(Kind::KillController, Ending::Failure, 7.0),
            verdict(Kind::Nothing, Ending::Same, 6.0),
        ];
        let summary = Summary::of(1, &verdicts);
        assert_eq!(summary.all.failures, 1);
        insta::assert_snapshot!(summary.to_string(), @r"
        Disturbance            runs  same final state  explained stop  failures   p50 s   max s
        nothing                   1                 1               0         0     6.0     6.0
        kill-controller           3                 2               0         1     8.0     9.5
        long-cut                  1                 0               1         0    21.0    21.0
        all                       5                 3               1         1     8.0    21.0
        ");
    }
}
