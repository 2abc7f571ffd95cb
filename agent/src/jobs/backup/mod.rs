//! `backup`: an online, copy-only backup of the source, verified and hashed. The source stays as it is; the scheduler is held
//! while the backup runs and put back, whatever happens.

mod by_dba;
mod file;
mod scheduler;
mod set;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use syncferry_shared::Finding;
use syncferry_shared::artifact::Counts;
use syncferry_shared::outcome::{Level, Outcome};
use syncferry_shared::spec::BackupTask;

use self::by_dba::BackupByDba;
use self::file::HashFile;
use self::scheduler::{HoldScheduler, ReleaseScheduler, WaitUntilIdle};
use self::set::{BackUp, VerifySet};
use super::by_dba::ByDba;
use super::common::{OURS, Server, count, minutes, same_database, service_account};
use super::look::{Look, LooksOnly};
use super::steps::SecureStaging;
use crate::runner::{Cx, Job, Step, StepError};
use crate::sql::ops;

/// The job.
pub(super) fn job(task: &BackupTask) -> Job {
    let base = Base {
        task: Arc::new(task.clone()),
    };
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(LooksOnly(LookAtSource(base.clone()))),
        Box::new(SecureStaging {
            account_of: "look-at-source",
            needs: task.expected_bytes,
            has: None,
        }),
    ];
    if task.hold_scheduler {
        steps.push(Box::new(HoldScheduler(base.clone())));
    }
    steps.push(Box::new(LooksOnly(WaitUntilIdle(base.clone()))));
    steps.push(Box::new(LooksOnly(CountRows(base.clone()))));
    steps.push(match task.dba {
        true => Box::new(ByDba(BackupByDba(base.clone()))),
        false => Box::new(BackUp(base.clone())),
    });
    if task.hold_scheduler {
        steps.push(Box::new(ReleaseScheduler));
    }
    steps.push(Box::new(LooksOnly(VerifySet(base.clone()))));
    steps.push(Box::new(LooksOnly(HashFile(base))));
    Job::new(steps, finish)
}

fn finish(cx: &Cx) -> Outcome {
    let of = |step: &str| cx.evidence(step).cloned().unwrap_or_default();
    let mut outcome = Outcome {
        manifest: serde_json::from_value(of("hash-file")).ok(),
        counts: serde_json::from_value(of("count-rows")).ok(),
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
impl Look for LookAtSource {
    const NAME: &'static str = "look-at-source";

    fn budget(&self) -> Duration {
        minutes(2)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let row = same_database(cx, &mut server, &self.0.task.database).await?;
        if row.state != "ONLINE" {
            return Err(
                Finding::blocker("source-not-online", format!("{} is {}", row.name, row.state))
                    .saw("sys.databases.state_desc", &row.state)
                    .source(OURS)
                    .next(
                        "Bring the database online and apply the migration again; Syncferry does not change its state.",
                    )
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

struct CountRows(Base);

#[async_trait]
impl Look for CountRows {
    const NAME: &'static str = "count-rows";

    fn budget(&self) -> Duration {
        minutes(15)
    }
    async fn look(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let mut server = self.0.server(cx).await?;
        let counts: Counts = count(&mut server, self.0.database()).await?;
        server.close().await;
        cx.saw("rows in all tables", counts.rows.values().sum::<i64>());
        cx.saw("connectors", counts.connectors.join(", "));
        Ok(serde_json::to_value(counts).unwrap_or_default())
    }
}
