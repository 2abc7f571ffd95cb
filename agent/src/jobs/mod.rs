//! The jobs: sequences of steps, one file per kind. What a step needs from outside comes through the context; what it needs
//! to know is in the specification.

mod backup;
mod common;
mod install;
mod restore;
mod steps;
mod verify_database;
mod verify_old_server;
mod verify_server;
mod verify_source;

use std::collections::BTreeMap;
use std::sync::Arc;

use syncferry_shared::Finding;
use syncferry_shared::spec::{JobSpec, Task};

use crate::runner::{Builder, Job};
use crate::sql::SqlInstance;
use crate::transfer::{Fetcher, Shelf};

/// What jobs use besides the context: instances, and both ends of a transfer.
pub struct Tools {
    /// Instances by the names that the configuration gives them.
    pub instances: BTreeMap<String, SqlInstance>,
    /// Artifacts that this agent hands out.
    pub shelf: Arc<Shelf>,
    /// Fetches artifacts from other agents.
    pub fetcher: Arc<Fetcher>,
}

/// Builds jobs from specifications.
pub struct Jobs(pub Arc<Tools>);

impl Builder for Jobs {
    fn build(&self, spec: &JobSpec) -> Result<Job, Box<Finding>> {
        if spec.schema_version != 1 {
            return Err(Box::new(
                Finding::blocker("job-too-new", "The job's specification is of a version that this agent does not know")
                    .saw("schema_version", spec.schema_version)
                    .source("Syncferry")
                    .next("Update the agent to the controller's version."),
            ));
        }
        let tools = self.0.clone();
        Ok(match &spec.task {
            Task::Backup(task) => backup::job(tools, task),
            Task::Restore(task) => restore::job(tools, task),
            Task::Install(task) => install::job(task),
            Task::VerifySource(task) => verify_source::job(tools, task),
            Task::VerifyTarget(task) => verify_database::job(tools, task),
            Task::VerifyServer(task) => verify_server::job(task),
            Task::VerifyOldServer(task) => verify_old_server::job(tools, task),
        })
    }
}
