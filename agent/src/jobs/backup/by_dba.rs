//! A backup that a DBA runs: the very statement, into the very file. The agent reads the set's header, and refuses another set.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Base;
use super::set::BackUp;
use crate::jobs::by_dba::{Order, Ordered, Seen};
use crate::jobs::common::file_exists;
use crate::runner::{Cx, Step, StepError};
use crate::sql::ops::{self, SetRecord};
use crate::sql::quote::text;
use crate::sql::statements::backup as statements;

/// BACKUP and RESTORE VERIFYONLY.
pub(super) struct BackupByDba(pub(super) Base);

impl BackupByDba {
    fn wanted(cx: &Cx) -> (String, String) {
        let of = |key: &str| {
            let intent = cx.intent().and_then(|i| i.get(key)?.as_str());
            intent.unwrap_or_default().to_string()
        };
        (of("path"), of("description"))
    }
    /// What is not as it was asked for.
    fn differences(&self, record: &SetRecord, description: &str) -> Vec<String> {
        let known = &self.0.task.database;
        let mut wrong = Vec::new();
        if record.backup_type != 1 {
            wrong.push(format!(
                "its BackupType is {}, not 1: it is no full backup",
                record.backup_type
            ));
        }
        if !record.is_copy_only {
            wrong.push("it is not COPY_ONLY: it broke into the chain of the DBA's own backups".to_string());
        }
        if !record.has_checksums {
            wrong.push("it has no checksums".to_string());
        }
        if record.is_damaged {
            wrong.push("it is damaged".to_string());
        }
        if record.header.family_guid != known.family_guid || record.header.binding_id != known.database_guid {
            wrong.push(format!(
                "it is of {} on {}, not of the database of this migration",
                record.header.database_name, record.header.server_name
            ));
        }
        if record.header.description != description {
            wrong.push(format!(
                "its description is '{}', not '{description}'",
                record.header.description
            ));
        }
        if record.sets != 1 {
            wrong.push(format!(
                "there are {} sets in the file: FORMAT, INIT were left out",
                record.sets
            ));
        }
        wrong
    }
}

#[async_trait]
impl Ordered for BackupByDba {
    const NAME: &'static str = "backup-database";

    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        BackUp(self.0.clone()).before(cx).await
    }
    async fn order(&self, cx: &mut Cx) -> Result<Order, StepError> {
        let (path, description) = Self::wanted(cx);
        let options = BackUp(self.0.clone()).options(cx, &path, &description);
        let name = self.0.database();
        Ok(Order {
            what: format!("back {name} up on {}", self.0.task.database.server_name),
            sql: format!(
                "{}\nGO\nRESTORE VERIFYONLY FROM DISK = {} WITH CHECKSUM;",
                statements::database(&options).sql,
                text(&path)
            ),
            rights: format!("db_backupoperator of {name}, or sysadmin"),
            does: format!(
                "{path} is written; the database stays as it is, and so does the chain of other backups (COPY_ONLY)"
            ),
            undo: format!("Remove-Item -LiteralPath '{}'", path.replace('\'', "''")),
        })
    }
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError> {
        let (path, description) = Self::wanted(cx);
        if !file_exists(&cx.env.host, &path).await {
            return Ok(Seen::waiting(format!("{path} is not there yet")));
        }
        let mut server = self.0.server(cx).await?;
        let read = ops::header(&mut server.work, &path).await;
        server.close().await;
        let record = match read {
            Ok(record) => record,
            Err(e) => return Ok(Seen::on_its_way(format!("{path} is not a complete set yet: {e}"))),
        };
        let wrong = self.differences(&record, &description);
        if !wrong.is_empty() {
            return Ok(Seen::otherwise(format!(
                "{}: delete the file, and run the T-SQL as it stands",
                wrong.join("; ")
            )));
        }
        Ok(Seen::done(
            format!(
                "set {} is there: full, COPY_ONLY, with checksums, of this migration",
                record.header.backup_set_guid
            ),
            json!({"path": path, "description": description}),
        ))
    }
    async fn left(&self, cx: &mut Cx, evidence: &Value) -> Result<Option<Order>, StepError> {
        // A file in its own folder is the agent's to delete.
        BackUp(self.0.clone()).undo(cx, evidence).await?;
        Ok(None)
    }
}
