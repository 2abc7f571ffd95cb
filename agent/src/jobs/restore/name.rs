//! The database's final name, and who it is under it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::outcome::Restored;

use super::Base;
use crate::jobs::common::{OURS, minutes};
use crate::jobs::look::Look;
use crate::runner::{Cx, Probe, Step, StepError};
use crate::sql::ops::{self, Renamed};

pub(super) struct Rename(pub(super) Base);

#[async_trait]
impl Step for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let last = ops::database_identity(&mut server.work, &task.final_name).await?;
        let first = ops::database_identity(&mut server.work, &task.temporary_name).await?;
        server.close().await;
        let ours = |row: &ops::DatabaseRow| row.family_guid == Some(self.0.family());
        Ok(match (first, last) {
            (None, Some(row)) if ours(&row) => Probe::Done(json!({"from": task.temporary_name, "to": task.final_name})),
            (Some(row), None) if ours(&row) => Probe::NotStarted,
            (_, last) => Probe::Unknown(format!(
                "{} is {}",
                task.final_name,
                last.map_or("not there, and neither is the temporary one".to_string(), |r| format!(
                    "another database ({})",
                    r.state
                ))
            )),
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let renamed = ops::rename(
            &mut server.work,
            &task.temporary_name,
            &task.final_name,
            self.0.family(),
        )
        .await?;
        server.close().await;
        match renamed {
            Renamed::Done => Ok(json!({"from": task.temporary_name, "to": task.final_name})),
            other => Err(
                Finding::blocker("not-renamed", format!("{} was not renamed", task.temporary_name))
                    .saw("ALTER DATABASE … MODIFY NAME", format!("{other:?}"))
                    .source(OURS)
                    .next(format!("Look whether {} exists now, and whose it is.", task.final_name))
                    .into(),
            ),
        }
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let back = ops::rename_back(
            &mut server.work,
            &task.final_name,
            &task.temporary_name,
            self.0.family(),
        )
        .await?;
        server.close().await;
        match back {
            // Absent: it was renamed back, or dropped, before a crash.
            Renamed::Done | Renamed::Absent => Ok(()),
            other => Err(
                Finding::blocker("not-renamed-back", format!("{} was not renamed back", task.final_name))
                    .saw("ALTER DATABASE … MODIFY NAME", format!("{other:?}"))
                    .source(OURS)
                    .next(format!("Find out whose {} is now. It was left alone.", task.final_name))
                    .into(),
            ),
        }
    }
}

pub(super) struct Identify(pub(super) Base);

#[async_trait]
impl Look for Identify {
    const NAME: &'static str = "identify";

    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, &task.final_name).await?;
        server.close().await;
        let guids = row.as_ref().and_then(|r| Some((r.database_guid?, r.family_guid?)));
        let (Some(row), Some((database_guid, family_guid))) = (row, guids) else {
            return Err(StepError::unknown(
                Finding::blocker(
                    "restored-identity-unknown",
                    format!("{} does not say which database it is", task.final_name),
                )
                .saw("sys.database_recovery_status", "no GUIDs")
                .source(OURS)
                .next("Look at the database's state on the SQL Server, then apply the migration again."),
            ));
        };
        let restored = Restored {
            server_name: task.server_name.clone(),
            database: row.name,
            database_guid,
            family_guid,
            recovery_fork_guid: row.recovery_fork_guid,
            service_broker_guid: row.service_broker_guid,
        };
        cx.saw("database_guid", database_guid);
        Ok(serde_json::to_value(restored).unwrap_or_default())
    }
}
