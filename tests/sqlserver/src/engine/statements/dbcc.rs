//! DBCC: CHECKDB reads the pages of the file; the small ones answer what clients ask.

use super::pace::Pace;
use crate::engine::ast::Dbcc;
use crate::engine::catalog::object_by_id;
use crate::engine::errors::{Result, SqlError, err, msg};
use crate::engine::instance::{Handle, file_error};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::storage::backup::Progress;
use crate::storage::{Database, PageDamage, Row};
use crate::types::{Column, Message, SqlType, Value};

const DONE: Outcome = Outcome::Done(None, command::DBCC);

impl Session {
    pub(super) async fn dbcc(&mut self, out: &mut Out<'_>, dbcc: &Dbcc) -> Run<Outcome> {
        let quiet = dbcc.options.iter().any(|o| o == "NO_INFOMSGS");
        match dbcc.command.as_str() {
            "CHECKDB" | "CHECKALLOC" | "CHECKTABLE" => return self.check(out, dbcc, quiet).await,
            "OPENTRAN" => {
                out.info(crate::engine::errors::raw(
                    7969,
                    10,
                    1,
                    "No active open transactions.".to_owned(),
                ))
                .await?
            }
            "USEROPTIONS" => return self.user_options(out).await,
            "INPUTBUFFER" => return self.input_buffer(out, dbcc).await,
            "TRACESTATUS" | "SQLPERF" | "TRACEON" | "TRACEOFF" | "FREEPROCCACHE" | "DROPCLEANBUFFERS" => {
                if !self.is_sysadmin() {
                    return Err(err!(2571, self.login_name(), dbcc.command).into());
                }
            }
            _ => return Err(err!(2526).into()),
        }
        if !quiet {
            out.info(msg!(2528)).await?;
        }
        Ok(DONE)
    }

    fn checked_database(&self, dbcc: &Dbcc) -> Result<std::sync::Arc<Handle>> {
        let handle = match dbcc.args.first().filter(|_| dbcc.command != "CHECKTABLE") {
            None => self.handle()?,
            Some(arg) => match self.evaluate(arg)?.0 {
                Value::Int(0) => self.handle()?,
                Value::Int(id) => i32::try_from(id)
                    .ok()
                    .and_then(|id| self.inst.handle(id))
                    .ok_or_else(|| err!(2520, id))?,
                Value::Str(name) => self.inst.find(&name).ok_or_else(|| err!(2520, name))?,
                _ => return Err(err!(2571_001)),
            },
        };
        self.inst.usable(&handle.name())?;
        let database = handle.database();
        if !self.may_alter(&database, handle.id) {
            let user = self
                .user_in(&database, handle.id)
                .map_or_else(|| "guest".to_owned(), |u| u.name);
            return Err(err!(2571, user, dbcc.command));
        }
        Ok(handle)
    }

    async fn check(&mut self, out: &mut Out<'_>, dbcc: &Dbcc, quiet: bool) -> Run<Outcome> {
        let handle = self.checked_database(dbcc)?;
        let database = handle.database();
        self.fault("dbcc", &database.meta.name, "").await?;
        self.info.activity().command = format!("DBCC {}", dbcc.command);
        let total = u64::from(handle.used_pages());
        let mut pace = Pace::new(self, 0, command::DBCC, "dbcc", &database.meta.name);
        for done in [0, total / 2, total] {
            pace.step(
                self,
                out,
                Progress {
                    done,
                    total: total.max(1),
                },
            )
            .await?;
        }
        let damaged = {
            let file = handle.file();
            let open = file.as_ref().ok_or_else(|| err!(945, database.meta.name))?;
            open.check().map_err(|e| file_error(&e, handle.id))?
        };
        let mut said = Vec::new();
        if !quiet {
            said.push(msg!(2536, database.meta.name));
            for table in &database.tables {
                let pages = handle.file().as_ref().map_or(0, |f| f.object_pages(table.object_id));
                said.push(msg!(2593, table.rows.len(), pages, table.name));
            }
        }
        said.extend(damaged.iter().flat_map(|d| damage_messages(&database, d)));
        let errors = damaged.len() * 2;
        if !quiet || errors > 0 {
            said.push(msg!(8989, 0, errors, database.meta.name));
        }
        if errors > 0 {
            let level = "repair_allow_data_loss";
            said.push(msg!(
                8958,
                level,
                format!("DBCC {} ({})", dbcc.command, database.meta.name)
            ));
        }
        if !quiet {
            said.push(msg!(2528));
        }
        if errors == 0 && !database.meta.is_read_only && dbcc.command == "CHECKDB" {
            let now = self.inst.now();
            self.inst.change(&handle, |d| d.meta.last_good_checkdb = Some(now))?;
        }
        self.inst.effect(
            "DBCC CHECKDB",
            &database.meta.name,
            &errors.to_string(),
            self.login_name(),
        );
        self.report(out, dbcc, &handle, said, &damaged).await
    }

    /// As messages, or with TABLERESULTS as rows. Clean and without messages is nothing at all.
    async fn report(
        &mut self,
        out: &mut Out<'_>,
        dbcc: &Dbcc,
        handle: &Handle,
        said: Vec<Message>,
        damaged: &[PageDamage],
    ) -> Run<Outcome> {
        if dbcc.options.iter().any(|o| o == "TABLERESULTS") {
            if said.is_empty() {
                return Ok(DONE);
            }
            let page = damaged.first().map_or(0, |d| d.page_id);
            let rows: Vec<Row> = said.iter().map(|m| table_row(m, handle.id, page)).collect();
            let count = out.rows(table_columns(), rows).await?;
            return Ok(Outcome::Done(Some(count), command::DBCC));
        }
        let failed: Vec<Message> = said.iter().filter(|m| m.class > 10).cloned().collect();
        if failed.is_empty() {
            for message in said {
                out.info(message).await?;
            }
            return Ok(DONE);
        }
        let error = SqlError {
            messages: said,
            reach: crate::engine::errors::Reach::Statement,
        };
        self.error = failed.last().map_or(0, |m| m.number);
        out.error(&error).await?;
        // CHECKDB goes on behind its errors: they do not end the batch.
        out.done(true, None, command::DBCC).await?;
        Ok(Outcome::Sent)
    }

    async fn user_options(&self, out: &mut Out<'_>) -> Run<Outcome> {
        let o = &self.options;
        let level = [
            "read uncommitted",
            "read committed",
            "repeatable read",
            "serializable",
            "snapshot",
        ];
        let mut all = vec![
            ("textsize".to_owned(), o.textsize.to_string()),
            ("language".to_owned(), o.language.clone()),
            ("dateformat".to_owned(), o.date_format.clone()),
            ("datefirst".to_owned(), o.datefirst.to_string()),
            ("lock_timeout".to_owned(), o.lock_timeout.to_string()),
        ];
        for (name, on) in [
            ("quoted_identifier", o.quoted_identifier),
            ("arithabort", o.arithabort),
            ("nocount", o.nocount),
            ("xact_abort", o.xact_abort),
            ("ansi_nulls", o.ansi_nulls),
            ("concat_null_yields_null", o.concat_null),
        ] {
            if on {
                all.push((name.to_owned(), "SET".to_owned()));
            }
        }
        all.push((
            "isolation level".to_owned(),
            level[usize::from(o.isolation.clamp(1, 5)) - 1].to_owned(),
        ));
        let wide = || SqlType::NVarChar(Some(128));
        let column = |name: &str| Column {
            name: name.to_owned(),
            ty: wide(),
            nullable: true,
        };
        let rows = all
            .into_iter()
            .map(|(k, v)| vec![Value::Str(k.into()), Value::Str(v.into())])
            .collect();
        let count = out.rows(vec![column("Set Option"), column("Value")], rows).await?;
        Ok(Outcome::Done(Some(count), command::DBCC))
    }

    async fn input_buffer(&self, out: &mut Out<'_>, dbcc: &Dbcc) -> Run<Outcome> {
        let spid = match dbcc.args.first() {
            Some(arg) => self.evaluate_int(arg)?.unwrap_or(0),
            None => return Err(err!(2571_001).into()),
        };
        let found = self.inst.sessions().into_iter().find(|s| i64::from(s.spid) == spid);
        let Some(found) = found.filter(|s| s.spid == self.info.spid || self.can_view_state()) else {
            return Err(err!(2571, self.login_name(), "INPUTBUFFER").into());
        };
        let text = found.activity().text.clone();
        let columns = vec![
            Column {
                name: "EventType".to_owned(),
                ty: SqlType::NVarChar(Some(30)),
                nullable: true,
            },
            Column {
                name: "Parameters".to_owned(),
                ty: SqlType::SmallInt,
                nullable: true,
            },
            Column {
                name: "EventInfo".to_owned(),
                ty: SqlType::NVarChar(Some(4000)),
                nullable: true,
            },
        ];
        out.rows(
            columns,
            vec![vec![
                Value::Str("Language Event".into()),
                Value::Int(0),
                Value::Str(text.into()),
            ]],
        )
        .await?;
        Ok(Outcome::Done(Some(1), command::DBCC))
    }
}

/// 8928 and 8939 for a page whose checksum is wrong.
fn damage_messages(database: &Database, damage: &PageDamage) -> Vec<Message> {
    let object = damage.object_id.unwrap_or(0);
    let partition = 72_057_594_000_000_000_i64 + i64::from(object);
    let index = i32::from(object_by_id(database, object).is_some());
    vec![
        msg!(8928, object, index, partition, partition, 1, damage.page_id),
        msg!(
            8939,
            object,
            index,
            partition,
            partition,
            1,
            damage.page_id,
            12_716_041,
            -4
        ),
    ]
}

fn table_columns() -> Vec<Column> {
    let column = |name: &str, ty: SqlType| Column {
        name: name.to_owned(),
        ty,
        nullable: true,
    };
    let mut columns = vec![
        column("Error", SqlType::Int),
        column("Level", SqlType::Int),
        column("State", SqlType::Int),
        column("MessageText", SqlType::NVarChar(Some(2048))),
        column("RepairLevel", SqlType::NVarChar(Some(22))),
        column("Status", SqlType::Int),
        column("DbId", SqlType::SmallInt),
        column("DbFragId", SqlType::SmallInt),
        column("ObjectId", SqlType::Int),
        column("IndexId", SqlType::Int),
        column("PartitionId", SqlType::BigInt),
        column("AllocUnitId", SqlType::BigInt),
    ];
    for name in ["RidDbId", "RidPruId", "File"] {
        columns.push(column(name, SqlType::SmallInt));
    }
    columns.push(column("Page", SqlType::Int));
    columns.push(column("Slot", SqlType::Int));
    for name in ["RefDbId", "RefPruId", "RefFile"] {
        columns.push(column(name, SqlType::SmallInt));
    }
    columns.push(column("RefPage", SqlType::Int));
    columns.push(column("RefSlot", SqlType::Int));
    columns.push(column("Allocation", SqlType::SmallInt));
    columns
}

fn table_row(message: &Message, database_id: i32, page: u32) -> Row {
    let int = |n: i64| Value::Int(n);
    let failed = message.class > 10;
    let mut row = vec![
        int(message.number.into()),
        int(message.class.into()),
        int(message.state.into()),
        Value::Str(message.text.as_str().into()),
        if failed {
            Value::Str("repair_allow_data_loss".into())
        } else {
            Value::Null
        },
        int(if failed { 2 } else { 0 }),
        int(database_id.into()),
        int(1),
        int(0),
        int(0),
        int(0),
        int(0),
    ];
    row.extend([
        int(database_id.into()),
        int(0),
        int(1),
        int(page.into()),
        int(0),
        int(database_id.into()),
        int(0),
        int(1),
        int(0),
        int(0),
        int(1),
    ]);
    row
}
