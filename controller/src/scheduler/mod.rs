//! What may go on, now. One loop: wait for a wake or a tick, read the world again, take every step that can be taken, each in
//! a transaction of its own. Nothing is carried from one round to the next, so polling alone would do.

mod inspecting;
mod running;
mod unwinding;

use std::sync::Arc;
use std::time::Duration;

use syncferry_shared::state::MigrationState;
use syncferry_store::MigrationFilter;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::problem::Problem;
use crate::wake::Reason;

const TICK: Duration = Duration::from_secs(1);

/// Runs until it is told to stop.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ear = core.wake.listen();
    loop {
        if let Err(problem) = round(&core).await {
            // A store that is busy now is free at the next tick.
            tracing::warn!(%problem, "the scheduler's round failed; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ear.wait(TICK, |r| matches!(r, Reason::Work | Reason::Inspection)) => {}
        }
    }
}

/// One look at the world.
pub async fn round(core: &Core) -> Result<(), Problem> {
    let states = vec![
        MigrationState::Inspecting,
        MigrationState::Running,
        MigrationState::Unwinding,
    ];
    let mut tx = core.store.read("scheduler.look").await?;
    let migrations = tx
        .migrations(&MigrationFilter {
            states,
            ..MigrationFilter::default()
        })
        .await?;
    drop(tx);
    for m in migrations {
        match m.state {
            MigrationState::Inspecting => inspecting::advance(core, m.id).await?,
            MigrationState::Running => running::advance(core, m.id).await?,
            MigrationState::Unwinding => unwinding::advance(core, m.id).await?,
            _ => {}
        }
    }
    Ok(())
}
