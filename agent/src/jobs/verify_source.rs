//! `verify` before anything is done: the source is what the plan was made for, and its server is the one that holds it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::VerifySourceTask;

use super::common::{OURS, Server, count, foreign_services, minutes, same_database};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};
use crate::sql::ops;

/// The job.
pub(super) fn job(task: &VerifySourceTask) -> Job {
    let look = LookAgain { task: task.clone() };
    Job::new(vec![Box::new(LooksOnly(look))], |cx| {
        let seen = cx.evidence("look-again").cloned().unwrap_or_default();
        Outcome {
            counts: seen.get("counts").cloned().and_then(|c| serde_json::from_value(c).ok()),
            sessions: seen
                .get("sessions")
                .cloned()
                .and_then(|s| serde_json::from_value(s).ok())
                .unwrap_or_default(),
            adsync: seen.get("adsync").cloned().and_then(|a| serde_json::from_value(a).ok()),
            ..Outcome::default()
        }
    })
}

struct LookAgain {
    task: VerifySourceTask,
}

#[async_trait]
impl Look for LookAgain {
    const NAME: &'static str = "look-again";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = &self.task.database.address.database;
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        same_database(cx, &mut server, &self.task.database).await?;
        let sessions = ops::sessions(&mut server.work, name).await.unwrap_or_default();
        if let Some(holder) = &self.task.holder_name
            && let Some(other) = foreign_services(&sessions, holder).first()
        {
            return Err(Finding::blocker(
                "source-is-shared",
                format!("Another Connect server is connected to {name}"),
            )
            .saw(
                format!("session {}", other.id),
                format!("{} from {}", other.login, other.host.as_deref().unwrap_or("?")),
            )
            .saw("holder of the lease", holder)
            .source(OURS)
            .next("Find out which server that is and stop its ADSync service for good.")
            .into());
        }
        let facts = crate::adsync::inspect(&mut server.work, name).await?;
        let version = facts.as_ref().and_then(|f| f.connect_version);
        if version != self.task.connect_version {
            let shown =
                |v: Option<syncferry_shared::ConnectVersion>| v.map_or("unknown".to_string(), |v| v.to_string());
            return Err(Finding::blocker(
                "source-was-upgraded",
                "The Connect version of the source is not what it was when the plan was made",
            )
            .saw("ServerConfigurationVersion now", shown(version))
            .saw("in the plan", shown(self.task.connect_version))
            .source(OURS)
            .next("Connect was upgraded meanwhile, perhaps by itself. Plan again: the installer must not be older.")
            .into());
        }
        let counts = count(&mut server, name).await?;
        server.close().await;
        cx.saw("database_guid", self.task.database.database_guid);
        cx.saw(
            "sessions of ADSync",
            sessions.iter().filter(|s| s.is_sync_service()).count(),
        );
        cx.saw("rows in all tables", counts.rows.values().sum::<i64>());
        cx.saw("connectors", counts.connectors.join(", "));
        Ok(json!({"counts": counts, "sessions": sessions, "adsync": facts}))
    }
}
