//! Alarms: raising, knowing and clearing them, each with its event in the controller's history. What is alarming is decided
//! by the pure functions in `rules.rs`; `evaluate.rs` brings the store to them.

pub mod evaluate;
pub mod rules;

use syncferry_shared::alarm::AlarmKind;
use syncferry_shared::{AlarmId, Finding};
use syncferry_store::{Alarm, NewAlarm, Tx};

use crate::core::{Core, system_event};
use crate::problem::Problem;

/// Something alarming: of one kind about one subject there is one alarm at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarming {
    /// The kind.
    pub kind: AlarmKind,
    /// What it is about.
    pub subject: String,
    /// What was found.
    pub finding: Finding,
}

/// Raises an alarm, or sees the open one again.
pub async fn raise(core: &Core, tx: &mut dyn Tx, actor: &str, alarming: &Alarming) -> Result<Alarm, Problem> {
    raise_as(tx, &core.random(), actor, alarming).await
}

/// As [`raise`], where no controller runs.
pub async fn raise_as(tx: &mut dyn Tx, random: &[u8; 10], actor: &str, alarming: &Alarming) -> Result<Alarm, Problem> {
    let finding = serde_json::to_value(&alarming.finding).map_err(|e| Problem::Internal(e.to_string()))?;
    let new = NewAlarm {
        id: AlarmId::new(tx.now(), random),
        kind: alarming.kind,
        subject: alarming.subject.clone(),
        finding,
    };
    let (alarm, is_new) = tx.raise_alarm(&new).await?;
    if is_new {
        tracing::error!(kind = %alarm.kind, subject = %alarm.subject, next = %alarming.finding.next_step, "alarm: {}", alarming.finding.title);
        tell(tx, actor, "alarm.raised", &alarm).await?;
    }
    Ok(alarm)
}

/// Ends an alarm that does not hold any more.
pub async fn clear(tx: &mut dyn Tx, actor: &str, alarm: &Alarm) -> Result<Alarm, Problem> {
    let cleared = tx.clear_alarm(alarm.id).await?;
    tracing::warn!(kind = %cleared.kind, subject = %cleared.subject, "an alarm ended");
    tell(tx, actor, "alarm.cleared", &cleared).await?;
    Ok(cleared)
}

/// Somebody knows. What is an occurrence and no state ends with that.
pub async fn acknowledge(core: &Core, actor: &str, alarm: &str, remark: &str) -> Result<Alarm, Problem> {
    let mut tx = core.store.begin("alarm.acknowledge").await?;
    let found = crate::find::alarm(&mut *tx, alarm).await?;
    let mut alarm = tx
        .acknowledge_alarm(found.id, actor, remark.trim())
        .await
        .map_err(|e| match e.is_moved() {
            true => Problem::NotNow(format!("the alarm is {} already", found.state)),
            false => e.into(),
        })?;
    tell(&mut *tx, actor, "alarm.acknowledged", &alarm).await?;
    if alarm.kind.is_occurrence() {
        alarm = clear(&mut *tx, actor, &alarm).await?;
    }
    tx.commit().await?;
    Ok(alarm)
}

async fn tell(tx: &mut dyn Tx, actor: &str, kind: &str, alarm: &Alarm) -> Result<(), Problem> {
    let store = tx.meta().await?.id;
    let payload = serde_json::json!({
        "alarm": alarm.id, "kind": alarm.kind, "subject": alarm.subject, "finding": alarm.finding,
        "state": alarm.state, "remark": alarm.remark,
    });
    tx.append_event(system_event(&store.to_string(), kind, actor, payload))
        .await?;
    Ok(())
}
