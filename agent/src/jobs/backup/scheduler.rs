//! The synchronisation around a backup: the scheduler is held, a cycle that runs is waited for, and everything is put back.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::inventory::SessionFacts;

use super::Base;
use crate::jobs::common::{OURS, Server, minutes};
use crate::jobs::look::Look;
use crate::runner::{Cx, Probe, SYNC_CYCLE, Step, StepError};
use crate::sql::ops;

/// Who says that a cycle runs: Connect itself.
const CONNECT: &str = "Get-ADSyncScheduler";
/// Or its database.
const DATABASE: &str = "mms_run_history";

pub(super) struct HoldScheduler(pub(super) Base);

impl HoldScheduler {
    /// What the scheduler was before anybody of ours changed it. It is off because of us when an earlier attempt at the job,
    /// of which a lost journal knows nothing any more, turned it off: then what the plan saw counts.
    fn before_us(&self, cx: &Cx, now: bool) -> bool {
        let planned = self.0.task.scheduler_enabled.unwrap_or(now);
        if cx.token.attempt > 1 && !cx.knows_earlier_attempts() {
            planned
        } else {
            now
        }
    }
}

#[async_trait]
impl Step for HoldScheduler {
    fn name(&self) -> &'static str {
        "hold-scheduler"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        let Some(scheduler) = facts.scheduler else {
            return Err(Finding::blocker("scheduler-unseen", "The scheduler of the old server does not answer")
                .saw("Get-ADSyncScheduler", "no answer")
                .source(OURS)
                .next("Start the ADSync service on the old server, check that the agent's account is in ADSyncAdmins, and apply the migration again.")
                .into());
        };
        // What was before anybody of ours changed it: after a crash it may be off because of us.
        let was = self.before_us(cx, scheduler.sync_cycle_enabled);
        let was = cx.hold(SYNC_CYCLE, json!(was)).await?;
        if scheduler.sync_cycle_enabled {
            cx.env.host.set_sync_cycle(false).await?;
        }
        cx.saw("SyncCycleEnabled before", &was);
        Ok(json!({"was": was}))
    }
    async fn confirm(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let on = cx
            .env
            .host
            .connect_facts()
            .await?
            .scheduler
            .is_some_and(|s| s.sync_cycle_enabled);
        if !on {
            return Ok(());
        }
        Err(
            Finding::blocker("scheduler-not-held", "The scheduler is still on after it was held")
                .saw("SyncCycleEnabled", "True")
                .source(OURS)
                .next("Somebody or something turns it on again. Find out who, then apply the migration again.")
                .into(),
        )
    }
}

pub(super) struct WaitUntilIdle(pub(super) Base);

#[async_trait]
impl Look for WaitUntilIdle {
    const NAME: &'static str = "wait-until-idle";

    fn budget(&self) -> Duration {
        // Whoever waits says what for, before the time is up for the step itself.
        Duration::from_secs(self.0.task.idle_timeout_s) + minutes(5)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let begun = tokio::time::Instant::now();
        loop {
            let running = self.cycle_runs(cx).await?;
            let waited = begun.elapsed().as_secs();
            match running {
                None => {
                    cx.saw("synchronisation cycle", format!("none runs, after {waited} s"));
                    return Ok(json!({"waited_s": waited}));
                }
                Some(what) if waited >= self.0.task.idle_timeout_s => return Err(does_not_end(what, waited).into()),
                Some(what) => cx.progress(syncferry_shared::progress::Progress {
                    message: format!("waiting until the cycle ends ({what}), {waited} s"),
                    ..Default::default()
                }),
            }
            cx.sleep(cx.env.pace.look_again).await?;
        }
    }
}

impl WaitUntilIdle {
    /// What says that a cycle runs, if one does. Where Connect is on this host, its own word counts; a run that the database
    /// calls open may be one that was interrupted long ago.
    async fn cycle_runs(&self, cx: &mut Cx) -> Result<Option<&'static str>, StepError> {
        if self.0.task.hold_scheduler {
            let scheduler = cx.env.host.connect_facts().await?.scheduler;
            return Ok(scheduler.is_some_and(|s| s.cycle_in_progress).then_some(CONNECT));
        }
        let mut server = self.0.server(cx).await?;
        let facts = crate::adsync::inspect(&mut server.work, self.0.database()).await?;
        let open = facts.and_then(|f| f.run_in_progress).unwrap_or(false);
        let nobody = open && self.nobody_is_there(cx, &mut server).await?;
        server.close().await;
        if nobody {
            cx.findings.push(cut_off());
            return Ok(None);
        }
        Ok(open.then_some(DATABASE))
    }

    /// Whether no synchronisation service is on the database, where that can be seen: then nobody is in a cycle, and one that the
    /// database calls open died with its server.
    async fn nobody_is_there(&self, cx: &Cx, server: &mut Server) -> Result<bool, StepError> {
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        if !facts.can_view_state && !facts.is_sysadmin {
            return Ok(false);
        }
        let sessions = ops::sessions(&mut server.work, self.0.database()).await?;
        Ok(!sessions.iter().any(SessionFacts::is_sync_service))
    }
}

/// What helps depends on who says that a cycle runs: the database also calls one open that was cut off while its server went on.
fn does_not_end(what: &str, waited: u64) -> Finding {
    let finding = Finding::blocker("cycle-does-not-end", "A synchronisation cycle did not end in time")
        .saw("waited", format!("{waited} s"))
        .source(OURS);
    if what == CONNECT {
        return finding.saw(CONNECT, "SyncCycleInProgress is True").next(
            "Look at the old server's Synchronization Service Manager. Stop-ADSyncSyncCycle ends a cycle; then apply the migration again.",
        );
    }
    finding
        .saw(DATABASE, "a run that is not complete")
        .saw("sessions of synchronisation services", "at least one")
        .next(
            "On the old server, Get-ADSyncConnectorRunStatus says whether a connector runs. If one does, wait, or end it with \
             Stop-ADSyncSyncCycle. If none does, that run was cut off and nobody will ever end it: stop the service there \
             (Stop-Service ADSync; nothing synchronises from then on), so that it has no session any more. Then apply the migration again.",
        )
}

/// A run that nobody will ever end.
fn cut_off() -> Finding {
    Finding::note("run-was-cut-off", "The last run of a connector did not come to its end")
        .saw("mms_run_history", "a run that is not complete")
        .saw("sessions of synchronisation services", "none")
        .source(OURS)
        .next("Nothing: its server died in the middle of a cycle. The next server begins that run anew.")
}

pub(super) struct ReleaseScheduler;

#[async_trait]
impl Step for ReleaseScheduler {
    fn name(&self) -> &'static str {
        "release-scheduler"
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        cx.release(SYNC_CYCLE).await?;
        Ok(json!({}))
    }
    async fn confirm(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let now = cx
            .env
            .host
            .connect_facts()
            .await?
            .scheduler
            .map(|s| s.sync_cycle_enabled);
        cx.saw(
            "SyncCycleEnabled now",
            now.map_or("unknown".to_string(), |n| n.to_string()),
        );
        Ok(())
    }
}
