//! The controller's process: the product's own, on the store and the port of the simulation.

use std::sync::Arc;

use syncferry_controller::app::{Ground, run_on};
use syncferry_proto::transport::private_file;
use tokio_util::sync::CancellationToken;

use crate::network::Port;
use crate::world::World;

/// Runs until it is killed.
pub(crate) async fn run(world: Arc<World>) -> turmoil::Result {
    world.say("controller starts");
    let config = world.config.clone();
    if !config.data_dir.exists() {
        private_file::create_directory(&config.data_dir)?;
    }
    let (port, bound) = Port::bind().await?;
    let ground = Ground {
        config,
        clock: world.store_clock.clone(),
        store: world.store.clone(),
        bound,
    };
    let ended = run_on(ground, port, CancellationToken::new()).await;
    // A store that is away at the start ends it; its service manager starts it again.
    let why = ended.map_or_else(|e| format!("{e:#}"), |()| "it was told to".into());
    world.say(format!("controller ended: {why}"));
    Ok(())
}
