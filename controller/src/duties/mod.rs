//! Background duties, one file each. Each waits for a tick, reads the world again and does something idempotent. Of several
//! controllers on one store, one does them: `term.rs`.

mod alarms;
mod expire_leases;
mod recovery;
mod silent_agents;
mod term;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::problem::Problem;
use crate::wake::Reason;

const TICK: Duration = Duration::from_secs(1);

/// Runs every duty until told to stop.
///
/// After a start, and after the store was away, agents get time to come back before anybody is called silent or lost: while the
/// store cannot be used nobody can be heard, and that is nobody's silence. Duties alone would not always notice: it may be that
/// what they ask for is answered and what agents ask for is not.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ear = core.wake.listen();
    let grace = Duration::from_secs(core.config.agents.silent_after_s);
    let mut ends = Instant::now() + grace;
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => break,
            heard = ear.wait(TICK, |r| r == Reason::Unheard) => heard,
        };
        let away = match heard {
            Some(_) => true,
            None if Instant::now() < ends => probe(&core).await.is_err(),
            None => look(&core).await.is_err(),
        };
        if away {
            ends = Instant::now() + grace;
        }
    }
    term::resign(&core).await;
}

/// Whether the store takes writes.
async fn probe(core: &Core) -> Result<(), Away> {
    match core.store.begin("duty.probe").await.map_err(Problem::from) {
        Ok(_) => Ok(()),
        Err(problem) => tell(problem, "the store could not be looked at; trying again"),
    }
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
