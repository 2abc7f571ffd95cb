//! Progress of a running job, in one line.

use syncferry_proto::v1::{Job, Progress, ProgressUnit};

use super::text::{bytes, rate, span};
use super::{Look, clean};

/// A line for terminals that cannot redraw: `restore on SQL01: fetch  43 %  4.3 GiB of 10.0 GiB  45 s left  120.0 MiB/s`.
pub fn job_line(job: &Job, look: &Look) -> String {
    let message = job_message(job);
    let message = if message.is_empty() { job.state.clone() } else { message };
    let head = format!("{} on {}:", job.name, job.host);
    format!("{} {}\n", look.paint(super::Tone::Busy, &clean(&head)), clean(&message))
}

/// What a progress bar says beside the bar.
pub fn job_message(job: &Job) -> String {
    let Some(p) = &job.progress else {
        let running = job.steps.iter().find(|s| s.state == "running");
        return running.map(|s| clean(&s.name)).unwrap_or_default();
    };
    let mut parts = vec![clean(&p.step)];
    parts.extend(percent(p).map(|n| format!("{n} %")));
    parts.extend(amount(p));
    // A narrow terminal cuts from the end: what matters most comes first.
    parts.extend(
        p.left_ms
            .map(|ms| format!("{} left", span(i64::try_from(ms).unwrap_or(i64::MAX)))),
    );
    if p.rate > 0.0 && p.unit() == ProgressUnit::Bytes {
        parts.push(rate(p.rate));
    }
    // "BACKUP DATABASE 43 %" would say the percentage twice.
    if p.unit() != ProgressUnit::Percent {
        parts.push(clean(&p.message));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

/// How far it is, in per cent, where that is known.
pub(crate) fn percent(p: &Progress) -> Option<u64> {
    match p.unit() {
        ProgressUnit::Percent if p.total == 0 => Some(p.done.min(100)),
        ProgressUnit::Percent | ProgressUnit::Bytes | ProgressUnit::Count if p.total > 0 => {
            let percent = u128::from(p.done) * 100 / u128::from(p.total);
            Some(u64::try_from(percent).unwrap_or(100).min(100))
        }
        _ => None,
    }
}

fn amount(p: &Progress) -> Option<String> {
    match (p.unit(), p.total) {
        (ProgressUnit::Bytes, 0) => Some(bytes(p.done)),
        (ProgressUnit::Bytes, total) => Some(format!("{} of {}", bytes(p.done), bytes(total))),
        (ProgressUnit::Count, 0) => Some(p.done.to_string()),
        (ProgressUnit::Count, total) => Some(format!("{} of {total}", p.done)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_do_no_harm() {
        let p = |unit: ProgressUnit, done, total| Progress {
            unit: unit.into(),
            done,
            total,
            rate: f64::INFINITY,
            left_ms: Some(u64::MAX),
            ..Progress::default()
        };
        assert_eq!(percent(&p(ProgressUnit::Bytes, u64::MAX, 1)), Some(100));
        assert_eq!(percent(&p(ProgressUnit::Bytes, 1, 0)), None);
        assert_eq!(percent(&p(ProgressUnit::Percent, 300, 0)), Some(100));
        assert_eq!(percent(&p(ProgressUnit::Unspecified, 3, 10)), None);
        let job = Job {
            progress: Some(p(ProgressUnit::Bytes, u64::MAX, 1)),
            ..Job::default()
        };
        assert!(job_message(&job).contains("left"));
    }
}
