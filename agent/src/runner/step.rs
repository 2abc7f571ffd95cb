//! What a job is made of: steps. A step is one idempotent act that can be looked at, done, confirmed and undone.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::outcome::Outcome;

use crate::host::HostError;
use crate::journal::JournalError;
use crate::sql::SqlError;

use super::Cx;

/// How long a destructive step may take, unless it says otherwise.
const DESTRUCTIVE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// What was found when somebody looked whether a step had happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// Nothing of it happened.
    NotStarted,
    /// It is under way, by an earlier try of ours; the runner looks again until it ended.
    InProgress,
    /// It happened. The value is what `act` would have returned.
    Done(Value),
    /// Something of it happened, in a sentence.
    Partial(String),
    /// It cannot be told, in a sentence. Nothing is touched; a person is asked.
    Unknown(String),
}

/// What to do about a partial effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is surely ours: clean it up with [`Step::clean`] and act again.
    CleanAndRepeat,
    /// Ask a person.
    Ask,
}

/// Why a step did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It failed, and what was changed is known.
    #[error("{}", titles(.0))]
    Failed(Vec<Finding>),
    /// It failed for a reason that may pass. The runner looks what happened and tries again for a while.
    #[error("{}", .0.title)]
    Passing(Box<Finding>),
    /// It cannot be told what happened.
    #[error("{}", .0.title)]
    Unknown(Box<Finding>),
    /// It noticed [`Cx::cancelled`] and stopped at a safe point.
    #[error("cancelled")]
    Cancelled,
    /// The attempt is not this agent's any more. Nothing more is touched.
    #[error("the attempt is not this agent's any more")]
    Lost,
    /// The journal cannot be written: nothing may be done any more.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn titles(findings: &[Finding]) -> String {
    let titles: Vec<&str> = findings.iter().map(|f| f.title.as_str()).collect();
    titles.join("; ")
}

impl StepError {
    /// A failure with one finding.
    pub fn failed(finding: Finding) -> Self {
        StepError::Failed(vec![finding])
    }
    /// A passing failure.
    pub fn passing(finding: Finding) -> Self {
        StepError::Passing(Box::new(finding))
    }
    /// An unknown outcome.
    pub fn unknown(finding: Finding) -> Self {
        StepError::Unknown(Box::new(finding))
    }
}

impl From<Finding> for StepError {
    fn from(finding: Finding) -> Self {
        StepError::failed(finding)
    }
}

impl From<SqlError> for StepError {
    fn from(error: SqlError) -> Self {
        if error.kind == crate::sql::SqlErrorKind::Cancelled {
            StepError::Cancelled
        } else if error.is_transient() {
            StepError::passing(error.finding())
        } else {
            StepError::failed(error.finding())
        }
    }
}

impl From<HostError> for StepError {
    fn from(error: HostError) -> Self {
        StepError::failed(host_finding(&error))
    }
}

/// What the machine refused, as a finding.
pub fn host_finding(error: &HostError) -> Finding {
    let (rule, next) = match error {
        HostError::Unsupported(_) => (
            "host-unsupported",
            "Run this job on a host that has it; Connect exists on Windows Server only.",
        ),
        HostError::Os { .. } => (
            "host-refused",
            "Read what the system said, give the agent's account what it lacks, and apply the migration again.",
        ),
        HostError::Answer { .. } => (
            "host-answer",
            "Run the same command by hand on the host and look at its answer; then apply the migration again.",
        ),
        HostError::Timeout { .. } => (
            "host-timeout",
            "Look at the load of the host and whether the program still runs; then apply the migration again.",
        ),
    };
    Finding::blocker(rule, error.to_string())
        .source("the agent's host")
        .next(next)
}

/// One step.
///
/// The runner writes INTENT before [`act`](Step::act) and EFFECT after [`confirm`](Step::confirm), looks before it acts,
/// and looks again after a crash. A step never writes to the journal itself, except through [`Cx::hold`].
#[async_trait]
pub trait Step: Send + Sync {
    /// Its name in kebab-case, unique within the job and stable over releases.
    fn name(&self) -> &'static str;

    /// Whether it asks the controller for a permit right before it acts, and waits while the controller is silent.
    fn destructive(&self) -> bool {
        false
    }

    /// Whether it only looks (or only waits for a person). Then it is neither probed nor confirmed, and simply runs again
    /// after a crash; what it returns is kept for later steps.
    fn looks_only(&self) -> bool {
        false
    }

    /// How long it may take. For a destructive step: how much time its lease must have left when it begins; it may then
    /// take longer, because the lease is renewed meanwhile.
    fn budget(&self) -> Duration;

    /// After how long `act` is given up. A destructive step is not cut off by its budget: half a RESTORE is worse than a slow
    /// one. It watches its own progress instead.
    fn limit(&self) -> Duration {
        if self.destructive() {
            self.budget().max(DESTRUCTIVE_LIMIT)
        } else {
            self.budget()
        }
    }

    /// What `act` leaves to recognise its own traces by: a log's path, a backup set's name. Written with INTENT, and given
    /// back by [`Cx::intent`].
    async fn before(&self, _cx: &mut Cx) -> Result<Value, StepError> {
        Ok(Value::Null)
    }

    /// Looks whether it happened. Changes nothing.
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError>;

    /// Does it. The value is kept, given to later steps by [`Cx::evidence`] and to [`undo`](Step::undo).
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError>;

    /// Makes sure that it holds. Without an implementation of its own, a probe must find it done.
    async fn confirm(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let seen = match self.probe(cx).await? {
            Probe::Done(_) => return Ok(()),
            Probe::NotStarted => "nothing of it is to be seen".to_string(),
            Probe::InProgress => "it is still under way".to_string(),
            Probe::Partial(what) | Probe::Unknown(what) => what,
        };
        let title = format!("'{}' reported success, but its effect is not to be seen", self.name());
        Err(StepError::unknown(
            Finding::blocker("step-not-confirmed", title)
                .saw(self.name(), seen)
                .source("the agent's runner")
                .next("Look at the host and decide whether the step happened; then retry or cancel the migration."),
        ))
    }

    /// Whether a failure or a cancellation of the job undoes it. Undoing a job that had succeeded undoes every step.
    fn undoes_on_failure(&self) -> bool {
        false
    }

    /// Undoes it. Runs again after a crash, so it must bear that.
    async fn undo(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }

    /// Removes what an act that did not come to its end may have left beside its effect, such as parts of a file. Called when a
    /// job goes backwards past a step that began and whose effect is not there. Runs again after a crash.
    async fn discard(&self, _cx: &mut Cx) -> Result<(), StepError> {
        Ok(())
    }

    /// What to do about a partial effect.
    fn on_partial(&self) -> Policy {
        Policy::Ask
    }

    /// Removes a partial effect. Only called with [`Policy::CleanAndRepeat`].
    async fn clean(&self, _cx: &mut Cx, _what: &str) -> Result<(), StepError> {
        Ok(())
    }
}

/// Makes the outcome of a job from what its steps gave.
pub type Finish = Box<dyn Fn(&Cx) -> Outcome + Send + Sync>;

/// A job: its steps in order, and what it says at the end.
pub struct Job {
    /// The steps.
    pub steps: Vec<Box<dyn Step>>,
    /// Makes the outcome.
    pub finish: Finish,
}

impl Job {
    /// A job.
    pub fn new(steps: Vec<Box<dyn Step>>, finish: impl Fn(&Cx) -> Outcome + Send + Sync + 'static) -> Self {
        Self {
            steps,
            finish: Box::new(finish),
        }
    }

    /// How many steps it has.
    pub(crate) fn total(&self) -> i32 {
        i32::try_from(self.steps.len()).unwrap_or(i32::MAX)
    }
}
