//! CREATE, ALTER and DROP of tables, indexes and schemas.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::engine::ast::{AlterTable, ColumnDef, CreateIndex, CreateTable, Expr, Name, ObjectKind};
use crate::engine::catalog::find_object;
use crate::engine::errors::{Result, err};
use crate::engine::instance::Handle;
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::locks::{Mode, Part, Resource};
use crate::engine::output::command;
use crate::engine::query::bind::Binder;
use crate::engine::query::scope::same;
use crate::engine::session::Session;
use crate::storage::{Database, Identity, PrimaryKey, Table};
use crate::types::{SqlType, Value};

/// A table from its definition.
pub(super) fn build(
    id: i32,
    schema: &str,
    name: &str,
    columns: &[ColumnDef],
    primary_key: Option<&(Option<String>, Vec<String>)>,
    at: OffsetDateTime,
) -> Result<Table> {
    let mut defined: Vec<crate::storage::ColumnDef> = Vec::new();
    for column in columns {
        if defined.iter().any(|d| same(&d.name, &column.name)) {
            return Err(err!(2705, column.name, name));
        }
        defined.push(stored_column(column));
    }
    let mut table = Table::new(id, schema, name, defined, at);
    for (i, column) in columns.iter().enumerate() {
        if let Some((seed, increment)) = column.identity {
            if !matches!(
                column.ty,
                SqlType::TinyInt
                    | SqlType::SmallInt
                    | SqlType::Int
                    | SqlType::BigInt
                    | SqlType::Numeric { scale: 0, .. }
            ) {
                return Err(err!(2749, column.name));
            }
            table.identity = Some(Identity {
                column: i,
                seed,
                increment,
                last: None,
            });
            table.columns[i].nullable = false;
        }
        if column.primary_key {
            table.primary_key = Some(PrimaryKey {
                name: key_name(name, id),
                columns: vec![i],
            });
        }
    }
    if let Some((key, names)) = primary_key {
        let find = |n: &String| {
            table.column(n).ok_or_else(|| {
                crate::engine::errors::raw_error(
                    1911,
                    16,
                    1,
                    format!("Column name '{n}' does not exist in the target table or view."),
                )
            })
        };
        let columns = names.iter().map(find).collect::<Result<Vec<_>>>()?;
        table.primary_key = Some(PrimaryKey {
            name: key.clone().unwrap_or_else(|| key_name(name, id)),
            columns,
        });
    }
    if let Some(key) = table.primary_key.clone() {
        for at in key.columns {
            table.columns[at].nullable = false;
        }
    }
    Ok(table)
}

fn key_name(table: &str, id: i32) -> String {
    let short: String = table.chars().take(9).collect();
    format!(
        "PK__{short}__{:016X}",
        crc32fast::hash(format!("{table}{id}").as_bytes())
    )
}

fn stored_column(column: &ColumnDef) -> crate::storage::ColumnDef {
    crate::storage::ColumnDef {
        name: column.name.clone(),
        ty: column.ty.clone(),
        nullable: column.nullable.unwrap_or(!column.primary_key),
        default: column.default.as_ref().map(expression_text),
    }
}

/// An expression as text, for a stored default. Only what a default can be: constants and calls.
fn expression_text(expr: &Expr) -> String {
    match expr {
        Expr::Null | Expr::Default => "NULL".to_owned(),
        Expr::Int(i) => format!("(({i}))"),
        Expr::Float(f) => format!("(({f:e}))"),
        Expr::Decimal(v, _, s) => format!("(({}))", crate::engine::eval::text::decimal(*v, *s)),
        Expr::Money(v) => format!("(({}))", crate::engine::eval::text::decimal(*v, 4)),
        Expr::Str(s, national) => format!("({}'{}')", if *national { "N" } else { "" }, s.replace('\'', "''")),
        Expr::Binary(b) => format!("(0x{})", crate::engine::eval::text::hex(b)),
        Expr::Paren(inner) => expression_text(inner),
        Expr::Neg(inner) => format!("(-{})", expression_text(inner)),
        Expr::Call(call) => {
            let args: Vec<String> = call.args.iter().map(expression_text).collect();
            format!("({}({}))", call.name.to_lowercase(), args.join(","))
        }
        Expr::Op(op, a, b) => {
            use crate::engine::ast::BinaryOp;
            let symbol = match op {
                BinaryOp::Add => "+",
                BinaryOp::Sub => "-",
                BinaryOp::Mul => "*",
                BinaryOp::Div => "/",
                BinaryOp::Mod => "%",
                BinaryOp::And => "&",
                BinaryOp::Or => "|",
                BinaryOp::Xor => "^",
            };
            format!("({}{symbol}{})", expression_text(a), expression_text(b))
        }
        _ => "NULL".to_owned(),
    }
}

const DONE: Outcome = Outcome::Done(None, command::OTHER);

impl Session {
    /// Locks the list of objects of a database and checks the right to add to it.
    async fn lock_schema(&mut self, handle: &Handle, permission: &str) -> Run<Arc<Database>> {
        self.writable(handle)?;
        let database = self.view(handle);
        if !self.may(&database, handle.id, permission, None) {
            return Err(err!(262, permission, database.meta.name).into());
        }
        self.lock(Resource::Part(handle.id, Part::Schema), Mode::Exclusive)
            .await?;
        Ok(self.view(handle))
    }

    /// Adds a table under a name that must be free.
    pub(super) async fn add_table(
        &mut self,
        name: &Name,
        build: impl FnOnce(i32, &str, &str, OffsetDateTime) -> Result<Table> + Send,
    ) -> Run<()> {
        let at = self.inst.now();
        if name.object().starts_with('#') {
            if self.temp_table(name.object()).is_some() {
                return Err(err!(2714, name.object()).into());
            }
            let table = build(-1, "dbo", name.object(), at)?;
            self.put_temp(table);
            return Ok(());
        }
        let handle = self.database_of(name)?;
        let database = self.lock_schema(&handle, "CREATE TABLE").await?;
        let schema = name.schema().unwrap_or("dbo");
        if !crate::engine::catalog::schemas(&database)
            .iter()
            .any(|s| same(&s.1, schema))
        {
            return Err(err!(2760, schema).into());
        }
        if database.table(schema, name.object()).is_some() || database.procedure(schema, name.object()).is_some() {
            return Err(err!(2714, name.object()).into());
        }
        let table = build(database.next_object_id(), schema, name.object(), at)?;
        self.transaction.work(handle.id).put_table(table);
        Ok(())
    }

    pub(super) async fn create_table(&mut self, create: &CreateTable) -> Run<Outcome> {
        let (columns, key) = (create.columns.clone(), create.primary_key.clone());
        self.add_table(&create.name, move |id, schema, name, at| {
            self::build(id, schema, name, &columns, key.as_ref(), at)
        })
        .await?;
        Ok(Outcome::Done(None, command::CREATE_TABLE))
    }

    pub(super) async fn alter_table(&mut self, name: &Name, alter: &AlterTable) -> Run<Outcome> {
        let (handle, table) = Binder::new(self)
            .target(name)
            .map_err(|e| if e.number() == 208 { err!(4902, name) } else { e })?;
        self.lock_schema(&handle, "ALTER").await?;
        self.lock(Resource::Table(handle.id, table.object_id), Mode::Exclusive)
            .await?;
        let (_, table) = Binder::new(self).target(name)?;
        let mut table = (*table).clone();
        table.modify_date = self.inst.now();
        match alter {
            AlterTable::Add(columns) => {
                for column in columns {
                    self.add_column(&mut table, column)?;
                }
            }
            AlterTable::DropColumn(names) => {
                for name in names {
                    drop_column(&mut table, name)?;
                }
            }
        }
        if table.name.starts_with('#') {
            self.put_temp(table);
        } else {
            self.transaction.work(handle.id).put_table(table);
        }
        Ok(DONE)
    }

    fn add_column(&self, table: &mut Table, column: &ColumnDef) -> Result<()> {
        if table.column(&column.name).is_some() {
            return Err(err!(2705, column.name, table.name));
        }
        let stored = stored_column(column);
        if !stored.nullable && stored.default.is_none() && !table.rows.is_empty() {
            let text = format!(
                "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '{}' cannot be added to non-empty table '{}' because it does not satisfy these conditions.",
                column.name, table.name
            );
            return Err(crate::engine::errors::raw_error(4901, 16, 1, text));
        }
        let value = match &column.default {
            Some(default) if !stored.nullable => self.evaluate_as(default, &stored.ty)?,
            _ => Value::Null,
        };
        for row in &mut table.rows {
            row.push(value.clone());
        }
        table.columns.push(stored);
        Ok(())
    }

    pub(super) async fn drop_objects(&mut self, kind: ObjectKind, exists: bool, names: &[Name]) -> Run<Outcome> {
        for name in names {
            self.drop_object(kind, exists, name).await?;
        }
        Ok(Outcome::Done(None, command::DROP_TABLE))
    }

    async fn drop_object(&mut self, kind: ObjectKind, exists: bool, name: &Name) -> Run<()> {
        let (word, code) = match kind {
            ObjectKind::Table => ("table", "U"),
            ObjectKind::Procedure => ("procedure", "P"),
            ObjectKind::View => ("view", "V"),
        };
        if self.temp.remove(&name.object().to_lowercase()).is_some() {
            return Ok(());
        }
        let quoted: Vec<String> = name
            .parts
            .iter()
            .map(|p| crate::engine::eval::text::quote_name(p))
            .collect();
        let found = find_object(self, &quoted.join(".")).filter(|o| o.kind == code && o.id > 0);
        let Some(object) = found else {
            return if exists {
                Ok(())
            } else {
                Err(err!(3701, word, name).into())
            };
        };
        let handle = self.database_of(name)?;
        self.lock_schema(&handle, "ALTER").await?;
        if kind == ObjectKind::Procedure {
            let mut procedures = self.view(&handle).procedures.clone();
            procedures.retain(|p| p.object_id != object.id);
            self.transaction.work(handle.id).put_procedures(procedures);
            return Ok(());
        }
        self.lock(Resource::Table(handle.id, object.id), Mode::Exclusive)
            .await?;
        self.transaction.work(handle.id).drop_table(object.id);
        Ok(())
    }

    /// An index is checked and has no effect: there is no plan that could use it. UNIQUE over existing duplicates is 1505.
    pub(super) fn create_index(&mut self, index: &CreateIndex) -> Result<Outcome> {
        let (_, table) = Binder::new(self)
            .target(&index.table)
            .map_err(|e| if e.number() == 208 { err!(1088, index.table) } else { e })?;
        let mut columns = Vec::new();
        for name in &index.columns {
            columns.push(table.column(name).ok_or_else(|| {
                crate::engine::errors::raw_error(
                    1911,
                    16,
                    1,
                    format!("Column name '{name}' does not exist in the target table or view."),
                )
            })?);
        }
        let mut seen = std::collections::HashSet::new();
        let collation = self.collation();
        for row in table.rows.iter().filter(|_| index.unique) {
            let key: Vec<_> = columns
                .iter()
                .map(|c| crate::engine::eval::compare::key(&row[*c], collation))
                .collect();
            if !seen.insert(key) {
                return Err(err!(1505, format!("{}.{}", table.schema, table.name), index.name, ""));
            }
        }
        Ok(DONE)
    }

    /// A schema exists as soon as something is in it; here it is only checked.
    pub(super) fn create_schema(&mut self, name: &str) -> Result<Outcome> {
        let database = self.current()?;
        if !self.may(&database, self.database_id, "CREATE SCHEMA", None) {
            return Err(err!(262, "CREATE SCHEMA", database.meta.name));
        }
        if crate::engine::catalog::schemas(&database)
            .iter()
            .any(|s| same(&s.1, name))
        {
            return Err(err!(2714, name).then(err!(2759)));
        }
        Err(crate::engine::errors::raw_error(
            40_001,
            16,
            1,
            "The stand-in has no schemas of one's own: objects live in dbo.".to_owned(),
        ))
    }
}

fn drop_column(table: &mut Table, name: &str) -> Result<()> {
    let at = table.column(name).ok_or_else(|| {
        let text = format!(
            "ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{}'.",
            table.name
        );
        crate::engine::errors::raw_error(4924, 16, 1, text)
    })?;
    let used = table.primary_key.as_ref().is_some_and(|k| k.columns.contains(&at));
    if used || table.columns.len() == 1 {
        let text = format!("ALTER TABLE DROP COLUMN {name} failed because one or more objects access this column.");
        return Err(crate::engine::errors::raw_error(4922, 16, 9, text));
    }
    table.columns.remove(at);
    for row in &mut table.rows {
        row.remove(at);
    }
    if let Some(key) = &mut table.primary_key {
        for column in key.columns.iter_mut().filter(|c| **c > at) {
            *column -= 1;
        }
    }
    match &mut table.identity {
        Some(identity) if identity.column == at => table.identity = None,
        Some(identity) if identity.column > at => identity.column -= 1,
        _ => {}
    }
    Ok(())
}
