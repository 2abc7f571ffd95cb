//! How long it takes: a range for each job, and what the range rests on. What people and full synchronisations take stands apart,
//! because nobody can promise it.

use serde::{Deserialize, Serialize};

use super::input::PaperInput;
use super::{Block, heading, para, table};
use crate::finding::bytes;
use crate::spec::JobKind;

/// Bytes per second that were measured in migrations of this controller, one for each job that ended well.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Backups, from the first look to the hashed file.
    pub backup: Vec<f64>,
    /// Restores, transfer and CHECKDB included.
    pub restore: Vec<f64>,
    /// Seconds between the opening and the proof of a wizard's gate.
    pub wizard: Vec<f64>,
}

/// What a range rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// So many measurements of this controller.
    Measured(usize),
    /// Nothing was measured yet: what common disks and networks do.
    Assumed,
}

impl Basis {
    fn shown(&self) -> String {
        match self {
            Basis::Measured(1) => "measured here once".to_string(),
            Basis::Measured(n) => format!("measured here {n} times"),
            Basis::Assumed => "assumed: nothing was measured here yet".to_string(),
        }
    }
}

/// One line of an estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The job, or what else takes time.
    pub what: String,
    /// Seconds at least.
    pub least_s: u64,
    /// Seconds at most.
    pub most_s: u64,
    /// What that rests on.
    pub basis: Basis,
    /// The figures behind it.
    pub note: String,
}

/// An estimate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// What machines do, in order.
    pub machines: Vec<Line>,
    /// What people do.
    pub people: Vec<Line>,
    /// What Connect does afterwards.
    pub afterwards: Vec<Line>,
}

/// Assumed rates, in bytes per second: slow and fast disks and networks.
const BACKUP: (f64, f64) = (20e6, 200e6);
const RESTORE: (f64, f64) = (8e6, 80e6);
/// Seconds that a job needs beside its bytes.
const OVERHEAD: (u64, u64) = (20, 120);
/// Objects per hour of a full import and synchronisation.
const FULL: (f64, f64) = (30_000.0, 150_000.0);

fn range(measured: &[f64], assumed: (f64, f64)) -> ((f64, f64), Basis) {
    let good: Vec<f64> = measured.iter().copied().filter(|r| r.is_finite() && *r > 0.0).collect();
    if good.is_empty() {
        return (assumed, Basis::Assumed);
    }
    let (mut low, mut high) = (f64::MAX, 0f64);
    for r in &good {
        low = low.min(*r);
        high = high.max(*r);
    }
    // One measurement is no range: another day may be half as fast.
    ((low * 0.5, high), Basis::Measured(good.len()))
}

fn by_bytes(what: &str, size: u64, measured: &[f64], assumed: (f64, f64)) -> Line {
    let ((low, high), basis) = range(measured, assumed);
    let seconds = |rate: f64| (size as f64 / rate).ceil() as u64;
    Line {
        what: what.to_string(),
        least_s: seconds(high) + OVERHEAD.0,
        most_s: seconds(low) + OVERHEAD.1,
        note: format!(
            "at most {} at {}/s to {}/s",
            bytes(size),
            bytes(low as u64),
            bytes(high as u64)
        ),
        basis,
    }
}

fn fixed(what: &str, least_s: u64, most_s: u64, note: &str) -> Line {
    Line {
        what: what.to_string(),
        least_s,
        most_s,
        basis: Basis::Assumed,
        note: note.to_string(),
    }
}

/// Estimates a plan.
pub fn estimate(input: &PaperInput) -> Estimate {
    let size = input.bytes();
    let mut e = Estimate::default();
    for job in input.plan.jobs() {
        match job.kind {
            JobKind::Backup => e.machines.push(by_bytes(&job.name, size, &input.rates.backup, BACKUP)),
            JobKind::Restore => e
                .machines
                .push(by_bytes(&job.name, size, &input.rates.restore, RESTORE)),
            JobKind::Install => {
                e.machines
                    .push(fixed(&job.name, 60, 600, "msiexec, without the wizard"));
                e.people.push(wizard(input));
            }
            JobKind::Verify => e.machines.push(fixed(&job.name, 10, 300, "a look, and counting rows")),
            _ => e
                .machines
                .push(fixed(&job.name, 10, 600, "waits for an idle moment of Connect at most")),
        }
    }
    if let Some(objects) = input.objects().filter(|_| full_is_expected(input)) {
        let seconds = |rate: f64| (objects as f64 / rate * 3600.0).ceil() as u64;
        e.afterwards.push(Line {
            what: "full import and full synchronisation".to_string(),
            least_s: seconds(FULL.1),
            most_s: seconds(FULL.0),
            basis: Basis::Assumed,
            note: format!("{objects} objects at 30,000 to 150,000 an hour"),
        });
    } else {
        e.afterwards.push(fixed(
            "the first synchronisation cycle",
            300,
            3600,
            "a delta, in staging mode",
        ));
    }
    e
}

fn wizard(input: &PaperInput) -> Line {
    let forests = input.adsync().map_or(1, |a| a.forests.len().max(1)) as u64;
    let good: Vec<u64> = input
        .rates
        .wizard
        .iter()
        .filter(|s| s.is_finite() && **s > 0.0)
        .map(|s| *s as u64)
        .collect();
    match (good.iter().min(), good.iter().max()) {
        (Some(least), Some(most)) => Line {
            what: "the wizard".to_string(),
            least_s: *least,
            most_s: *most * 2,
            basis: Basis::Measured(good.len()),
            note: "from the opening of the gate to its proof".to_string(),
        },
        _ => Line {
            what: "the wizard".to_string(),
            least_s: 15 * 60 + forests * 120,
            most_s: 60 * 60 + forests * 600,
            basis: Basis::Assumed,
            note: format!("a person at seven pages, {forests} forests to enter credentials for"),
        },
    }
}

/// Whether the plan's findings, or flags in the database, speak of a full run.
pub(super) fn full_is_expected(input: &PaperInput) -> bool {
    let rules = ["full-sync-expected", "last-sync-too-old", "last-sync-unknown"];
    input.plan.findings.iter().any(|f| rules.contains(&f.rule.as_str()))
        || input.adsync().is_some_and(|a| !a.full_run_required.is_empty())
}

/// `2 min`, `1 h 20 min`.
pub(super) fn time(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, m) => format!("{m} min"),
        (h, 0) => format!("{h} h"),
        (h, m) => format!("{h} h {m} min"),
    }
}

/// `2 min to 9 min`.
pub(super) fn span(l: &Line) -> String {
    let (least, most) = (time(l.least_s), time(l.most_s));
    if least == most {
        least
    } else {
        format!("{least} to {most}")
    }
}

/// The sum of lines.
pub(super) fn sum(lines: &[Line]) -> Line {
    Line {
        what: "together".to_string(),
        least_s: lines.iter().map(|l| l.least_s).sum(),
        most_s: lines.iter().map(|l| l.most_s).sum(),
        basis: Basis::Assumed,
        note: String::new(),
    }
}

pub(super) fn paper(input: &PaperInput) -> (String, String, Vec<Block>) {
    let e = estimate(input);
    let mut blocks = Vec::new();
    for (title, lines) in [
        ("What machines do", &e.machines),
        ("What people do", &e.people),
        ("What Connect does afterwards, in staging mode", &e.afterwards),
    ] {
        if lines.is_empty() {
            continue;
        }
        blocks.push(heading(title));
        let row = |l: &Line| [l.what.clone(), span(l), l.note.clone(), l.basis.shown()];
        let mut rows: Vec<[String; 4]> = lines.iter().map(row).collect();
        if lines.len() > 1 {
            rows.push([
                "together".to_string(),
                span(&sum(lines)),
                "one after the other".to_string(),
                String::new(),
            ]);
        }
        blocks.push(table(["What", "How long", "From", "Basis"], rows));
    }
    blocks.push(para(
        "A range is not a promise: its upper end allows for half of the slowest rate that was measured. People's time and full \
         synchronisations stand apart because they do not depend on Syncferry.",
    ));
    (
        format!("Time estimate: {} for {}", input.scenario.as_str(), input.site),
        format!(
            "Migration {}; the database takes {} at most.",
            input.migration,
            bytes(input.bytes())
        ),
        blocks,
    )
}
