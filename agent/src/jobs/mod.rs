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

use syncferry_shared::Finding;
use syncferry_shared::spec::{JobSpec, Task};

use crate::runner::Job;

/// The job for a specification, or why this agent cannot do it.
pub fn build(spec: &JobSpec) -> Result<Job, Box<Finding>> {
    if spec.schema_version != 1 {
        return Err(Box::new(
            Finding::blocker(
                "job-too-new",
                "The job's specification is of a version that this agent does not know",
            )
            .saw("schema_version", spec.schema_version)
            .source("the agent's version")
            .next("Give agent and controller the same version, then apply the migration again."),
        ));
    }
    Ok(match &spec.task {
        Task::Backup(task) => backup::job(task),
        Task::Restore(task) => restore::job(task),
        Task::Install(task) => install::job(task),
        Task::VerifySource(task) => verify_source::job(task),
        Task::VerifyTarget(task) => verify_database::job(task),
        Task::VerifyServer(task) => verify_server::job(task),
        Task::VerifyOldServer(task) => verify_old_server::job(task),
        Task::FenceDatabase(_) | Task::RemoveMarks(_) | Task::ProbeIdentity(_) => return Err(Box::new(no_fence())),
    })
}

fn no_fence() -> Finding {
    Finding::blocker("job-not-known", "This agent writes no marks and fences nothing")
        .saw("capabilities", capabilities().join(", "))
        .source("the agent's version")
        .next("Give the agent the controller's version, then plan the run again.")
}

/// What this agent can do, as it says in hello.
pub fn capabilities() -> Vec<String> {
    ["job.backup.v1", "job.restore.v1", "job.install.v1", "job.verify.v1"]
        .map(str::to_string)
        .to_vec()
}
