//! Alarms, in memory.

use async_trait::async_trait;
use syncferry_shared::AlarmId;
use syncferry_shared::alarm::{AlarmEvent, AlarmState};
use syncferry_store::{Alarm, Alarms, NewAlarm, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Alarms for MemoryTx {
    async fn raise_alarm(&mut self, new: &NewAlarm) -> Result<(Alarm, bool)> {
        let same = |a: &&Alarm| a.kind == new.kind && a.subject == new.subject && a.state != AlarmState::Cleared;
        let known = self.data.alarms.values().find(same).cloned();
        let is_new = known.is_none();
        let mut alarm = known.unwrap_or_else(|| Alarm {
            id: new.id,
            kind: new.kind,
            subject: new.subject.clone(),
            finding: new.finding.clone(),
            state: AlarmState::Raised,
            raised_at: self.now,
            seen_at: self.now,
            acknowledged_by: None,
            acknowledged_at: None,
            remark: None,
            cleared_at: None,
        });
        alarm.finding = new.finding.clone();
        alarm.seen_at = self.now;
        self.put(|d| &mut d.alarms, alarm.id, alarm.clone())?;
        Ok((alarm, is_new))
    }

    async fn alarm(&mut self, id: AlarmId) -> Result<Option<Alarm>> {
        Ok(self.data.alarms.get(&id).cloned())
    }

    async fn alarms(&mut self, all: bool) -> Result<Vec<Alarm>> {
        let wanted = |a: &&Alarm| all || a.state != AlarmState::Cleared;
        let mut found: Vec<Alarm> = self.data.alarms.values().filter(wanted).cloned().collect();
        found.sort_by_key(|a| (a.state == AlarmState::Cleared, std::cmp::Reverse(a.raised_at), a.id));
        Ok(found)
    }

    async fn acknowledge_alarm(&mut self, id: AlarmId, actor: &str, remark: &str) -> Result<Alarm> {
        let now = self.now;
        let alarm = self.row(|d| &mut d.alarms, &id, || format!("alarm {id}"))?;
        let found = alarm.state;
        if found != AlarmState::Raised {
            return Err(self.moved(format!("alarm {id}"), "raised", found.as_str()));
        }
        alarm.state = AlarmState::Acknowledged;
        alarm.acknowledged_by = Some(actor.to_string());
        alarm.acknowledged_at = Some(now);
        alarm.remark = Some(remark.to_string());
        Ok(alarm.clone())
    }

    async fn clear_alarm(&mut self, id: AlarmId) -> Result<Alarm> {
        let now = self.now;
        let alarm = self.row(|d| &mut d.alarms, &id, || format!("alarm {id}"))?;
        match alarm.state.next(AlarmEvent::Clear) {
            Ok(to) => alarm.state = to,
            Err(e) => return Err(self.fail(e.into())),
        }
        alarm.cleared_at = Some(now);
        Ok(alarm.clone())
    }
}
