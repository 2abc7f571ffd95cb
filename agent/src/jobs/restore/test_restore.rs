//! `restore` for a test: the backup is the way back when the only copy of a database is upgraded in place, and a backup that
//! was never restored is a hope. It is restored beside the original under a temporary name with files of its own, checked,
//! compared, and dropped again. Nothing is done to the original.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::finding::bytes;
use syncferry_shared::inventory::InstanceFacts;
use syncferry_shared::outcome::{Level, Outcome};
use syncferry_shared::spec::TestRestoreTask;

use super::by_dba::{DropByDba, ReadableByDba};
use super::copy::AcceptSet;
use super::database::Restore;
use super::{Base, restored};
use crate::jobs::by_dba::ByDba;
use crate::jobs::common::{OURS, Server, count, differences, minutes, same_database, service_account, staging};
use crate::jobs::look::{Look, LooksOnly};
use crate::jobs::steps::differs;
use crate::runner::{Cx, Job, Probe, Step, StepError};
use crate::sql::ops;

/// The job.
pub(crate) fn job(task: &TestRestoreTask) -> Job {
    let base = Base {
        task: Arc::new(task.restore.clone()),
        here: Some(task.file.clone()),
    };
    let test = Test {
        base: base.clone(),
        task: Arc::new(task.clone()),
    };
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(LooksOnly(LookAtTarget(test.clone())))];
    if task.original.address.instance != task.restore.instance {
        steps.push(Box::new(LetIn));
    }
    steps.push(Box::new(LooksOnly(AcceptSet(base.clone()))));
    steps.extend(restored(&base));
    if base.task.dba {
        steps.push(Box::new(ByDba(ReadableByDba(base.clone()))));
    }
    steps.push(Box::new(LooksOnly(Compare(test))));
    steps.push(match base.task.dba {
        true => Box::new(ByDba(DropByDba(base))),
        false => Box::new(DropTest(base)),
    });
    Job::new(steps, finish)
}

fn finish(cx: &Cx) -> Outcome {
    let mut outcome = Outcome {
        counts: cx
            .evidence("compare")
            .cloned()
            .and_then(|c| serde_json::from_value(c).ok()),
        ..Outcome::default()
    };
    for level in [Level::L2, Level::L3, Level::L4] {
        outcome.reached(level);
    }
    outcome
}

#[derive(Clone)]
struct Test {
    base: Base,
    task: Arc<TestRestoreTask>,
}

/// The instance is the planned one, the original is where it was, and there is room for the copy. Later steps look for what it
/// found under the same name as in a restore.
struct LookAtTarget(Test);

#[async_trait]
impl Look for LookAtTarget {
    const NAME: &'static str = "look-at-target";

    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let (task, original) = (&self.0.task.restore, &self.0.task.original);
        let mut source = Server::open(cx, &original.address.instance).await?;
        same_database(cx, &mut source, original).await?;
        let of_source = ops::probe_instance(&mut source.work, &source.instance, cx.env.clocks.as_ref()).await?;
        source.close().await;
        let mut server = self.0.base.server(cx).await?;
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        server.close().await;
        if !facts.server_name.eq_ignore_ascii_case(&task.server_name) {
            return Err(Finding::blocker(
                "test-instance-is-another",
                "The instance for the test restore is not the one that was planned",
            )
            .saw("SERVERPROPERTY('ServerName')", &facts.server_name)
            .saw("in the plan", &task.server_name)
            .source(OURS)
            .next("Correct the endpoint in the agent's configuration, or plan again.")
            .into());
        }
        let (data, log) = (
            task.data_dir.clone().or_else(|| facts.data_path.clone()),
            task.log_dir.clone().or_else(|| facts.log_path.clone()),
        );
        room(task, &facts, data.as_deref(), log.as_deref())?;
        cx.saw("SERVERPROPERTY('ServerName')", &facts.server_name);
        Ok(json!({
            "service_account": service_account(cx, &task.instance, facts.service_account),
            "account_of_source": service_account(cx, &original.address.instance, of_source.service_account),
            "major": facts.major,
            "data_path": data,
            "log_path": log,
        }))
    }
}

/// The same rule that the plan has, looked at again right before the space is taken.
fn room(
    task: &syncferry_shared::spec::RestoreTask,
    facts: &InstanceFacts,
    data: Option<&str>,
    log: Option<&str>,
) -> Result<(), StepError> {
    let mut wanted: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
    for file in &task.header.files {
        let folder = if file.kind == "L" { log } else { data };
        let Some(folder) = folder.map(str::to_ascii_lowercase) else {
            continue;
        };
        let under = |m: &&String| folder.starts_with(&m.to_ascii_lowercase());
        let Some(mount) = facts.volumes.keys().filter(under).max_by_key(|m| m.len()) else {
            continue;
        };
        let entry = wanted.entry(mount).or_insert((0, facts.volumes[mount]));
        entry.0 = entry.0.saturating_add(file.size);
    }
    let short = wanted.into_iter().find(|(_, (need, free))| need > free);
    let Some((mount, (need, free))) = short else {
        return Ok(());
    };
    Err(Finding::blocker("no-space", format!("The test copy does not fit onto {mount} any more"))
        .saw(format!("free on {mount}"), bytes(free))
        .saw("needed", bytes(need))
        .source("Syncferry: a restore is not begun where it cannot end (SQL Server error 3257)")
        .next(format!(
            "Free {} on that volume and apply the migration again: it goes on from here. To test on another instance of \
             this host, cancel the migration and plan again with --test-instance.",
            bytes(need - free)
        ))
        .into())
}

/// Another instance on the host has another account, which must be able to read the backup.
struct LetIn;

#[async_trait]
impl Step for LetIn {
    fn name(&self) -> &'static str {
        "let-the-test-instance-read"
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, _cx: &mut Cx) -> Result<Probe, StepError> {
        // Setting the folder's rights again does no harm, and is surer than comparing access lists.
        Ok(Probe::NotStarted)
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let folder = staging(cx);
        let target: Value = cx.evidence_as("look-at-target")?;
        let of = |key: &str| target.get(key).and_then(Value::as_str).map(str::to_string);
        let mut accounts: Vec<String> = of("account_of_source")
            .into_iter()
            .chain(of("service_account"))
            .collect();
        accounts.dedup();
        cx.env.host.secure_dir(&folder, &accounts).await?;
        Ok(json!({"folder": folder, "accounts": accounts}))
    }
    async fn confirm(&self, _cx: &mut Cx, _evidence: &Value) -> Result<(), StepError> {
        Ok(())
    }
}

struct Compare(Test);

#[async_trait]
impl Look for Compare {
    const NAME: &'static str = "compare";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let before = &self.0.task.restore.counts;
        let mut server = self.0.base.server(cx).await?;
        let counts = count(&mut server, &self.0.task.restore.temporary_name).await?;
        server.close().await;
        let (rows, rest): (Vec<_>, Vec<_>) = differences(before, &counts)
            .into_iter()
            .partition(|(what, was, is)| what.starts_with("rows of ") && was != "missing" && is != "missing");
        // Nobody holds the scheduler of a server that may be out of reach: what it wrote between the count and the backup is
        // no damage. Without such a server, every row must be there.
        if !rest.is_empty() || (!rows.is_empty() && !self.0.task.live) {
            let next = "The copy is not what was counted in the database right before the backup. Look whether somebody changed the database meanwhile. Then cancel the migration and plan again: that takes a new backup.";
            return Err(differs(
                "copy-differs",
                "The restored test copy differs from the database".to_string(),
                rest.into_iter().chain(rows).collect(),
                next,
            )
            .into());
        }
        if !rows.is_empty() {
            let mut finding = Finding::note(
                "rows-moved-on",
                "Rows changed between the count and the backup: the Connect server was at work",
            )
            .source(OURS)
            .next("Nothing: schema, connectors and rules are the same, and DBCC CHECKDB found no errors.");
            for (what, was, is) in rows.into_iter().take(20) {
                finding = finding.saw(what, format!("{was} counted, {is} in the copy"));
            }
            cx.findings.push(finding);
        }
        cx.saw("rows in all tables", counts.rows.values().sum::<i64>());
        cx.saw("columns of all tables", "equal to the original");
        Ok(serde_json::to_value(counts).unwrap_or_default())
    }
}

/// The copy has served. Only a database of a temporary name of ours, of this family, is ever dropped.
pub(super) struct DropTest(pub(super) Base);

#[async_trait]
impl Step for DropTest {
    fn name(&self) -> &'static str {
        "drop-test-copy"
    }
    fn destructive(&self) -> bool {
        true
    }
    fn budget(&self) -> Duration {
        minutes(1)
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        let name = &self.0.task.temporary_name;
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, name).await?;
        server.close().await;
        Ok(match row {
            Some(_) => Probe::NotStarted,
            None => Probe::Done(json!({"dropped": name})),
        })
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        Restore(self.0.clone()).drop_temporary(cx).await?;
        cx.saw("dropped", &self.0.task.temporary_name);
        Ok(json!({"dropped": self.0.task.temporary_name}))
    }
}
