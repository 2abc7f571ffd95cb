//! `verify` on the SQL host: the restored database is used by the new server and by nobody else, and holds what it held.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::compare::Weight;
use syncferry_shared::installed::{finding, installed};
use syncferry_shared::inventory::{AdsyncFacts, SessionFacts};
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::VerifyTargetTask;

use super::common::{OURS, Server, count, differences, foreign_services, is_from, minutes, same_database};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};
use crate::sql::ops;

/// How often the new server is looked for before it counts as not connected.
const LOOKS: u32 = 30;

/// The job.
pub(super) fn job(task: &VerifyTargetTask) -> Job {
    let look = LookAtDatabase { task: task.clone() };
    Job::new(vec![Box::new(LooksOnly(look))], |cx| {
        let seen = cx.evidence("look-at-database").cloned().unwrap_or_default();
        Outcome {
            counts: seen.get("counts").cloned().and_then(|c| serde_json::from_value(c).ok()),
            sessions: seen
                .get("sessions")
                .cloned()
                .and_then(|s| serde_json::from_value(s).ok())
                .unwrap_or_default(),
            ..Outcome::default()
        }
    })
}

struct LookAtDatabase {
    task: VerifyTargetTask,
}

impl LookAtDatabase {
    /// Sessions, once the new server is among them. A service that just started needs a moment.
    async fn sessions(&self, cx: &Cx, server: &mut Server) -> Result<Vec<SessionFacts>, StepError> {
        let name = &self.task.database.address.database;
        for _ in 0..LOOKS {
            let sessions = ops::sessions(&mut server.work, name).await?;
            let here = |s: &SessionFacts| s.is_sync_service() && is_from(s, &self.task.server_name);
            if sessions.iter().any(here) {
                return Ok(sessions);
            }
            cx.sleep(cx.env.pace.look_again).await?;
        }
        Err(Finding::blocker("new-server-not-connected", format!("The new server is not connected to {name}"))
            .saw("synchronisation services in sys.dm_exec_sessions", "none from the new server")
            .saw("looked", format!("{LOOKS} times"))
            .source(OURS)
            .next("Look at the ADSync service and the event log of the new server (event 6226 is a failed connection), then apply the migration again.")
            .into())
    }
}

#[async_trait]
impl Look for LookAtDatabase {
    const NAME: &'static str = "look-at-database";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = &self.task.database.address.database;
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        same_database(cx, &mut server, &self.task.database).await?;
        let sessions = self.sessions(cx, &mut server).await?;
        if let Some(other) = foreign_services(&sessions, &self.task.server_name).first() {
            return Err(Finding::blocker(
                "database-is-shared",
                format!("Another Connect server is connected to {name}"),
            )
            .saw(
                format!("session {}", other.id),
                format!("{} from {}", other.login, other.host.as_deref().unwrap_or("?")),
            )
            .saw("the new server", &self.task.server_name)
            .source("Microsoft Learn: several Connect servers must not share an ADSync database")
            .next("Stop the ADSync service of that server for good, at once.")
            .into());
        }
        let counts = count(&mut server, name).await?;
        let facts = crate::adsync::inspect(&mut server.work, name).await?;
        server.close().await;
        cx.saw(
            "sessions of ADSync",
            sessions.iter().filter(|s| s.is_sync_service()).count(),
        );
        cx.saw("connectors", counts.connectors.join(", "));
        self.judge(cx, &counts)?;
        self.compare(cx, facts.as_ref());
        Ok(json!({"counts": counts, "sessions": sessions}))
    }
}

impl LookAtDatabase {
    /// The configuration against the source's. It never fails the job: the server is in staging mode, and a person reads this.
    fn compare(&self, cx: &mut Cx, now: Option<&AdsyncFacts>) {
        let (Some(before), Some(now)) = (&self.task.before, now) else {
            cx.saw("configuration against the source's", "unknown: it was not read before");
            return;
        };
        let found = installed(before, now);
        for (what, weight) in [
            ("differences from the source", Weight::Differs),
            ("that are to be expected", Weight::Expected),
            ("that cannot be compared", Weight::Unknown),
        ] {
            let of_it = found.differences.iter().filter(|d| d.weight == weight).count();
            cx.saw(what, of_it);
        }
        cx.findings.extend(finding(&found));
    }

    /// Connect has run on the database since: objects may have changed by a cycle, and a newer version adds rules. What
    /// differs is told; that a connector is gone is an error.
    fn judge(&self, cx: &mut Cx, counts: &syncferry_shared::artifact::Counts) -> Result<(), StepError> {
        let before = &self.task.counts;
        let gone: Vec<&str> = before
            .connectors
            .iter()
            .filter(|c| !counts.connectors.contains(c))
            .map(String::as_str)
            .collect();
        if !gone.is_empty() {
            return Err(Finding::blocker(
                "connectors-gone",
                "Connectors of the source are not in the restored database any more",
            )
            .saw("gone", gone.join(", "))
            .source(OURS)
            .next("Look at the new server's configuration. The old server still has them.")
            .into());
        }
        let lines = differences(before, counts);
        if lines.is_empty() {
            cx.saw("rows, columns and rules", "as before the backup");
            return Ok(());
        }
        let title = if self.task.version_changed {
            "The database differs from the source, as a newer Connect version and its first cycles make it"
        } else {
            "The database differs from the source since Connect runs on it"
        };
        let mut finding = Finding::note("counts-changed-since", title)
            .source(OURS)
            .next("Look at the differences before the new server ever leaves staging mode.");
        for (what, was, is) in lines.into_iter().take(20) {
            finding = finding.saw(what, format!("{was} before, {is} now"));
        }
        cx.findings.push(finding);
        Ok(())
    }
}
