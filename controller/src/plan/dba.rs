//! `--dba`: which steps of a plan a DBA runs, because they need rights in SQL Server that agents do not get. At each of them the
//! job waits at a gate with the exact T-SQL, and the agent only looks.

use syncferry_shared::plan::{Plan, Scenario};

use super::PlanInput;

/// The steps of a job that are a DBA's.
pub(super) fn of_job(job: &str) -> &'static [&'static str] {
    match job {
        "backup" => &["BACKUP DATABASE … WITH COPY_ONLY, and VERIFYONLY"],
        "restore" => &[
            "VERIFYONLY, RESTORE DATABASE under the temporary name, DBCC CHECKDB",
            "owner, login, user and db_owner; the agent may read",
            "ALTER DATABASE … MODIFY NAME to the final name",
        ],
        "test-restore" | "drill-restore" => &[
            "VERIFYONLY, RESTORE DATABASE under the scratch name, DBCC CHECKDB",
            "the agent may read the copy",
            "DROP DATABASE of the scratch name",
        ],
        _ => &[],
    }
}

/// Each job that has such steps, and what they are.
pub(crate) fn steps_of(input: &PlanInput) -> Vec<(&'static str, String)> {
    let there_before = input.request.backup_file.is_some() || input.request.artifact.is_some();
    let jobs: &[&'static str] = match input.request.scenario {
        Scenario::RestoreFromBackup => &["restore"],
        Scenario::ReplaceServer => &["backup", "test-restore"],
        Scenario::Drill if there_before => &["drill-restore"],
        Scenario::Drill => &["backup", "drill-restore"],
        _ => &["backup", "restore"],
    };
    jobs.iter()
        .flat_map(|job| of_job(job).iter().map(|step| (*job, (*step).to_string())))
        .collect()
}

/// Says it in the plan, where people read what each job does.
pub(super) fn mark(input: &PlanInput, plan: &mut Plan) {
    if !input.request.dba {
        return;
    }
    for job in plan.stages.iter_mut().flat_map(|s| &mut s.jobs) {
        for step in of_job(&job.name) {
            job.steps
                .push(format!("GATE: a DBA runs {step}; the agent looks whether it was done"));
        }
    }
}
