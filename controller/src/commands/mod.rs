//! What operators can command: one file per verb. Each authorises, decides, makes ONE change of the store and wakes.

mod acceptance;
pub mod add_database;
pub mod add_host;
pub mod add_site;
pub mod apply;
pub mod cancel;
pub mod complete_gate;
mod concerned;
pub mod create_plan;
mod identify;
pub mod lease;
pub mod lease_run;
mod prove;
mod stray;

pub use prove::prove;
