//! Alarms, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::AlarmId;
use syncferry_shared::alarm::{AlarmEvent, AlarmKind, AlarmState};
use syncferry_store::{Alarm, Alarms, Cause, NewAlarm, Result};

use crate::row::{Columns as _, Read};
use crate::tx::{PgTx, Query};

fn read(row: &PgRow) -> Read<Alarm> {
    Ok(Alarm {
        id: row.parsed("alarm_id")?,
        kind: row.word("kind", AlarmKind::parse)?,
        subject: row.text("subject")?,
        finding: row.json("finding")?,
        state: row.parsed("state")?,
        raised_at: row.at("raised_at")?,
        seen_at: row.at("seen_at")?,
        acknowledged_by: row.opt_text("acknowledged_by")?,
        acknowledged_at: row.opt_at("acknowledged_at")?,
        remark: row.opt_text("remark")?,
        cleared_at: row.opt_at("cleared_at")?,
    })
}

#[async_trait]
impl Alarms for PgTx {
    async fn raise_alarm(&mut self, new: &NewAlarm) -> Result<(Alarm, bool)> {
        let again = sqlx::query(
            "UPDATE alarm SET finding = $3, seen_at = $4 WHERE kind = $1 AND subject = $2 AND state <> 'cleared'
             RETURNING *",
        )
        .bind(new.kind.as_str())
        .bind(new.subject.clone())
        .bind(new.finding.to_string())
        .bind(self.now.0);
        if let Some(known) = self.changed(again, read).await? {
            return Ok((known, false));
        }
        let insert = sqlx::query(
            "INSERT INTO alarm(alarm_id, kind, subject, finding, state, raised_at, seen_at)
             VALUES ($1, $2, $3, $4, 'raised', $5, $5)
             RETURNING *",
        )
        .bind(new.id.to_string())
        .bind(new.kind.as_str())
        .bind(new.subject.clone())
        .bind(new.finding.to_string())
        .bind(self.now.0);
        let alarm = self.written(insert, read, || format!("alarm {}", new.id)).await?;
        Ok((alarm, true))
    }

    async fn alarm(&mut self, id: AlarmId) -> Result<Option<Alarm>> {
        let query = sqlx::query("SELECT * FROM alarm WHERE alarm_id = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn alarms(&mut self, all: bool) -> Result<Vec<Alarm>> {
        let query = sqlx::query(
            "SELECT * FROM alarm WHERE $1 OR state <> 'cleared'
              ORDER BY state = 'cleared', raised_at DESC, alarm_id",
        );
        self.list(query.bind(all), read).await
    }

    async fn acknowledge_alarm(&mut self, id: AlarmId, actor: &str, remark: &str) -> Result<Alarm> {
        let update = sqlx::query(
            "UPDATE alarm SET state = 'acknowledged', acknowledged_by = $3, acknowledged_at = $4, remark = $5
              WHERE alarm_id = $1 AND state = $2
             RETURNING *",
        )
        .bind(id.to_string())
        .bind(AlarmState::Raised.as_str())
        .bind(actor.to_string())
        .bind(self.now.0)
        .bind(remark.to_string());
        match self.changed(update, read).await? {
            Some(alarm) => Ok(alarm),
            None => Err(self.moved(state_of(id), || format!("alarm {id}"), "raised").await),
        }
    }

    async fn clear_alarm(&mut self, id: AlarmId) -> Result<Alarm> {
        let Some(before) = self.alarm(id).await? else {
            return Err(self.fail(Cause::Missing(format!("alarm {id}"))));
        };
        let to = before.state.next(AlarmEvent::Clear).map_err(|e| self.fail(e.into()))?;
        let update =
            sqlx::query("UPDATE alarm SET state = $3, cleared_at = $4 WHERE alarm_id = $1 AND state = $2 RETURNING *")
                .bind(id.to_string())
                .bind(before.state.as_str())
                .bind(to.as_str())
                .bind(self.now.0);
        self.written(update, read, || format!("alarm {id}")).await
    }
}

fn state_of(id: AlarmId) -> Query<'static> {
    sqlx::query("SELECT state AS found FROM alarm WHERE alarm_id = $1").bind(id.to_string())
}
