//! `backup`: an online, copy-only backup of the source, verified and hashed. The source stays as it is; the scheduler is held
//! while the backup runs and put back, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::artifact::{Counts, Manifest, SetHeader};
use syncferry_shared::outcome::{Level, Outcome};
use syncferry_shared::spec::BackupTask;

use super::common::{
    OURS, Server, count, delete_file, file_exists, lock, minutes, same_database, service_account, staging,
};
use super::steps::SecureStaging;
use crate::runner::{Cx, Job, Policy, Probe, SYNC_CYCLE, Step, StepError};
use crate::sql::ops::{self, backup::BackupOptions};
use crate::transfer::{HashError, hash_file};

/// The job.
pub(super) fn job(task: &BackupTask) -> Job {
    let base = Base {
        task: Arc::new(task.clone()),
    };
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(LookAtSource(base.clone())),
        Box::new(SecureStaging {
            account_of: "look-at-source",
            needs: task.expected_bytes,
        }),
    ];
    if task.hold_scheduler {
        steps.push(Box::new(HoldScheduler(base.clone())));
    }
    steps.push(Box::new(WaitUntilIdle(base.clone())));
    steps.push(Box::new(CountRows(base.clone())));
    steps.push(Box::new(BackUp(base.clone())));
    if task.hold_scheduler {
        steps.push(Box::new(ReleaseScheduler));
    }
    steps.push(Box::new(VerifySet(base.clone())));
    steps.push(Box::new(HashFile(base.clone())));
    Job::new(steps, finish)
}

fn finish(cx: &Cx) -> Outcome {
    let of = |step: &str| cx.evidence(step).cloned().unwrap_or_default();
    let mut outcome = Outcome {
        manifest: serde_json::from_value(of("hash-file")).ok(),
        counts: serde_json::from_value(of("count-rows")).ok(),
        findings: cx.findings.clone(),
        ..Outcome::default()
    };
    outcome.reached(Level::L0);
    if let Some(m) = &outcome.manifest {
        let (path, size, root, guid) = (m.path.clone(), m.size, m.root.clone(), m.header.backup_set_guid);
        outcome.saw("backup file", path);
        outcome.saw("bytes", size);
        outcome.saw("BLAKE3", root);
        outcome.saw("BackupSetGUID", guid);
    }
    outcome
}

#[derive(Clone)]
struct Base {
    task: Arc<BackupTask>,
}

impl Base {
    async fn server(&self, cx: &Cx) -> Result<Server, StepError> {
        Server::open(cx, &self.task.database.address.instance).await
    }
    fn database(&self) -> &str {
        &self.task.database.address.database
    }
    /// What the set says of itself; the target proves it by this.
    fn description(cx: &Cx) -> String {
        json!({"migration": cx.spec.migration, "epoch": cx.spec.lease.epoch, "attempt": cx.token.attempt}).to_string()
    }
}

struct LookAtSource(Base);

#[async_trait]
impl Step for LookAtSource {
    fn name(&self) -> &'static str {
        "look-at-source"
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
        let mut server = self.0.server(cx).await?;
        let row = same_database(cx, &mut server, &self.0.task.database).await?;
        if row.state != "ONLINE" {
            return Err(
                Finding::blocker("source-not-online", format!("{} is {}", row.name, row.state))
                    .saw("sys.databases.state_desc", &row.state)
                    .source(OURS)
                    .next("Bring the database online and run the job again; Syncferry does not change its state.")
                    .into(),
            );
        }
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        server.close().await;
        cx.saw("SERVERPROPERTY('ServerName')", &facts.server_name);
        cx.saw(
            "SERVERPROPERTY('Edition')",
            format!("{} {}", facts.edition, facts.product_version),
        );
        cx.saw("database_guid", self.0.task.database.database_guid);
        let account = service_account(cx, &self.0.task.database.address.instance, facts.service_account);
        Ok(json!({"service_account": account, "server_name": facts.server_name}))
    }
}

struct HoldScheduler(Base);

impl HoldScheduler {
    /// What the scheduler was before anybody of ours changed it. It is off because of us when an earlier attempt at the job,
    /// of which a lost journal knows nothing any more, turned it off: then what the plan saw counts.
    fn before_us(&self, cx: &Cx, now: bool) -> bool {
        let planned = self.0.task.scheduler_enabled.unwrap_or(now);
        if cx.token.attempt > 1 && !cx.knows_earlier_attempts() {
            planned
        } else {
            now
        }
    }
}

#[async_trait]
impl Step for HoldScheduler {
    fn name(&self) -> &'static str {
        "hold-scheduler"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let facts = cx.env.host.connect_facts().await?;
        let Some(scheduler) = facts.scheduler else {
            return Err(Finding::blocker("scheduler-unseen", "The scheduler of the old server does not answer")
                .saw("Get-ADSyncScheduler", "no answer")
                .source(OURS)
                .next("Start the ADSync service on the old server, check that the agent's account is in ADSyncAdmins, and run the job again.")
                .into());
        };
        // What was before anybody of ours changed it: after a crash it may be off because of us.
        let was = self.before_us(cx, scheduler.sync_cycle_enabled);
        let was = cx.hold(SYNC_CYCLE, json!(was)).await?;
        if scheduler.sync_cycle_enabled {
            cx.env.host.set_sync_cycle(false).await?;
        }
        cx.saw("SyncCycleEnabled before", &was);
        Ok(json!({"was": was}))
    }
    async fn confirm(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let on = cx
            .env
            .host
            .connect_facts()
            .await?
            .scheduler
            .is_some_and(|s| s.sync_cycle_enabled);
        if !on {
            return Ok(());
        }
        Err(
            Finding::blocker("scheduler-not-held", "The scheduler is still on after it was held")
                .saw("SyncCycleEnabled", "True")
                .source(OURS)
                .next("Somebody or something turns it on again. Find out who, then run the job again.")
                .into(),
        )
    }
}

struct WaitUntilIdle(Base);

#[async_trait]
impl Step for WaitUntilIdle {
    fn name(&self) -> &'static str {
        "wait-until-idle"
    }
    fn looks_only(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        Duration::from_secs(self.0.task.idle_timeout_s)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let begun = tokio::time::Instant::now();
        loop {
            let running = self.cycle_runs(cx).await?;
            let waited = begun.elapsed().as_secs();
            match running {
                None => {
                    cx.saw("synchronisation cycle", format!("none runs, after {waited} s"));
                    return Ok(json!({"waited_s": waited}));
                }
                Some(_) if waited > self.0.task.idle_timeout_s => {
                    return Err(Finding::blocker("cycle-does-not-end", "A synchronisation cycle did not end in time")
                        .saw("waited", format!("{waited} s"))
                        .source(OURS)
                        .next("Look at the old server's Synchronization Service Manager. Stop-ADSyncSyncCycle ends a cycle; then run the job again.")
                        .into());
                }
                Some(what) => cx.progress(syncferry_shared::progress::Progress {
                    message: format!("waiting until the cycle ends ({what}), {waited} s"),
                    ..Default::default()
                }),
            }
            cx.sleep(cx.env.pace.look_again).await?;
        }
    }
}

impl WaitUntilIdle {
    /// What says that a cycle runs, if one does. Where Connect is on this host, its own word counts; a run that the database
    /// calls open may be one that was interrupted long ago.
    async fn cycle_runs(&self, cx: &mut Cx) -> Result<Option<&'static str>, StepError> {
        if self.0.task.hold_scheduler {
            let scheduler = cx.env.host.connect_facts().await?.scheduler;
            return Ok(scheduler
                .is_some_and(|s| s.cycle_in_progress)
                .then_some("Get-ADSyncScheduler"));
        }
        let mut server = self.0.server(cx).await?;
        let facts = crate::adsync::inspect(&mut server.work, self.0.database()).await?;
        server.close().await;
        Ok(facts
            .and_then(|f| f.run_in_progress)
            .unwrap_or(false)
            .then_some("mms_run_history"))
    }
}

struct CountRows(Base);

#[async_trait]
impl Step for CountRows {
    fn name(&self) -> &'static str {
        "count-rows"
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
        let counts: Counts = count(&mut server, self.0.database()).await?;
        server.close().await;
        cx.saw("rows in all tables", counts.rows.values().sum::<i64>());
        cx.saw("connectors", counts.connectors.join(", "));
        Ok(serde_json::to_value(counts).unwrap_or_default())
    }
}

struct BackUp(Base);

/// The file of an attempt, in the folder of its migration.
fn file_name(migration: &str, attempt: i32) -> String {
    format!("ADSync_{migration}_{attempt}.bak")
}

/// The files of the attempts before one.
fn earlier_files(migration: &str, attempt: i32) -> Vec<String> {
    (1..attempt).map(|n| file_name(migration, n)).collect()
}

impl BackUp {
    /// An attempt takes its file away when it goes backwards. One whose journal was lost did not: nothing else would ever do it.
    async fn delete_earlier(&self, cx: &mut Cx) -> Result<(), StepError> {
        for name in earlier_files(&cx.spec.migration.short(), cx.token.attempt) {
            let path = cx.env.host.join(&staging(cx), &name);
            if file_exists(&cx.env.host, &path).await {
                delete_file(&cx.env.host, &path).await?;
                cx.saw("left by an earlier attempt, and deleted", path);
            }
        }
        Ok(())
    }
    /// The set in the file that an earlier try began, if it is complete and ours.
    async fn complete(&self, cx: &Cx, path: &str, description: &str) -> Result<bool, StepError> {
        let mut server = self.0.server(cx).await?;
        let read = ops::header(&mut server.work, path).await;
        let known = ops::msdb::backups(&mut server.work, self.0.database(), 0).await;
        server.close().await;
        let Ok(record) = read else { return Ok(false) };
        // Where msdb may not be read, the set's own header must do; VERIFYONLY reads all of it in a later step.
        let guid = record.header.backup_set_guid;
        let finished = known.map_or(true, |k| k.iter().any(|b| b.backup_set_guid == guid));
        Ok(finished && record.header.description == description && record.has_checksums && !record.is_damaged)
    }
}

#[async_trait]
impl Step for BackUp {
    fn name(&self) -> &'static str {
        "backup-database"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let name = file_name(&cx.spec.migration.short(), cx.token.attempt);
        let path = cx.env.host.join(&staging(cx), &name);
        Ok(json!({"path": path, "description": Base::description(cx)}))
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let text = |key: &str| cx.intent().and_then(|i| i.get(key)?.as_str().map(str::to_string));
        let (Some(path), Some(description)) = (text("path"), text("description")) else {
            return Ok(Probe::NotStarted);
        };
        if !file_exists(&cx.env.host, &path).await {
            return Ok(Probe::NotStarted);
        }
        if self.complete(cx, &path, &description).await? {
            return Ok(Probe::Done(json!({"path": path, "description": description})));
        }
        Ok(Probe::Partial(format!("{path} is not a complete backup")))
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let intent = cx.intent().cloned().unwrap_or_default();
        let text = |key: &str| intent.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        let (path, description) = (text("path"), text("description"));
        self.delete_earlier(cx).await?;
        let mut server = self.0.server(cx).await?;
        same_database(cx, &mut server, &self.0.task.database).await?;
        let lock = lock(cx, &mut server, self.0.database()).await?;
        let options = BackupOptions {
            name: format!("syncferry {}", cx.spec.migration.short()),
            description: description.clone(),
            media_name: format!("syncferry-{}", cx.spec.migration.short()),
            media_description: format!("syncferry-agent {}", env!("CARGO_PKG_VERSION")),
            compression: self.0.task.compression,
            ..BackupOptions::new(self.0.database(), &path)
        };
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let expected = self.0.task.expected_bytes;
        let mut progress = |p| sink.set(as_bytes(p, expected));
        let (work, watch) = server.watched();
        let done = ops::backup(work, watch, &options, &cancel, &mut progress).await?;
        lock.release().await;
        server.close().await;
        cx.findings.extend(done.findings.clone());
        cx.saw(
            "BACKUP DATABASE",
            format!("{} pages in {} s", done.pages.unwrap_or(0), done.seconds.unwrap_or(0.0)),
        );
        Ok(json!({"path": path, "description": description, "pages": done.pages, "seconds": done.seconds}))
    }
    async fn confirm(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        let text = |key: &str| {
            evidence
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_string()
        };
        if self.complete(cx, &text("path"), &text("description")).await? {
            return Ok(());
        }
        Err(StepError::unknown(
            Finding::blocker(
                "backup-not-confirmed",
                "BACKUP reported success, but its set is not to be seen",
            )
            .saw(text("path"), "no complete set of ours, or msdb does not know it")
            .source(OURS)
            .next("Look at the SQL Server's error log (18264, 3041) and at the file, then run the job again."),
        ))
    }
    fn on_partial(&self) -> Policy {
        Policy::CleanAndRepeat
    }
    async fn clean(&self, cx: &mut Cx, _what: &str) -> Result<(), StepError> {
        let path = cx.intent().and_then(|i| i.get("path")?.as_str().map(str::to_string));
        match path {
            Some(path) => delete_file(&cx.env.host, &path).await,
            None => Ok(()),
        }
    }
    fn undoes_on_failure(&self) -> bool {
        true
    }
    async fn undo(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        forget(cx, self.0.task.artifact);
        match evidence.get("path").and_then(Value::as_str) {
            Some(path) => delete_file(&cx.env.host, path).await,
            None => Ok(()),
        }
    }
}

/// BACKUP says per cent; people want bytes.
fn as_bytes(p: syncferry_shared::progress::Progress, expected: u64) -> syncferry_shared::progress::Progress {
    use syncferry_shared::progress::Unit;
    if p.unit != Unit::Percent || expected == 0 {
        return p;
    }
    let done = expected / 100 * p.done.min(100);
    let left = p.left_ms.filter(|ms| *ms > 0);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = left.map_or(0.0, |ms| (expected - done.min(expected)) as f64 * 1000.0 / ms as f64);
    syncferry_shared::progress::Progress {
        done,
        total: expected,
        unit: Unit::Bytes,
        rate,
        ..p
    }
}

struct ReleaseScheduler;

#[async_trait]
impl Step for ReleaseScheduler {
    fn name(&self) -> &'static str {
        "release-scheduler"
    }
    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        cx.release(SYNC_CYCLE).await?;
        Ok(json!({}))
    }
    async fn confirm(&self, cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        let now = cx
            .env
            .host
            .connect_facts()
            .await?
            .scheduler
            .map(|s| s.sync_cycle_enabled);
        cx.saw(
            "SyncCycleEnabled now",
            now.map_or("unknown".to_string(), |n| n.to_string()),
        );
        Ok(())
    }
}

struct VerifySet(Base);

#[async_trait]
impl Step for VerifySet {
    fn name(&self) -> &'static str {
        "verify-set"
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
        let made: Value = cx.evidence_as("backup-database")?;
        let path = made.get("path").and_then(Value::as_str).unwrap_or_default().to_string();
        let mut server = self.0.server(cx).await?;
        let (sink, cancel) = (cx.progress_sink(), cx.cancel_token());
        let mut progress = |p| sink.set(p);
        let (work, watch) = server.watched();
        ops::verify_only(work, watch, &path, &cancel, &mut progress).await?;
        let record = ops::header(&mut server.work, &path).await?;
        let label = ops::label(&mut server.work, &path).await?;
        let files = ops::file_list(&mut server.work, &path).await?;
        server.close().await;
        let expected = ops::Expectations {
            family_guid: self.0.task.database.family_guid,
            binding_id: Some(self.0.task.database.database_guid),
            database_name: record.header.database_name.clone(),
            server_name: Some(self.0.task.database.server_name.clone()),
            description: made.get("description").and_then(Value::as_str).map(str::to_string),
            files: 1,
            ..ops::Expectations::default()
        };
        ops::accept_set(&record, &label, &files, &expected).map_err(StepError::Failed)?;
        let header = SetHeader {
            files: files.into_iter().map(|f| f.file).collect(),
            ..record.header
        };
        cx.saw("RESTORE VERIFYONLY", "The backup set on file 1 is valid.");
        cx.saw("BackupSetGUID", header.backup_set_guid);
        cx.saw("FamilyGUID", header.family_guid);
        Ok(serde_json::to_value(header).unwrap_or_default())
    }
}

struct HashFile(Base);

#[async_trait]
impl Step for HashFile {
    fn name(&self) -> &'static str {
        "hash-file"
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
        let made: Value = cx.evidence_as("backup-database")?;
        let path = made.get("path").and_then(Value::as_str).unwrap_or_default().to_string();
        let header: SetHeader = cx.evidence_as("verify-set")?;
        let local = cx.env.host.local_path(&path);
        let hashed = hash_file(local, "hashing the backup", Some(cx.progress_sink()), cx.cancel_token()).await;
        let hashed = hashed.map_err(|e| match e {
            HashError::Cancelled => StepError::Cancelled,
            HashError::Io { error, .. } => unreadable(&path, &error),
        })?;
        let manifest = Manifest {
            artifact: self.0.task.artifact,
            migration: cx.spec.migration,
            host: cx.spec.host,
            path,
            size: hashed.size,
            chunk_size: hashed.chunk_size,
            chunks: hashed.chunks,
            root: hashed.root,
            header,
            taken_at: cx.env.clocks.now(),
        };
        cx.env
            .artifacts
            .put(&manifest)
            .map_err(|e| unreadable(&manifest.path, &e))?;
        cx.saw("BLAKE3", &manifest.root);
        cx.saw("bytes", manifest.size);
        Ok(serde_json::to_value(manifest).unwrap_or_default())
    }
}

fn unreadable(path: &str, error: &dyn std::fmt::Display) -> StepError {
    StepError::failed(
        Finding::blocker("backup-file-unusable", format!("{path} cannot be read by the agent, or not be handed out"))
            .saw(path, error)
            .source(OURS)
            .next("Give the agent's account read access to its staging folder and its data directory, then run the job again."),
    )
}

/// Hands an artifact out no more.
fn forget(cx: &Cx, artifact: syncferry_shared::ArtifactId) {
    if let Err(error) = cx.env.artifacts.remove(artifact) {
        tracing::warn!(%error, %artifact, "a manifest could not be removed; without its file it cannot be handed out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_earlier_attempts_are_known_by_their_names() {
        assert!(earlier_files("0242ac12", 1).is_empty());
        assert_eq!(
            earlier_files("0242ac12", 3),
            ["ADSync_0242ac12_1.bak", "ADSync_0242ac12_2.bak"]
        );
    }
}
