//! The jobs: what each kind of task is, as a sequence of steps.

use syncferry_shared::Finding;
use syncferry_shared::spec::JobSpec;

use crate::runner::Job;

/// The job for a specification, or why this agent cannot do it.
pub fn build(spec: &JobSpec) -> Result<Job, Box<Finding>> {
    Err(Box::new(
        Finding::blocker(
            "job-unknown",
            format!("this agent cannot do a '{}' job", spec.task.kind().as_str()),
        )
        .source("the agent's version")
        .next("Give agent and controller the same version, then retry the migration."),
    ))
}

/// What this agent can do, as it says in hello.
pub fn capabilities() -> Vec<String> {
    Vec::new()
}
