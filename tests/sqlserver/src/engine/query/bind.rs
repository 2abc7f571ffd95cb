//! Binding expressions: names to columns, operators to types, implicit conversions made explicit.

use std::cell::RefCell;

use super::Plan;
use super::aggregate::{Aggregate, AggregateKind};
use super::scope::Scope;
use super::window::Window;
use crate::engine::ast::{BinaryOp, Call, Cast, CompareOp, Cte, Expr};
use crate::engine::errors::{Result, err};
use crate::engine::eval::compare::Collation;
use crate::engine::eval::functions::{self, Arg, common};
use crate::engine::eval::types::{Family, arithmetic_type, common_type, family, implicit, is_numeric, type_name};
use crate::engine::eval::{Bound, Node};
use crate::engine::session::Session;
use crate::types::{SqlType, Value};

/// A user table that a statement reads, for permissions and locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// Its database.
    pub database_id: i32,
    /// Its id.
    pub object_id: i32,
    /// NOLOCK or its like.
    pub dirty: bool,
}

/// Binds the names of one statement.
pub(crate) struct Binder<'s> {
    /// The session.
    pub session: &'s Session,
    /// Common table expressions in sight, the innermost last.
    pub ctes: RefCell<Vec<Cte>>,
    /// Tables read so far.
    pub used: RefCell<Vec<Used>>,
    /// The table that is changed.
    pub target: RefCell<Option<super::from::Target>>,
    /// How texts compare.
    pub collation: Collation,
}

/// Binds the expressions of one clause.
pub(crate) struct Exprs<'a> {
    /// The statement's binder.
    pub binder: &'a Binder<'a>,
    /// What can be named.
    pub scope: &'a Scope<'a>,
    /// Where aggregates go; None where they are not allowed.
    pub aggregates: Option<&'a RefCell<Vec<Aggregate>>>,
    /// Where window functions go.
    pub windows: Option<&'a RefCell<Vec<Window>>>,
}

impl<'s> Binder<'s> {
    /// A binder for a statement.
    pub(crate) fn new(session: &'s Session) -> Binder<'s> {
        Binder {
            session,
            ctes: RefCell::default(),
            used: RefCell::default(),
            target: RefCell::default(),
            collation: session.collation(),
        }
    }

    /// Binds an expression without columns: a SET, an argument.
    pub(crate) fn constant(&self, expr: &Expr) -> Result<Bound> {
        let scope = Scope::new(Vec::new(), None);
        self.within(&scope).scalar(expr)
    }

    /// Binds expressions over a scope, without aggregates.
    pub(crate) fn within<'a>(&'a self, scope: &'a Scope<'a>) -> Exprs<'a> {
        Exprs {
            binder: self,
            scope,
            aggregates: None,
            windows: None,
        }
    }
}

/// Converts to a type, unless it has it already.
pub(crate) fn convert(bound: Bound, ty: &SqlType) -> Bound {
    if bound.ty == *ty {
        return bound;
    }
    let nullable = bound.nullable;
    Bound {
        ty: ty.clone(),
        nullable,
        node: Node::Cast(Box::new(bound), None, false),
    }
}

/// Converts to a type as an assignment does: 257 where only CAST would.
pub(crate) fn assign(bound: Bound, ty: &SqlType) -> Result<Bound> {
    if bound.is_null_literal() || bound.ty == *ty || implicit(&bound.ty, ty) {
        return Ok(convert(bound, ty));
    }
    Err(err!(257, type_name(&bound.ty), type_name(ty)))
}

impl Exprs<'_> {
    /// Binds a value.
    pub(crate) fn scalar(&self, expr: &Expr) -> Result<Bound> {
        match expr {
            Expr::Null | Expr::Default => Ok(Bound::constant(Value::Null, SqlType::Int)),
            Expr::Int(i) => Ok(Bound::constant(Value::Int(*i), SqlType::Int)),
            Expr::Decimal(v, precision, scale) => Ok(Bound::constant(
                Value::Decimal(*v, *scale),
                SqlType::Numeric {
                    precision: *precision.max(scale),
                    scale: *scale,
                },
            )),
            Expr::Float(f) => Ok(Bound::constant(Value::Float(*f), SqlType::Float)),
            Expr::Money(v) => Ok(Bound::constant(Value::Decimal(*v, 4), SqlType::Money)),
            Expr::Str(s, national) => {
                let length = Some(s.encode_utf16().count());
                let ty = crate::engine::eval::types::text_type(*national, length);
                Ok(Bound::constant(Value::Str(s.as_str().into()), ty))
            }
            Expr::Binary(b) => {
                let length = u16::try_from(b.len().max(1)).ok().filter(|n| *n <= 8000);
                Ok(Bound::constant(
                    Value::Bytes(b.as_slice().into()),
                    SqlType::VarBinary(length),
                ))
            }
            Expr::Var(name) => {
                let ty = self.binder.session.variable_type(name)?;
                Ok(Bound {
                    ty,
                    nullable: true,
                    node: Node::Var(name.to_lowercase()),
                })
            }
            Expr::Global(name) => Ok(functions::bind_global(name)),
            Expr::Column(parts) => self.column(parts),
            Expr::Paren(inner) | Expr::Collate(inner, _) => self.scalar(inner),
            Expr::Neg(inner) => self.negation(inner),
            Expr::BitNot(inner) => self.bit_not(inner),
            Expr::Op(op, a, b) => self.operation(*op, a, b),
            Expr::Case(operand, whens, other) => self.case(operand.as_deref(), whens, other.as_deref()),
            Expr::Cast(cast) => self.cast(cast),
            Expr::Call(call) => self.call(call),
            Expr::Subquery(query) => self.subquery(query),
            _ => self.condition(expr),
        }
    }

    fn column(&self, parts: &[String]) -> Result<Bound> {
        let (depth, index, column) = self.scope.resolve(parts)?;
        Ok(Bound {
            ty: column.ty.clone(),
            nullable: column.nullable,
            node: Node::Column { depth, index },
        })
    }

    fn negation(&self, inner: &Expr) -> Result<Bound> {
        let inner = self.scalar(inner)?;
        if !is_numeric(&inner.ty) {
            return Err(err!(8117, type_name(&inner.ty), "minus"));
        }
        let ty = if inner.ty == SqlType::Bit {
            SqlType::Int
        } else {
            inner.ty.clone()
        };
        Ok(Bound {
            ty,
            nullable: inner.nullable,
            node: Node::Neg(Box::new(inner)),
        })
    }

    fn bit_not(&self, inner: &Expr) -> Result<Bound> {
        let inner = self.scalar(inner)?;
        if family(&inner.ty) != Family::Integer {
            return Err(err!(8117, type_name(&inner.ty), "'~'"));
        }
        Ok(Bound {
            ty: inner.ty.clone(),
            nullable: inner.nullable,
            node: Node::BitNot(Box::new(inner)),
        })
    }

    fn operation(&self, op: BinaryOp, a: &Expr, b: &Expr) -> Result<Bound> {
        let (mut a, mut b) = (self.scalar(a)?, self.scalar(b)?);
        // A bare NULL takes the other side's type.
        if a.is_null_literal() {
            a.ty = b.ty.clone();
        } else if b.is_null_literal() {
            b.ty = a.ty.clone();
        }
        let ty = arithmetic_type(op, &a.ty, &b.ty)?;
        let nullable = a.nullable || b.nullable;
        // Numbers mix freely; text is converted to what it is combined with.
        let fit = |bound: Bound| {
            let same = family(&bound.ty) == family(&ty)
                || is_numeric(&bound.ty) && (is_numeric(&ty) || family(&ty) == Family::Date);
            let bytes = family(&bound.ty) == Family::Binary;
            if same || bytes { bound } else { convert(bound, &ty) }
        };
        Ok(Bound {
            ty: ty.clone(),
            nullable,
            node: Node::Op(op, Box::new(fit(a)), Box::new(fit(b))),
        })
    }

    fn case(&self, operand: Option<&Expr>, whens: &[(Expr, Expr)], other: Option<&Expr>) -> Result<Bound> {
        let mut bound = Vec::new();
        for (when, then) in whens {
            let when = match operand {
                Some(operand) => self.compare(CompareOp::Eq, operand, when)?,
                None => self.condition(when)?,
            };
            bound.push((when, self.scalar(then)?));
        }
        let other = other.map(|e| self.scalar(e)).transpose()?;
        self.choice(bound, other)
    }

    /// CASE with its branches converted to their common type.
    fn choice(&self, whens: Vec<(Bound, Bound)>, other: Option<Bound>) -> Result<Bound> {
        let results: Vec<&Bound> = whens.iter().map(|w| &w.1).chain(other.as_ref()).collect();
        let ty = common(&results);
        for result in &results {
            if !result.is_null_literal() && !implicit(&result.ty, &ty) {
                return Err(err!(206, type_name(&result.ty), type_name(&ty)));
            }
        }
        let nullable = other.as_ref().is_none_or(|o| o.nullable) || whens.iter().any(|w| w.1.nullable);
        let whens = whens
            .into_iter()
            .map(|(when, then)| (when, convert(then, &ty)))
            .collect();
        let other = other.map(|o| Box::new(convert(o, &ty)));
        Ok(Bound {
            ty,
            nullable,
            node: Node::Case(whens, other),
        })
    }

    fn cast(&self, cast: &Cast) -> Result<Bound> {
        let value = self.scalar(&cast.value)?;
        let style = cast
            .style
            .as_ref()
            .map(|s| self.scalar(s))
            .transpose()?
            .map(|s| Box::new(convert(s, &SqlType::Int)));
        let nullable = value.nullable || cast.try_;
        Ok(Bound {
            ty: cast.ty.clone(),
            nullable,
            node: Node::Cast(Box::new(value), style, cast.try_),
        })
    }

    fn subquery(&self, query: &crate::engine::ast::Query) -> Result<Bound> {
        let plan = self.binder.query(query, Some(self.scope))?;
        let ty = single_column(&plan)?;
        Ok(Bound {
            ty,
            nullable: true,
            node: Node::Scalar(Box::new(plan)),
        })
    }

    // ---- calls ----

    fn call(&self, call: &Call) -> Result<Bound> {
        if call.over.is_some() {
            return self.window(call);
        }
        if let Some(kind) = AggregateKind::from_name(&call.name) {
            return self.aggregate(call, kind);
        }
        match call.name.as_str() {
            "COALESCE" => self.coalesce(&call.args),
            "ISNULL" => self.is_null(&call.args),
            "NULLIF" => self.null_if(&call.args),
            "IIF" => {
                let when = self.condition(&call.args[0])?;
                self.choice(
                    vec![(when, self.scalar(&call.args[1])?)],
                    Some(self.scalar(&call.args[2])?),
                )
            }
            name => self.function(name, &call.args),
        }
    }

    fn function(&self, name: &str, args: &[Expr]) -> Result<Bound> {
        let entry = functions::entry(name).ok_or_else(|| err!(195, name.to_lowercase()))?;
        let mut bound = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let kind = entry.args.get(i).or(entry.args.last()).copied().unwrap_or(Arg::Any);
            bound.push(argument(self.scalar(arg)?, kind, i + 1, name)?);
        }
        let ty = (entry.ty)(&bound);
        Ok(Bound {
            ty,
            nullable: true,
            node: Node::Call(entry, bound),
        })
    }

    fn coalesce(&self, args: &[Expr]) -> Result<Bound> {
        let mut args = args.iter().map(|a| self.scalar(a)).collect::<Result<Vec<_>>>()?;
        let last = args.pop();
        let whens = args.into_iter().map(|a| (not_null(a.clone()), a)).collect();
        let mut bound = self.choice(whens, last.clone())?;
        bound.nullable = last.is_none_or(|l| l.nullable);
        Ok(bound)
    }

    /// ISNULL keeps the first argument's type.
    fn is_null(&self, args: &[Expr]) -> Result<Bound> {
        let (first, second) = (self.scalar(&args[0])?, self.scalar(&args[1])?);
        let ty = if first.is_null_literal() {
            second.ty.clone()
        } else {
            first.ty.clone()
        };
        let nullable = second.nullable;
        let second = assign(second, &ty)?;
        let node = Node::Case(
            vec![(not_null(first.clone()), convert(first, &ty))],
            Some(Box::new(second)),
        );
        Ok(Bound { ty, nullable, node })
    }

    fn null_if(&self, args: &[Expr]) -> Result<Bound> {
        let first = self.scalar(&args[0])?;
        let same = self.compare(CompareOp::Eq, &args[0], &args[1])?;
        let ty = first.ty.clone();
        let null = Bound::constant(Value::Null, ty.clone());
        Ok(Bound {
            ty,
            nullable: true,
            node: Node::Case(vec![(same, null)], Some(Box::new(first))),
        })
    }

    fn aggregate(&self, call: &Call, kind: AggregateKind) -> Result<Bound> {
        let Some(aggregates) = self.aggregates else {
            return Err(err!(147));
        };
        let star = matches!(call.args.as_slice(), [Expr::Column(parts)] if parts == &["*"]);
        let inner = Exprs {
            aggregates: None,
            windows: None,
            ..*self
        };
        let arg = if star {
            None
        } else {
            Some(
                inner
                    .scalar(&call.args[0])
                    .map_err(|e| if e.number() == 147 { err!(130) } else { e })?,
            )
        };
        let separator = call.args.get(1).map(|a| inner.scalar(a)).transpose()?;
        let aggregate = Aggregate::new(kind, arg, separator, call.distinct, self.binder.collation)?;
        let (ty, nullable) = (aggregate.ty.clone(), !kind.is_count());
        let mut aggregates = aggregates.borrow_mut();
        let at = aggregates.iter().position(|a| *a == aggregate).unwrap_or_else(|| {
            aggregates.push(aggregate);
            aggregates.len() - 1
        });
        Ok(Bound {
            ty,
            nullable,
            node: Node::Aggregate(at),
        })
    }

    fn window(&self, call: &Call) -> Result<Bound> {
        let Some(windows) = self.windows else {
            return Err(err!(4108));
        };
        let window = Window::bind(self, call)?;
        let ty = window.ty();
        let mut windows = windows.borrow_mut();
        windows.push(window);
        Ok(Bound {
            ty,
            nullable: false,
            node: Node::Window(windows.len() - 1),
        })
    }

    // ---- conditions ----

    /// Binds a condition.
    pub(crate) fn condition(&self, expr: &Expr) -> Result<Bound> {
        Ok(match expr {
            Expr::Paren(inner) => self.condition(inner)?,
            Expr::And(a, b) => Bound::condition(Node::And(Box::new(self.condition(a)?), Box::new(self.condition(b)?))),
            Expr::Or(a, b) => Bound::condition(Node::Or(Box::new(self.condition(a)?), Box::new(self.condition(b)?))),
            Expr::Not(inner) => not(self.condition(inner)?),
            Expr::IsNull(inner, negated) => {
                maybe_not(Bound::condition(Node::IsNull(Box::new(self.scalar(inner)?))), *negated)
            }
            Expr::Compare(op, a, b) => self.compare(*op, a, b)?,
            Expr::Like(a, pattern, escape, negated) => self.like(a, pattern, escape.as_deref(), *negated)?,
            Expr::Between(a, low, high, negated) => {
                let low = self.compare(CompareOp::Ge, a, low)?;
                let high = self.compare(CompareOp::Le, a, high)?;
                maybe_not(Bound::condition(Node::And(Box::new(low), Box::new(high))), *negated)
            }
            Expr::In(a, list, negated) => self.in_list(a, list, *negated)?,
            Expr::InQuery(a, query, negated) => maybe_not(self.quantified(CompareOp::Eq, a, false, query)?, *negated),
            Expr::CompareQuery(op, a, all, query) => self.quantified(*op, a, *all, query)?,
            Expr::Exists(query) => {
                let plan = self.binder.query(query, Some(self.scope))?;
                Bound::condition(Node::Exists(Box::new(plan)))
            }
            _ => return self.scalar(expr),
        })
    }

    fn compare(&self, op: CompareOp, a: &Expr, b: &Expr) -> Result<Bound> {
        let collation = self.collation_of(&[a, b]);
        let (a, b) = pair(self.scalar(a)?, self.scalar(b)?, op)?;
        Ok(Bound::condition(Node::Compare(op, Box::new(a), Box::new(b), collation)))
    }

    fn collation_of(&self, exprs: &[&Expr]) -> Collation {
        fn named(expr: &Expr) -> Option<&str> {
            match expr {
                Expr::Collate(_, name) => Some(name),
                Expr::Paren(inner) => named(inner),
                Expr::Op(_, a, b) => named(a).or_else(|| named(b)),
                _ => None,
            }
        }
        let name = exprs
            .iter()
            .find_map(|e| named(e))
            .filter(|n| !n.eq_ignore_ascii_case("database_default"));
        name.map_or(self.binder.collation, Collation::from_name)
    }

    fn like(&self, a: &Expr, pattern: &Expr, escape: Option<&Expr>, negated: bool) -> Result<Bound> {
        let collation = self.collation_of(&[a, pattern]);
        let text = |e: &Expr| -> Result<Box<Bound>> { Ok(Box::new(argument(self.scalar(e)?, Arg::Text, 1, "LIKE")?)) };
        let escape = escape.map(text).transpose()?;
        Ok(maybe_not(
            Bound::condition(Node::Like(text(a)?, text(pattern)?, escape, collation)),
            negated,
        ))
    }

    fn in_list(&self, a: &Expr, list: &[Expr], negated: bool) -> Result<Bound> {
        let collation = self.collation_of(&[a]);
        let value = self.scalar(a)?;
        let items = list.iter().map(|e| self.scalar(e)).collect::<Result<Vec<_>>>()?;
        let mut all: Vec<&Bound> = vec![&value];
        all.extend(&items);
        let ty = common(&all);
        let mut converted = Vec::new();
        for item in items {
            converted.push(comparable(item, &ty)?);
        }
        let value = comparable(value, &ty)?;
        Ok(maybe_not(
            Bound::condition(Node::In(Box::new(value), converted, collation)),
            negated,
        ))
    }

    fn quantified(&self, op: CompareOp, a: &Expr, all: bool, query: &crate::engine::ast::Query) -> Result<Bound> {
        let collation = self.collation_of(&[a]);
        let mut plan = self.binder.query(query, Some(self.scope))?;
        let column = single_column(&plan)?;
        let value = self.scalar(a)?;
        let ty = common_type(&value.ty, &column);
        let value = comparable(value, &ty)?;
        if !alike(&column, &ty) {
            plan.convert_column(0, &ty);
        }
        Ok(Bound::condition(Node::Quantified(
            op,
            Box::new(value),
            all,
            Box::new(plan),
            collation,
        )))
    }
}

fn single_column(plan: &Plan) -> Result<SqlType> {
    match plan.columns.as_slice() {
        [one] => Ok(one.ty.clone()),
        _ => Err(err!(116)),
    }
}

fn not(inner: Bound) -> Bound {
    Bound::condition(Node::Not(Box::new(inner)))
}

fn maybe_not(inner: Bound, negated: bool) -> Bound {
    if negated { not(inner) } else { inner }
}

fn not_null(inner: Bound) -> Bound {
    not(Bound::condition(Node::IsNull(Box::new(inner))))
}

/// Whether values of two types compare without conversion.
fn alike(a: &SqlType, b: &SqlType) -> bool {
    let (fa, fb) = (family(a), family(b));
    let offset = |t: &SqlType| matches!(t, SqlType::DateTimeOffset(_));
    let date = |t: &SqlType| matches!(t, SqlType::Date);
    if fa == Family::Date && fb == Family::Date {
        return offset(a) == offset(b) && date(a) == date(b);
    }
    fa == fb || is_numeric(a) && is_numeric(b)
}

fn comparable(bound: Bound, ty: &SqlType) -> Result<Bound> {
    if bound.is_null_literal() || alike(&bound.ty, ty) {
        return Ok(bound);
    }
    if !implicit(&bound.ty, ty) {
        return Err(err!(206, type_name(&bound.ty), type_name(ty)));
    }
    Ok(convert(bound, &unbounded(ty)))
}

/// A comparison must not cut text to the other side's length.
fn unbounded(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::NVarChar(_) | SqlType::NChar(_) => SqlType::NVarChar(None),
        SqlType::VarChar(_) | SqlType::Char(_) => SqlType::VarChar(None),
        other => other.clone(),
    }
}

/// Both sides of a comparison in a common type.
pub(crate) fn pair(a: Bound, b: Bound, op: CompareOp) -> Result<(Bound, Bound)> {
    if a.is_null_literal() || b.is_null_literal() {
        return Ok((a, b));
    }
    if a.ty == SqlType::Xml || b.ty == SqlType::Xml {
        let symbol = match op {
            CompareOp::Eq => "equal to",
            CompareOp::Ne => "not equal to",
            _ => "compare",
        };
        return Err(err!(402, type_name(&a.ty), type_name(&b.ty), symbol));
    }
    let ty = common_type(&a.ty, &b.ty);
    Ok((comparable(a, &ty)?, comparable(b, &ty)?))
}

/// An argument as its function wants it.
fn argument(bound: Bound, kind: Arg, position: usize, function: &str) -> Result<Bound> {
    let from = family(&bound.ty);
    let refuse = |bound: &Bound| err!(8116, type_name(&bound.ty), position, function.to_lowercase());
    Ok(match kind {
        Arg::Any => bound,
        Arg::Text if from == Family::Text => bound,
        Arg::Text if bound.is_null_literal() => convert(bound, &SqlType::VarChar(Some(1))),
        Arg::Text if from == Family::Variant => convert(bound, &SqlType::NVarChar(Some(4000))),
        Arg::Text => {
            let length = crate::engine::eval::types::length(&bound.ty).map(usize::from);
            convert(bound, &crate::engine::eval::types::text_type(false, length))
        }
        Arg::Int if from == Family::Integer => bound,
        Arg::Int if implicit(&bound.ty, &SqlType::BigInt) || bound.is_null_literal() => {
            convert(bound, &SqlType::BigInt)
        }
        Arg::Float if implicit(&bound.ty, &SqlType::Float) || bound.is_null_literal() => {
            convert(bound, &SqlType::Float)
        }
        Arg::Bytes if from == Family::Binary => bound,
        Arg::Bytes if bound.is_null_literal() => convert(bound, &SqlType::VarBinary(Some(85))),
        Arg::Bytes if implicit(&bound.ty, &SqlType::VarBinary(None)) => convert(bound, &SqlType::VarBinary(None)),
        Arg::Date if matches!(from, Family::Date | Family::Time) => bound,
        Arg::Date if from == Family::Text => {
            // Text with an offset keeps it.
            let offset = matches!(&bound.node, Node::Const(Value::Str(s)) if crate::engine::eval::dates::parse(s, "mdy").is_ok_and(|m| m.offset.is_some()));
            convert(
                bound,
                &if offset {
                    SqlType::DateTimeOffset(7)
                } else {
                    SqlType::DateTime2(7)
                },
            )
        }
        Arg::Date if is_numeric(&bound.ty) || bound.is_null_literal() => convert(bound, &SqlType::DateTime),
        Arg::Int | Arg::Float | Arg::Bytes | Arg::Date => return Err(refuse(&bound)),
    })
}
