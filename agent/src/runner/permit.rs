//! Permits: the controller's word, right before a destructive step, that the attempt and its lease are still what they were.
//! A permit is valid on the monotonic clock from *before* it was asked for, and worthless when the machine slept meanwhile.
//! It is for *beginning*: a step that takes longer than its permit lives on the lease, which is renewed meanwhile.

use std::time::Duration;

use syncferry_proto::{duration, millis_of_duration, v1};
use syncferry_shared::Finding;
use syncferry_shared::progress::Progress;
use tokio::time::Instant;

use super::Cx;
use super::step::StepError;
use crate::clocks::{Clocks, Stamp};

/// A permit for one destructive step.
#[derive(Debug, Clone, Copy)]
pub struct Permit {
    asked: Stamp,
    deadline: Instant,
}

impl Permit {
    /// Until when the step may begin.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it still holds: not over, and the machine was neither paused nor reverted since it was asked for.
    pub fn holds(&self, clocks: &dyn Clocks) -> bool {
        clocks.monotonic() < self.deadline && !clocks.jumped_since(self.asked)
    }
}

/// Gets a permit. Waits while the controller is silent; gives up when it refuses several times.
pub(super) async fn obtain(cx: &Cx, step: &str, budget: Duration) -> Result<Permit, StepError> {
    let mut refused = 0;
    let mut silent = 0;
    let budget = budget.min(cx.env.pace.permit);
    loop {
        wait_until_not_paused(cx).await?;
        let asked = cx.env.clocks.stamp();
        let request = v1::AuthorizeRequest {
            token: Some((&cx.token).into()),
            step: step.to_string(),
            budget: Some(duration(i64::try_from(budget.as_millis()).unwrap_or(i64::MAX))),
        };
        let lease = &cx.spec.lease.resource;
        let over = cx.env.leases.is_over(lease, cx.token.epoch, asked.monotonic);
        let answer = tokio::select! {
            biased;
            () = cx.controls.abandon.cancelled() => return Err(StepError::Lost),
            () = cx.controls.cancel.cancelled() => return Err(StepError::Cancelled),
            () = std::future::ready(()), if over => Ok(v1::AuthorizeResponse {
                reason: format!("{lease} was not renewed in time"),
                ..Default::default()
            }),
            answer = cx.env.controller.authorize(request) => answer,
        };
        let reason = match answer {
            Ok(r) if r.permitted => {
                let ms = r.valid_for.as_ref().map_or(0, millis_of_duration);
                let deadline = asked.monotonic + Duration::from_millis(u64::try_from(ms).unwrap_or(0));
                return Ok(Permit { asked, deadline });
            }
            Ok(r) => r.reason,
            Err(e) if e.is_passing() => {
                silent += 1;
                cx.progress(Progress {
                    message: "waiting for the controller's permit".into(),
                    ..Progress::default()
                });
                cx.sleep(cx.env.pace.pause(silent)).await?;
                continue;
            }
            Err(e) => e.to_string(),
        };
        refused += 1;
        if refused > cx.env.pace.retries {
            return Err(refusal(step, &reason));
        }
        cx.log(format!("the permit for '{step}' was refused ({reason}); asking again"));
        cx.sleep(cx.env.pace.pause(refused)).await?;
    }
}

async fn wait_until_not_paused(cx: &Cx) -> Result<(), StepError> {
    let mut paused = cx.controls.paused.clone();
    if !*paused.borrow_and_update() {
        return Ok(());
    }
    cx.log("the controller is silent: stopping at this safe point until it answers");
    cx.progress(Progress {
        message: "paused: the controller is silent".into(),
        ..Progress::default()
    });
    tokio::select! {
        biased;
        () = cx.controls.abandon.cancelled() => Err(StepError::Lost),
        () = cx.controls.cancel.cancelled() => Err(StepError::Cancelled),
        // An error means that the session is gone, and with it the process.
        changed = paused.wait_for(|p| !p) => changed.map(|_| ()).map_err(|_| StepError::Lost),
    }
}

fn refusal(step: &str, reason: &str) -> StepError {
    StepError::failed(
        Finding::blocker("permit-refused", format!("the controller does not permit '{step}' now"))
            .saw("Authorize", reason)
            .source("the lease of the database")
            .next("Look at the lease ('syncferry lease show') and at the migration's state, then retry it."),
    )
}

/// Permits came, and each was over before the step could begin.
pub(super) fn never_in_time(step: &str) -> StepError {
    StepError::failed(
        Finding::blocker(
            "permit-too-short",
            format!("every permit for '{step}' was over before the step could begin"),
        )
        .source("the lease of the database")
        .next("Look at the disk of the agent's data directory, at the host's clock and at the lease's duration, then apply the migration again."),
    )
}
