//! What an agent can do, in the words of its hello: `job.<what>.v<n>`. An agent of the release before lacks what is new in this one;
//! a plan that needs it is refused before anything is touched.

use crate::spec::{JobKind, Task};

/// Everything that an agent of this release can do.
pub const ALL: [&str; 16] = [
    "job.backup.v1",
    "job.restore.v1",
    "job.install.v1",
    "job.verify.v1",
    "job.fence.v1",
    "job.test-restore.v1",
    "job.stop.v1",
    "job.prove-identity.v1",
    "job.drill.v1",
    "job.staging-mode.v1",
    "job.compare.v1",
    "job.decommission.v1",
    "job.in-place.v1",
    "job.list-exports.v1",
    BY_DBA,
    "watch.v1",
];

/// Steps that a DBA runs. An agent that does not know them would run them itself.
pub const BY_DBA: &str = "job.by-dba.v1";

/// What a task asks of its agent.
pub fn of_task(task: &Task) -> &'static str {
    match task {
        Task::TestRestore(_) => "job.test-restore.v1",
        Task::Drill(_) => "job.drill.v1",
        Task::ProbeIdentity(_) | Task::ReadIdentity(_) | Task::RemoveNonce(_) => "job.prove-identity.v1",
        Task::ReadAdsync(_) | Task::CompareStaging(_) => "job.compare.v1",
        Task::ListExports(_) => "job.list-exports.v1",
        Task::ReviewExports(_) | Task::CloseTasks(_) | Task::StagingMode(_) => "job.staging-mode.v1",
        Task::Uninstall(_) => "job.decommission.v1",
        Task::VerifyWayBack(_) => "job.in-place.v1",
        other => of_kind(other.kind()),
    }
}

/// What any task of a kind asks of its agent.
fn of_kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "job.backup.v1",
        JobKind::Restore => "job.restore.v1",
        JobKind::Install => "job.install.v1",
        JobKind::Verify => "job.verify.v1",
        JobKind::Fence => "job.fence.v1",
        JobKind::Stop => "job.stop.v1",
    }
}

/// What a job of a plan asks of its agent. The specification is made later, when the job is ready; the names are those of
/// the plan.
pub fn of_job(name: &str, kind: JobKind) -> &'static str {
    match name {
        "test-restore" => "job.test-restore.v1",
        "drill-restore" => "job.drill.v1",
        "look-at-active" | "compare-with-active" | "document-configuration" => "job.compare.v1",
        "list-exports" => "job.list-exports.v1",
        "review-exports"
        | "close-sign-in-tasks"
        | "document-installation"
        | "old-into-staging"
        | "verify-old-in-staging"
        | "verify-not-active"
        | "new-out-of-staging"
        | "verify-active" => "job.staging-mode.v1",
        "uninstall" => "job.decommission.v1",
        "verify-way-back" => "job.in-place.v1",
        _ => of_kind(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_can_do_what_plans_ask_of_it() {
        let kinds = [
            JobKind::Backup,
            JobKind::Restore,
            JobKind::Install,
            JobKind::Verify,
            JobKind::Fence,
            JobKind::Stop,
        ];
        for name in [
            "backup",
            "test-restore",
            "drill-restore",
            "look-at-active",
            "list-exports",
            "review-exports",
            "uninstall",
        ] {
            for kind in kinds {
                let need = of_job(name, kind);
                assert!(ALL.contains(&need), "{need}");
            }
        }
    }
}
