//! Background duties, one file each. Each waits for a tick, reads the world again and does something idempotent.

mod alarms;
mod expire_leases;
mod silent_agents;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::Core;

/// Runs every duty until told to stop.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // After a start, agents get time to come back before anybody is called silent or lost.
    let mut grace = core.config.agents.silent_after_s;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if grace > 0 {
            grace -= 1;
            continue;
        }
        if let Err(problem) = expire_leases::look(&core).await {
            tracing::warn!(%problem, "leases could not be looked at; trying again");
        }
        if let Err(problem) = alarms::look(&core).await {
            tracing::warn!(%problem, "alarms could not be looked at; trying again");
        }
        if let Err(problem) = silent_agents::look(&core).await {
            tracing::warn!(%problem, "agents could not be looked at; trying again");
        }
    }
}
