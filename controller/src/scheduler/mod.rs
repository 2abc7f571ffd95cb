//! What may go on, now. One loop: wait for a wake or a tick, read the world again, take every step that can be taken, each in
//! a transaction of its own. Nothing is carried from one round to the next, so polling alone would do.

mod handing_over;
mod in_place;
mod inspecting;
mod running;
mod unwinding;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use syncferry_shared::MigrationId;
use syncferry_shared::state::MigrationState;
use syncferry_store::MigrationFilter;
use tokio_util::sync::CancellationToken;

pub(crate) use inspecting::inventory_of;
pub(crate) use running::{make_ready, obstacles};

use crate::core::Core;
use crate::problem::Problem;
use crate::wake::Reason;

const TICK: Duration = Duration::from_secs(1);

/// What stands in the way of a migration, as it was logged last. Nothing is decided by it: it only keeps the log from saying
/// the same every second.
type Said = BTreeMap<MigrationId, Vec<String>>;

/// Runs until it is told to stop.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut ear = core.wake.listen();
    let mut said = Said::new();
    loop {
        match round(&core).await {
            Ok(now) => {
                tell(&said, &now);
                said = now;
            }
            // A store that is busy now is free at the next tick.
            Err(problem) => tracing::warn!(%problem, "the scheduler's round failed; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ear.wait(TICK, |r| matches!(r, Reason::Work | Reason::Inspection)) => {}
        }
    }
}

fn tell(before: &Said, now: &Said) {
    for (migration, obstacles) in now {
        let known = before.get(migration);
        for obstacle in obstacles.iter().filter(|o| !known.is_some_and(|k| k.contains(o))) {
            tracing::warn!(migration = %migration.short(), "{obstacle}");
        }
    }
}

/// One look at the world. A migration that cannot go on holds up no other one, whatever the reason; what stands in its way
/// is returned.
async fn round(core: &Arc<Core>) -> Result<Said, Problem> {
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
    let mut said = Said::new();
    for m in migrations {
        // A task of its own: a panic over what one host said must not end the scheduler.
        let step = tokio::spawn(advance(core.clone(), m.id, m.state));
        let obstacles = match step.await {
            Ok(Ok(obstacles)) => obstacles,
            Ok(Err(problem)) => vec![format!("it cannot go on: {problem}")],
            Err(panic) => vec![format!(
                "it cannot go on, which is a mistake in the controller: {panic}"
            )],
        };
        if !obstacles.is_empty() {
            said.insert(m.id, obstacles);
        }
    }
    Ok(said)
}

async fn advance(core: Arc<Core>, id: MigrationId, state: MigrationState) -> Result<Vec<String>, Problem> {
    match state {
        MigrationState::Inspecting => inspecting::advance(&core, id).await?,
        MigrationState::Running => return running::advance(&core, id).await,
        MigrationState::Unwinding => unwinding::advance(&core, id).await?,
        _ => {}
    }
    Ok(vec![])
}
