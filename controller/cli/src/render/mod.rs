//! Text for people: pure functions from messages to strings, one file per noun. Nothing here writes or asks.

mod alarm;
mod database;
mod event;
mod failure;
mod finding;
mod gate;
mod host;
mod lease;
mod look;
mod migration;
mod plan;
mod progress;
mod report;
mod site;
mod system;
mod table;
mod text;

pub use alarm::{alarm, alarm_line, alarms};
pub use database::{database, databases};
pub use event::{event_line, events};
pub use failure::error;
pub use finding::{finding, findings};
pub use gate::{cards, claimed, gate, gate_opened, gates};
pub use host::{host, hosts, token};
pub use lease::{lease, lease_did, lease_history, lease_would, leases};
pub use look::{Look, Tone, tone_of};
pub(crate) use migration::failed_findings;
pub use migration::{migrations, resting, status};
pub use plan::{apply_command, plan, plan_body, retry};
pub(crate) use progress::percent;
pub use progress::{job_line, job_message};
pub use report::{report, verified};
pub use site::{site, sites};
pub use system::health;
pub use table::Table;
pub use text::{ago, at, bytes, clean, moment, rate, short, span, wrap};
