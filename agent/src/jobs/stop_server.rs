//! `stop` on an old Connect server: its service is disabled and stopped, once no cycle runs, and seen to be so. It is the
//! host-side proof of a hand-over; a cancelled migration puts state and start type back.
//!
//! The scheduler is left alone: its switch is kept in the database, and the next server would find it off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::inventory::{ConnectFacts, ServiceFacts};
use syncferry_shared::outcome::{Outcome, StoppedServer};
use syncferry_shared::spec::StopServerTask;

use super::common::{OURS, minutes, shown};
use super::look::{Look, LooksOnly};
use crate::runner::{Cx, Job, Probe, Step, StepError};

/// The job.
pub(super) fn job(task: &StopServerTask) -> Job {
    let task = Arc::new(task.clone());
    let steps: Vec<Box<dyn Step>> = vec![
        Box::new(LooksOnly(LookAtServer(task.clone()))),
        Box::new(LooksOnly(WaitUntilIdle(task.clone()))),
        Box::new(StopService(task)),
        Box::new(LooksOnly(SeeItStopped)),
    ];
    Job::new(steps, |cx| Outcome {
        stopped: cx.evidence_as("see-it-stopped").ok(),
        ..Outcome::default()
    })
}

/// What the machine shows, as a proof shows it.
pub(super) async fn stopped(cx: &Cx, facts: ConnectFacts) -> StoppedServer {
    StoppedServer {
        service: facts.service,
        parameters: facts.parameters,
        at: cx.env.clocks.now(),
    }
}

fn is_out(service: &ServiceFacts) -> bool {
    service.state.eq_ignore_ascii_case("stopped") && service.start.eq_ignore_ascii_case("disabled")
}

struct LookAtServer(Arc<StopServerTask>);

#[async_trait]
impl Look for LookAtServer {
    const NAME: &'static str = "look-at-server";

    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        if let Some(p) = &facts.parameters {
            cx.saw("ADSync\\Parameters", shown(p));
            if !p.database.eq_ignore_ascii_case(&self.0.database) {
                return Err(Finding::blocker(
                    "server-uses-another-database",
                    "Connect on this server uses another database than the one that is handed over",
                )
                .saw("ADSync\\Parameters", shown(p))
                .saw("in the plan", &self.0.database)
                .source(OURS)
                .next("It was configured anew since it was registered. Find out what it uses, register that with `syncferry database add`, and plan again.")
                .into());
            }
        }
        if cx.env.host.wizard().await.is_ok_and(|w| w.running) {
            return Err(
                Finding::blocker("wizard-is-open", "The Connect wizard is open on this server")
                    .saw("AzureADConnect.exe", "it runs")
                    .source("Microsoft Learn: the wizard suspends the scheduler and changes the configuration")
                    .next("Close it, or let whoever works there finish; then apply the migration again.")
                    .into(),
            );
        }
        if let Some(s) = &facts.service {
            cx.saw("service ADSync", format!("{}, start type {}", s.state, s.start));
        }
        Ok(json!({"service": facts.service, "parameters": facts.parameters}))
    }
}

struct WaitUntilIdle(Arc<StopServerTask>);

#[async_trait]
impl Look for WaitUntilIdle {
    const NAME: &'static str = "wait-until-idle";

    fn budget(&self) -> Duration {
        Duration::from_secs(self.0.idle_timeout_s) + minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let until = Instant::now() + Duration::from_secs(self.0.idle_timeout_s);
        loop {
            let facts = cx.env.host.connect_facts().await?;
            // A service that does not run has no scheduler that could answer, and no cycle.
            if !facts.scheduler.is_some_and(|s| s.cycle_in_progress) {
                return Ok(json!({"cycle_in_progress": false}));
            }
            if Instant::now() > until {
                return Err(StepError::passing(
                    Finding::blocker("cycle-does-not-end", "A synchronisation cycle runs and does not end")
                        .saw("Get-ADSyncScheduler", "SyncCycleInProgress is True")
                        .saw("waited", format!("{} s", self.0.idle_timeout_s))
                        .source(OURS)
                        .next("Look at it in the Synchronization Service Manager; stop it there (Stop-ADSyncSyncCycle), then apply the migration again."),
                ));
            }
            cx.sleep(cx.env.pace.look_again).await?;
        }
    }
}

struct StopService(Arc<StopServerTask>);

impl StopService {
    /// Puts the start type and the state back to what they were before this attempt or an earlier one changed them.
    async fn put_back(&self, cx: &mut Cx, before: &Value) -> Result<(), StepError> {
        let before: Option<ServiceFacts> = before
            .get("before")
            .cloned()
            .and_then(|b| serde_json::from_value(b).ok());
        let Some(before) = before else { return Ok(()) };
        let Some(now) = cx.env.host.connect_facts().await?.service else {
            return match self.0.then_uninstalled {
                // Somebody uninstalled it while the migration was cancelled: what was restored is all that is left.
                true => Err(uninstalled(&before).into()),
                false => Ok(()),
            };
        };
        if !now.start.eq_ignore_ascii_case(&before.start) {
            cx.env.host.set_sync_service_start(&before.start).await?;
        }
        let (ran, runs) = (
            before.state.eq_ignore_ascii_case("running"),
            now.state.eq_ignore_ascii_case("running"),
        );
        if !ran || runs {
            return Ok(());
        }
        match cx.env.host.start_sync_service().await {
            // Without its SQL Server it does not start, and that is not ours to undo: its start type is what it was.
            Err(error) if self.0.sql_is_gone => {
                cx.findings.push(
                    Finding::note("service-not-started", "The service has its start type back and did not start")
                        .saw("service ADSync", error)
                        .saw("start type", &before.start)
                        .source(OURS)
                        .next("Nothing: its SQL Server is gone. It starts by itself when that is back and the machine is restarted, and then it exports again."),
                );
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

#[async_trait]
impl Step for StopService {
    fn name(&self) -> &'static str {
        "stop-service"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        // An earlier try of this very step may have changed it already: then what it wrote down is what was there before.
        if let Some(known) = cx.intent().filter(|i| i.get("before").is_some()) {
            return Ok(known.clone());
        }
        let seen: Value = cx.evidence_as("look-at-server")?;
        let now: Option<ServiceFacts> = seen
            .get("service")
            .cloned()
            .and_then(|s| serde_json::from_value(s).ok());
        // A service that is out already, and was not when the plan was made, was stopped by a try that this journal lost.
        let before = match now {
            Some(s) if is_out(&s) => self.0.before.clone().or(Some(s)),
            other => other,
        };
        Ok(json!({"before": before}))
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let service = cx.env.host.connect_facts().await?.service;
        let out = service.as_ref().is_none_or(is_out);
        Ok(match out {
            true => Probe::Done(json!({"before": cx.intent().and_then(|i| i.get("before"))})),
            false => Probe::NotStarted,
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        // Disabled first: nothing starts it again between the two.
        cx.env.host.set_sync_service_start("disabled").await?;
        cx.env.host.stop_sync_service().await?;
        Ok(json!({"before": cx.intent().and_then(|i| i.get("before"))}))
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        self.put_back(cx, evidence).await
    }
    async fn discard(&self, cx: &mut Cx) -> Result<(), StepError> {
        let before = cx.intent().cloned().unwrap_or_default();
        self.put_back(cx, &before).await
    }
}

fn uninstalled(before: &ServiceFacts) -> Finding {
    Finding::blocker("connect-is-gone", "Connect was uninstalled while the migration was cancelled")
        .saw("service ADSync", "not there")
        .saw("before", format!("{}, start type {}", before.state, before.start))
        .source("Syncferry: an uninstallation cannot be undone")
        .next("Nothing else was taken back. Cancel again: that ends the migration here, and keeps the restored database and the backups. Then free the old lease (`syncferry lease fence`), and seat a server on the restored database with `syncferry plan replace-server`.")
}

struct SeeItStopped;

#[async_trait]
impl Look for SeeItStopped {
    const NAME: &'static str = "see-it-stopped";

    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        let seen = stopped(cx, facts).await;
        if !seen.is_out() {
            return Err(not_out(&seen).into());
        }
        say(cx, &seen);
        Ok(serde_json::to_value(seen).unwrap_or_default())
    }
}

/// What was seen, for the report.
pub(super) fn say(cx: &mut Cx, seen: &StoppedServer) {
    match &seen.service {
        Some(s) => cx.saw("service ADSync", format!("{}, start type {}", s.state, s.start)),
        None => cx.saw("service ADSync", "not there"),
    }
}

/// A service that runs, or that would start again.
pub(super) fn not_out(seen: &StoppedServer) -> Finding {
    let (state, start) = seen
        .service
        .as_ref()
        .map_or(("unknown", "unknown"), |s| (s.state.as_str(), s.start.as_str()));
    Finding::blocker(
        "old-server-not-out",
        "The service ADSync of the old server runs, or would start again",
    )
    .saw("service ADSync", format!("{state}, start type {start}"))
    .source("Syncferry: a holder gave up when its service is stopped and disabled")
    .next("On that server: Stop-Service ADSync; Set-Service ADSync -StartupType Disabled. Find out who started it; then apply the migration again.")
}
