//! `restore`: brings the backup over, proves that it is the one, restores it under a temporary name with files of its own,
//! checks it, compares it with the source and renames it. Nothing is ever restored over.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::outcome::{Level, Outcome, Restored};
use syncferry_shared::spec::RestoreTask;

use super::common::{
    OURS, Server, count, delete_file, differences, file_exists, lock, minutes, service_account, staging,
};
use super::steps::{SecureStaging, differs};
use crate::runner::{Cx, Job, Policy, Probe, Step, StepError};
use crate::sql::capability;
use crate::sql::ops::{self, AfterRestore, Dropped, Expectations, Renamed, restore::FileMove, restore::RestoreOptions};
use crate::transfer::{self, Wanted};

/// The job.
pub(super) fn job(task: &RestoreTask) -> Job {
    let base = Base {
        task: Arc::new(task.clone()),
    };
    let steps: Vec<Box<dyn Step>> = vec![
        Box::new(LookAtTarget(base.clone())),
        Box::new(SecureStaging {
            account_of: "look-at-target",
            needs: task.size,
        }),
        Box::new(Fetch(base.clone())),
        Box::new(AcceptSet(base.clone())),
        Box::new(Restore(base.clone())),
        Box::new(CheckDatabase(base.clone())),
        Box::new(Prepare(base.clone())),
        Box::new(Compare(base.clone())),
        Box::new(Rename(base.clone())),
        Box::new(Identify(base.clone())),
        Box::new(DeleteCopy(base)),
    ];
    Job::new(steps, finish)
}

fn finish(cx: &Cx) -> Outcome {
    let of = |step: &str| cx.evidence(step).cloned().unwrap_or_default();
    let mut outcome = Outcome {
        restored: serde_json::from_value(of("identify")).ok(),
        counts: serde_json::from_value(of("compare")).ok(),
        findings: cx.findings.clone(),
        ..Outcome::default()
    };
    for level in [Level::L1, Level::L2, Level::L3, Level::L4] {
        outcome.reached(level);
    }
    if let Some(r) = outcome.restored.clone() {
        outcome.saw("SERVERPROPERTY('ServerName')", r.server_name);
        outcome.saw("database_guid", r.database_guid);
        outcome.saw("family_guid", r.family_guid);
    }
    outcome
}

#[derive(Clone)]
struct Base {
    task: Arc<RestoreTask>,
}

impl Base {
    async fn server(&self, cx: &Cx) -> Result<Server, StepError> {
        Server::open(cx, &self.task.instance).await
    }
    fn file(&self, cx: &Cx) -> String {
        cx.env
            .host
            .join(&staging(cx), &format!("{}.bak", self.task.artifact.short()))
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
}

struct LookAtTarget(Base);

#[async_trait]
impl Step for LookAtTarget {
    fn name(&self) -> &'static str {
        "look-at-target"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
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
        let taken = ops::database_identity(&mut server.work, &task.final_name).await?;
        if let Some(row) = taken {
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
        if let Some(copy) = family.iter().find(|d| d.name != task.temporary_name) {
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
                "Find out what {} is. Drop or move it away when nobody needs it, then run the job again.",
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
        Ok(json!({
            "service_account": service_account(cx, &task.instance, facts.service_account),
            "major": facts.major,
            "data_path": task.data_dir.clone().or(facts.data_path),
            "log_path": task.log_dir.clone().or(facts.log_path),
        }))
    }
}

struct Fetch(Base);

#[async_trait]
impl Step for Fetch {
    fn name(&self) -> &'static str {
        "fetch"
    }
    fn budget(&self) -> Duration {
        minutes(24 * 60)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let wanted = self.0.wanted(cx);
        // What an earlier try fetched is beside the file and is not fetched again.
        Ok(match transfer::is_there(cx, &wanted).await? {
            true => Probe::Done(self.evidence(cx)),
            false => Probe::NotStarted,
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let wanted = self.0.wanted(cx);
        let manifest = transfer::pull(cx, &wanted).await?;
        cx.saw("chunks, each with its hash", manifest.chunks.len());
        cx.saw("bytes", manifest.size);
        cx.saw("BLAKE3", &manifest.root);
        Ok(self.evidence(cx))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        // The file got its name only after the whole of it was read again from the disk.
        Ok(())
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(transfer::discard(&self.0.wanted(cx).destination)?)
    }
    async fn discard(&self, cx: &mut Cx) -> Result<(), StepError> {
        // Parts of a backup carry credentials as the whole does.
        Ok(transfer::discard(&self.0.wanted(cx).destination)?)
    }
}

impl Fetch {
    fn evidence(&self, cx: &Cx) -> Value {
        json!({"path": self.0.file(cx), "root": self.0.task.root, "size": self.0.task.size})
    }
}

struct AcceptSet(Base);

#[async_trait]
impl Step for AcceptSet {
    fn name(&self) -> &'static str {
        "accept-set"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(60)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let path = self.0.file(cx);
        let target: Value = cx.evidence_as("look-at-target")?;
        let major = target
            .get("major")
            .and_then(Value::as_i64)
            .and_then(|m| i32::try_from(m).ok());
        let mut server = self.0.server(cx).await?;
        let record = ops::header(&mut server.work, &path).await?;
        let label = ops::label(&mut server.work, &path).await?;
        let files = ops::file_list(&mut server.work, &path).await?;
        let expected = Expectations {
            target_major: major,
            target_internal_version: major.and_then(capability::internal_version),
            ..Expectations::from_header(&self.0.task.header)
        };
        ops::accept_set(&record, &label, &files, &expected).map_err(StepError::Failed)?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        ops::verify_only(work, watch, &path, &cancel, &mut progress).await?;
        server.close().await;
        cx.saw("BackupSetGUID", record.header.backup_set_guid);
        cx.saw("FamilyGUID", record.header.family_guid);
        cx.saw("BackupDescription", &record.header.description);
        cx.saw("RESTORE VERIFYONLY", "The backup set on file 1 is valid.");
        Ok(json!({"media_name": label.media_name}))
    }
}

struct Restore(Base);

impl Restore {
    fn moves(cx: &Cx) -> Vec<FileMove> {
        let listed = cx
            .intent()
            .and_then(|i| i.get("moves")?.as_array().cloned())
            .unwrap_or_default();
        let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        listed
            .iter()
            .map(|m| FileMove {
                logical_name: text(m, "logical_name"),
                to: text(m, "to"),
            })
            .collect()
    }
    /// Whether the database of the temporary name came from our set: as msdb has it, or, where msdb may not be read, because
    /// it has exactly the files that only this migration uses.
    async fn is_from_our_set(&self, cx: &Cx, server: &mut Server) -> Result<bool, StepError> {
        let name = &self.0.task.temporary_name;
        let sets = ops::msdb::restored_sets(&mut server.work, name)
            .await
            .unwrap_or_default();
        if sets.contains(&self.0.task.header.backup_set_guid) {
            return Ok(true);
        }
        let files = Self::our_files(cx);
        for file in &files {
            if ops::paths::owner_of_file(&mut server.work, file).await?.as_ref() != Some(name) {
                return Ok(false);
            }
        }
        Ok(!files.is_empty())
    }
    fn our_files(cx: &Cx) -> Vec<String> {
        Self::moves(cx).into_iter().map(|m| m.to).collect()
    }
    async fn drop_temporary(&self, cx: &Cx) -> Result<(), StepError> {
        let name = &self.0.task.temporary_name;
        let mut server = self.0.server(cx).await?;
        let dropped = ops::drop_ours(&mut server.work, name, self.0.family(), &Self::our_files(cx)).await?;
        server.close().await;
        match dropped {
            Dropped::Done | Dropped::Absent => Ok(()),
            Dropped::NotOurs => Err(Finding::blocker(
                "temporary-name-not-ours",
                format!("{name} is not the database that we restored"),
            )
            .saw("family_guid and files", "not ours")
            .source(OURS)
            .next(format!("Find out what {name} is. It was left alone."))
            .into()),
        }
    }
}

#[async_trait]
impl Step for Restore {
    fn name(&self) -> &'static str {
        "restore-database"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let target: Value = cx.evidence_as("look-at-target")?;
        let dir = |key: &str| target.get(key).and_then(Value::as_str).map(str::to_string);
        let (Some(data), Some(log)) = (dir("data_path"), dir("log_path")) else {
            return Err(Finding::blocker(
                "target-folders-unknown",
                "The target instance does not say where its files belong",
            )
            .saw("SERVERPROPERTY('InstanceDefaultDataPath')", "NULL")
            .source(OURS)
            .next("Give the folders with --data-dir and --log-dir and plan again.")
            .into());
        };
        let moves = ops::place_files(&self.0.task.header.files, &self.0.task.temporary_name, &data, &log);
        let moves: Vec<Value> = moves
            .iter()
            .map(|m| json!({"logical_name": m.logical_name, "to": m.to}))
            .collect();
        Ok(json!({"temporary_name": self.0.task.temporary_name, "moves": moves}))
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let name = &self.0.task.temporary_name;
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, name).await?;
        let ours = match &row {
            Some(row) => row.family_guid == Some(self.0.family()) && self.is_from_our_set(cx, &mut server).await?,
            None => false,
        };
        server.close().await;
        let Some(row) = row else { return Ok(Probe::NotStarted) };
        Ok(match row.state.as_str() {
            "ONLINE" if ours => Probe::Done(json!({"temporary_name": name, "files": Self::our_files(cx)})),
            "ONLINE" => Probe::Unknown(format!("{name} is online and not from this backup")),
            "RECOVERING" => Probe::InProgress,
            state => Probe::Partial(format!("{name} is {state}")),
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let media: Value = cx.evidence_as("accept-set")?;
        let options = RestoreOptions {
            media_name: media.get("media_name").and_then(Value::as_str).map(str::to_string),
            ..RestoreOptions::new(&task.temporary_name, self.0.file(cx), Self::moves(cx))
        };
        let mut server = self.0.server(cx).await?;
        let lock = lock(cx, &mut server, &task.final_name).await?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        let done = ops::restore(work, watch, &options, &cancel, &mut progress).await?;
        lock.release().await;
        server.close().await;
        cx.saw(
            "RESTORE DATABASE",
            format!("{} pages in {} s", done.pages.unwrap_or(0), done.seconds.unwrap_or(0.0)),
        );
        Ok(
            json!({"temporary_name": task.temporary_name, "files": Self::our_files(cx), "pages": done.pages, "seconds": done.seconds}),
        )
    }
    fn on_partial(&self) -> Policy {
        Policy::CleanAndRepeat
    }
    async fn clean(&self, cx: &mut Cx, _what: &str) -> Result<(), StepError> {
        self.drop_temporary(cx).await
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        self.drop_temporary(cx).await
    }
}

struct CheckDatabase(Base);

#[async_trait]
impl Step for CheckDatabase {
    fn name(&self) -> &'static str {
        "check-database"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(120)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        let findings = ops::check_db(work, watch, &self.0.task.temporary_name, &cancel, &mut progress).await?;
        server.close().await;
        if !findings.is_empty() {
            return Err(StepError::Failed(findings));
        }
        cx.saw("DBCC CHECKDB", "no errors");
        Ok(json!({"errors": 0}))
    }
}

struct Prepare(Base);

#[async_trait]
impl Step for Prepare {
    fn name(&self) -> &'static str {
        "prepare-database"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        // Owner, users and options: each is looked at before it is set, and read back.
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let target: Value = cx.evidence_as("look-at-target")?;
        let major = target.get("major").and_then(Value::as_i64).unwrap_or(0);
        let after = AfterRestore {
            database: task.temporary_name.clone(),
            service_account: task.service_account.clone(),
            update_statistics: i64::from(task.header.software_major) != major,
        };
        let mut server = self.0.server(cx).await?;
        let findings = ops::after_restore(&mut server.work, &after).await?;
        server.close().await;
        for f in &findings {
            cx.saw(f.rule.clone(), f.title.clone());
        }
        cx.findings.extend(findings);
        if let Some(account) = &task.service_account {
            cx.saw("db_owner", account);
        }
        Ok(json!({"service_account": task.service_account}))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }
}

struct Compare(Base);

#[async_trait]
impl Step for Compare {
    fn name(&self) -> &'static str {
        "compare"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let counts = count(&mut server, &self.0.task.temporary_name).await?;
        server.close().await;
        let lines = differences(&self.0.task.counts, &counts);
        if !lines.is_empty() {
            let next = "The copy is not what was counted in the source right before the backup. Look whether somebody changed the source meanwhile, and run the migration again.";
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

struct Rename(Base);

#[async_trait]
impl Step for Rename {
    fn name(&self) -> &'static str {
        "rename"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let last = ops::database_identity(&mut server.work, &task.final_name).await?;
        let first = ops::database_identity(&mut server.work, &task.temporary_name).await?;
        server.close().await;
        let ours = |row: &ops::DatabaseRow| row.family_guid == Some(self.0.family());
        Ok(match (first, last) {
            (None, Some(row)) if ours(&row) => Probe::Done(json!({"from": task.temporary_name, "to": task.final_name})),
            (Some(row), None) if ours(&row) => Probe::NotStarted,
            (_, last) => Probe::Unknown(format!(
                "{} is {}",
                task.final_name,
                last.map_or("not there, and neither is the temporary one".to_string(), |r| format!(
                    "another database ({})",
                    r.state
                ))
            )),
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let renamed = ops::rename(
            &mut server.work,
            &task.temporary_name,
            &task.final_name,
            self.0.family(),
        )
        .await?;
        server.close().await;
        match renamed {
            Renamed::Done => Ok(json!({"from": task.temporary_name, "to": task.final_name})),
            other => Err(
                Finding::blocker("not-renamed", format!("{} was not renamed", task.temporary_name))
                    .saw("ALTER DATABASE … MODIFY NAME", format!("{other:?}"))
                    .source(OURS)
                    .next(format!("Look whether {} exists now, and whose it is.", task.final_name))
                    .into(),
            ),
        }
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let back = ops::rename_back(
            &mut server.work,
            &task.final_name,
            &task.temporary_name,
            self.0.family(),
        )
        .await?;
        server.close().await;
        match back {
            // Absent: it was renamed back, or dropped, before a crash.
            Renamed::Done | Renamed::Absent => Ok(()),
            other => Err(
                Finding::blocker("not-renamed-back", format!("{} was not renamed back", task.final_name))
                    .saw("ALTER DATABASE … MODIFY NAME", format!("{other:?}"))
                    .source(OURS)
                    .next(format!("Find out whose {} is now. It was left alone.", task.final_name))
                    .into(),
            ),
        }
    }
}

struct Identify(Base);

#[async_trait]
impl Step for Identify {
    fn name(&self) -> &'static str {
        "identify"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let task = &self.0.task;
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, &task.final_name).await?;
        server.close().await;
        let guids = row.as_ref().and_then(|r| Some((r.database_guid?, r.family_guid?)));
        let (Some(row), Some((database_guid, family_guid))) = (row, guids) else {
            return Err(StepError::unknown(
                Finding::blocker(
                    "restored-identity-unknown",
                    format!("{} does not say which database it is", task.final_name),
                )
                .saw("sys.database_recovery_status", "no GUIDs")
                .source(OURS)
                .next("Look at the database's state on the SQL Server, then run the job again."),
            ));
        };
        let restored = Restored {
            server_name: task.server_name.clone(),
            database: row.name,
            database_guid,
            family_guid,
            recovery_fork_guid: row.recovery_fork_guid,
            service_broker_guid: row.service_broker_guid,
        };
        cx.saw("database_guid", database_guid);
        Ok(serde_json::to_value(restored).unwrap_or_default())
    }
}

struct DeleteCopy(Base);

#[async_trait]
impl Step for DeleteCopy {
    fn name(&self) -> &'static str {
        "delete-copy"
    }
    fn budget(&self) -> Duration {
        minutes(5)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let path = self.0.file(cx);
        Ok(if file_exists(&cx.env.host, &path).await {
            Probe::NotStarted
        } else {
            Probe::Done(json!({"deleted": path}))
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let path = self.0.file(cx);
        delete_file(&cx.env.host, &path).await?;
        Ok(json!({"deleted": path}))
    }
}
