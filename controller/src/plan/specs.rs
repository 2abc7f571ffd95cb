//! From a planned job, the plan's values and what earlier jobs brought about, to the specification that travels to an
//! agent. Pure; made when the job becomes ready, because only then its inputs are known.

use std::collections::BTreeMap;

use syncferry_shared::AgentId;
use syncferry_shared::inventory::{AdsyncFacts, SessionFacts};
use syncferry_shared::lease::LeaseRef;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::plan::{InPlace, KnownBackup, LeaseRun, Plan, PlanRequest, PlanValues, PlannedJob, Scenario};
use syncferry_shared::spec::{
    BackupTask, CloseTasksTask, CompareStagingTask, DatabaseIdentity, DrillTask, InstallTask, JobSpec, ListExportsTask,
    ReadAdsyncTask, RestoreTask, ReviewExportsTask, StagingModeTask, StaysBehind, StopServerTask, Task,
    TestRestoreTask, UninstallTask, VerifyOldServerTask, VerifyRestoredTask, VerifyServerTask, VerifySourceTask,
    VerifyStoppedTask, VerifyTargetTask, VerifyUnusedTask,
};

use super::cards;
use super::rules::FRESH_DAYS;

/// Why a specification cannot be made. It is a mistake in the order of jobs, never an operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The plan has blockers.
    #[error("the plan has no values: it is blocked")]
    NoValues,
    /// A job before it did not leave what this one needs.
    #[error("job {job} needs {what}, which no job before it brought about")]
    Missing {
        /// The job.
        job: String,
        /// What it needs.
        what: &'static str,
    },
    /// The plan names a job that nobody knows.
    #[error("no specification is known for job {0}")]
    UnknownJob(String),
}

/// What is known when a job becomes ready.
pub struct Known<'a> {
    /// Outcomes of earlier jobs by their names.
    pub outcomes: &'a BTreeMap<String, Outcome>,
    /// The lease's epoch now.
    pub lease: LeaseRef,
    /// The agent on the source host.
    pub source_agent: Option<AgentId>,
    /// Where it hands artifacts over.
    pub source_address: Option<String>,
}

/// Makes the specification of one job.
pub fn spec(plan: &Plan, job: &PlannedJob, known: &Known<'_>) -> Result<JobSpec, SpecError> {
    let (Some(v), Some(request)) = (plan.values.as_ref(), plan.request.as_ref()) else {
        return Err(SpecError::NoValues);
    };
    let task = match job.name.as_str() {
        "verify-source" => Task::VerifySource(VerifySourceTask {
            database: v.source.clone(),
            connect_version: v.connect_version,
            holder_name: v.source_holder_name.clone(),
        }),
        "backup" => Task::Backup(BackupTask {
            database: v.source.clone(),
            artifact: v.artifact,
            compression: v.compression,
            hold_scheduler: v.connect_on_source,
            scheduler_enabled: v.source_scheduler,
            idle_timeout_s: 3600,
            expected_bytes: v.expected_bytes,
            dba: request.dba,
        }),
        "restore" => Task::Restore(Box::new(restore(request, v, job, known)?)),
        "install" => Task::Install(InstallTask {
            installer: request.installer.clone(),
            installer_hash: v.installer_hash.clone(),
            product_code: v.product_code.clone(),
            version: v.expect.version,
            expect: v.expect.clone(),
            cards: cards::wizard(&with_forests(v, known)),
        }),
        "verify-server" => Task::VerifyServer(VerifyServerTask {
            expect: v.expect.clone(),
            connectors: counts(job, known)?.connectors,
        }),
        "verify-database" => Task::VerifyTarget(VerifyTargetTask {
            // A server that is replaced leaves its database where it is.
            database: match request.scenario {
                Scenario::ReplaceServer => v.source.clone(),
                _ => restored(v, job, known)?,
            },
            server_name: v.connect_name.clone(),
            service_account: v.expect.service_account.clone(),
            counts: counts(job, known)?,
            version_changed: v.connect_version != Some(v.expect.version),
            before: before_the_install(known).map(Box::new),
        }),
        "verify-old-server" => Task::VerifyOldServer(VerifyOldServerTask {
            database: v.source.clone(),
            connect_here: v.connect_on_source,
            staging_mode: v.source_staging,
            scheduler_enabled: v.source_scheduler,
            delete_artifact: (!request.keep_backup).then(|| manifest_path(known)).flatten(),
        }),
        "test-restore" => Task::TestRestore(Box::new(test_restore(request, v, job, known)?)),
        "stop-old-server" => Task::StopServer(StopServerTask {
            database: v.source.address.database.clone(),
            idle_timeout_s: 3600,
            before: v.old_service.clone(),
            sql_is_gone: request.scenario == Scenario::RestoreFromBackup,
            then_uninstalled: request.in_place,
        }),
        "verify-unused" => Task::VerifyUnused(VerifyUnusedTask {
            database: v.source.clone(),
        }),
        "verify-old-server-out" => Task::VerifyStopped(VerifyStoppedTask {
            server: v.source_holder_name.clone().unwrap_or_else(|| job.host_name.clone()),
        }),
        "verify-restored" => Task::VerifyRestored(VerifyRestoredTask {
            database: restored(v, job, known)?,
            version: v.expect.version,
            fresh_days: FRESH_DAYS,
        }),
        "drill-restore" => Task::Drill(Box::new(drill(request, v, plan, job, known)?)),
        "look-at-active" => Task::ReadAdsync(ReadAdsyncTask {
            database: v.source.clone(),
        }),
        "compare-with-active" => Task::CompareStaging(Box::new(CompareStagingTask {
            database: restored(v, job, known)?,
            active: active(known).ok_or_else(|| missing(job, "what the active server's database says"))?,
        })),
        "list-exports" => Task::ListExports(ListExportsTask {
            server: v.connect_name.clone(),
        }),
        "review-exports" => Task::ReviewExports(Box::new(ReviewExportsTask {
            database: staging(v, plan),
            server: v.connect_name.clone(),
            active: active(known),
            exports: known.outcomes.get("list-exports").and_then(|o| o.exports.clone()),
        })),
        "close-sign-in-tasks" => Task::CloseTasks(CloseTasksTask {
            title: format!("Close the sign-in tasks of {}", v.connect_name),
            cards: cards::sign_in_tasks(&v.connect_name),
        }),
        "old-into-staging" | "verify-old-in-staging" | "verify-not-active" => Task::StagingMode(StagingModeTask {
            server: job.host_name.clone(),
            database: v.source.address.database.clone(),
            on: true,
        }),
        "new-out-of-staging" | "verify-active" => Task::StagingMode(StagingModeTask {
            server: job.host_name.clone(),
            database: v.target_address.database.clone(),
            on: false,
        }),
        "uninstall" => Task::Uninstall(UninstallTask {
            server: job.host_name.clone(),
            leftovers: leftovers(plan),
            stays: v.in_place.as_ref().map(|p| Box::new(stays(v, p))),
        }),
        "document-configuration" => Task::ReadAdsync(ReadAdsyncTask {
            database: v.source.clone(),
        }),
        "document-installation" => Task::CloseTasks(CloseTasksTask {
            title: format!("Document the installation on {} before it goes", v.connect_name),
            cards: cards::before_it_goes(v),
        }),
        "verify-way-back" => Task::VerifyWayBack(Box::new(restore(request, v, job, known)?)),
        other => return Err(SpecError::UnknownJob(other.to_string())),
    };
    Ok(JobSpec {
        schema_version: 1,
        migration: plan.migration,
        job: job.id,
        host: job.host,
        lease: known.lease.clone(),
        task,
    })
}

/// Makes the specification of a run at SQL Server: it was fixed when it was planned.
pub fn of_run(plan: &Plan, run: &LeaseRun, job: &PlannedJob, lease: &LeaseRef) -> JobSpec {
    JobSpec {
        schema_version: 1,
        migration: plan.migration,
        job: job.id,
        host: job.host,
        lease: lease.clone(),
        task: run.task.task(&job.name),
    }
}

fn missing(job: &PlannedJob, what: &'static str) -> SpecError {
    SpecError::Missing {
        job: job.name.clone(),
        what,
    }
}

fn manifest_path(known: &Known<'_>) -> Option<String> {
    Some(known.outcomes.get("backup")?.manifest.as_ref()?.path.clone())
}

/// What was counted right before the backup, while the scheduler was held; otherwise what the first look counted.
fn counts(job: &PlannedJob, known: &Known<'_>) -> Result<syncferry_shared::artifact::Counts, SpecError> {
    let of = |name: &str| known.outcomes.get(name).and_then(|o| o.counts.clone());
    of("backup")
        .or_else(|| of("verify-source"))
        // Where there was only a backup, what was in it right after the restore.
        .or_else(|| of("restore"))
        .ok_or_else(|| missing(job, "the source's counts"))
}

fn restore(
    request: &PlanRequest,
    v: &PlanValues,
    job: &PlannedJob,
    known: &Known<'_>,
) -> Result<RestoreTask, SpecError> {
    if let Some(b) = &v.backup {
        return restore_known(request, v, b, job, known);
    }
    let manifest = known
        .outcomes
        .get("backup")
        .and_then(|o| o.manifest.as_ref())
        .ok_or_else(|| missing(job, "a manifest"))?;
    Ok(RestoreTask {
        artifact: manifest.artifact,
        size: manifest.size,
        root: manifest.root.clone(),
        manifest_digest: manifest.digest(),
        header: manifest.header.clone(),
        source_agent: known.source_agent.ok_or_else(|| missing(job, "the source's agent"))?,
        source_address: known
            .source_address
            .clone()
            .ok_or_else(|| missing(job, "the source agent's address"))?,
        instance: v.target_address.instance.clone(),
        server_name: v.target_server_name.clone(),
        database: v.target,
        temporary_name: v.temporary_name.clone(),
        final_name: v.expect.database.clone(),
        data_dir: request.data_dir.clone(),
        log_dir: request.log_dir.clone(),
        service_account: v.expect.service_account.clone(),
        counts: counts(job, known)?,
        here: None,
        uncounted: false,
        without_checksums: false,
        // The off-host backup: the host of the other one is uninstalled.
        keep_copy: request.in_place,
        dba: request.dba,
    })
}

/// A backup that was there before: on the target, or fetched from the agent that has it.
fn restore_known(
    request: &PlanRequest,
    v: &PlanValues,
    b: &KnownBackup,
    job: &PlannedJob,
    known: &Known<'_>,
) -> Result<RestoreTask, SpecError> {
    let (source_agent, source_address) = if b.here {
        (AgentId(uuid::Uuid::nil()), String::new())
    } else {
        (
            known
                .source_agent
                .ok_or_else(|| missing(job, "the agent that has the backup"))?,
            known
                .source_address
                .clone()
                .ok_or_else(|| missing(job, "that agent's address"))?,
        )
    };
    Ok(RestoreTask {
        artifact: b.artifact,
        size: b.size,
        root: b.root.clone(),
        manifest_digest: b.manifest_digest.clone(),
        header: b.header.clone(),
        source_agent,
        source_address,
        instance: v.target_address.instance.clone(),
        server_name: v.target_server_name.clone(),
        database: v.target,
        temporary_name: v.temporary_name.clone(),
        final_name: v.expect.database.clone(),
        data_dir: request.data_dir.clone(),
        log_dir: request.log_dir.clone(),
        service_account: v.expect.service_account.clone(),
        counts: b.counts.clone().unwrap_or_default(),
        here: b.here.then(|| b.path.clone()),
        uncounted: b.counts.is_none(),
        without_checksums: !b.checksums,
        keep_copy: false,
        dba: request.dba,
    })
}

/// A rehearsal restores the same, and nothing gets the name at the end: it is one that nobody has.
fn drill(
    request: &PlanRequest,
    v: &PlanValues,
    plan: &Plan,
    job: &PlannedJob,
    known: &Known<'_>,
) -> Result<DrillTask, SpecError> {
    let made = known.outcomes.get("backup").and_then(|o| o.manifest.as_ref());
    let restore = restore(request, v, job, known)?;
    Ok(DrillTask {
        restore: RestoreTask {
            final_name: format!("syncferry_drill_{}", plan.migration.short()),
            service_account: None,
            ..restore
        },
        taken_at: made.map(|m| m.taken_at).or_else(|| v.backup.as_ref()?.taken_at),
        backup_ms: None,
    })
}

/// What the active server's database said, where it was asked.
fn active(known: &Known<'_>) -> Option<AdsyncFacts> {
    known.outcomes.get("look-at-active")?.adsync.clone()
}

/// What was read of the database before Connect was installed on it: of the source, or of the copy where only a backup was there.
fn before_the_install(known: &Known<'_>) -> Option<AdsyncFacts> {
    let of = |name: &str| known.outcomes.get(name).and_then(|o| o.adsync.clone());
    of("verify-source").or_else(|| of("verify-restored"))
}

/// The database of the staging server, which is registered beyond doubt.
fn staging(v: &PlanValues, plan: &Plan) -> DatabaseIdentity {
    let known = plan.staging.clone();
    known.unwrap_or_else(|| DatabaseIdentity {
        id: v.target,
        address: v.target_address.clone(),
        server_name: v.target_server_name.clone(),
        database_guid: uuid::Uuid::nil(),
        family_guid: uuid::Uuid::nil(),
    })
}

/// What the card of an uninstallation says of what must stay.
fn stays(v: &PlanValues, p: &InPlace) -> StaysBehind {
    StaysBehind {
        files: p.files.clone(),
        next: p.taken.clone(),
        way_back: super::move_in_place::way_back(v),
    }
}

/// What the plan named as left over.
fn leftovers(plan: &Plan) -> Vec<String> {
    let named = plan.findings.iter().filter(|f| f.rule == "leftovers");
    named
        .flat_map(|f| &f.evidence)
        .map(|e| format!("{}: {}", e.looked_at, e.found))
        .collect()
}

/// The wizard asks for credentials of each forest: where only a backup was there, the copy says which.
fn with_forests(v: &PlanValues, known: &Known<'_>) -> PlanValues {
    let seen = known.outcomes.get("verify-restored").and_then(|o| o.adsync.as_ref());
    let mut v = v.clone();
    if let Some(facts) = seen.filter(|_| v.forests.is_empty()) {
        v.forests.clone_from(&facts.forests);
    }
    v
}

/// The backup's file is on the host of the test itself: nothing is fetched.
fn test_restore(
    request: &PlanRequest,
    v: &PlanValues,
    job: &PlannedJob,
    known: &Known<'_>,
) -> Result<TestRestoreTask, SpecError> {
    let manifest = known
        .outcomes
        .get("backup")
        .and_then(|o| o.manifest.as_ref())
        .ok_or_else(|| missing(job, "a manifest"))?;
    let test = v.test.as_ref().ok_or_else(|| missing(job, "an instance"))?;
    let of = |name: &str| {
        known
            .outcomes
            .get(name)
            .map(|o| o.sessions.as_slice())
            .unwrap_or_default()
    };
    Ok(TestRestoreTask {
        file: manifest.path.clone(),
        original: v.source.clone(),
        live: of("verify-source").iter().any(SessionFacts::is_sync_service),
        restore: RestoreTask {
            artifact: manifest.artifact,
            size: manifest.size,
            root: manifest.root.clone(),
            manifest_digest: manifest.digest(),
            header: manifest.header.clone(),
            source_agent: known.source_agent.ok_or_else(|| missing(job, "the host's agent"))?,
            source_address: String::new(),
            instance: test.instance.clone(),
            server_name: test.server_name.clone(),
            database: v.source.id,
            temporary_name: v.temporary_name.clone(),
            final_name: v.source.address.database.clone(),
            data_dir: request.data_dir.clone(),
            log_dir: request.log_dir.clone(),
            service_account: None,
            counts: counts(job, known)?,
            here: None,
            uncounted: false,
            without_checksums: false,
            keep_copy: false,
            dba: request.dba,
        },
    })
}

fn restored(v: &PlanValues, job: &PlannedJob, known: &Known<'_>) -> Result<DatabaseIdentity, SpecError> {
    let r = known
        .outcomes
        .get("restore")
        .and_then(|o| o.restored.as_ref())
        .ok_or_else(|| missing(job, "the restored database"))?;
    Ok(DatabaseIdentity {
        id: v.target,
        address: v.target_address.clone(),
        server_name: r.server_name.clone(),
        database_guid: r.database_guid,
        family_guid: r.family_guid,
    })
}
