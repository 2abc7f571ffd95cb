//! Steps that a DBA takes, because an agent does not get the right: a gate with the exact T-SQL, and then only looks. What was done
//! is believed when it is seen; what was done differently is refused with what was seen, and the gate stays open.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::Finding;
use syncferry_shared::card::{Card, Field};

use super::common::minutes;
use crate::journal::Sight;
use crate::runner::{Cx, Probe, Step, StepError};

/// What a DBA is asked to do.
pub(super) struct Order {
    /// What it is, in a few words: `restore ADSync on SQL01`.
    pub(super) what: String,
    /// The exact T-SQL.
    pub(super) sql: String,
    /// The rights that it needs.
    pub(super) rights: String,
    /// What it will do.
    pub(super) does: String,
    /// How to undo it.
    pub(super) undo: String,
}

impl Order {
    fn card(&self) -> Card {
        Card {
            page: format!("T-SQL: {}", self.what),
            instruction: "A DBA runs this as it stands; then complete the gate. The agent looks whether it was done, and changes nothing itself.".to_string(),
            fields: vec![
                Field::exact("T-SQL", &self.sql),
                Field::yours("Who", &self.rights),
                Field::yours("What it will do", &self.does),
                Field::yours("How to undo it", &self.undo),
            ],
        }
    }
}

/// What a look showed.
pub(super) struct Seen {
    pub(super) sight: Sight,
    pub(super) text: String,
    /// What later steps need of it.
    pub(super) evidence: Value,
}

impl Seen {
    /// Not yet.
    pub(super) fn waiting(text: impl Into<String>) -> Self {
        Self {
            sight: Sight::Waiting,
            text: text.into(),
            evidence: Value::Null,
        }
    }
    /// It goes on.
    pub(super) fn on_its_way(text: impl Into<String>) -> Self {
        Self {
            sight: Sight::InProgress,
            ..Self::waiting(text)
        }
    }
    /// Something else was done.
    pub(super) fn otherwise(text: impl Into<String>) -> Self {
        Self {
            sight: Sight::Contradicted,
            ..Self::waiting(text)
        }
    }
    /// It was done.
    pub(super) fn done(text: impl Into<String>, evidence: Value) -> Self {
        Self {
            sight: Sight::Proven,
            evidence,
            ..Self::waiting(text)
        }
    }
}

/// Something that a DBA does.
#[async_trait]
pub(super) trait Ordered: Send + Sync {
    /// The step's name: that of the step which the agent would take itself.
    const NAME: &'static str;

    /// What is written down with the intent, as the agent's own step does.
    async fn before(&self, _cx: &mut Cx) -> Result<Value, StepError> {
        Ok(Value::Null)
    }
    /// What the DBA is asked.
    async fn order(&self, cx: &mut Cx) -> Result<Order, StepError>;
    /// Looks, and changes nothing.
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError>;
    /// What is left of it that a DBA has to take away; `None` when nothing is.
    async fn left(&self, _cx: &mut Cx, _evidence: &Value) -> Result<Option<Order>, StepError> {
        Ok(None)
    }
}

/// It, as a step.
pub(super) struct ByDba<T>(pub(super) T);

#[async_trait]
impl<T: Ordered> Step for ByDba<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }
    fn budget(&self) -> Duration {
        // A person may take a week.
        minutes(7 * 24 * 60)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        self.0.before(cx).await
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        // It looks first in any case.
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut seen = self.0.look(cx).await?;
        if seen.sight != Sight::Proven {
            let order = self.0.order(cx).await?;
            let mut gate = cx.gate(&format!("Have a DBA {}", order.what), &[order.card()]).await?;
            loop {
                gate.saw(cx, seen.sight, &seen.text).await?;
                if seen.sight == Sight::Proven {
                    break;
                }
                gate.next_look(cx, cx.env.pace.look_again).await?;
                seen = match self.0.look(cx).await {
                    // A server that restarts within the week that a person may take ends nothing.
                    Err(StepError::Passing(why)) => Seen::waiting(format!("it cannot be looked at now: {}", why.title)),
                    seen => seen?,
                };
            }
            cx.saw("done by a DBA", order.what);
        }
        cx.saw("seen", &seen.text);
        Ok(seen.evidence)
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        self.nothing_is_left(cx, evidence).await
    }
    async fn discard(&self, cx: &mut Cx) -> Result<(), StepError> {
        let begun = cx.intent().cloned().unwrap_or_default();
        self.nothing_is_left(cx, &begun).await
    }
}

impl<T: Ordered> ByDba<T> {
    async fn nothing_is_left(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        match self.0.left(cx, evidence).await? {
            None => Ok(()),
            Some(order) => Err(Finding::blocker(
                "dba-must-undo",
                format!("A DBA did it, and a DBA has to undo it: {}", order.what),
            )
            .saw("T-SQL", &order.sql)
            .saw("what it will do", &order.does)
            .source("Syncferry: least privilege; what a DBA did, agents may not undo")
            .next(format!(
                "Have a DBA run: {} Then cancel the migration again: the agent looks whether it is gone.",
                order.sql.replace('\n', " ")
            ))
            .into()),
        }
    }
}
