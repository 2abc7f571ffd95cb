//! `verify`: a staging server's database against the active one's, as both say of themselves. What differs is shown as a finding
//! that a person reads; it never fails the job, because a staging server that has begun to synchronise differs in numbers all the
//! time.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::compare::{Comparison, Weight, compare};
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::CompareStagingTask;

use super::common::minutes;
use super::look::{Look, LooksOnly};
use super::read_adsync::read;
use crate::runner::{Cx, Job, StepError};

/// The job.
pub(super) fn job(task: &CompareStagingTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(Compare(task.clone())))], |_| Outcome::default())
}

struct Compare(CompareStagingTask);

#[async_trait]
impl Look for Compare {
    const NAME: &'static str = "compare-with-active";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let staging = read(cx, &self.0.database).await?;
        let found = tell(cx, &self.0.active, &staging);
        Ok(json!({"differences": found.differences.len()}))
    }
}

/// Holds the two against each other, and says what differs.
pub(super) fn tell(cx: &mut Cx, active: &AdsyncFacts, staging: &AdsyncFacts) -> Comparison {
    let found = compare("the active server", active, "the staging server", staging);
    for (what, weight) in [
        ("differences from the active server", Weight::Differs),
        ("that are to be expected", Weight::Expected),
        ("that cannot be compared", Weight::Unknown),
    ] {
        let of_it = found.differences.iter().filter(|d| d.weight == weight).count();
        cx.saw(what, of_it);
    }
    cx.findings.extend(found.finding());
    found
}
