//! INSERT, UPDATE, DELETE, TRUNCATE: the new state of a table is built aside and put in place as a whole.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::ast::{Delete, Expr, Insert, InsertSource, Item, Name, SetTarget, Source, Target, Update};
use crate::engine::errors::{Result, err};
use crate::engine::eval::compare::{Key, key};
use crate::engine::eval::types::type_name;
use crate::engine::eval::{Bound, Frame, Node};
use crate::engine::instance::Handle;
use crate::engine::interpreter::{Outcome, Run, Stop};
use crate::engine::locks::{Mode, Resource};
use crate::engine::output::{Out, command};
use crate::engine::query::bind::{Binder, assign};
use crate::engine::query::from::{table_source, visit};
use crate::engine::query::scope::{Scope, ScopeColumn, same};
use crate::engine::session::Session;
use crate::storage::{Row, Table};
use crate::types::{Column, SqlType, Value};

/// The table that is changed, and where it lives.
#[derive(Clone)]
struct Changed {
    table: Arc<Table>,
    /// None for table variables and temporary tables.
    handle: Option<Arc<Handle>>,
}

impl Session {
    fn find_changed(&self, target: &Target, permission: &str) -> Result<Changed> {
        match target {
            Target::Variable(name) => {
                let table = self
                    .scope()
                    .tables
                    .get(&name.to_lowercase())
                    .cloned()
                    .ok_or_else(|| err!(1087, name))?;
                Ok(Changed { table, handle: None })
            }
            Target::Table(name) => {
                let binder = Binder::new(self);
                let (handle, table) = binder.target(name)?;
                if table.name.starts_with('#') {
                    return Ok(Changed { table, handle: None });
                }
                binder.check_permission(&handle, &table, permission)?;
                Ok(Changed {
                    table,
                    handle: Some(handle),
                })
            }
        }
    }

    /// Locks the table for the transaction and reads it again: it may have changed while the lock was waited for.
    async fn lock_changed(&mut self, out: &mut Out<'_>, target: &Target, permission: &str) -> Run<Changed> {
        let found = self.find_changed(target, permission)?;
        let Some(handle) = &found.handle else { return Ok(found) };
        self.writable(handle)?;
        self.begin_implicit(out, true).await?;
        self.lock(Resource::Table(handle.id, found.table.object_id), Mode::Exclusive)
            .await?;
        Ok(self.find_changed(target, permission)?)
    }

    /// 3906 for a read-only database, and for one that follows another replica.
    pub(super) fn writable(&self, handle: &Handle) -> Result<()> {
        let database = handle.database();
        if database.meta.is_read_only || self.inst.follows(handle) {
            Err(err!(3906, database.meta.name))
        } else {
            Ok(())
        }
    }

    fn put(&mut self, target: &Target, changed: &Changed, table: Table) {
        match (&changed.handle, target) {
            (Some(handle), _) => self.transaction.work(handle.id).put_table(table),
            (None, Target::Variable(name)) => {
                self.scope_mut().tables.insert(name.to_lowercase(), Arc::new(table));
            }
            (None, Target::Table(_)) => self.put_temp(table),
        }
    }

    // ---- INSERT ----

    pub(super) async fn insert(&mut self, out: &mut Out<'_>, insert: &Insert) -> Run<Outcome> {
        let executed = match &insert.source {
            InsertSource::Execute(statement) => Some(self.captured(statement).await?),
            _ => None,
        };
        let changed = self.lock_changed(out, &insert.target, "INSERT").await?;
        let (columns, rows) = self.insert_rows(insert, &changed.table, executed)?;
        let identity_allowed = self.identity_allowed(&changed);
        let mut table = (*changed.table).clone();
        let mut inserted = Vec::new();
        for row in rows {
            let (row, identity) = self.complete(&mut table, &columns, row, identity_allowed)?;
            if identity.is_some() {
                self.identity = identity;
            }
            inserted.push(row);
        }
        table.rows.extend(inserted.iter().cloned());
        table.modify_date = changed.table.modify_date;
        self.check_keys(&table, inserted.len())?;
        let count = u64::try_from(inserted.len()).unwrap_or(u64::MAX);
        let shown = self.output(&insert.output, &table, &inserted, &[])?;
        self.put(&insert.target, &changed, table);
        if let Some((columns, rows)) = shown {
            out.rows(columns, rows).await?;
        }
        Ok(Outcome::Done(Some(count), command::INSERT))
    }

    fn identity_allowed(&self, changed: &Changed) -> bool {
        let Some(handle) = &changed.handle else { return false };
        self.options.identity_insert == Some((handle.id, changed.table.object_id))
    }

    /// The columns that are given, and the rows with a value for each.
    fn insert_rows(
        &self,
        insert: &Insert,
        table: &Table,
        executed: Option<Vec<Row>>,
    ) -> Result<(Vec<usize>, Vec<Row>)> {
        let columns = target_columns(table, &insert.columns)?;
        let wanted: Vec<SqlType> = columns.iter().map(|c| table.columns[*c].ty.clone()).collect();
        let rows = match &insert.source {
            InsertSource::Defaults => return Ok((Vec::new(), vec![Vec::new()])),
            InsertSource::Values(rows) => self.value_rows(rows, table, &columns)?,
            InsertSource::Query(query) => {
                let (mut plan, _) = self.bind_query(query)?;
                width(plan.columns.len(), columns.len(), insert.columns.is_empty())?;
                for (at, ty) in wanted.iter().enumerate() {
                    let from = &plan.columns[at].ty;
                    if !crate::engine::eval::types::implicit(from, ty) {
                        return Err(err!(257, type_name(from), type_name(ty)));
                    }
                    // Text is not cut on its way in: 2628 says so later.
                    plan.convert_column(at, &uncut(ty));
                }
                self.run_plan(&plan)?.rows
            }
            InsertSource::Execute(_) => {
                let setting = self.conversion();
                let mut rows = Vec::new();
                for row in executed.unwrap_or_default() {
                    width(row.len(), columns.len(), true)?;
                    let cast = |(v, ty): (&Value, &SqlType)| {
                        crate::engine::eval::convert::cast(v, &SqlType::Variant, &uncut(ty), 0, &setting)
                    };
                    rows.push(row.iter().zip(&wanted).map(cast).collect::<Result<Row>>()?);
                }
                rows
            }
        };
        Ok((columns, rows))
    }

    fn value_rows(&self, rows: &[Vec<Expr>], table: &Table, columns: &[usize]) -> Result<Vec<Row>> {
        let binder = Binder::new(self);
        let mut out = Vec::new();
        for row in rows {
            if row.len() != columns.len() {
                return Err(if row.len() < columns.len() {
                    err!(109)
                } else {
                    err!(110)
                });
            }
            let mut values = Vec::new();
            for (expr, at) in row.iter().zip(columns) {
                let column = &table.columns[*at];
                let bound = match expr {
                    Expr::Default => default_of(&binder, column.default.as_deref(), &column.ty)?,
                    expr => assign(binder.constant(expr)?, &uncut(&column.ty))?,
                };
                values.push(self.in_env(|env| env.eval(&bound))?);
            }
            out.push(values);
        }
        Ok(out)
    }

    /// A whole row: defaults and identity filled in, lengths and NULLs checked.
    fn complete(
        &self,
        table: &mut Table,
        columns: &[usize],
        values: Row,
        identity_allowed: bool,
    ) -> Result<(Row, Option<i64>)> {
        let mut row: Vec<Option<Value>> = vec![None; table.columns.len()];
        for (at, value) in columns.iter().zip(values) {
            row[*at] = Some(value);
        }
        let mut given = None;
        if let Some(identity) = &mut table.identity {
            match (&row[identity.column], identity_allowed) {
                (Some(_), false) => return Err(err!(544, table.name)),
                (Some(Value::Int(i)), true) => {
                    given = Some(*i);
                    identity.last = Some(identity.last.map_or(*i, |last| last.max(*i)));
                }
                (Some(_), true) => {}
                (None, _) => {
                    given = Some(identity.next_value());
                    row[identity.column] = given.map(Value::Int);
                }
            }
        }
        let binder = Binder::new(self);
        let mut whole = Vec::new();
        for (value, column) in row.into_iter().zip(&table.columns) {
            let value = match value {
                Some(value) => value,
                None => {
                    let bound = default_of(&binder, column.default.as_deref(), &column.ty)?;
                    self.in_env(|env| env.eval(&bound))?
                }
            };
            whole.push(checked(value, table, column, "INSERT")?);
        }
        Ok((whole, given))
    }

    /// 2627 when one of the last `new` rows repeats a key.
    fn check_keys(&self, table: &Table, new: usize) -> Result<()> {
        let Some(primary) = &table.primary_key else {
            return Ok(());
        };
        let collation = self.collation();
        let of = |row: &Row| -> Vec<Key> { primary.columns.iter().map(|c| key(&row[*c], collation)).collect() };
        let old = table.rows.len() - new;
        let mut seen: HashSet<Vec<Key>> = table.rows[..old].iter().map(of).collect();
        for row in &table.rows[old..] {
            if !seen.insert(of(row)) {
                let shown = |c: &usize| {
                    let text = crate::engine::eval::convert::plain_text(
                        &row[*c],
                        &table.columns[*c].ty,
                        &SqlType::NVarChar(None),
                        0,
                    );
                    text.map_or_else(|_| String::new(), |t| t.to_string())
                };
                let values: Vec<String> = primary.columns.iter().map(shown).collect();
                let object = format!("{}.{}", table.schema, table.name);
                return Err(err!(2627, primary.name, object, values.join(", ")));
            }
        }
        Ok(())
    }

    // ---- UPDATE and DELETE ----

    pub(super) async fn update(&mut self, out: &mut Out<'_>, update: &Update) -> Run<Outcome> {
        let target = self.resolve_target(&update.target, &update.from);
        let changed = self.lock_changed(out, &target, "UPDATE").await?;
        let (hits, assigned) = self.updated_rows(update, &changed)?;
        let mut table = (*changed.table).clone();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (at, row) in hits {
            before.push(table.rows[at].clone());
            after.push(row.clone());
            table.rows[at] = row;
        }
        self.check_all_keys(&table)?;
        let count = u64::try_from(after.len()).unwrap_or(u64::MAX);
        let shown = self.output(&update.output, &table, &after, &before)?;
        self.put(&target, &changed, table);
        for (name, ty, value) in assigned {
            self.assign(&name, &value, &ty)?;
        }
        if let Some((columns, rows)) = shown {
            out.rows(columns, rows).await?;
        }
        Ok(Outcome::Done(Some(count), command::UPDATE))
    }

    fn check_all_keys(&self, table: &Table) -> Result<()> {
        self.check_keys(table, table.rows.len())
    }

    /// `UPDATE a SET … FROM t AS a`: the target may be an alias.
    fn resolve_target(&self, target: &Target, from: &[Source]) -> Target {
        let Target::Table(name) = target else {
            return target.clone();
        };
        if name.parts.len() > 1 {
            return target.clone();
        }
        find_alias(from, name.object()).map_or_else(|| target.clone(), Target::Table)
    }

    /// The rows a FROM and WHERE hit: their numbers, with the whole joined row.
    #[expect(clippy::type_complexity, reason = "columns, and rows with their numbers")]
    fn hit_rows(
        &self,
        alias: Option<&str>,
        changed: &Changed,
        from: &[Source],
        filter: Option<&Expr>,
        top: Option<usize>,
    ) -> Result<(Vec<ScopeColumn>, Vec<(usize, Row)>)> {
        let binder = Binder::new(self);
        let own = table_source(Arc::clone(&changed.table), alias, true);
        let exposed = own.columns.first().map_or_else(String::new, |c| c.table.clone());
        let source = binder.around(own, &exposed, from)?;
        // The number stands behind the target's own columns, wherever the FROM put them.
        let number = source.columns.iter().position(|c| c.hidden).unwrap_or(0);
        let scope = Scope::new(source.columns, None);
        let filter = filter.map(|f| binder.within(&scope).condition(f)).transpose()?;
        let mut hits = Vec::new();
        let mut seen = HashSet::new();
        self.in_env(|env| {
            visit(env, &source.plan, &mut |row| {
                let frame = Frame { row, parent: None };
                let hit = match &filter {
                    Some(filter) => env.with(&frame).passes(filter)?,
                    None => true,
                };
                if let (true, Some(Value::Int(at))) = (hit, row.get(number))
                    && seen.insert(*at)
                {
                    hits.push((usize::try_from(*at).unwrap_or(0), row.to_vec()));
                }
                Ok(top.is_none_or(|n| hits.len() < n))
            })
        })?;
        if top == Some(0) {
            hits.clear();
        }
        Ok((scope.columns, hits))
    }

    #[expect(
        clippy::type_complexity,
        reason = "rows with their numbers, and variables with their values"
    )]
    fn updated_rows(
        &self,
        update: &Update,
        changed: &Changed,
    ) -> Result<(Vec<(usize, Row)>, Vec<(String, SqlType, Value)>)> {
        let alias = alias_of(&update.target);
        let top = self.top_count(update.top.as_ref())?;
        let (columns, hits) = self.hit_rows(alias, changed, &update.from, update.filter.as_ref(), top)?;
        let exposed = columns
            .iter()
            .find(|c| c.hidden)
            .map_or_else(String::new, |c| c.table.clone());
        let scope = Scope::new(columns, None);
        let binder = Binder::new(self);
        let table = &changed.table;
        let mut sets: Vec<(Option<usize>, String, Bound)> = Vec::new();
        for (what, op, expr) in &update.set {
            let (at, name, old) = match what {
                SetTarget::Column(name) => {
                    let at = table.column(name).ok_or_else(|| err!(207, name))?;
                    if table.identity.as_ref().is_some_and(|i| i.column == at) {
                        return Err(err!(8102, name));
                    }
                    if sets.iter().any(|s| s.0 == Some(at)) {
                        return Err(err!(264, name));
                    }
                    (
                        Some(at),
                        name.clone(),
                        Expr::Column(vec![exposed.clone(), name.clone()]),
                    )
                }
                SetTarget::Var(name) => (None, name.clone(), Expr::Var(name.clone())),
            };
            let ty = match at {
                Some(at) => uncut(&table.columns[at].ty),
                None => self.variable_type(&name)?,
            };
            let bound = match (expr, op) {
                (Expr::Default, _) => default_of(&binder, at.and_then(|at| table.columns[at].default.as_deref()), &ty)?,
                (expr, Some(op)) => {
                    binder
                        .within(&scope)
                        .scalar(&Expr::Op(*op, Box::new(old), Box::new(expr.clone())))?
                }
                (expr, None) => binder.within(&scope).scalar(expr)?,
            };
            sets.push((at, name, assign(bound, &ty)?));
        }
        let mut out = Vec::new();
        let mut assigned = Vec::new();
        for (number, row) in hits {
            let frame = Frame {
                row: &row,
                parent: None,
            };
            let mut new = table.rows[number].clone();
            for (at, name, bound) in &sets {
                let value = self.in_env(|env| env.with(&frame).eval(bound))?;
                match at {
                    Some(at) => new[*at] = checked(value, table, &table.columns[*at], "UPDATE")?,
                    None => {
                        assigned.retain(|a: &(String, SqlType, Value)| a.0 != *name);
                        assigned.push((name.clone(), bound.ty.clone(), value));
                    }
                }
            }
            out.push((number, new));
        }
        Ok((out, assigned))
    }

    fn top_count(&self, top: Option<&crate::engine::ast::Top>) -> Result<Option<usize>> {
        let Some(top) = top else { return Ok(None) };
        let plan = Binder::new(self).top(top)?;
        self.in_env(|env| crate::engine::query::sort::row_count(env, &plan.count))
            .map(Some)
    }

    pub(super) async fn delete(&mut self, out: &mut Out<'_>, delete: &Delete) -> Run<Outcome> {
        let target = self.resolve_target(&delete.target, &delete.from);
        let changed = self.lock_changed(out, &target, "DELETE").await?;
        let alias = alias_of(&delete.target);
        let top = self.top_count(delete.top.as_ref())?;
        let (_, hits) = self.hit_rows(alias, &changed, &delete.from, delete.filter.as_ref(), top)?;
        let gone: HashSet<usize> = hits.iter().map(|h| h.0).collect();
        let mut table = (*changed.table).clone();
        let mut deleted = Vec::new();
        let mut at = 0;
        table.rows.retain(|row| {
            let keep = !gone.contains(&at);
            at += 1;
            if !keep {
                deleted.push(row.clone());
            }
            keep
        });
        let count = u64::try_from(deleted.len()).unwrap_or(u64::MAX);
        let shown = self.output(&delete.output, &table, &[], &deleted)?;
        self.put(&target, &changed, table);
        if let Some((columns, rows)) = shown {
            out.rows(columns, rows).await?;
        }
        Ok(Outcome::Done(Some(count), command::DELETE))
    }

    pub(super) async fn truncate(&mut self, name: &Name) -> Run<Outcome> {
        let target = Target::Table(name.clone());
        let found = self.find_changed(&target, "ALTER")?;
        if let Some(handle) = &found.handle {
            self.writable(handle)?;
            self.lock(Resource::Table(handle.id, found.table.object_id), Mode::Exclusive)
                .await?;
        }
        let found = self.find_changed(&target, "ALTER")?;
        let mut table = (*found.table).clone();
        table.rows.clear();
        if let Some(identity) = &mut table.identity {
            identity.last = None;
        }
        self.put(&target, &found, table);
        Ok(Outcome::Done(None, command::OTHER))
    }

    /// OUTPUT: `inserted` and `deleted` as sources.
    fn output(
        &self,
        items: &[Item],
        table: &Table,
        inserted: &[Row],
        deleted: &[Row],
    ) -> Result<Option<(Vec<Column>, Vec<Row>)>> {
        if items.is_empty() {
            return Ok(None);
        }
        let count = inserted.len().max(deleted.len());
        let nulls = vec![Value::Null; table.columns.len()];
        let side = |name: &str| {
            table
                .columns
                .iter()
                .map(move |c| ScopeColumn {
                    table: name.to_owned(),
                    schema: None,
                    name: c.name.clone(),
                    ty: c.ty.clone(),
                    nullable: c.nullable,
                    hidden: false,
                })
                .collect::<Vec<_>>()
        };
        let mut columns = side("inserted");
        columns.extend(side("deleted"));
        let scope = Scope::new(columns, None);
        let binder = Binder::new(self);
        let mut bound: Vec<(Column, Bound)> = Vec::new();
        for item in items {
            match item {
                Item::Star(Some(name)) => {
                    for (index, c) in scope
                        .columns
                        .iter()
                        .enumerate()
                        .filter(|(_, c)| same(&c.table, name.object()))
                    {
                        let column = Column {
                            name: c.name.clone(),
                            ty: c.ty.clone(),
                            nullable: c.nullable,
                        };
                        bound.push((
                            column,
                            Bound {
                                ty: c.ty.clone(),
                                nullable: c.nullable,
                                node: Node::Column { depth: 0, index },
                            },
                        ));
                    }
                }
                Item::Expr(expr, alias) => {
                    let b = binder.within(&scope).scalar(expr)?;
                    let own = if let Expr::Column(parts) = expr {
                        parts.last().cloned().unwrap_or_default()
                    } else {
                        String::new()
                    };
                    bound.push((
                        Column {
                            name: alias.clone().unwrap_or(own),
                            ty: b.ty.clone(),
                            nullable: b.nullable,
                        },
                        b,
                    ));
                }
                _ => return Err(err!(102, "*")),
            }
        }
        let mut rows = Vec::new();
        for i in 0..count {
            let row = [
                inserted.get(i).unwrap_or(&nulls).as_slice(),
                deleted.get(i).unwrap_or(&nulls),
            ]
            .concat();
            let frame = Frame {
                row: &row,
                parent: None,
            };
            rows.push(
                bound
                    .iter()
                    .map(|(_, b)| self.in_env(|env| env.with(&frame).eval(b)))
                    .collect::<Result<Row>>()?,
            );
        }
        Ok(Some((bound.into_iter().map(|b| b.0).collect(), rows)))
    }

    /// The rows of all result sets of an EXEC, for INSERT … EXEC.
    async fn captured(&mut self, statement: &crate::engine::ast::Statement) -> Run<Vec<Row>> {
        let mut capture = Capture::default();
        let server = self.inst.config().server_name.clone();
        let ended = {
            let mut out = Out::new(&mut capture, &server, 1);
            Box::pin(self.execute_kind(&mut out, statement)).await
        };
        match ended {
            Ok(_) => Ok(capture.rows),
            Err(Stop::Sql(e)) => Err(e.into()),
            Err(Stop::Io(e)) => Err(e.into()),
        }
    }
}

/// Keeps rows instead of sending them.
#[derive(Default)]
struct Capture {
    rows: Vec<Row>,
}

#[async_trait::async_trait]
impl crate::types::Sink for Capture {
    async fn send(&mut self, token: crate::types::Token) -> std::io::Result<()> {
        if let crate::types::Token::Row(row) = token {
            self.rows.push(row);
        }
        Ok(())
    }
}

/// The type a value is converted to before its length is checked.
fn uncut(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::VarChar(_) | SqlType::Char(_) => SqlType::VarChar(None),
        SqlType::NVarChar(_) | SqlType::NChar(_) => SqlType::NVarChar(None),
        SqlType::VarBinary(_) | SqlType::Binary(_) => SqlType::VarBinary(None),
        other => other.clone(),
    }
}

/// 515 for NULL, 2628 for text that is too long; char and binary are padded.
fn checked(value: Value, table: &Table, column: &crate::storage::ColumnDef, statement: &str) -> Result<Value> {
    let object = || format!("{}.{}", table.schema, table.name);
    if matches!(value, Value::Null) {
        return if column.nullable {
            Ok(value)
        } else {
            Err(err!(515, column.name, object(), statement))
        };
    }
    let too_long = |shown: &str| {
        err!(
            2628,
            object(),
            column.name,
            crate::engine::eval::text::prefix(shown, 100)
        )
    };
    match (&value, &column.ty) {
        (
            Value::Str(s),
            SqlType::VarChar(Some(n)) | SqlType::NVarChar(Some(n)) | SqlType::Char(n) | SqlType::NChar(n),
        ) => {
            let (length, limit) = (crate::engine::eval::text::units(s), usize::from(*n));
            if length > limit && crate::engine::eval::text::units(s.trim_end_matches(' ')) > limit {
                return Err(too_long(s));
            }
            crate::engine::eval::convert::cast(&value, &uncut(&column.ty), &column.ty, 0, &Default::default())
        }
        (Value::Bytes(b), SqlType::VarBinary(Some(n)) | SqlType::Binary(n)) => {
            if b.len() > usize::from(*n) {
                return Err(err!(8152));
            }
            crate::engine::eval::convert::cast(&value, &uncut(&column.ty), &column.ty, 0, &Default::default())
        }
        _ => Ok(value),
    }
}

fn default_of(binder: &Binder<'_>, default: Option<&str>, ty: &SqlType) -> Result<Bound> {
    match default {
        Some(text) => assign(binder.constant(&crate::engine::parser::parse_expression(text)?)?, ty),
        None => Ok(Bound::constant(Value::Null, ty.clone())),
    }
}

/// The positions of the columns an INSERT names; without names, all but the identity.
fn target_columns(table: &Table, names: &[String]) -> Result<Vec<usize>> {
    if names.is_empty() {
        let identity = table.identity.as_ref().map(|i| i.column);
        return Ok((0..table.columns.len()).filter(|c| Some(*c) != identity).collect());
    }
    let mut columns = Vec::new();
    for name in names {
        let at = table.column(name).ok_or_else(|| err!(207, name))?;
        if columns.contains(&at) {
            return Err(err!(264, name));
        }
        columns.push(at);
    }
    Ok(columns)
}

fn width(given: usize, wanted: usize, all: bool) -> Result<()> {
    match given.cmp(&wanted) {
        std::cmp::Ordering::Equal => Ok(()),
        _ if all => Err(err!(213)),
        std::cmp::Ordering::Less => Err(err!(120)),
        std::cmp::Ordering::Greater => Err(err!(121)),
    }
}

/// The table behind an alias of a FROM.
fn find_alias(from: &[Source], wanted: &str) -> Option<Name> {
    from.iter().find_map(|source| match source {
        Source::Named { name, alias, .. } => {
            let exposed = alias.as_deref().unwrap_or(name.object());
            same(exposed, wanted).then(|| name.clone())
        }
        Source::Join { left, right, .. } | Source::Apply { left, right, .. } => {
            find_alias(std::slice::from_ref(left), wanted).or_else(|| find_alias(std::slice::from_ref(right), wanted))
        }
        _ => None,
    })
}

fn alias_of(written: &Target) -> Option<&str> {
    match written {
        Target::Table(name) if name.parts.len() == 1 => Some(name.object()),
        Target::Variable(name) => Some(name),
        Target::Table(_) => None,
    }
}
