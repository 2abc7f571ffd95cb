//! Which progress is worth a line where nothing can be redrawn: a new step, every tenth of the way, and a sign of life.

use std::collections::HashMap;

use syncferry_proto::v1::Job;
use syncferry_shared::Millis;

use crate::render;

/// How long there may be silence about a job whose progress changes.
const SILENCE_MS: i64 = 30_000;

/// What was said of each job.
#[derive(Debug, Default)]
pub(super) struct Ticker {
    said: HashMap<String, Said>,
}

#[derive(Debug, PartialEq, Eq)]
struct Said {
    step: String,
    tenth: Option<u64>,
    message: String,
    at: Millis,
}

impl Ticker {
    /// Whether a job's progress is worth a line now. Saying so counts as having said it.
    pub(super) fn worth_saying(&mut self, job: &Job, now: Millis) -> bool {
        let Some(progress) = job
            .progress
            .as_ref()
            .filter(|_| job.state == "running" || job.state == "undoing")
        else {
            return false;
        };
        let next = Said {
            step: progress.step.clone(),
            tenth: render::percent(progress).map(|p| p / 10),
            message: render::job_message(job),
            at: now,
        };
        let worth = match self.said.get(&job.id) {
            None => !next.message.is_empty(),
            Some(last) => {
                last.step != next.step
                    || next.tenth > last.tenth
                    || (last.message != next.message && now.since(last.at) >= SILENCE_MS)
            }
        };
        if worth {
            self.said.insert(job.id.clone(), next);
        }
        worth
    }
}

#[cfg(test)]
mod tests {
    use syncferry_proto::v1::{Progress, ProgressUnit};

    use super::*;

    fn job(step: &str, done: u64) -> Job {
        let progress = Progress {
            step: step.into(),
            done,
            total: 100,
            unit: ProgressUnit::Bytes.into(),
            ..Progress::default()
        };
        Job {
            id: "j".into(),
            state: "running".into(),
            progress: Some(progress),
            ..Job::default()
        }
    }

    #[test]
    fn says_enough_and_not_more() {
        let mut ticker = Ticker::default();
        let mut said = |step: &str, done, at| ticker.worth_saying(&job(step, done), Millis(at));
        assert!(said("backup", 0, 0));
        assert!(!said("backup", 9, 1));
        assert!(said("backup", 10, 2));
        assert!(!said("backup", 11, 3));
        assert!(said("backup", 12, 31_000));
        assert!(!said("backup", 12, 90_000), "nothing changed");
        assert!(said("hash", 0, 90_001));
    }

    #[test]
    fn says_nothing_of_jobs_that_do_not_run() {
        let done = Job {
            state: "succeeded".into(),
            ..job("backup", 100)
        };
        assert!(!Ticker::default().worth_saying(&done, Millis(0)));
    }
}
