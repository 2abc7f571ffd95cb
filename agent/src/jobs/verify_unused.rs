//! `verify` on the SQL host, between two holders: no synchronisation service is on the database. A service that was just
//! stopped needs a moment until its sessions are gone.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::VerifyUnusedTask;

use super::common::{OURS, Server, minutes, same_database};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, StepError};
use crate::sql::ops;

/// How often is looked before a session counts as one that stays.
const LOOKS: u32 = 30;

/// The job.
pub(super) fn job(task: &VerifyUnusedTask) -> Job {
    Job::new(vec![Box::new(LooksOnly(LookAtSessions(task.clone())))], |cx| Outcome {
        sessions: cx
            .evidence("look-at-sessions")
            .and_then(|e| serde_json::from_value(e.get("sessions")?.clone()).ok())
            .unwrap_or_default(),
        ..Outcome::default()
    })
}

struct LookAtSessions(VerifyUnusedTask);

#[async_trait]
impl Look for LookAtSessions {
    const NAME: &'static str = "look-at-sessions";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = &self.0.database.address.database;
        let mut server = Server::open(cx, &self.0.database.address.instance).await?;
        same_database(cx, &mut server, &self.0.database).await?;
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        if !facts.can_view_state && !facts.is_sysadmin {
            return Err(cannot_see(&facts.login).into());
        }
        let mut last = Vec::new();
        for _ in 0..LOOKS {
            let sessions = ops::sessions(&mut server.work, name).await?;
            if !sessions.iter().any(SessionFacts::is_sync_service) {
                server.close().await;
                cx.saw("sessions of ADSync", 0);
                cx.saw("other sessions", sessions.len());
                return Ok(json!({"sessions": sessions, "at": cx.env.clocks.now()}));
            }
            last = sessions;
            cx.sleep(cx.env.pace.look_again).await?;
        }
        Err(in_use(name, &last).into())
    }
}

/// Without the right to see them, nobody seems to be there.
fn cannot_see(login: &str) -> Finding {
    Finding::blocker("sessions-not-seen", "Who is connected to the database cannot be seen")
        .saw(
            "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')",
            format!("0 for {login}"),
        )
        .source(OURS)
        .next(format!(
            "Have a DBA run: GRANT VIEW SERVER STATE TO [{}]; Then apply the migration again.",
            login.replace(']', "]]")
        ))
}

fn in_use(name: &str, sessions: &[SessionFacts]) -> Finding {
    let mut finding = Finding::blocker("database-in-use", format!("A Connect server is connected to {name}"));
    for s in sessions.iter().filter(|s| s.is_sync_service()) {
        finding = finding.saw(
            format!("session {} in sys.dm_exec_sessions", s.id),
            format!(
                "{} from {} as {}",
                s.program.as_deref().unwrap_or("?"),
                s.host.as_deref().unwrap_or("an unnamed host"),
                s.login
            ),
        );
    }
    finding
        .source("Syncferry: one Connect server uses one database")
        .next("Find that server, stop its service ADSync and disable it; then apply the migration again.")
}
