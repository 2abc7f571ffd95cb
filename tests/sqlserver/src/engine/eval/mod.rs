//! Expressions whose names are resolved and whose types are known, and their evaluation over a row.

mod arithmetic;
pub(super) mod compare;
pub(super) mod convert;
pub(super) mod dates;
pub(super) mod functions;
mod like;
mod map;
mod math;
mod moments;
mod security;
mod server;
mod strings;
pub(super) mod text;
pub(super) mod types;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use time::OffsetDateTime;

use self::compare::{Collation, compare};
use super::ast::{BinaryOp, CompareOp};
use super::errors::{Result, err};
use super::query::{Plan, Rows};
use super::session::Session;
use crate::types::{SqlType, Value};

/// An expression ready to be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    /// Its type.
    pub ty: SqlType,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// What it computes.
    pub node: Node,
}

/// What an expression computes. Conditions give `Value::Bit`, or NULL for unknown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A constant.
    Const(Value),
    /// A variable, lower case.
    Var(String),
    /// `@@x`, upper case.
    Global(String),
    /// A column of the row `depth` queries out.
    Column {
        /// 0 is the row at hand.
        depth: usize,
        /// Its position.
        index: usize,
    },
    /// `-e`.
    Neg(Box<Bound>),
    /// `~e`.
    BitNot(Box<Bound>),
    /// Arithmetic or concatenation.
    Op(BinaryOp, Box<Bound>, Box<Bound>),
    /// A comparison.
    Compare(CompareOp, Box<Bound>, Box<Bound>, Collation),
    /// Three-valued AND.
    And(Box<Bound>, Box<Bound>),
    /// Three-valued OR.
    Or(Box<Bound>, Box<Bound>),
    /// Three-valued NOT.
    Not(Box<Bound>),
    /// IS NULL.
    IsNull(Box<Bound>),
    /// LIKE.
    Like(Box<Bound>, Box<Bound>, Option<Box<Bound>>, Collation),
    /// IN over a list.
    In(Box<Bound>, Vec<Bound>, Collation),
    /// `= ANY`, `< ALL`, IN over a query; the flag says ALL.
    Quantified(CompareOp, Box<Bound>, bool, Box<Plan>, Collation),
    /// EXISTS.
    Exists(Box<Plan>),
    /// A scalar subquery.
    Scalar(Box<Plan>),
    /// CASE with conditions.
    Case(Vec<(Bound, Bound)>, Option<Box<Bound>>),
    /// A conversion to this expression's type.
    Cast(Box<Bound>, Option<Box<Bound>>, bool),
    /// A function.
    Call(&'static functions::Entry, Vec<Bound>),
    /// An aggregate, by its number in the query.
    Aggregate(usize),
    /// A window function, by its number in the query.
    Window(usize),
}

impl Bound {
    /// A constant.
    pub(super) fn constant(value: Value, ty: SqlType) -> Bound {
        let nullable = matches!(value, Value::Null);
        Bound {
            ty,
            nullable,
            node: Node::Const(value),
        }
    }

    /// A condition.
    pub(super) fn condition(node: Node) -> Bound {
        Bound {
            ty: SqlType::Bit,
            nullable: true,
            node,
        }
    }

    /// A bare NULL takes any type.
    pub(super) fn is_null_literal(&self) -> bool {
        matches!(self.node, Node::Const(Value::Null))
    }
}

/// A row and the rows of the queries around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The row.
    pub row: &'a [Value],
    /// The row of the query around.
    pub parent: Option<&'a Frame<'a>>,
}

/// What a statement remembers while it runs.
#[derive(Default)]
pub(super) struct Cache {
    /// Results of subqueries that do not look at the row, by plan.
    subqueries: RefCell<HashMap<usize, Arc<Rows>>>,
    /// Variables that `SELECT @v = …` has assigned so far, by lower-case name.
    pub assigned: RefCell<HashMap<String, Value>>,
}

/// What an evaluation sees.
#[derive(Clone, Copy)]
pub(super) struct Env<'a> {
    /// The session: variables, options, databases.
    pub session: &'a Session,
    /// The row.
    pub frame: Option<&'a Frame<'a>>,
    /// For the statement.
    pub cache: &'a Cache,
    /// The statement's one moment.
    pub now: OffsetDateTime,
}

impl<'a> Env<'a> {
    /// The same with another row.
    pub(super) fn with(&self, frame: &'a Frame<'a>) -> Env<'a> {
        Env {
            frame: Some(frame),
            ..*self
        }
    }

    fn column(&self, depth: usize, index: usize) -> Value {
        let mut frame = self.frame;
        for _ in 0..depth {
            frame = frame.and_then(|f| f.parent);
        }
        frame.and_then(|f| f.row.get(index)).cloned().unwrap_or(Value::Null)
    }

    fn variable(&self, lower: &str) -> Value {
        self.cache
            .assigned
            .borrow()
            .get(lower)
            .cloned()
            .unwrap_or_else(|| self.session.variable(lower))
    }

    /// Evaluates a value.
    pub(super) fn eval(&self, bound: &Bound) -> Result<Value> {
        match &bound.node {
            Node::Const(value) => Ok(value.clone()),
            Node::Var(name) => Ok(self.variable(name)),
            Node::Global(name) => Ok(functions::global(self, name)),
            Node::Column { depth, index } => Ok(self.column(*depth, *index)),
            Node::Neg(inner) => arithmetic::negate(&self.eval(inner)?, &bound.ty),
            Node::BitNot(inner) => Ok(arithmetic::bit_not(&self.eval(inner)?, &bound.ty)),
            Node::Op(op, a, b) => arithmetic::apply(*op, &self.eval(a)?, &self.eval(b)?, &bound.ty),
            Node::Case(whens, other) => self.case(whens, other.as_deref()),
            Node::Cast(inner, style, try_) => self.cast(inner, style.as_deref(), *try_, &bound.ty),
            Node::Scalar(plan) => self.scalar(plan),
            Node::Call(entry, args) => self.call(entry, args, bound),
            Node::Aggregate(_) | Node::Window(_) => Err(err!(147)),
            _ => Ok(self.test(bound)?.map_or(Value::Null, Value::Bit)),
        }
    }

    /// Evaluates a condition: unknown is None.
    pub(super) fn test(&self, bound: &Bound) -> Result<Option<bool>> {
        Ok(match &bound.node {
            Node::Compare(op, a, b, collation) => {
                compare(&self.eval(a)?, &self.eval(b)?, *collation).map(|o| holds(*op, o))
            }
            Node::And(a, b) => match self.test(a)? {
                Some(false) => Some(false),
                left => match (left, self.test(b)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Node::Or(a, b) => match self.test(a)? {
                Some(true) => Some(true),
                left => match (left, self.test(b)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Node::Not(inner) => self.test(inner)?.map(|b| !b),
            Node::IsNull(inner) => Some(matches!(self.eval(inner)?, Value::Null)),
            Node::Like(a, pattern, escape, collation) => self.like(a, pattern, escape.as_deref(), *collation)?,
            Node::In(a, list, collation) => self.in_list(a, list, *collation)?,
            Node::Exists(plan) => Some(!self.subquery(plan)?.rows.is_empty()),
            Node::Quantified(op, a, all, plan, collation) => self.quantified(*op, a, *all, plan, *collation)?,
            _ => match self.eval(bound)? {
                Value::Bit(b) => Some(b),
                _ => None,
            },
        })
    }

    /// Whether a filter lets the row through.
    pub(super) fn passes(&self, filter: &Bound) -> Result<bool> {
        Ok(self.test(filter)? == Some(true))
    }

    fn case(&self, whens: &[(Bound, Bound)], other: Option<&Bound>) -> Result<Value> {
        for (when, then) in whens {
            if self.passes(when)? {
                return self.eval(then);
            }
        }
        other.map_or(Ok(Value::Null), |e| self.eval(e))
    }

    fn cast(&self, inner: &Bound, style: Option<&Bound>, try_: bool, to: &SqlType) -> Result<Value> {
        let value = self.eval(inner)?;
        let style = match style.map(|s| self.eval(s)).transpose()? {
            Some(Value::Int(i)) => i32::try_from(i).unwrap_or(0),
            Some(Value::Null) => return Ok(Value::Null),
            _ => 0,
        };
        match convert::cast(&value, &inner.ty, to, style, &self.session.conversion()) {
            Err(_) if try_ => Ok(Value::Null),
            other => other,
        }
    }

    fn like(&self, a: &Bound, pattern: &Bound, escape: Option<&Bound>, collation: Collation) -> Result<Option<bool>> {
        let escape = match escape.map(|e| self.eval(e)).transpose()? {
            Some(Value::Str(s)) => s.chars().next(),
            _ => None,
        };
        Ok(match (self.eval(a)?, self.eval(pattern)?) {
            (Value::Str(text), Value::Str(pattern)) => Some(like::like(&text, &pattern, escape, collation)),
            _ => None,
        })
    }

    fn in_list(&self, a: &Bound, list: &[Bound], collation: Collation) -> Result<Option<bool>> {
        let value = self.eval(a)?;
        let mut unknown = false;
        for item in list {
            match compare(&value, &self.eval(item)?, collation) {
                Some(Ordering::Equal) => return Ok(Some(true)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok(if unknown { None } else { Some(false) })
    }

    fn quantified(
        &self,
        op: CompareOp,
        a: &Bound,
        all: bool,
        plan: &Plan,
        collation: Collation,
    ) -> Result<Option<bool>> {
        let value = self.eval(a)?;
        let rows = self.subquery(plan)?;
        let mut unknown = false;
        for row in &rows.rows {
            match row
                .first()
                .and_then(|v| compare(&value, v, collation))
                .map(|o| holds(op, o))
            {
                Some(true) if !all => return Ok(Some(true)),
                Some(false) if all => return Ok(Some(false)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok(if unknown { None } else { Some(all) })
    }

    fn scalar(&self, plan: &Plan) -> Result<Value> {
        let rows = self.subquery(plan)?;
        match rows.rows.as_slice() {
            [] => Ok(Value::Null),
            [row] => Ok(row.first().cloned().unwrap_or(Value::Null)),
            _ => Err(err!(512)),
        }
    }

    /// A subquery's rows; one that does not look at the row runs once per statement.
    fn subquery(&self, plan: &Plan) -> Result<Arc<Rows>> {
        if plan.correlated {
            return Ok(Arc::new(super::query::run(self, plan)?));
        }
        let id = std::ptr::from_ref(plan).addr();
        if let Some(rows) = self.cache.subqueries.borrow().get(&id) {
            return Ok(Arc::clone(rows));
        }
        let rows = Arc::new(super::query::run(self, plan)?);
        self.cache.subqueries.borrow_mut().insert(id, Arc::clone(&rows));
        Ok(rows)
    }

    fn call(&self, entry: &'static functions::Entry, args: &[Bound], bound: &Bound) -> Result<Value> {
        let values = args.iter().map(|a| self.eval(a)).collect::<Result<Vec<_>>>()?;
        if entry.strict && values.iter().any(|v| matches!(v, Value::Null)) {
            return Ok(Value::Null);
        }
        (entry.run)(&functions::Call {
            env: self,
            name: entry.name,
            values: &values,
            args,
            ty: &bound.ty,
        })
    }
}

/// Whether an order satisfies a comparison.
pub(super) fn holds(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
    }
}
