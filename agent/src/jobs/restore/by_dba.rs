//! A restore of which a DBA takes every step that changes something: restored under the temporary name and checked, made ready for
//! the service account, renamed; or dropped again. The agent compares what it sees with what it asked for.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Base;
use super::database::Restore;
use super::name::Rename;
use crate::jobs::by_dba::{Order, Ordered, Seen};
use crate::jobs::common::Server;
use crate::runner::{Cx, Probe, Step, StepError};
use crate::sql::errors::SqlErrorKind;
use crate::sql::ops;
use crate::sql::quote::{ident, text};
use crate::sql::statements::{after_restore, restore as statements};

/// RESTORE and DBCC CHECKDB.
pub(super) struct RestoreByDba(pub(super) Base);

fn drop_order(base: &Base, name: &str) -> Order {
    Order {
        what: format!("drop {name} on {}", base.task.server_name),
        sql: format!("USE [master];\nDROP DATABASE {};", ident(name)),
        rights: format!("ALTER ANY DATABASE or sysadmin on {}", base.task.server_name),
        does: format!("{name}, which was restored for this migration alone, and its files are gone"),
        undo: "Not at all: restore the backup again".to_string(),
    }
}

impl RestoreByDba {
    fn planned_files(cx: &Cx) -> Vec<(String, String)> {
        let moves = Restore::moves(cx);
        moves.into_iter().map(|m| (m.logical_name, m.to)).collect()
    }

    /// What does not fit, of what was restored; and what is said of the set that it came from.
    async fn differences(&self, cx: &Cx, server: &mut Server) -> Result<(Vec<String>, &'static str), StepError> {
        let task = &self.0.task;
        let name = &task.temporary_name;
        let mut wrong = Vec::new();
        // msdb may be closed to the agent; then family, files and the comparison of contents must do.
        let wanted = task.header.backup_set_guid;
        let sets = ops::msdb::restored_sets(&mut server.work, name)
            .await
            .unwrap_or_default();
        let of = match sets.first() {
            Some(set) if *set != wanted => {
                wrong.push(format!("it was restored from backup set {set}, not from {wanted}"));
                "from another set"
            }
            Some(_) => "from the planned set",
            None => "of the planned family (which set it came from cannot be seen in msdb)",
        };
        let files = ops::inspect::file_paths(&mut server.work, name).await?;
        for (logical, to) in Self::planned_files(cx) {
            match files.iter().find(|(n, _)| n.eq_ignore_ascii_case(&logical)) {
                Some((_, path)) if path.eq_ignore_ascii_case(&to) => {}
                Some((_, path)) => wrong.push(format!("file {logical} is {path}, not {to}")),
                None => wrong.push(format!("there is no file {logical}")),
            }
        }
        Ok((wrong, of))
    }
}

#[async_trait]
impl Ordered for RestoreByDba {
    const NAME: &'static str = "restore-database";

    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        Restore(self.0.clone()).before(cx).await
    }
    async fn order(&self, cx: &mut Cx) -> Result<Order, StepError> {
        let task = &self.0.task;
        let options = statements::RestoreOptions {
            checksums: !task.without_checksums,
            ..statements::RestoreOptions::new(&task.temporary_name, self.0.file(cx), Restore::moves(cx))
        };
        let name = &task.temporary_name;
        let checksum = if task.without_checksums { "" } else { " WITH CHECKSUM" };
        Ok(Order {
            what: format!("restore {name} on {}", task.server_name),
            sql: format!(
                "RESTORE VERIFYONLY FROM DISK = {}{checksum};\nGO\n{}\nGO\nDBCC CHECKDB ({}) WITH NO_INFOMSGS, ALL_ERRORMSGS;",
                text(&self.0.file(cx)),
                statements::database(&options).sql,
                ident(name)
            ),
            rights: format!(
                "dbcreator for RESTORE and sysadmin for DBCC CHECKDB on {}",
                task.server_name
            ),
            does: format!(
                "a new database {name} with new files; nothing is restored over, and CHECKDB must say nothing"
            ),
            undo: drop_order(&self.0, name).sql,
        })
    }
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError> {
        let task = self.0.task.clone();
        let name = &task.temporary_name;
        let mut server = self.0.server(cx).await?;
        let seen = self.seen(cx, &mut server, name).await;
        server.close().await;
        seen
    }
    async fn left(&self, cx: &mut Cx, _evidence: &Value) -> Result<Option<Order>, StepError> {
        let name = &self.0.task.temporary_name;
        let mut server = self.0.server(cx).await?;
        let there = ops::database_identity(&mut server.work, name).await?;
        server.close().await;
        Ok(there.map(|_| drop_order(&self.0, name)))
    }
}

impl RestoreByDba {
    async fn seen(&self, cx: &Cx, server: &mut Server, name: &str) -> Result<Seen, StepError> {
        let evidence = || json!({"temporary_name": name, "files": Self::planned_files(cx).into_iter().map(|f| f.1).collect::<Vec<_>>()});
        if self.0.is_renamed(cx) {
            return Ok(Seen::done(
                format!("{name} was restored and renamed before"),
                evidence(),
            ));
        }
        let Some(row) = ops::database_identity(&mut server.work, name).await? else {
            let others = ops::family_present(&mut server.work, self.0.family()).await?;
            return Ok(match others.first() {
                Some(other) => Seen::otherwise(format!(
                    "it was restored as {}, not as {name}: drop that, and run the T-SQL as it stands",
                    other.name
                )),
                None => Seen::waiting(format!("there is no database {name} yet")),
            });
        };
        match row.state.as_str() {
            "ONLINE" => {}
            "RESTORING" | "RECOVERING" => return Ok(Seen::on_its_way(format!("{name} is {}", row.state))),
            state => {
                return Ok(Seen::otherwise(format!(
                    "{name} is {state}: drop it, and run the T-SQL again"
                )));
            }
        }
        if row.family_guid.is_some_and(|f| f != self.0.family()) {
            return Ok(Seen::otherwise(format!(
                "{name} is of another family than the backup ({}): another set was restored",
                row.family_guid.unwrap_or_default()
            )));
        }
        let (wrong, of) = self.differences(cx, server).await?;
        if !wrong.is_empty() {
            return Ok(Seen::otherwise(format!(
                "{}: drop {name}, and run the T-SQL as it stands",
                wrong.join("; ")
            )));
        }
        Ok(
            match ops::check_db::checked_since_restore(&mut server.work, name).await? {
                Some(true) => Seen::done(
                    format!("{name} is online with the planned files, {of}, and DBCC CHECKDB found no errors"),
                    evidence(),
                ),
                Some(false) => Seen::on_its_way(format!(
                    "{name} is restored; DBCC CHECKDB has not ended without errors since: run it, too"
                )),
                None => Seen::on_its_way(format!(
                    "{name} is restored; when it was checked last cannot be seen (LastGoodCheckDbTime, msdb.dbo.restorehistory)"
                )),
            },
        )
    }
}

/// What lets the agent read a copy, and nothing else.
fn readable(name: &str, login: &str) -> String {
    format!(
        "USE {db};\nIF USER_ID({t}) IS NULL CREATE USER {a} FOR LOGIN {a};\nALTER ROLE [db_datareader] ADD MEMBER {a};\nGRANT VIEW DEFINITION TO {a};\nGRANT VIEW DATABASE STATE TO {a};\nUSE [master];",
        db = ident(name),
        t = text(login),
        a = ident(login)
    )
}

/// A rehearsal's copy is only read: no owner, no account for Connect.
pub(super) struct ReadableByDba(pub(super) Base);

#[async_trait]
impl Ordered for ReadableByDba {
    const NAME: &'static str = "let-the-agent-read";

    async fn order(&self, cx: &mut Cx) -> Result<Order, StepError> {
        let name = self.0.task.temporary_name.clone();
        let mut server = self.0.server(cx).await?;
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        server.close().await;
        Ok(Order {
            what: format!("let {} read {name}", facts.login),
            sql: format!(
                "ALTER DATABASE {} SET MULTI_USER;\n{}",
                ident(&name),
                readable(&name, &facts.login)
            ),
            rights: format!("db_owner of {name}, or sysadmin on {}", self.0.task.server_name),
            does: format!(
                "{} may count and compare; it goes with the scratch database",
                facts.login
            ),
            undo: drop_order(&self.0, &name).sql,
        })
    }
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError> {
        let name = self.0.task.temporary_name.clone();
        let mut server = self.0.server(cx).await?;
        let counted = crate::jobs::common::count(&mut server, &name).await;
        server.close().await;
        Ok(match counted {
            Ok(counts) if !counts.rows.is_empty() => {
                Seen::done(format!("{name} can be read"), json!({"readable": true}))
            }
            _ => Seen::waiting(format!("{name} does not let the agent read yet")),
        })
    }
}

/// Owner, login, user, db_owner; open to all; and the agent may read.
pub(super) struct PrepareByDba(pub(super) Base);

#[async_trait]
impl Ordered for PrepareByDba {
    const NAME: &'static str = "prepare-database";

    async fn order(&self, cx: &mut Cx) -> Result<Order, StepError> {
        let task = self.0.task.clone();
        let name = self.0.name(cx).to_string();
        let mut server = self.0.server(cx).await?;
        let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
        let sa = ops::after_restore::sa(&mut server.work).await?;
        server.close().await;
        let mut sql = format!(
            "ALTER DATABASE {} SET READ_WRITE WITH ROLLBACK IMMEDIATE;\n{}\n{}\n",
            ident(&name),
            after_restore::owner(&name, &sa).sql,
            after_restore::open(&name).sql
        );
        if let Some(account) = &task.service_account {
            sql += &format!(
                "IF SUSER_ID({t}) IS NULL CREATE LOGIN {a} FROM WINDOWS;\nUSE {db};\nIF USER_ID({t}) IS NULL CREATE USER {a} FOR LOGIN {a};\nALTER ROLE [db_owner] ADD MEMBER {a};\n",
                t = text(account),
                a = ident(account),
                db = ident(&name)
            );
        }
        sql += &readable(&name, &facts.login);
        Ok(Order {
            what: format!("make {name} on {} ready", task.server_name),
            sql,
            rights: format!(
                "sysadmin on {} (or ALTER ANY LOGIN, and db_owner of the database)",
                task.server_name
            ),
            does: format!(
                "the owner is {sa}, {} is db_owner, {} may read and compare",
                task.service_account.as_deref().unwrap_or("nobody yet"),
                facts.login
            ),
            undo: format!(
                "Nothing of it outlives the database: {}",
                drop_order(&self.0, &name).sql
            ),
        })
    }
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError> {
        let task = self.0.task.clone();
        let name = self.0.name(cx).to_string();
        let mut server = self.0.server(cx).await?;
        let ready = ops::after_restore::readiness(&mut server.work, &name, task.service_account.as_deref()).await;
        server.close().await;
        let ready = match ready {
            Ok(ready) => ready,
            // Until it is let in, the agent cannot look inside.
            Err(e)
                if matches!(
                    e.kind,
                    SqlErrorKind::PermissionDenied | SqlErrorKind::CannotOpenDatabase
                ) =>
            {
                return Ok(Seen::waiting(format!("{name} does not let the agent in yet")));
            }
            Err(e) => return Err(e.into()),
        };
        Ok(match (ready.missing.as_slice(), ready.wrong.as_slice()) {
            ([], []) => Seen::done(
                format!(
                    "{name}: owner {}, open, and the service account is db_owner",
                    ready.owner
                ),
                json!({"service_account": task.service_account}),
            ),
            (_, [_, ..]) => Seen::otherwise(ready.wrong.join("; ")),
            (missing, _) => Seen::waiting(missing.join("; ")),
        })
    }
}

/// The final name.
pub(super) struct RenameByDba(pub(super) Base);

#[async_trait]
impl Ordered for RenameByDba {
    const NAME: &'static str = "rename";

    async fn order(&self, _cx: &mut Cx) -> Result<Order, StepError> {
        let task = &self.0.task;
        let rename = |from: &str, to: &str| {
            format!(
                "USE [master];\nALTER DATABASE {} MODIFY NAME = {};",
                ident(from),
                ident(to)
            )
        };
        Ok(Order {
            what: format!(
                "rename {} to {} on {}",
                task.temporary_name, task.final_name, task.server_name
            ),
            sql: rename(&task.temporary_name, &task.final_name),
            rights: format!("ALTER ANY DATABASE or sysadmin on {}", task.server_name),
            does: format!("the verified copy gets the name {}", task.final_name),
            undo: rename(&task.final_name, &task.temporary_name),
        })
    }
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError> {
        let task = self.0.task.clone();
        Ok(match Rename(self.0.clone()).probe(cx).await? {
            Probe::Done(evidence) => Seen::done(format!("it is {} now", task.final_name), evidence),
            Probe::NotStarted => Seen::waiting(format!("it is still {}", task.temporary_name)),
            Probe::Unknown(why) | Probe::Partial(why) => Seen::otherwise(why),
            Probe::InProgress => Seen::on_its_way("it is being renamed"),
        })
    }
    async fn left(&self, cx: &mut Cx, _evidence: &Value) -> Result<Option<Order>, StepError> {
        // Dropping is the one thing that undoes all of it.
        let name = &self.0.task.final_name;
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, name).await?;
        server.close().await;
        let ours = row.is_some_and(|r| r.family_guid == Some(self.0.family()));
        Ok(ours.then(|| drop_order(&self.0, name)))
    }
}

/// The scratch database goes again.
pub(super) struct DropByDba(pub(super) Base);

#[async_trait]
impl Ordered for DropByDba {
    const NAME: &'static str = "drop-test-copy";

    async fn order(&self, _cx: &mut Cx) -> Result<Order, StepError> {
        Ok(drop_order(&self.0, &self.0.task.temporary_name))
    }
    async fn look(&self, cx: &mut Cx) -> Result<Seen, StepError> {
        let name = self.0.task.temporary_name.clone();
        let mut server = self.0.server(cx).await?;
        let row = ops::database_identity(&mut server.work, &name).await?;
        let family = ops::family_present(&mut server.work, self.0.family()).await?;
        server.close().await;
        Ok(match (row, family.first()) {
            (Some(_), _) => Seen::waiting(format!("{name} is still there")),
            (None, Some(other)) if crate::sql::temporary::is_temporary(&other.name) => {
                Seen::otherwise(format!("{name} was not dropped, but renamed to {}", other.name))
            }
            (None, _) => Seen::done(format!("{name} is gone"), json!({"dropped": name})),
        })
    }
}
