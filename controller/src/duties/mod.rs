//! Background duties, one file each. Each waits for a tick, reads the world again and does something idempotent. Of several
//! controllers on one store, one does them: `term.rs`.

mod alarms;
mod expire_leases;
mod recovery;
mod silent_agents;
mod term;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::problem::Problem;

/// Runs every duty until told to stop.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // After a start, agents get time to come back before anybody is called silent or lost.
    let mut grace = core.config.agents.silent_after_s;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        if grace > 0 {
            grace -= 1;
            continue;
        }
        if look(&core).await.is_err() {
            // While the store was away nobody could be heard of: that is nobody's silence.
            grace = core.config.agents.silent_after_s;
        }
    }
    term::resign(&core).await;
}

/// The store cannot be used now.
struct Away;

async fn look(core: &Core) -> Result<(), Away> {
    let right = match term::right(core).await {
        Ok(Some(right)) => right,
        Ok(None) => return Ok(()),
        Err(problem) => return tell(problem, "the term could not be looked at; trying again"),
    };
    if let Err(problem) = expire_leases::look(core, &right).await {
        tell(problem, "leases could not be looked at; trying again")?;
    }
    if let Err(problem) = alarms::look(core, &right).await {
        tell(problem, "alarms could not be looked at; trying again")?;
    }
    if let Err(problem) = recovery::look(core, &right).await {
        tell(problem, "the recovery could not be looked at; trying again")?;
    }
    if let Err(problem) = silent_agents::look(core, &right).await {
        tell(problem, "agents could not be looked at; trying again")?;
    }
    Ok(())
}

fn tell(problem: Problem, what: &str) -> Result<(), Away> {
    tracing::warn!(%problem, "{what}");
    // Where the writer cannot be had in time, agents were not heard either.
    match problem.is_unavailable() || problem.is_busy() {
        true => Err(Away),
        false => Ok(()),
    }
}
