//! What every job of an agent can use: the machine, the controller, the clocks and the agent's own folders.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use syncferry_shared::Finding;
use syncferry_shared::fence::LOOKS_APART_MS;
use syncferry_shared::spec::JobSpec;

use super::lease_book::LeaseBook;
use super::step::Job;
use crate::clocks::Clocks;
use crate::controller::Controller;
use crate::host::Host;
use crate::instances::Instances;
use crate::transfer::{Artifacts, DialAs};

/// What every job can use.
pub struct Env {
    /// The machine.
    pub host: Arc<dyn Host>,
    /// The controller.
    pub controller: Arc<dyn Controller>,
    /// Time.
    pub clocks: Arc<dyn Clocks>,
    /// The agent's own folder.
    pub data_dir: PathBuf,
    /// The folder for backup files, as SQL Server names it.
    pub staging_dir: String,
    /// The SQL Server instances of the configuration.
    pub sql: Instances,
    /// The artifacts that this host has.
    pub artifacts: Artifacts,
    /// As whom artifacts are fetched; `None` in an agent that is not enrolled.
    pub dial_as: Option<DialAs>,
    /// The leases that this agent renews.
    pub leases: LeaseBook,
    /// How patient the runner is.
    pub pace: Pace,
}

/// How patient the runner is. The lab scales it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often it looks again at what is under way.
    pub look_again: Duration,
    /// The first pause before something is tried again; it doubles.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_most: Duration,
    /// How often a passing failure of a step, or a refused permit, is tried again.
    pub retries: u32,
    /// How much time a lease must have left when a destructive step begins: what a permit is asked for. The step may take
    /// longer than that, because the lease is renewed meanwhile.
    pub permit: Duration,
    /// How long a look at an open attempt may take after a restart.
    pub look_limit: Duration,
    /// How far apart the two looks at the sessions are that prove a fence.
    pub looks_apart: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look_again: Duration::from_secs(2),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(30),
            retries: 4,
            permit: Duration::from_secs(45),
            look_limit: Duration::from_secs(20),
            looks_apart: Duration::from_millis(LOOKS_APART_MS.unsigned_abs()),
        }
    }
}

impl Pace {
    /// The pause before try number `n`, from 1.
    pub(crate) fn pause(&self, n: u32) -> Duration {
        let factor = 2_u32.saturating_pow(n.saturating_sub(1).min(16));
        self.retry_first.saturating_mul(factor).min(self.retry_most)
    }
}

/// Makes jobs from specifications. The agent's own is `jobs::build`.
pub trait Builder: Send + Sync + 'static {
    /// The job, or why this agent cannot do it.
    fn build(&self, spec: &JobSpec) -> Result<Job, Box<Finding>>;
}

impl<F: Fn(&JobSpec) -> Result<Job, Box<Finding>> + Send + Sync + 'static> Builder for F {
    fn build(&self, spec: &JobSpec) -> Result<Job, Box<Finding>> {
        self(spec)
    }
}
