//! `fence`: denies a database to Connect servers, or opens it to one. The order is what it is for: deny and mark in one
//! transaction, then end the sessions that were in before, then look twice, then read everything back.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::fence::{
    FenceReadBack, IdentityFacts, MARK_EPOCH, MARK_OWNER, MARK_UID, PrincipalFacts, SessionLook,
};
use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::spec::{DatabaseIdentity, FenceDatabaseTask};

use super::common::{OURS, Server, minutes, same_database};
use crate::fence::{FenceAsk, FenceRun, fence_run, refused};
use crate::runner::{Cx, Job, Probe, Step, StepError};
use crate::sql::ops::principals::{own_rights, principal};
use crate::sql::ops::{fence, identity_facts};

/// How often sessions are ended before they count as not to be kept out.
const ROUNDS: u32 = 60;

/// The job.
pub(super) fn job(task: &FenceDatabaseTask) -> Job {
    let task = || task.clone();
    let steps: Vec<Box<dyn Step>> = vec![
        Box::new(LookAtPrincipals { task: task() }),
        Box::new(WriteFence { task: task() }),
        Box::new(EndSessions { task: task() }),
        Box::new(ReadBack { task: task() }),
    ];
    Job::new(steps, |cx| Outcome {
        fenced: cx.evidence_as("read-back").ok(),
        ..Outcome::default()
    })
}

/// The run as it would be now, if it is the one that was approved.
async fn approved(cx: &Cx, server: &mut Server, task: &FenceDatabaseTask) -> Result<FenceRun, StepError> {
    same_database(cx, server, &task.database).await?;
    let uid = task.database.id.to_string();
    let ask = FenceAsk {
        uid: &uid,
        epoch: task.epoch,
        owner: task.owner.as_deref(),
        deny: &task.deny,
        grant: task.grant.as_deref(),
    };
    let run = fence_run(&mut server.work, &task.database.address.database, ask).await?;
    let run = run.ok_or_else(|| gone(&task.database))?;
    let blockers: Vec<Finding> = run.findings.iter().filter(|f| f.blocks()).cloned().collect();
    if !blockers.is_empty() {
        return Err(StepError::Failed(blockers));
    }
    same_digest(&run.preview.digest(), &task.preview_digest)?;
    Ok(run)
}

/// Only what an operator saw is run.
pub(super) fn same_digest(now: &str, approved: &str) -> Result<(), StepError> {
    if now == approved {
        return Ok(());
    }
    Err(Finding::blocker("fence-preview-differs", "The statements are not those that were approved")
        .saw("digest of the statements now", now)
        .saw("digest that was approved", approved)
        .source("Syncferry: nothing is written that an operator has not seen")
        .next("A user or the database changed since, or the agent has another version than the one that showed them. Nothing was changed. Look at the statements again and approve them.")
        .into())
}

pub(super) fn gone(database: &DatabaseIdentity) -> StepError {
    StepError::failed(
        Finding::blocker(
            "database-gone",
            format!("There is no database {}", database.address.database),
        )
        .saw("sys.databases", "no such name")
        .source(OURS)
        .next("Find out what became of it; then register the one that is in use and plan again."),
    )
}

struct LookAtPrincipals {
    task: FenceDatabaseTask,
}

#[async_trait]
impl Step for LookAtPrincipals {
    fn name(&self) -> &'static str {
        "look-at-principals"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let run = approved(cx, &mut server, &self.task).await?;
        server.close().await;
        for p in &run.preview.principals {
            let user = p.user.as_deref().unwrap_or("none");
            cx.saw(
                format!("user of {}", p.login),
                format!("{user}, CONNECT {}", p.connect.as_deref().unwrap_or("not granted")),
            );
        }
        for statement in &run.preview.statements {
            cx.saw(statement.purpose.clone(), &statement.text);
        }
        cx.findings.extend(run.findings);
        Ok(json!({"principals": run.preview.principals, "marks": run.preview.marks}))
    }
}

struct WriteFence {
    task: FenceDatabaseTask,
}

/// Whether marks and permissions are what a task wants.
fn stands(task: &FenceDatabaseTask, identity: &IdentityFacts, principals: &[PrincipalFacts]) -> Result<(), String> {
    let mark = |name: &str| identity.marks.get(name).map_or("", String::as_str);
    let owner = task.owner.as_deref().unwrap_or_default();
    let wanted = [
        (MARK_UID, task.database.id.to_string()),
        (MARK_EPOCH, task.epoch.to_string()),
        (MARK_OWNER, owner.to_string()),
    ];
    for (name, value) in &wanted {
        if mark(name) != value {
            return Err(format!("{name} is '{}', not '{value}'", mark(name)));
        }
    }
    for p in principals {
        let granted = task.grant.as_ref().is_some_and(|g| g.eq_ignore_ascii_case(&p.login));
        let connect = p.connect.as_deref();
        let fits = match granted {
            true => p.is_owner == Some(true) || connect.is_some_and(|c| c.starts_with("GRANT")),
            // Who has neither login nor user cannot be denied, and cannot come in.
            false => {
                let nobody = p.exists == Some(false) && p.user.is_none();
                (nobody || connect == Some("DENY")) && p.is_owner == Some(false) && p.is_sysadmin == Some(false)
            }
        };
        if !fits {
            return Err(format!(
                "{} has CONNECT {}, owner {:?}, sysadmin {:?}",
                p.login,
                connect.unwrap_or("of nobody"),
                p.is_owner,
                p.is_sysadmin
            ));
        }
    }
    Ok(())
}

/// What the database says now.
async fn read(
    server: &mut Server,
    task: &FenceDatabaseTask,
) -> Result<(IdentityFacts, Vec<PrincipalFacts>), StepError> {
    let name = &task.database.address.database;
    let identity = identity_facts(&mut server.work, name).await?;
    let identity = identity.ok_or_else(|| gone(&task.database))?;
    let rights = own_rights(&mut server.work, name).await?;
    let mut principals = Vec::new();
    for login in task.deny.iter().chain(&task.grant) {
        principals.push(principal(&mut server.work, name, login, &rights).await?);
    }
    Ok((identity, principals))
}

#[async_trait]
impl Step for WriteFence {
    fn name(&self) -> &'static str {
        "write-fence"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        same_database(cx, &mut server, &self.task.database).await?;
        let (identity, principals) = read(&mut server, &self.task).await?;
        server.close().await;
        // What is not as it should be is written: the transaction itself refuses whatever is newer than this run.
        Ok(match stands(&self.task, &identity, &principals) {
            Ok(()) => Probe::Done(json!({"marks": identity.marks})),
            Err(_) => Probe::NotStarted,
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let run = approved(cx, &mut server, &self.task).await?;
        let name = &self.task.database.address.database;
        fence::commit(&mut server.work, name, &run.write)
            .await
            .map_err(refused)?;
        let marks = fence::marks(&mut server.work, name).await?;
        server.close().await;
        cx.saw("denied CONNECT", self.task.deny.join(", "));
        cx.saw("granted CONNECT", self.task.grant.as_deref().unwrap_or("nobody"));
        Ok(json!({"marks": marks}))
    }
}

struct EndSessions {
    task: FenceDatabaseTask,
}

/// Whom the ending of sessions ended, and what was seen afterwards.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ended {
    killed: Vec<SessionFacts>,
    looks: Vec<SessionLook>,
}

impl EndSessions {
    fn denied<'a>(&self, look: &'a SessionLook) -> Option<&'a SessionFacts> {
        let denied = |s: &&SessionFacts| self.task.deny.iter().any(|d| d.eq_ignore_ascii_case(&s.login));
        look.sessions.iter().find(denied)
    }

    /// A synchronisation service that the run knows nothing of: then nobody is fenced, whatever was denied.
    fn stranger<'a>(&self, look: &'a SessionLook) -> Option<&'a SessionFacts> {
        let known = |s: &SessionFacts| {
            self.task
                .deny
                .iter()
                .chain(&self.task.grant)
                .any(|d| d.eq_ignore_ascii_case(&s.login))
        };
        look.sessions.iter().find(|s| s.is_sync_service() && !known(s))
    }

    fn judge(&self, looks: &[SessionLook]) -> Result<(), StepError> {
        let Some(stranger) = looks.iter().find_map(|l| self.stranger(l)) else {
            return Ok(());
        };
        Err(Finding::blocker(
            "fence-stranger",
            format!("A synchronisation service that this run does not know uses {}", self.task.database.address.database),
        )
        .saw(format!("session {}", stranger.id), shown(stranger))
        .source("Microsoft Learn: several Connect servers must not share an ADSync database")
        .next("Find that server and its account. Stop its ADSync service, or fence its account too; the denial that was written stays.")
        .into())
    }

    fn not_ended(&self, session: &SessionFacts) -> StepError {
        StepError::failed(
            Finding::blocker("fence-sessions-stay", "Sessions of a denied login do not end")
                .saw(format!("session {}", session.id), shown(session))
                .saw("ended and looked", format!("{ROUNDS} times"))
                .source(OURS)
                .next("The denial holds, so no new session can come in. An old one that rolls back may take long: look at sys.dm_exec_requests (KILLED/ROLLBACK) and at who reconnects, then run the job again."),
        )
    }
}

fn shown(s: &SessionFacts) -> String {
    format!(
        "{} from {} ({})",
        s.login,
        s.host.as_deref().unwrap_or("?"),
        s.program.as_deref().unwrap_or("?")
    )
}

#[async_trait]
impl Step for EndSessions {
    fn name(&self) -> &'static str {
        "end-sessions"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        // Ending nobody does no harm, and the two looks are wanted in any case.
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let name = &self.task.database.address.database;
        let mut ended = Ended::default();
        let mut last = None;
        for _ in 0..ROUNDS {
            let killed = fence::end_sessions(&mut server.work, name, self.task.epoch, &self.task.deny).await;
            let killed = killed.map_err(refused)?;
            for session in &killed {
                cx.saw(format!("ended session {}", session.id), shown(session));
            }
            ended.killed.extend(killed);
            let first = fence::look(&mut server.work, name, &self.task.deny).await?;
            // A little more, because clocks are slewed.
            cx.sleep(cx.env.pace.looks_apart.mul_f32(1.02)).await?;
            let second = fence::look(&mut server.work, name, &self.task.deny).await?;
            let still = self.denied(&first).or(self.denied(&second)).cloned();
            ended.looks = vec![first, second];
            match still {
                None => {
                    server.close().await;
                    self.judge(&ended.looks)?;
                    for look in &ended.looks {
                        cx.saw(
                            format!("sessions at {} of SQL Server's clock", look.at),
                            format!("{}, none of a denied login", look.sessions.len()),
                        );
                    }
                    return Ok(json!(ended));
                }
                Some(session) => last = Some(session),
            }
        }
        server.close().await;
        // There was one in every round.
        Err(last.map_or_else(|| gone(&self.task.database), |s| self.not_ended(&s)))
    }
    async fn confirm(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        let name = &self.task.database.address.database;
        let look = fence::look(&mut server.work, name, &self.task.deny).await?;
        server.close().await;
        match self.denied(&look) {
            None => Ok(()),
            Some(session) => Err(self.not_ended(session)),
        }
    }
}

struct ReadBack {
    task: FenceDatabaseTask,
}

#[async_trait]
impl Step for ReadBack {
    fn name(&self) -> &'static str {
        "read-back"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let ended: Ended = cx.evidence_as("end-sessions")?;
        let mut server = Server::open(cx, &self.task.database.address.instance).await?;
        same_database(cx, &mut server, &self.task.database).await?;
        let (identity, principals) = read(&mut server, &self.task).await?;
        server.close().await;
        if let Err(why) = stands(&self.task, &identity, &principals) {
            return Err(Finding::blocker("fence-not-as-written", "The fence was written, and is not there any more")
                .saw("read back", why)
                .source(OURS)
                .next("Somebody changed marks or permissions at the same time. Find out who; the lease stays fenced until the run is repeated.")
                .into());
        }
        // In the middle of a fail-over the writable replica may be another one by now: what holds here says nothing of it.
        if identity.updateability.as_deref() != Some("READ_WRITE") {
            return Err(Finding::blocker("fence-not-writable", "The fence was written, and the database takes no changes here any more")
                .saw("DATABASEPROPERTYEX Updateability", identity.updateability.as_deref().unwrap_or("unknown"))
                .source("Microsoft Learn: a secondary replica is read-only, and another one is the primary")
                .next("After the fail-over run the job again, through the listener or the new primary; until then nothing is proven.")
                .into());
        }
        for (name, value) in &identity.marks {
            cx.saw(name.clone(), value);
        }
        Ok(json!(FenceReadBack {
            server_name: identity.server_name,
            database_guid: identity.database_guid,
            updateability: identity.updateability,
            marks: identity.marks,
            principals,
            killed: ended.killed,
            looks: ended.looks,
        }))
    }
}
