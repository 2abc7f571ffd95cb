//! `restore` for a rehearsal: the backup is brought over and restored under a scratch name, checked, counted and dropped again,
//! and what that took is the report. No name is given to it for good, no service account gets in, and Connect never sees it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Millis;
use syncferry_shared::outcome::{Drilled, Level, Outcome};
use syncferry_shared::spec::DrillTask;

use super::by_dba::{DropByDba, ReadableByDba, RestoreByDba};
use super::copy::{AcceptSet, DeleteCopy};
use super::database::{CheckDatabase, Restore};
use super::test_restore::DropTest;
use super::{Base, Compare, bring};
use crate::jobs::by_dba::ByDba;
use crate::jobs::common::minutes;
use crate::jobs::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, Step, StepError};

/// The job.
pub(crate) fn job(task: &DrillTask) -> Job {
    let base = Base {
        task: Arc::new(task.restore.clone()),
        here: task.restore.here.clone(),
    };
    let task = Arc::new(task.clone());
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(LooksOnly(Clock::<0>))];
    steps.extend(bring(&base));
    steps.push(Box::new(LooksOnly(AcceptSet(base.clone()))));
    steps.push(Box::new(LooksOnly(Clock::<1>)));
    match base.task.dba {
        // What a DBA does is not told apart: restore and check are one.
        true => {
            steps.push(Box::new(ByDba(RestoreByDba(base.clone()))));
            steps.push(Box::new(LooksOnly(Clock::<2>)));
        }
        false => {
            steps.push(Box::new(Restore(base.clone())));
            steps.push(Box::new(LooksOnly(Clock::<2>)));
            steps.push(Box::new(LooksOnly(CheckDatabase(base.clone()))));
        }
    }
    steps.push(Box::new(LooksOnly(Clock::<3>)));
    if base.task.dba {
        steps.push(Box::new(ByDba(ReadableByDba(base.clone()))));
    }
    steps.push(Box::new(LooksOnly(Compare(base.clone()))));
    steps.push(Box::new(LooksOnly(Report(base.clone(), task))));
    steps.push(match base.task.dba {
        true => Box::new(ByDba(DropByDba(base.clone()))),
        false => Box::new(DropTest(base.clone())),
    });
    if base.here.is_none() {
        steps.push(Box::new(DeleteCopy(base)));
    }
    Job::new(steps, finish)
}

fn finish(cx: &Cx) -> Outcome {
    let of = |step: &str| cx.evidence(step).cloned().unwrap_or_default();
    let mut outcome = Outcome {
        counts: serde_json::from_value(of("compare")).ok(),
        drill: serde_json::from_value(of("report")).ok(),
        ..Outcome::default()
    };
    for level in [Level::L1, Level::L2, Level::L3] {
        outcome.reached(level);
    }
    let uncounted = cx.findings.iter().any(|f| f.rule == "nothing-to-compare-with");
    if !uncounted {
        outcome.reached(Level::L4);
    }
    outcome
}

/// A moment on the way, by the host's clock. It is kept in the journal, so that a restart of the agent does not shorten what
/// the recovery took.
struct Clock<const N: usize>;

#[async_trait]
impl<const N: usize> Look for Clock<N> {
    const NAME: &'static str = ["began", "brought", "restored", "checked"][N];

    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        Ok(json!({"at": cx.env.clocks.now()}))
    }
}

fn at(cx: &Cx, step: &str) -> Result<Millis, StepError> {
    let seen: Value = cx.evidence_as(step)?;
    Ok(seen
        .get("at")
        .cloned()
        .and_then(|v| serde_json::from_value(v).ok())
        .unwrap_or(Millis(0)))
}

/// Works out what the recovery took, and what it would lose.
struct Report(Base, Arc<DrillTask>);

#[async_trait]
impl Look for Report {
    const NAME: &'static str = "report";

    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let facts = crate::adsync::inspect(&mut server.work, &self.0.task.temporary_name).await?;
        server.close().await;
        let (began, brought) = (at(cx, "began")?, at(cx, "brought")?);
        let (restored, checked) = (at(cx, "restored")?, at(cx, "checked")?);
        let last_sync = facts.as_ref().and_then(|f| f.last_sync);
        let (lost_since, from) = match (last_sync, self.1.taken_at) {
            (Some(at), _) => (
                Some(at),
                facts
                    .and_then(|f| f.last_sync_source)
                    .map(|s| format!("last synchronisation in the copy ({s})")),
            ),
            (None, Some(at)) => (Some(at), Some("the moment at which the backup was taken".to_string())),
            (None, None) => (None, None),
        };
        let drilled = Drilled {
            rto_ms: cx.env.clocks.now().since(began),
            rpo_ms: lost_since.map(|at| began.since(at).max(0)),
            rpo_from: from,
            fetch_ms: brought.since(began),
            restore_ms: restored.since(brought),
            check_ms: checked.since(restored),
        };
        cx.saw(
            "RTO of the database (fetch, verify, restore, check)",
            seconds(drilled.rto_ms),
        );
        cx.saw("of which bringing and verifying the backup", seconds(drilled.fetch_ms));
        cx.saw("of which RESTORE", seconds(drilled.restore_ms));
        cx.saw("of which DBCC CHECKDB", seconds(drilled.check_ms));
        match (drilled.rpo_ms, &drilled.rpo_from) {
            (Some(ms), Some(from)) => cx.saw(
                "RPO",
                format!("{}, from the {}", seconds(ms), from.trim_start_matches("the ")),
            ),
            (Some(ms), None) => cx.saw("RPO", seconds(ms)),
            (None, _) => cx.saw("RPO", "unknown: neither the copy nor the backup says when it is from"),
        }
        if let Some(at) = self.1.taken_at {
            cx.saw("backup taken at", at.rfc3339());
        }
        if let Some(ms) = self.1.backup_ms {
            cx.saw("making the backup took (not part of the RTO)", seconds(ms));
        }
        Ok(serde_json::to_value(drilled).unwrap_or_default())
    }
}

/// A length of time for people.
fn seconds(ms: i64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (hours, minutes) = (rest / 3_600_000, rest % 3_600_000 / 60_000);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{}.{} s", rest / 1000, rest % 1000 / 100),
        (0, 0, m) => format!("{m} min {} s", rest % 60_000 / 1000),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn lengths_of_time_are_for_people() {
        assert_eq!(seconds(1_250), "1.2 s");
        assert_eq!(seconds(90_000), "1 min 30 s");
        assert_eq!(seconds(7_260_000), "2 h 1 min");
        assert_eq!(seconds(2 * 86_400_000 + 3_600_000), "2 d 1 h");
    }
}
