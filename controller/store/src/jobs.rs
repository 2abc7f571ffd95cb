//! Jobs: what one agent does in a migration.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::lease::Resource;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::JobState;
use syncferry_shared::{HostId, JobId, MigrationId, Millis};

use crate::error::Result;

/// A job to be added. Its state is waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its stage in the plan, from 0.
    pub stage: i32,
    /// Its place in the stage, from 0.
    pub ordinal: i32,
    /// Its name within the plan; unique there.
    pub name: String,
    /// Its kind.
    pub kind: JobKind,
    /// The host that does it.
    pub host: HostId,
    /// The lease under which it works.
    pub resource: Resource,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its migration.
    pub migration: MigrationId,
    /// Its stage in the plan.
    pub stage: i32,
    /// Its place in the stage.
    pub ordinal: i32,
    /// Its name within the plan.
    pub name: String,
    /// Its kind.
    pub kind: JobKind,
    /// The host that does it.
    pub host: HostId,
    /// The lease under which it works.
    pub resource: Resource,
    /// Where it stands.
    pub state: JobState,
    /// The specification, as it travels.
    pub spec: Option<Vec<u8>>,
    /// The digest of those bytes.
    pub digest: Option<String>,
    /// How it ended well: a `shared::outcome::Outcome`.
    pub outcome: Option<Value>,
    /// How it ended badly: a `shared::outcome::Failure`.
    pub failure: Option<Value>,
    /// How far it is: a `shared::progress::Progress`.
    pub progress: Option<Value>,
    /// When it was added.
    pub created_at: Millis,
    /// When it last changed, progress included.
    pub updated_at: Millis,
}

/// Which jobs. Everything that is `None` or empty does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobFilter {
    /// Of this migration.
    pub migration: Option<MigrationId>,
    /// On this host.
    pub host: Option<HostId>,
    /// In one of these states.
    pub states: Vec<JobState>,
}

/// Jobs.
#[async_trait]
pub trait Jobs {
    /// Adds all jobs of a migration.
    async fn add_jobs(&mut self, migration: MigrationId, new: &[NewJob]) -> Result<()>;
    /// Reads one.
    async fn job(&mut self, id: JobId) -> Result<Option<Job>>;
    /// Those of a filter: by migration, stage and place.
    async fn jobs(&mut self, filter: &JobFilter) -> Result<Vec<Job>>;
    /// Those that a host's agent may be offered: ready or undo-ready.
    async fn ready_jobs(&mut self, host: HostId) -> Result<Vec<Job>>;
    /// Gives it its specification, before it is offered (waiting, ready, failed or undo-ready); returns the digest.
    async fn set_job_spec(&mut self, id: JobId, spec: &[u8]) -> Result<String>;
    /// Moves it, if it is still in `from` and the table has the transition.
    async fn transition_job(&mut self, id: JobId, from: JobState, to: JobState) -> Result<()>;
    /// Keeps how it ended well, and forgets how it ended badly before.
    async fn set_job_outcome(&mut self, id: JobId, outcome: &Value) -> Result<()>;
    /// Keeps how it ended badly.
    async fn set_job_failure(&mut self, id: JobId, failure: &Value) -> Result<()>;
    /// Keeps how far it is; `None` forgets it.
    async fn set_job_progress(&mut self, id: JobId, progress: Option<&Value>) -> Result<()>;
}
