//! `restore`: brings the backup over, proves that it is the one, restores it under a temporary name with files of its own,
//! checks it, compares it with the source and renames it. Nothing is ever restored over.

mod by_dba;
mod copy;
mod database;
mod drill;
mod name;
mod test_restore;

pub(super) use drill::job as drill_job;
pub(super) use test_restore::job as test_job;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::outcome::{Level, Outcome};
use syncferry_shared::spec::RestoreTask;

use self::by_dba::{PrepareByDba, RenameByDba, RestoreByDba};
use self::copy::{AcceptSet, DeleteCopy, Fetch, HashHere};
use self::database::{CheckDatabase, Prepare, Restore};
use self::name::{Identify, Rename};
use super::by_dba::ByDba;
use super::common::{OURS, Server, count, differences, minutes, service_account, staging};
use super::look::{Look, LooksOnly};
use super::steps::{SecureStaging, differs};
use crate::runner::{Cx, Job, Step, StepError};
use crate::sql::ops;
use crate::transfer::Wanted;

/// The job.
pub(super) fn job(task: &RestoreTask) -> Job {
    let base = Base {
        task: Arc::new(task.clone()),
        here: task.here.clone(),
    };
    let mut steps = bring(&base);
    steps.push(Box::new(LooksOnly(AcceptSet(base.clone()))));
    steps.extend(restored(&base));
    steps.extend::<Vec<Box<dyn Step>>>(match task.dba {
        true => vec![
            Box::new(ByDba(PrepareByDba(base.clone()))),
            Box::new(LooksOnly(Compare(base.clone()))),
            Box::new(ByDba(RenameByDba(base.clone()))),
        ],
        false => vec![
            Box::new(Prepare(base.clone())),
            Box::new(LooksOnly(Compare(base.clone()))),
            Box::new(Rename(base.clone())),
        ],
    });
    steps.push(Box::new(LooksOnly(Identify(base.clone()))));
    if task.here.is_none() && !task.keep_copy {
        steps.push(Box::new(DeleteCopy(base)));
    }
    Job::new(steps, finish)
}

/// The way back, looked at once more before the original is given up: the kept copy of the backup, hash by hash, and what was
/// restored from it. Only looks.
pub(super) fn way_back_job(task: &RestoreTask) -> Job {
    let base = Base {
        task: Arc::new(task.clone()),
        here: task.here.clone(),
    };
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(LooksOnly(LookAtTarget(base.clone()))),
        Box::new(LooksOnly(StandsThere(base.clone()))),
        Box::new(LooksOnly(HashHere(base.clone()))),
        Box::new(LooksOnly(AcceptSet(base.clone()))),
    ];
    // CHECKDB is a DBA's where restores are; it was seen after the restore, and the hash says that the file is the same.
    if !task.dba {
        steps.push(Box::new(LooksOnly(CheckDatabase(base.clone()))));
    }
    steps.push(Box::new(LooksOnly(Compare(base.clone()))));
    steps.push(Box::new(LooksOnly(Identify(base))));
    Job::new(steps, |_| Outcome::default())
}

/// The database under its temporary name, checked: by the agent, or by a DBA.
fn restored(base: &Base) -> Vec<Box<dyn Step>> {
    match base.task.dba {
        true => vec![Box::new(ByDba(RestoreByDba(base.clone())))],
        false => vec![
            Box::new(Restore(base.clone())),
            Box::new(LooksOnly(CheckDatabase(base.clone()))),
        ],
    }
}

/// The target, and the backup on it: fetched, or, where it is there already, hashed.
fn bring(base: &Base) -> Vec<Box<dyn Step>> {
    let look: Box<dyn Step> = Box::new(LooksOnly(LookAtTarget(base.clone())));
    if base.here.is_some() {
        return vec![look, Box::new(LooksOnly(HashHere(base.clone())))];
    }
    vec![
        look,
        Box::new(SecureStaging {
            account_of: "look-at-target",
            needs: base.task.size,
            has: Some(file_name(&base.task)),
        }),
        Box::new(Fetch(base.clone())),
    ]
}

fn finish(cx: &Cx) -> Outcome {
    let of = |step: &str| cx.evidence(step).cloned().unwrap_or_default();
    let mut outcome = Outcome {
        restored: serde_json::from_value(of("identify")).ok(),
        counts: serde_json::from_value(of("compare")).ok(),
        ..Outcome::default()
    };
    if let Some(kept) = cx.evidence("fetch").and_then(|e| e["path"].as_str()) {
        outcome.saw("copy of the backup on this host", kept);
    }
    let uncounted = cx.findings.iter().any(|f| f.rule == "nothing-to-compare-with");
    for level in [Level::L1, Level::L2, Level::L3, Level::L4] {
        // What was never counted cannot be equal to it.
        if level != Level::L4 || !uncounted {
            outcome.reached(level);
        }
    }
    if let Some(r) = outcome.restored.clone() {
        outcome.saw("SERVERPROPERTY('ServerName')", r.server_name);
        outcome.saw("database_guid", r.database_guid);
        outcome.saw("family_guid", r.family_guid);
    }
    outcome
}

/// The copy's name in the staging folder.
fn file_name(task: &RestoreTask) -> String {
    format!("{}.bak", task.artifact.short())
}

#[derive(Clone)]
struct Base {
    task: Arc<RestoreTask>,
    /// The backup's own file, where it is on this host and needs no copy.
    here: Option<String>,
}

impl Base {
    async fn server(&self, cx: &Cx) -> Result<Server, StepError> {
        Server::open(cx, &self.task.instance).await
    }
    fn file(&self, cx: &Cx) -> String {
        if let Some(path) = &self.here {
            return path.clone();
        }
        cx.env.host.join(&staging(cx), &file_name(&self.task))
    }
    fn wanted(&self, cx: &Cx) -> Wanted {
        Wanted {
            artifact: self.task.artifact,
            manifest_digest: self.task.manifest_digest.clone(),
            size: self.task.size,
            root: self.task.root.clone(),
            destination: cx.env.host.local_path(&self.file(cx)),
        }
    }
    fn family(&self) -> uuid::Uuid {
        self.task.header.family_guid
    }
    /// The database's name until `rename`: the temporary one, or the final one where it was renamed by an attempt that nobody
    /// remembers.
    fn name(&self, cx: &Cx) -> &str {
        match self.is_renamed(cx) {
            true => &self.task.final_name,
            false => &self.task.temporary_name,
        }
    }
    fn is_renamed(&self, cx: &Cx) -> bool {
        cx.evidence("look-at-target")
            .is_some_and(|e| e["renamed"] == Value::Bool(true))
    }
    /// Whether a database is what this migration restored from this very backup: its family, and exactly the files that are
    /// placed for this migration alone. A controller's store that was put back does not remember that it was done.
    async fn is_ours(
        &self,
        server: &mut Server,
        row: &ops::DatabaseRow,
        folders: (Option<&str>, Option<&str>),
    ) -> Result<bool, StepError> {
        let (Some(data), Some(log)) = folders else {
            return Ok(false);
        };
        if row.state != "ONLINE" || row.family_guid != Some(self.family()) {
            return Ok(false);
        }
        let files = ops::place_files(&self.task.header.files, &self.task.temporary_name, data, log);
        for file in &files {
            if ops::paths::owner_of_file(&mut server.work, &file.to).await?.as_ref() != Some(&row.name) {
                return Ok(false);
            }
        }
        Ok(!files.is_empty())
    }
}

struct LookAtTarget(Base);

#[async_trait]
impl Look for LookAtTarget {
    const NAME: &'static str = "look-at-target";

    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        if !facts.server_name.eq_ignore_ascii_case(&task.server_name) {
            return Err(Finding::blocker(
                "target-is-another-instance",
                "The target instance is not the one that was planned",
            )
            .saw("SERVERPROPERTY('ServerName')", &facts.server_name)
            .saw("in the plan", &task.server_name)
            .source(OURS)
            .next("Correct the endpoint in the agent's configuration, or plan again.")
            .into());
        }
        let data_path = task.data_dir.clone().or(facts.data_path);
        let log_path = task.log_dir.clone().or(facts.log_path);
        let taken = ops::database_identity(&mut server.work, &task.final_name).await?;
        let renamed = match &taken {
            Some(row) => {
                let folders = (data_path.as_deref(), log_path.as_deref());
                self.0.is_ours(&mut server, row, folders).await?
            }
            None => false,
        };
        if let Some(row) = taken.filter(|_| !renamed) {
            return Err(Finding::blocker(
                "target-name-taken",
                format!("{} has a database named {} now", facts.server_name, row.name),
            )
            .saw("sys.databases", format!("{} ({})", row.name, row.state))
            .source(OURS)
            .next("It came after the plan was made. Find out whose it is; Syncferry never restores over a database.")
            .into());
        }
        // SQL Server restores over a database of the same family without being told to.
        let family = ops::family_present(&mut server.work, self.0.family()).await?;
        let ours = if renamed {
            &task.final_name
        } else {
            &task.temporary_name
        };
        if let Some(copy) = family.iter().find(|d| d.name != *ours) {
            return Err(Finding::blocker(
                "target-has-a-copy",
                format!(
                    "{} has a copy of this database already: {}",
                    facts.server_name, copy.name
                ),
            )
            .saw("family_guid", self.0.family())
            .source(OURS)
            .next(format!(
                "Find out what {} is. Drop or move it away when nobody needs it, then apply the migration again.",
                copy.name
            ))
            .into());
        }
        server.close().await;
        cx.saw("SERVERPROPERTY('ServerName')", &facts.server_name);
        cx.saw(
            "SERVERPROPERTY('Edition')",
            format!("{} {}", facts.edition, facts.product_version),
        );
        if renamed {
            cx.saw(
                &task.final_name,
                "restored and renamed by this migration before; it is checked and compared again",
            );
        }
        Ok(json!({
            "service_account": service_account(cx, &task.instance, facts.service_account),
            "major": facts.major,
            "data_path": data_path,
            "log_path": log_path,
            "renamed": renamed,
        }))
    }
}

/// Whether the database stands under its final name, as this migration restored it.
struct StandsThere(Base);

#[async_trait]
impl Look for StandsThere {
    const NAME: &'static str = "see-it-restored";

    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        if self.0.is_renamed(cx) {
            return Ok(json!({"restored": self.0.task.final_name}));
        }
        let name = &self.0.task.final_name;
        Err(Finding::blocker(
            "way-back-is-gone",
            format!("{name} is not what this migration restored any more"),
        )
        .saw(
            format!("{name} on {}", self.0.task.server_name),
            "not there, or not with this migration's files",
        )
        .source(OURS)
        .next("Nothing was uninstalled. Find out who dropped or moved it; cancel the migration and plan again.")
        .into())
    }
}

struct Compare(Base);

#[async_trait]
impl Look for Compare {
    const NAME: &'static str = "compare";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let counts = count(&mut server, self.0.name(cx)).await?;
        server.close().await;
        if self.0.task.uncounted {
            cx.saw("rows in all tables", counts.rows.values().sum::<i64>());
            cx.findings.push(
                Finding::note("nothing-to-compare-with", "Nobody wrote down what was in the database when it was backed up")
                    .saw("manifest of the backup", "none")
                    .saw("rows in the copy", counts.rows.values().sum::<i64>())
                    .source(OURS)
                    .next("Nothing: DBCC CHECKDB found no errors. That the backup is complete is only as sure as its header; compare connectors and objects with what you remember."),
            );
            return Ok(serde_json::to_value(counts).unwrap_or_default());
        }
        let lines = differences(&self.0.task.counts, &counts);
        if !lines.is_empty() {
            let next = "The copy is not what was counted in the source right before the backup. Look whether somebody changed the source meanwhile. Then cancel the migration and plan again: that takes a new backup.";
            return Err(differs(
                "copy-differs",
                "The restored database differs from the source".to_string(),
                lines,
                next,
            )
            .into());
        }
        cx.saw("rows in all tables", counts.rows.values().sum::<i64>());
        cx.saw("columns of all tables", "equal to the source");
        Ok(serde_json::to_value(counts).unwrap_or_default())
    }
}
