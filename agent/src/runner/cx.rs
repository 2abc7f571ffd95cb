//! The context of a running attempt: what a step knows and what it may do besides its own business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::card::Card;
use syncferry_shared::finding::Evidence;
use syncferry_shared::progress::Progress;
use syncferry_shared::spec::JobSpec;
use syncferry_shared::token::AttemptToken;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::controls::Controls;
use super::env::Env;
use super::gate::Gate;
use super::hold;
use super::permit::Permit;
use super::step::StepError;
use crate::journal::{AttemptKey, Journal};
use crate::sql::SqlInstance;

/// The context of an attempt.
pub struct Cx {
    /// What is to be done.
    pub spec: Arc<JobSpec>,
    /// The attempt's token.
    pub token: AttemptToken,
    /// The machine, the controller, the clocks.
    pub env: Arc<Env>,
    /// Notes and warnings for the outcome.
    pub findings: Vec<Finding>,
    pub(crate) key: AttemptKey,
    pub(crate) journal: Journal,
    pub(crate) controls: Controls,
    pub(crate) evidence: BTreeMap<String, Value>,
    pub(crate) intent: Option<Value>,
    pub(crate) permit: Option<Permit>,
    pub(crate) saw: Vec<Evidence>,
    pub(crate) step: String,
    pub(crate) log: mpsc::UnboundedSender<String>,
}

impl Cx {
    /// What a done step of this attempt gave.
    pub fn evidence(&self, step: &str) -> Option<&Value> {
        self.evidence.get(step)
    }

    /// What a done step gave, as a type. A step that relies on it comes after that step, so a failure here is a defect.
    pub fn evidence_as<T: DeserializeOwned>(&self, step: &str) -> Result<T, StepError> {
        let missing = |reason: String| {
            StepError::failed(
                Finding::blocker("step-evidence", format!("what '{step}' found cannot be used: {reason}"))
                    .source("the agent's runner")
                    .next("Report this with the agent's log: it is a defect of ours."),
            )
        };
        let value = self.evidence(step).ok_or_else(|| missing("there is none".into()))?;
        serde_json::from_value(value.clone()).map_err(|e| missing(e.to_string()))
    }

    /// An instance of the configuration, by its name. Sessions made with it carry the migration's id for DBAs to see.
    pub fn sql(&self, name: &str) -> Result<SqlInstance, StepError> {
        let instance = self.env.sql.get(name).map_err(|e| StepError::failed(*e))?;
        Ok(instance.sql.for_purpose(self.spec.migration.to_string()))
    }

    /// Where this process finds a file that SQL Server names `path`.
    pub fn local_path(&self, path: &str) -> PathBuf {
        self.env.host.local_path(path)
    }

    /// What the running step wrote with its INTENT, now or in an earlier try: what a probe recognises its own traces by.
    pub fn intent(&self) -> Option<&Value> {
        self.intent.as_ref()
    }

    /// The permit of the running destructive step.
    pub fn permit(&self) -> Option<&Permit> {
        self.permit.as_ref()
    }

    /// Adds a fact to the running step's report: what was looked at, and what it said.
    pub fn saw(&mut self, looked_at: impl Into<String>, found: impl ToString) {
        self.saw.push(Evidence {
            looked_at: looked_at.into(),
            found: found.to_string(),
        });
    }

    /// Says how far it is. The step's name is filled in.
    pub fn progress(&self, progress: Progress) {
        self.controls.progress.send_replace(Progress {
            step: self.step.clone(),
            ..progress
        });
    }

    /// Where progress can be set from elsewhere, for example from the messages of a running statement.
    pub fn progress_sink(&self) -> ProgressSink {
        ProgressSink {
            step: self.step.clone(),
            to: self.controls.progress.clone(),
        }
    }

    /// Adds a line to the attempt's log, which operators can follow. Never a secret.
    pub fn log(&self, line: impl Into<String>) {
        let line = line.into();
        tracing::info!(attempt = %self.key, step = %self.step, "{line}");
        // The receiver ends with the attempt; a line after that is for the agent's own log only.
        let _ = self.log.send(line);
    }

    /// Whether the attempt should stop at the next safe point.
    pub fn cancelled(&self) -> bool {
        self.controls.cancel.is_cancelled()
    }

    /// Fires when the attempt should stop at the next safe point.
    pub fn cancel_token(&self) -> CancellationToken {
        self.controls.cancel.clone()
    }

    /// Waits, and returns [`StepError::Cancelled`] as soon as the attempt should stop.
    pub async fn sleep(&self, how_long: Duration) -> Result<(), StepError> {
        tokio::select! {
            biased;
            () = self.controls.abandon.cancelled() => Err(StepError::Lost),
            () = self.controls.cancel.cancelled() => Err(StepError::Cancelled),
            () = tokio::time::sleep(how_long) => Ok(()),
        }
    }

    /// Writes down the value of something on a live server before it is changed. It is put back on success, on failure, on
    /// cancellation and after a crash, and the value is the one from before *anybody* of ours changed it.
    pub async fn hold(&mut self, what: &str, old: Value) -> Result<Value, StepError> {
        hold::take(&self.journal, self.key, what, old).await
    }

    /// Whether this journal knows the attempts at the job that came before this one.
    pub fn knows_earlier_attempts(&self) -> bool {
        let own = self.key;
        self.journal.read(|l| l.attempts_of(own.job).any(|a| a.key() < own))
    }

    /// Puts something back before the end of the job.
    pub async fn release(&mut self, what: &str) -> Result<(), StepError> {
        hold::put_back(&self.journal, self.env.host.as_ref(), self.key, what).await
    }

    /// Opens a gate: a point where a person must act.
    pub async fn gate(&mut self, title: &str, cards: &[Card]) -> Result<Gate, StepError> {
        Gate::open(self, title, cards).await
    }
}

/// Sets the progress of the step that it was taken from.
#[derive(Debug, Clone)]
pub struct ProgressSink {
    step: String,
    to: tokio::sync::watch::Sender<Progress>,
}

impl ProgressSink {
    /// Says how far it is.
    pub fn set(&self, progress: Progress) {
        self.to.send_replace(Progress {
            step: self.step.clone(),
            ..progress
        });
    }
}
