//! A controller in this process, an operator, and agents that the tests play, over the real transport.

mod agent;
mod controller;
#[path = "../../../src/plan/tests/facts.rs"]
pub(crate) mod facts;
mod operator;
mod world;

use std::time::Duration;

pub(crate) use agent::{
    FakeAgent, Journal, Life, Offered, cancelled, dial, enrol, failed, gate, nothing_known, step, succeeded,
    succeeded_of, undone, unknown,
};
pub(crate) use controller::{Controller, config, patient};
pub(crate) use operator::{Operator, findings, rules};
pub(crate) use world::World;

/// Nothing here may hang for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until something holds.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "it did not come to be: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
