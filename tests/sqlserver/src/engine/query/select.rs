//! Binding SELECT and set operators, and computing their rows.

use std::cell::RefCell;
use std::collections::HashSet;

use super::Plan;
use super::aggregate::{Aggregate, GroupPlan, Groups, over_group};
use super::bind::{Binder, Exprs, convert};
use super::from::{SourcePlan, visit};
use super::scope::{Scope, same};
use super::sort::TopPlan;
use super::window::Window;
use crate::engine::ast::{Body, Expr, Item, Name, OrderItem, Query, Select, SetOp, Top};
use crate::engine::errors::{Result, err};
use crate::engine::eval::compare::{Collation, key};
use crate::engine::eval::types::common_type;
use crate::engine::eval::{Bound, Env, Frame, Node};
use crate::storage::Row;
use crate::types::{Column, SqlType, Value};

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// One SELECT.
    Select(Box<SelectPlan>),
    /// Two, combined; columns converted to the common types.
    Set(SetOp, Box<Shape>, Box<Shape>, Vec<SqlType>, Collation),
}

/// One SELECT ready to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SelectPlan {
    source: Option<SourcePlan>,
    filter: Option<Bound>,
    group: Option<GroupPlan>,
    having: Option<Bound>,
    windows: Vec<Window>,
    /// The list, then hidden sort keys.
    items: Vec<Bound>,
    visible: usize,
    distinct: bool,
    collation: Collation,
    /// Variables that the items are assigned to.
    pub assigns: Vec<(String, SqlType)>,
    top: Option<TopPlan>,
}

impl Shape {
    /// Whether equal rows are one: TOP cannot stop early then.
    pub(crate) fn is_distinct(&self) -> bool {
        match self {
            Shape::Select(select) => select.distinct,
            Shape::Set(..) => true,
        }
    }

    /// The variables a SELECT assigns.
    pub(crate) fn assigns(&self) -> &[(String, SqlType)] {
        match self {
            Shape::Select(select) => &select.assigns,
            Shape::Set(..) => &[],
        }
    }
}

impl Plan {
    /// Converts an output column, for `x IN (SELECT …)`.
    pub(crate) fn convert_column(&mut self, at: usize, ty: &SqlType) {
        self.columns[at].ty = ty.clone();
        convert_in(&mut self.shape, at, ty);
    }
}

fn convert_in(shape: &mut Shape, at: usize, ty: &SqlType) {
    match shape {
        Shape::Select(select) => {
            let item = select.items[at].clone();
            select.items[at] = convert(item, ty);
        }
        Shape::Set(_, left, right, types, _) => {
            types[at] = ty.clone();
            convert_in(left, at, ty);
            convert_in(right, at, ty);
        }
    }
}

struct BoundBody {
    shape: Shape,
    columns: Vec<Column>,
    order: Vec<(usize, bool)>,
    correlated: bool,
}

impl Binder<'_> {
    /// Binds a query.
    pub(crate) fn query(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Plan> {
        let before = self.ctes.borrow().len();
        self.ctes.borrow_mut().extend(query.ctes.iter().cloned());
        let bound = self.query_in(query, outer);
        self.ctes.borrow_mut().truncate(before);
        bound
    }

    fn query_in(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Plan> {
        let body = match &query.body {
            Body::Select(select) => self.select(select, &query.order, outer)?,
            Body::Set(..) => {
                let mut body = self.body(&query.body, outer)?;
                body.order = query
                    .order
                    .iter()
                    .map(|o| output_order(&body.columns, o))
                    .collect::<Result<Vec<_>>>()?;
                body
            }
        };
        let scalar = |e: &Option<Expr>| {
            e.as_ref()
                .map(|e| self.constant(e).map(|b| convert(b, &SqlType::BigInt)))
                .transpose()
        };
        let top = match &query.body {
            Body::Select(select) => select.top.as_ref().map(|t| self.top(t)).transpose()?,
            Body::Set(..) => None,
        };
        if top.as_ref().is_some_and(|t| t.ties) && query.order.is_empty() {
            return Err(crate::engine::errors::raw_error(
                1062,
                15,
                1,
                "The TOP N WITH TIES clause is not allowed without a corresponding ORDER BY clause.".into(),
            )
            .ends_batch());
        }
        Ok(Plan {
            columns: body.columns,
            shape: body.shape,
            order: body.order,
            top,
            offset: scalar(&query.offset)?,
            fetch: scalar(&query.fetch)?,
            correlated: body.correlated,
        })
    }

    pub(crate) fn top(&self, top: &Top) -> Result<TopPlan> {
        let count = self.constant(&top.count)?;
        let count = if top.percent {
            convert(count, &SqlType::Float)
        } else {
            super::bind::assign(count, &SqlType::BigInt)?
        };
        Ok(TopPlan {
            count,
            percent: top.percent,
            ties: top.ties,
        })
    }

    fn body(&self, body: &Body, outer: Option<&Scope<'_>>) -> Result<BoundBody> {
        match body {
            Body::Select(select) => {
                let mut bound = self.select(select, &[], outer)?;
                // A SELECT inside a set operator has no ORDER BY; its TOP is its own.
                if let (Shape::Select(plan), Some(top)) = (&mut bound.shape, &select.top) {
                    plan.top = Some(self.top(top)?);
                }
                Ok(bound)
            }
            Body::Set(op, left, right) => {
                let (left, right) = (self.body(left, outer)?, self.body(right, outer)?);
                combine(*op, left, right, self.collation)
            }
        }
    }

    fn select(&self, select: &Select, order: &[OrderItem], outer: Option<&Scope<'_>>) -> Result<BoundBody> {
        let source = self.from(&select.from, outer)?;
        let (plan, columns, escaped) = match source {
            Some(source) => (Some(source.plan), source.columns, source.escaped),
            None => (None, Vec::new(), false),
        };
        let scope = Scope::new(columns, outer);
        scope.escaped.set(escaped);
        let filter = select
            .filter
            .as_ref()
            .map(|f| self.within(&scope).condition(f))
            .transpose()?;
        let keys = select
            .group
            .iter()
            .map(|g| self.within(&scope).scalar(g))
            .collect::<Result<Vec<_>>>()?;
        let (aggregates, windows) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let exprs = Exprs {
            binder: self,
            scope: &scope,
            aggregates: Some(&aggregates),
            windows: Some(&windows),
        };
        let mut list = List::default();
        for item in &select.items {
            list.add(self, &exprs, item)?;
        }
        let having = select
            .having
            .as_ref()
            .map(|h| Exprs { windows: None, ..exprs }.condition(h))
            .transpose()?;
        let visible = list.items.len();
        let order = list.order(&exprs, order, select.distinct, &select.items)?;
        let (aggregates, windows): (Vec<Aggregate>, Vec<Window>) = (aggregates.into_inner(), windows.into_inner());
        let mut plan = SelectPlan {
            source: plan,
            filter,
            group: None,
            having,
            windows,
            items: list.items,
            visible,
            distinct: select.distinct,
            collation: self.collation,
            assigns: list.assigns,
            top: None,
        };
        let mut width = scope.columns.len();
        if !aggregates.is_empty() || !keys.is_empty() || plan.having.is_some() {
            let group = GroupPlan {
                keys,
                aggregates,
                collation: self.collation,
            };
            plan.over_group(&group, &|i| {
                format!("{}.{}", scope.columns[i].table, scope.columns[i].name)
            })?;
            width = group.keys.len() + group.aggregates.len();
            plan.group = Some(group);
        }
        plan.over_windows(width)?;
        for (column, item) in list.columns.iter_mut().zip(&plan.items) {
            column.nullable = item.nullable;
        }
        let correlated = scope.escaped.get();
        Ok(BoundBody {
            shape: Shape::Select(Box::new(plan)),
            columns: list.columns,
            order,
            correlated,
        })
    }
}

#[derive(Default)]
struct List {
    items: Vec<Bound>,
    columns: Vec<Column>,
    assigns: Vec<(String, SqlType)>,
}

impl List {
    fn add(&mut self, binder: &Binder<'_>, exprs: &Exprs<'_>, item: &Item) -> Result<()> {
        match item {
            Item::Star(name) => self.star(exprs, name.as_ref()),
            Item::Expr(expr, alias) => {
                let bound = exprs.scalar(expr)?;
                let name = alias.clone().unwrap_or_else(|| match expr {
                    Expr::Column(parts) => exprs
                        .scope
                        .resolve(parts)
                        .map_or_else(|_| String::new(), |(_, _, c)| c.name.clone()),
                    _ => String::new(),
                });
                self.push(name, bound);
                Ok(())
            }
            Item::Assign(variable, op, expr) => {
                let expr = match op {
                    Some(op) => &Expr::Op(*op, Box::new(Expr::Var(variable.clone())), Box::new(expr.clone())),
                    None => expr,
                };
                let ty = binder.session.variable_type(variable)?;
                let bound = super::bind::assign(exprs.scalar(expr)?, &ty)?;
                self.assigns.push((variable.to_lowercase(), ty));
                self.push(String::new(), bound);
                Ok(())
            }
        }
    }

    fn push(&mut self, name: String, bound: Bound) {
        self.columns.push(Column {
            name,
            ty: bound.ty.clone(),
            nullable: bound.nullable,
        });
        self.items.push(bound);
    }

    fn star(&mut self, exprs: &Exprs<'_>, name: Option<&Name>) -> Result<()> {
        let before = self.items.len();
        for (index, column) in exprs.scope.columns.iter().enumerate().filter(|(_, c)| !c.hidden) {
            if name.is_none_or(|n| same(n.object(), &column.table)) {
                let node = Node::Column { depth: 0, index };
                self.push(
                    column.name.clone(),
                    Bound {
                        ty: column.ty.clone(),
                        nullable: column.nullable,
                        node,
                    },
                );
            }
        }
        if self.items.len() > before {
            return Ok(());
        }
        match name {
            Some(name) => Err(err!(107, name)),
            None => Err(
                crate::engine::errors::raw_error(263, 16, 1, "Must specify table to select from.".to_owned())
                    .ends_batch(),
            ),
        }
    }

    /// Sort keys as positions: aliases and ordinals first, expressions behind the list.
    fn order(
        &mut self,
        exprs: &Exprs<'_>,
        order: &[OrderItem],
        distinct: bool,
        items: &[Item],
    ) -> Result<Vec<(usize, bool)>> {
        let mut keys = Vec::new();
        for item in order {
            if let Ok(at) = output_position(&self.columns, &item.expr, is_alias(items)) {
                keys.push((at?, item.desc));
                continue;
            }
            let bound = exprs.scalar(&item.expr)?;
            let at = self.items.iter().position(|i| *i == bound);
            if at.is_none() && distinct {
                return Err(err!(145));
            }
            keys.push((
                at.unwrap_or_else(|| {
                    self.items.push(bound);
                    self.items.len() - 1
                }),
                item.desc,
            ));
        }
        Ok(keys)
    }
}

/// Names that were given as aliases: those win over columns in ORDER BY.
fn is_alias(items: &[Item]) -> impl Fn(&str) -> bool + '_ {
    move |name| {
        items
            .iter()
            .any(|i| matches!(i, Item::Expr(_, Some(alias)) if same(alias, name)))
    }
}

/// The output column an ORDER BY item names. `Err(())` when it names none.
fn output_position(
    columns: &[Column],
    expr: &Expr,
    alias: impl Fn(&str) -> bool,
) -> std::result::Result<Result<usize>, ()> {
    match expr {
        Expr::Int(n) => {
            let at = usize::try_from(*n - 1).ok().filter(|at| *at < columns.len());
            Ok(at.ok_or_else(|| err!(108, n)))
        }
        Expr::Column(parts) => match parts.as_slice() {
            [name] if alias(name) => columns.iter().position(|c| same(&c.name, name)).map(Ok).ok_or(()),
            _ => Err(()),
        },
        _ => Err(()),
    }
}

/// ORDER BY of a UNION: only names and numbers of its columns.
fn output_order(columns: &[Column], item: &OrderItem) -> Result<(usize, bool)> {
    match output_position(columns, &item.expr, |_| true) {
        Ok(at) => Ok((at?, item.desc)),
        Err(()) => Err(match &item.expr {
            Expr::Column(parts) => err!(207, parts.join(".")),
            _ => crate::engine::errors::raw_error(104, 16, 1, "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.".into()).ends_batch(),
        }),
    }
}

fn combine(op: SetOp, left: BoundBody, right: BoundBody, collation: Collation) -> Result<BoundBody> {
    if left.columns.len() != right.columns.len() {
        return Err(err!(205));
    }
    let mut columns = left.columns;
    let (mut left_shape, mut right_shape) = (left.shape, right.shape);
    let mut types = Vec::new();
    for (at, (a, b)) in columns.iter_mut().zip(&right.columns).enumerate() {
        let null = |shape: &Shape| matches!(shape, Shape::Select(s) if s.items[at].is_null_literal());
        let ty = match (null(&left_shape), null(&right_shape)) {
            (true, false) => b.ty.clone(),
            (false, true) => a.ty.clone(),
            _ => common_type(&a.ty, &b.ty),
        };
        convert_in(&mut left_shape, at, &ty);
        convert_in(&mut right_shape, at, &ty);
        a.nullable |= b.nullable;
        a.ty = ty.clone();
        types.push(ty);
    }
    let shape = Shape::Set(op, Box::new(left_shape), Box::new(right_shape), types, collation);
    Ok(BoundBody {
        shape,
        columns,
        order: Vec::new(),
        correlated: left.correlated || right.correlated,
    })
}

impl SelectPlan {
    fn over_group(&mut self, group: &GroupPlan, name: &dyn Fn(usize) -> String) -> Result<()> {
        for item in &mut self.items {
            *item = over_group(item, group, name)?;
        }
        if let Some(having) = &mut self.having {
            *having = over_group(having, group, name)?;
        }
        Ok(())
    }

    /// Window functions stand behind the row's columns.
    fn over_windows(&mut self, width: usize) -> Result<()> {
        if self.windows.is_empty() {
            return Ok(());
        }
        for item in &mut self.items {
            *item = item.map(&|part| {
                Ok(match &part.node {
                    Node::Window(n) => Some(Bound {
                        node: Node::Column {
                            depth: 0,
                            index: width + n,
                        },
                        ..part.clone()
                    }),
                    _ => None,
                })
            })?;
        }
        Ok(())
    }

    fn each_source_row(&self, env: &Env<'_>, each: &mut dyn FnMut(&[Value]) -> Result<bool>) -> Result<()> {
        let mut passing = |row: &[Value]| -> Result<bool> {
            if let Some(filter) = &self.filter {
                let frame = Frame { row, parent: env.frame };
                if !env.with(&frame).passes(filter)? {
                    return Ok(true);
                }
            }
            each(row)
        };
        match &self.source {
            Some(source) => visit(env, source, &mut passing).map(|_| ()),
            None => passing(&[]).map(|_| ()),
        }
    }

    fn project(&self, env: &Env<'_>, row: &[Value]) -> Result<Row> {
        let frame = Frame { row, parent: env.frame };
        let inner = env.with(&frame);
        let out = self.items.iter().map(|i| inner.eval(i)).collect::<Result<Row>>()?;
        for ((name, _), value) in self.assigns.iter().zip(&out) {
            env.cache.assigned.borrow_mut().insert(name.clone(), value.clone());
        }
        Ok(out)
    }

    fn rows(&self, env: &Env<'_>, limit: Option<usize>) -> Result<Vec<Row>> {
        let limit = match &self.top {
            Some(top) if !top.percent => Some(super::sort::row_count(env, &top.count)?),
            _ => limit,
        };
        let mut out = Vec::new();
        if limit == Some(0) {
            return Ok(out);
        }
        if self.group.is_none() && self.windows.is_empty() {
            self.each_source_row(env, &mut |row| {
                out.push(self.project(env, row)?);
                Ok(self.distinct || limit.is_none_or(|n| out.len() < n))
            })?;
        } else {
            for row in self.gathered(env)? {
                out.push(self.project(env, &row)?);
            }
        }
        if self.distinct {
            distinct(&mut out, self.visible, self.collation);
        }
        if let Some(limit) = limit.filter(|_| self.top.is_some()) {
            out.truncate(limit);
        }
        Ok(out)
    }

    /// The rows after grouping and window functions, before the list is computed.
    fn gathered(&self, env: &Env<'_>) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        match &self.group {
            Some(group) => {
                let mut groups = Groups::new(group);
                self.each_source_row(env, &mut |row| {
                    let frame = Frame { row, parent: env.frame };
                    groups.add(&env.with(&frame))?;
                    Ok(true)
                })?;
                for row in groups.rows()? {
                    let frame = Frame {
                        row: &row,
                        parent: env.frame,
                    };
                    let keep = self.having.as_ref().map_or(Ok(true), |h| env.with(&frame).passes(h))?;
                    if keep {
                        rows.push(row);
                    }
                }
            }
            None => self.each_source_row(env, &mut |row| {
                rows.push(row.to_vec());
                Ok(true)
            })?,
        }
        let columns = self
            .windows
            .iter()
            .map(|w| w.compute(env, &rows))
            .collect::<Result<Vec<_>>>()?;
        for values in columns {
            for (row, value) in rows.iter_mut().zip(values) {
                row.push(value);
            }
        }
        Ok(rows)
    }
}

fn distinct(rows: &mut Vec<Row>, visible: usize, collation: Collation) {
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row.iter().take(visible).map(|v| key(v, collation)).collect::<Vec<_>>()));
}

/// The rows of a shape, with hidden sort keys.
pub(crate) fn rows(env: &Env<'_>, shape: &Shape, limit: Option<usize>) -> Result<Vec<Row>> {
    match shape {
        Shape::Select(select) => select.rows(env, limit),
        Shape::Set(op, left, right, types, collation) => {
            let (mut left, right) = (rows(env, left, None)?, rows(env, right, None)?);
            let width = types.len();
            let keys = |row: &Row| row.iter().take(width).map(|v| key(v, *collation)).collect::<Vec<_>>();
            match op {
                SetOp::UnionAll => left.extend(right),
                SetOp::Union => {
                    left.extend(right);
                    distinct(&mut left, width, *collation);
                }
                SetOp::Except | SetOp::Intersect => {
                    let others: HashSet<_> = right.iter().map(keys).collect();
                    left.retain(|row| others.contains(&keys(row)) == (*op == SetOp::Intersect));
                    distinct(&mut left, width, *collation);
                }
            }
            Ok(left)
        }
    }
}
