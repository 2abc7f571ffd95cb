//! The jobs: sequences of steps, one file per kind. What a step needs from outside comes through the context; what it needs
//! to know is in the specification.

mod backup;
mod by_dba;
mod close_tasks;
mod common;
mod compare_staging;
mod fence_database;
mod install;
mod list_exports;
mod look;
mod probe_identity;
mod read_adsync;
mod read_identity;
mod remove_marks;
mod restore;
mod review_exports;
mod staging_mode;
mod steps;
mod stop_server;
mod travelled;
mod uninstall;
mod verify_database;
mod verify_old_server;
mod verify_restored;
mod verify_server;
mod verify_source;
mod verify_stopped;
mod verify_unused;

#[cfg(test)]
mod tests;

use syncferry_shared::spec::{JobSpec, Task};
use syncferry_shared::{Finding, capability};

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
        Task::Restore(task) => travelled::cleared(restore::job(task), &task.instance, &task.temporary_name),
        Task::Install(task) => install::job(task),
        Task::VerifySource(task) => verify_source::job(task),
        Task::VerifyTarget(task) => verify_database::job(task),
        Task::VerifyServer(task) => verify_server::job(task),
        Task::VerifyOldServer(task) => verify_old_server::job(task),
        Task::FenceDatabase(task) => fence_database::job(task),
        Task::RemoveMarks(task) => remove_marks::job(task),
        Task::ProbeIdentity(task) => probe_identity::job(task),
        Task::TestRestore(task) => restore::test_job(task),
        Task::StopServer(task) => stop_server::job(task),
        Task::VerifyUnused(task) => verify_unused::job(task),
        Task::VerifyStopped(task) => verify_stopped::job(task),
        Task::ReadIdentity(task) => read_identity::job(task),
        Task::RemoveNonce(task) => probe_identity::removal(task),
        Task::VerifyRestored(task) => verify_restored::job(task),
        Task::Drill(task) => restore::drill_job(task),
        Task::ReadAdsync(task) => read_adsync::job(task),
        Task::CompareStaging(task) => compare_staging::job(task),
        Task::ListExports(task) => list_exports::job(task),
        Task::ReviewExports(task) => review_exports::job(task),
        Task::CloseTasks(task) => close_tasks::job(task),
        Task::StagingMode(task) => staging_mode::job(task),
        Task::Uninstall(task) => uninstall::job(task),
        Task::VerifyWayBack(task) => restore::way_back_job(task),
    })
}

/// What this agent can do, as it says in hello.
pub fn capabilities() -> Vec<String> {
    capability::ALL.map(str::to_string).to_vec()
}
