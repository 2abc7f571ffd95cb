//! FROM: what its names stand for, and reading their rows.

use std::sync::Arc;

use super::bind::{Binder, Used};
use super::join::{self, JoinPlan};
use super::scope::{Scope, ScopeColumn, same};
use super::{Plan, Rows};
use crate::engine::ast::{Expr, JoinKind, Name, Query, Source};
use crate::engine::errors::{Result, err, raw_error};
use crate::engine::eval::{Bound, Env, Frame};
use crate::engine::instance::Handle;
use crate::engine::sysviews::{self, Scan, View};
use crate::storage::{Row, Table};
use crate::types::{SqlType, Value};

/// A source ready to be read.
#[derive(Debug, Clone)]
pub(crate) enum SourcePlan {
    /// A table; with row numbers as a last column for UPDATE and DELETE.
    Table(Arc<Table>, bool),
    /// A view or function of the system, in a database.
    System(&'static View, i32, Vec<Bound>),
    /// A subquery.
    Derived(Box<Plan>),
    /// VALUES.
    Values(Vec<Vec<Bound>>),
    /// A join.
    Join(Box<JoinPlan>),
    /// APPLY: OUTER, left, right, and how wide the right is.
    Apply(bool, Box<SourcePlan>, Box<SourcePlan>, usize),
}

impl PartialEq for SourcePlan {
    /// Plans are compared only as parts of expressions; two subqueries are never the same expression.
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

/// The numbered table that an UPDATE or DELETE changes, until its FROM has named it.
pub(crate) struct Target {
    exposed: String,
    columns: Vec<ScopeColumn>,
    plan: SourcePlan,
}

/// A bound source.
pub(crate) struct BoundSource {
    /// How to read it.
    pub plan: SourcePlan,
    /// Its columns.
    pub columns: Vec<ScopeColumn>,
    /// Whether it looks at a query around.
    pub escaped: bool,
}

fn scope_column(table: &str, schema: Option<&str>, name: &str, ty: SqlType, nullable: bool) -> ScopeColumn {
    ScopeColumn {
        table: table.to_owned(),
        schema: schema.map(str::to_owned),
        name: name.to_owned(),
        ty,
        nullable,
        hidden: false,
    }
}

impl Binder<'_> {
    /// Binds all of a FROM, several as a cross join.
    pub(crate) fn from(&self, sources: &[Source], outer: Option<&Scope<'_>>) -> Result<Option<BoundSource>> {
        let mut whole: Option<BoundSource> = None;
        for source in sources {
            let next = self.source(source, outer, None)?;
            whole = Some(match whole {
                None => next,
                Some(left) => self.join(JoinKind::Cross, left, next, None, outer)?,
            });
        }
        if let Some(whole) = &whole {
            exposed_once(&whole.columns)?;
        }
        Ok(whole)
    }

    /// The FROM of an UPDATE or DELETE: where it names the target, the numbered table stands. The target's columns are
    /// first; a FROM that names it as the first source of a join keeps that order by itself.
    pub(crate) fn around(&self, own: BoundSource, exposed: &str, from: &[Source]) -> Result<BoundSource> {
        if from.is_empty() {
            return Ok(own);
        }
        let target = Target {
            exposed: exposed.to_owned(),
            columns: own.columns.clone(),
            plan: own.plan.clone(),
        };
        *self.target.borrow_mut() = Some(target);
        let whole = self.from(from, None);
        let named = self.target.borrow_mut().take().is_none();
        match whole? {
            Some(whole) if named => Ok(whole),
            Some(others) => self.join(JoinKind::Cross, own, others, None, None),
            None => Ok(own),
        }
    }

    fn take_target(&self, exposed: &str) -> Option<BoundSource> {
        let mut target = self.target.borrow_mut();
        let found = target.as_ref().is_some_and(|t| same(&t.exposed, exposed));
        let taken = if found { target.take() } else { None };
        taken.map(|t| BoundSource {
            plan: t.plan,
            columns: t.columns,
            escaped: false,
        })
    }

    fn source(&self, source: &Source, outer: Option<&Scope<'_>>, lateral: Option<&Scope<'_>>) -> Result<BoundSource> {
        match source {
            Source::Named { name, alias, hints } => match self.take_target(alias.as_deref().unwrap_or(name.object())) {
                Some(target) => Ok(target),
                None => self.named(name, alias.as_deref(), hints),
            },
            Source::Variable { name, alias } => self.table_variable(name, alias.as_deref()),
            Source::Function { name, args, alias } => self.function(name, args, alias.as_deref(), lateral.or(outer)),
            Source::Derived { query, alias, columns } => self.derived(query, alias, columns, lateral.or(outer)),
            Source::Values { rows, alias, columns } => self.values(rows, alias, columns, lateral.or(outer)),
            Source::Join { kind, left, right, on } => {
                let left = self.source(left, outer, lateral)?;
                let right = self.source(right, outer, lateral)?;
                self.join(*kind, left, right, on.as_ref(), outer)
            }
            Source::Apply {
                outer: keep,
                left,
                right,
            } => self.apply(*keep, left, right, outer),
        }
    }

    fn join(
        &self,
        kind: JoinKind,
        left: BoundSource,
        right: BoundSource,
        on: Option<&Expr>,
        outer: Option<&Scope<'_>>,
    ) -> Result<BoundSource> {
        let (left_width, right_width) = (left.columns.len(), right.columns.len());
        let mut columns = left.columns;
        columns.extend(right.columns);
        let scope = Scope::new(columns, outer);
        let on = on.map(|e| self.within(&scope).condition(e)).transpose()?;
        let escaped = left.escaped || right.escaped || scope.escaped.get();
        let mut columns = scope.columns;
        for (i, column) in columns.iter_mut().enumerate() {
            let outer_side = match kind {
                JoinKind::Left => i >= left_width,
                JoinKind::Right => i < left_width,
                JoinKind::Full => true,
                JoinKind::Inner | JoinKind::Cross => false,
            };
            column.nullable |= outer_side;
        }
        let plan = SourcePlan::Join(Box::new(JoinPlan::new(
            kind,
            left.plan,
            right.plan,
            on,
            left_width,
            right_width,
            self.collation,
        )));
        Ok(BoundSource { plan, columns, escaped })
    }

    fn apply(&self, keep: bool, left: &Source, right: &Source, outer: Option<&Scope<'_>>) -> Result<BoundSource> {
        let left = self.source(left, outer, None)?;
        let scope = Scope::new(left.columns, outer);
        let right = self.source(right, Some(&scope), Some(&scope))?;
        let escaped = left.escaped || scope.escaped.get();
        let width = right.columns.len();
        let mut columns = scope.columns;
        columns.extend(right.columns.into_iter().map(|c| ScopeColumn {
            nullable: c.nullable || keep,
            ..c
        }));
        let plan = SourcePlan::Apply(keep, Box::new(left.plan), Box::new(right.plan), width);
        Ok(BoundSource { plan, columns, escaped })
    }

    fn named(&self, name: &Name, alias: Option<&str>, hints: &[String]) -> Result<BoundSource> {
        if let [one] = name.parts.as_slice()
            && let Some(found) = self.cte(one, alias)?
        {
            return Ok(found);
        }
        let (handle, found) = self.lookup(name)?;
        match found {
            Found::Table(table) => {
                let dirty = hints.iter().any(|h| h == "NOLOCK" || h == "READUNCOMMITTED");
                self.used.borrow_mut().push(Used {
                    database_id: handle.id,
                    object_id: table.object_id,
                    dirty,
                });
                self.check_permission(&handle, &table, "SELECT")?;
                Ok(table_source(table, alias, false))
            }
            Found::View(view) => Ok(view_source(self, view, &handle, alias, Vec::new())),
        }
    }

    /// Finds a table or view by its written name: 208, or 911 and 916 for its database.
    fn lookup(&self, name: &Name) -> Result<(Arc<Handle>, Found)> {
        if name.parts.len() > 3 {
            let text = format!(
                "Could not find server '{}' in sys.servers. Verify that the correct server name was specified. If necessary, execute the stored procedure sp_addlinkedserver to add the server to sys.servers.",
                name.parts[0]
            );
            return Err(raw_error(7202, 11, 2, text).ends_batch());
        }
        let handle = self.session.database_of(name)?;
        if let Some(temp) = name
            .object()
            .strip_prefix('#')
            .and_then(|_| self.session.temp_table(name.object()))
        {
            return Ok((handle, Found::Table(temp)));
        }
        let schema = name.schema();
        let wants_system = schema.is_some_and(|s| same(s, "sys") || same(s, "INFORMATION_SCHEMA"));
        if !wants_system {
            let database = self.session.view(&handle);
            let found = database
                .tables
                .iter()
                .find(|t| same(&t.schema, schema.unwrap_or("dbo")) && same(&t.name, name.object()));
            if let Some(table) = found {
                return Ok((handle, Found::Table(Arc::clone(table))));
            }
        }
        let view = sysviews::find(self.session, schema.unwrap_or(""), name.object());
        match view.filter(|v| !v.function) {
            Some(view) => Ok((handle, Found::View(view))),
            None => Err(err!(208, name)),
        }
    }

    pub(crate) fn check_permission(&self, handle: &Handle, table: &Table, permission: &str) -> Result<()> {
        if table.name.starts_with('#') {
            return Ok(());
        }
        let database = self.session.view(handle);
        if self
            .session
            .may(&database, handle.id, permission, Some(table.object_id))
        {
            return Ok(());
        }
        Err(err!(229, permission, table.name, database.meta.name, table.schema))
    }

    /// A table that is changed: its database, itself.
    pub(crate) fn target(&self, name: &Name) -> Result<(Arc<Handle>, Arc<Table>)> {
        match self.lookup(name)? {
            (handle, Found::Table(table)) => Ok((handle, table)),
            (_, Found::View(_)) => Err(raw_error(
                259,
                16,
                1,
                "Ad hoc updates to system catalogs are not allowed.".to_owned(),
            )
            .ends_batch()),
        }
    }

    fn table_variable(&self, name: &str, alias: Option<&str>) -> Result<BoundSource> {
        let table = self
            .session
            .scope()
            .tables
            .get(&name.to_lowercase())
            .cloned()
            .ok_or_else(|| err!(1087, name))?;
        Ok(table_source(table, Some(alias.unwrap_or(name)), false))
    }

    fn cte(&self, name: &str, alias: Option<&str>) -> Result<Option<BoundSource>> {
        let found = {
            let ctes = self.ctes.borrow();
            ctes.iter()
                .rposition(|c| same(&c.name, name))
                .map(|at| (at, ctes[at].clone()))
        };
        let Some((at, cte)) = found else { return Ok(None) };
        // Inside itself a CTE sees only those before it: recursion is not there, and the name is then 208.
        let later = self.ctes.borrow_mut().split_off(at);
        let bound = self.derived(&cte.query, alias.unwrap_or(name), &cte.columns, None);
        self.ctes.borrow_mut().extend(later);
        bound.map(Some)
    }

    fn derived(&self, query: &Query, alias: &str, names: &[String], outer: Option<&Scope<'_>>) -> Result<BoundSource> {
        if !query.order.is_empty() && query.offset.is_none() && !has_top(query) {
            return Err(err!(1033));
        }
        let plan = self.query(query, outer)?;
        if !names.is_empty() && names.len() != plan.columns.len() {
            return Err(if names.len() < plan.columns.len() {
                err!(8158, alias)
            } else {
                err!(8159, alias)
            });
        }
        let mut columns: Vec<ScopeColumn> = Vec::new();
        for (i, column) in plan.columns.iter().enumerate() {
            let name = names.get(i).unwrap_or(&column.name);
            if name.is_empty() {
                return Err(err!(8155, i + 1, alias));
            }
            if columns.iter().any(|c| same(&c.name, name)) {
                return Err(err!(8156, name, alias));
            }
            columns.push(scope_column(alias, None, name, column.ty.clone(), column.nullable));
        }
        let escaped = plan.correlated;
        Ok(BoundSource {
            plan: SourcePlan::Derived(Box::new(plan)),
            columns,
            escaped,
        })
    }

    fn values(
        &self,
        rows: &[Vec<Expr>],
        alias: &str,
        names: &[String],
        outer: Option<&Scope<'_>>,
    ) -> Result<BoundSource> {
        let empty = Scope::new(Vec::new(), None);
        let scope = outer.unwrap_or(&empty);
        let mut bound = Vec::new();
        for row in rows {
            if row.len() != rows[0].len() {
                return Err(err!(10709));
            }
            bound.push(
                row.iter()
                    .map(|e| self.within(scope).scalar(e))
                    .collect::<Result<Vec<_>>>()?,
            );
        }
        let width = rows[0].len();
        if names.len() != width {
            return Err(if names.len() < width {
                err!(8158, alias)
            } else {
                err!(8159, alias)
            });
        }
        let mut columns = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let all: Vec<&Bound> = bound.iter().map(|r| &r[i]).collect();
            let ty = crate::engine::eval::functions::common(&all);
            for row in &mut bound {
                row[i] = super::bind::convert(row[i].clone(), &ty);
            }
            columns.push(scope_column(alias, None, name, ty, true));
        }
        // Without a scope around, an expression's columns are an error already; with one, it may look at it.
        Ok(BoundSource {
            plan: SourcePlan::Values(bound),
            columns,
            escaped: outer.is_some(),
        })
    }

    fn function(
        &self,
        name: &Name,
        args: &[Expr],
        alias: Option<&str>,
        outer: Option<&Scope<'_>>,
    ) -> Result<BoundSource> {
        let handle = self.session.database_of(name)?;
        let view = sysviews::find(self.session, name.schema().unwrap_or(""), name.object()).filter(|v| v.function);
        let Some(view) = view else { return Err(err!(208, name)) };
        if args.len() < view.arguments {
            let text =
                format!("An insufficient number of arguments were supplied for the procedure or function {name}.");
            return Err(raw_error(313, 16, 3, text).ends_batch());
        }
        if args.len() > view.arguments {
            return Err(err!(8144, name).ends_batch());
        }
        let empty = Scope::new(Vec::new(), None);
        let scope = outer.unwrap_or(&empty);
        let args = args
            .iter()
            .map(|e| self.within(scope).scalar(e))
            .collect::<Result<Vec<_>>>()?;
        let mut source = view_source(self, view, &handle, alias, args);
        source.escaped = outer.is_some();
        Ok(source)
    }
}

enum Found {
    Table(Arc<Table>),
    View(&'static View),
}

fn has_top(query: &Query) -> bool {
    matches!(&query.body, crate::engine::ast::Body::Select(s) if s.top.is_some())
}

/// 1011: two sources under one name. Columns come source by source; one that comes a second time begins another source.
fn exposed_once(columns: &[ScopeColumn]) -> Result<()> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for column in columns.iter().filter(|c| c.schema.is_none()) {
        let key = (column.table.as_str(), column.name.as_str());
        if seen.iter().any(|s| same(s.0, key.0) && same(s.1, key.1)) {
            return Err(err!(1011, column.table));
        }
        seen.push(key);
    }
    Ok(())
}

/// A table as a source.
pub(crate) fn table_source(table: Arc<Table>, alias: Option<&str>, numbered: bool) -> BoundSource {
    let exposed = alias.unwrap_or(&table.name).to_owned();
    let schema = if alias.is_none() {
        Some(table.schema.clone())
    } else {
        None
    };
    let mut columns: Vec<ScopeColumn> = table
        .columns
        .iter()
        .map(|c| scope_column(&exposed, schema.as_deref(), &c.name, c.ty.clone(), c.nullable))
        .collect();
    if numbered {
        columns.push(ScopeColumn {
            hidden: true,
            ..scope_column(&exposed, None, "", SqlType::BigInt, false)
        });
    }
    BoundSource {
        plan: SourcePlan::Table(table, numbered),
        columns,
        escaped: false,
    }
}

fn view_source(
    binder: &Binder<'_>,
    view: &'static View,
    handle: &Handle,
    alias: Option<&str>,
    args: Vec<Bound>,
) -> BoundSource {
    let exposed = alias.unwrap_or(view.name);
    let schema = if alias.is_none() { Some(view.schema) } else { None };
    let columns = view
        .visible(binder.session.inst.config().version().0)
        .map(|(_, c)| scope_column(exposed, schema, c.name, c.ty.clone(), c.nullable))
        .collect();
    BoundSource {
        plan: SourcePlan::System(view, handle.id, args),
        columns,
        escaped: false,
    }
}

/// Reads a source, row by row. `each` says whether to go on.
pub(crate) fn visit(env: &Env<'_>, plan: &SourcePlan, each: &mut dyn FnMut(&[Value]) -> Result<bool>) -> Result<bool> {
    match plan {
        SourcePlan::Table(table, false) => visit_rows(&table.rows, each),
        SourcePlan::Table(table, true) => {
            for (i, row) in table.rows.iter().enumerate() {
                let mut numbered = row.clone();
                numbered.push(Value::Int(i64::try_from(i).unwrap_or(i64::MAX)));
                if !each(&numbered)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        SourcePlan::System(view, database_id, args) => visit_rows(&system_rows(env, view, *database_id, args)?, each),
        SourcePlan::Derived(plan) => {
            let Rows { rows } = super::run(env, plan)?;
            visit_rows(&rows, each)
        }
        SourcePlan::Values(rows) => {
            for row in rows {
                let row = row.iter().map(|b| env.eval(b)).collect::<Result<Row>>()?;
                if !each(&row)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        SourcePlan::Join(join) => join::visit(env, join, each),
        SourcePlan::Apply(keep, left, right, width) => visit_apply(env, *keep, left, right, *width, each),
    }
}

fn visit_rows(rows: &[Row], each: &mut dyn FnMut(&[Value]) -> Result<bool>) -> Result<bool> {
    for row in rows {
        if !each(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn visit_apply(
    env: &Env<'_>,
    keep: bool,
    left: &SourcePlan,
    right: &SourcePlan,
    width: usize,
    each: &mut dyn FnMut(&[Value]) -> Result<bool>,
) -> Result<bool> {
    visit(env, left, &mut |row| {
        let frame = Frame { row, parent: env.frame };
        let mut matched = false;
        let go_on = visit(&env.with(&frame), right, &mut |other| {
            matched = true;
            each(&[row, other].concat())
        })?;
        if go_on && keep && !matched {
            return each(&[row, &vec![Value::Null; width]].concat());
        }
        Ok(go_on)
    })
}

fn system_rows(env: &Env<'_>, view: &'static View, database_id: i32, args: &[Bound]) -> Result<Vec<Row>> {
    let Some(handle) = env.session.inst.handle(database_id) else {
        return Ok(Vec::new());
    };
    let args = args.iter().map(|a| env.eval(a)).collect::<Result<Vec<_>>>()?;
    let database = env.session.view(&handle);
    let scan = Scan {
        session: env.session,
        handle: &handle,
        database: &database,
        args: &args,
    };
    let rows = (view.rows)(&scan)?;
    let shown: Vec<usize> = view
        .visible(env.session.inst.config().version().0)
        .map(|(i, _)| i)
        .collect();
    if shown.len() == view.columns.len() {
        return Ok(rows);
    }
    let cut = |row: Row| {
        shown
            .iter()
            .map(|i| row.get(*i).cloned().unwrap_or(Value::Null))
            .collect()
    };
    Ok(rows.into_iter().map(cut).collect())
}
