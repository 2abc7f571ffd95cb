//! Steps that only look, or wait for a person: a name, a budget, and what they see. There is nothing to probe and nothing to
//! confirm; after a crash they simply look again.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::runner::{Cx, Probe, Step, StepError};

/// Something to look at.
#[async_trait]
pub(super) trait Look: Send + Sync {
    /// The step's name.
    const NAME: &'static str;

    /// How long it may take.
    fn budget(&self) -> Duration;

    /// Looks. What it returns is kept for later steps.
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError>;
}

/// A look, as a step of a job.
pub(super) struct LooksOnly<T>(pub(super) T);

#[async_trait]
impl<T: Look> Step for LooksOnly<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        self.0.budget()
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        self.0.look(cx).await
    }
}
