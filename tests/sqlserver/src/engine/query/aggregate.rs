//! GROUP BY and the aggregate functions.

use std::collections::{BTreeSet, HashMap};

use crate::engine::errors::{Result, err};
use crate::engine::eval::compare::{Collation, Key, approximate, key, order};
use crate::engine::eval::convert::rescale;
use crate::engine::eval::types::{Family, family, is_national, text_type, type_name};
use crate::engine::eval::{Bound, Env, Node};
use crate::storage::Row;
use crate::types::{SqlType, Value};

/// Which aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    /// COUNT.
    Count,
    /// COUNT_BIG.
    CountBig,
    /// SUM.
    Sum,
    /// AVG.
    Avg,
    /// MIN.
    Min,
    /// MAX.
    Max,
    /// CHECKSUM_AGG.
    Checksum,
    /// STRING_AGG.
    StringAgg,
}

impl AggregateKind {
    /// By upper-case name.
    pub(crate) fn from_name(name: &str) -> Option<AggregateKind> {
        Some(match name {
            "COUNT" => AggregateKind::Count,
            "COUNT_BIG" => AggregateKind::CountBig,
            "SUM" => AggregateKind::Sum,
            "AVG" => AggregateKind::Avg,
            "MIN" => AggregateKind::Min,
            "MAX" => AggregateKind::Max,
            "CHECKSUM_AGG" => AggregateKind::Checksum,
            "STRING_AGG" => AggregateKind::StringAgg,
            _ => return None,
        })
    }

    /// COUNT is never NULL.
    pub(crate) fn is_count(self) -> bool {
        matches!(self, AggregateKind::Count | AggregateKind::CountBig)
    }
}

/// An aggregate of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    /// Which.
    pub kind: AggregateKind,
    /// Of what; None is `*`.
    pub arg: Option<Bound>,
    /// STRING_AGG's separator.
    pub separator: Option<Bound>,
    /// DISTINCT.
    pub distinct: bool,
    /// The result type.
    pub ty: SqlType,
    collation: Collation,
}

impl Aggregate {
    /// Checks the argument and finds the result type.
    pub(crate) fn new(
        kind: AggregateKind,
        arg: Option<Bound>,
        separator: Option<Bound>,
        distinct: bool,
        collation: Collation,
    ) -> Result<Aggregate> {
        let of = arg.as_ref().map_or(SqlType::Int, |a| a.ty.clone());
        let ty = result_type(kind, &of)?;
        Ok(Aggregate {
            kind,
            arg,
            separator,
            distinct,
            ty,
            collation,
        })
    }
}

fn result_type(kind: AggregateKind, of: &SqlType) -> Result<SqlType> {
    let name = match kind {
        AggregateKind::Sum => "sum",
        AggregateKind::Avg => "avg",
        AggregateKind::Min => "min",
        AggregateKind::Max => "max",
        _ => "",
    };
    Ok(match kind {
        AggregateKind::Count | AggregateKind::Checksum => SqlType::Int,
        AggregateKind::CountBig => SqlType::BigInt,
        AggregateKind::StringAgg => text_type(is_national(of), if is_national(of) { Some(4000) } else { Some(8000) }),
        AggregateKind::Min | AggregateKind::Max if !matches!(of, SqlType::Bit | SqlType::Xml) => of.clone(),
        AggregateKind::Sum | AggregateKind::Avg => match (of, family(of)) {
            (SqlType::BigInt, _) => SqlType::BigInt,
            (SqlType::TinyInt | SqlType::SmallInt | SqlType::Int, _) => SqlType::Int,
            (SqlType::Money, _) => SqlType::Money,
            (SqlType::Numeric { scale, .. }, _) if kind == AggregateKind::Sum => SqlType::Numeric {
                precision: 38,
                scale: *scale,
            },
            (SqlType::Numeric { scale, .. }, _) => SqlType::Numeric {
                precision: 38,
                scale: (*scale).max(6),
            },
            (_, Family::Approximate) => SqlType::Float,
            _ => return Err(err!(8117, type_name(of), name)),
        },
        _ => return Err(err!(8117, type_name(of), name)),
    })
}

#[derive(Debug, Clone, Default)]
struct Running {
    count: i64,
    sum: i128,
    scale: u8,
    float: f64,
    best: Option<Value>,
    seen: BTreeSet<Key>,
    text: Option<String>,
    checksum: i32,
}

impl Running {
    fn add(&mut self, aggregate: &Aggregate, env: &Env<'_>) -> Result<()> {
        let Some(arg) = &aggregate.arg else {
            self.count += 1;
            return Ok(());
        };
        let value = env.eval(arg)?;
        if matches!(value, Value::Null) {
            return Ok(());
        }
        if aggregate.distinct && !self.seen.insert(key(&value, aggregate.collation)) {
            return Ok(());
        }
        self.count += 1;
        match aggregate.kind {
            AggregateKind::Sum | AggregateKind::Avg => self.sum_up(&value, &aggregate.ty)?,
            AggregateKind::Min | AggregateKind::Max => {
                let better = self.best.as_ref().is_none_or(|best| {
                    let o = order(&value, best, aggregate.collation);
                    if aggregate.kind == AggregateKind::Min {
                        o.is_lt()
                    } else {
                        o.is_gt()
                    }
                });
                if better {
                    self.best = Some(value);
                }
            }
            AggregateKind::Checksum => {
                if let Value::Int(i) = value {
                    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is combined")]
                    let low = i as i32;
                    self.checksum ^= low;
                }
            }
            AggregateKind::StringAgg => self.append(&value, aggregate, env)?,
            AggregateKind::Count | AggregateKind::CountBig => {}
        }
        Ok(())
    }

    fn append(&mut self, value: &Value, aggregate: &Aggregate, env: &Env<'_>) -> Result<()> {
        let from = aggregate.arg.as_ref().map_or(SqlType::Int, |a| a.ty.clone());
        let text = crate::engine::eval::convert::plain_text(value, &from, &aggregate.ty, 0)?;
        let separator = match aggregate.separator.as_ref().map(|s| env.eval(s)).transpose()? {
            Some(Value::Str(s)) => s.to_string(),
            _ => String::new(),
        };
        match &mut self.text {
            Some(so_far) => {
                so_far.push_str(&separator);
                so_far.push_str(&text);
            }
            None => self.text = Some(text.to_string()),
        }
        Ok(())
    }

    fn sum_up(&mut self, value: &Value, ty: &SqlType) -> Result<()> {
        let overflow = || err!(8115, "expression", type_name(ty));
        match value {
            Value::Int(i) => self.sum = self.sum.checked_add((*i).into()).ok_or_else(overflow)?,
            Value::Decimal(v, scale) => {
                self.scale = *scale;
                self.sum = self.sum.checked_add(*v).ok_or_else(overflow)?;
            }
            other => self.float += approximate(other),
        }
        Ok(())
    }

    fn result(&self, aggregate: &Aggregate) -> Result<Value> {
        let ty = &aggregate.ty;
        let overflow = || err!(8115, "expression", type_name(ty));
        Ok(match aggregate.kind {
            AggregateKind::Count | AggregateKind::CountBig => Value::Int(self.count),
            _ if self.count == 0 => Value::Null,
            AggregateKind::Min | AggregateKind::Max => self.best.clone().unwrap_or(Value::Null),
            AggregateKind::Checksum => Value::Int(self.checksum.into()),
            AggregateKind::StringAgg => self.text.clone().map_or(Value::Null, |t| Value::Str(t.into())),
            kind => {
                let average = kind == AggregateKind::Avg;
                let n = i128::from(self.count);
                match ty {
                    SqlType::Float => {
                        #[expect(clippy::cast_precision_loss, reason = "float arithmetic is what was asked for")]
                        let n = self.count as f64;
                        Value::Float(if average { self.float / n } else { self.float })
                    }
                    SqlType::Int | SqlType::BigInt => {
                        let value = if average { self.sum / n } else { self.sum };
                        let fits = *ty == SqlType::BigInt || i32::try_from(value).is_ok();
                        Value::Int(i64::try_from(value).ok().filter(|_| fits).ok_or_else(overflow)?)
                    }
                    SqlType::Numeric { scale, .. } => {
                        let sum = rescale(self.sum, self.scale, *scale).ok_or_else(overflow)?;
                        Value::Decimal(if average { sum / n } else { sum }, *scale)
                    }
                    _ => Value::Decimal(if average { self.sum / n } else { self.sum }, self.scale),
                }
            }
        })
    }
}

/// GROUP BY of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupPlan {
    /// The keys.
    pub keys: Vec<Bound>,
    /// The aggregates.
    pub aggregates: Vec<Aggregate>,
    /// How keys compare.
    pub collation: Collation,
}

/// Collects rows into groups.
pub(crate) struct Groups<'p> {
    plan: &'p GroupPlan,
    index: HashMap<Vec<Key>, usize>,
    groups: Vec<(Row, Vec<Running>)>,
}

impl<'p> Groups<'p> {
    /// No rows yet. Without GROUP BY there is one group even then.
    pub(crate) fn new(plan: &'p GroupPlan) -> Groups<'p> {
        let mut groups = Groups {
            plan,
            index: HashMap::new(),
            groups: Vec::new(),
        };
        if plan.keys.is_empty() {
            groups.group(Vec::new(), Vec::new());
        }
        groups
    }

    fn group(&mut self, keys: Vec<Key>, values: Row) -> usize {
        let plan = self.plan;
        let next = self.groups.len();
        let at = *self.index.entry(keys).or_insert(next);
        if at == next {
            self.groups
                .push((values, vec![Running::default(); plan.aggregates.len()]));
        }
        at
    }

    /// Adds the row of an environment.
    pub(crate) fn add(&mut self, env: &Env<'_>) -> Result<()> {
        let values = self.plan.keys.iter().map(|k| env.eval(k)).collect::<Result<Vec<_>>>()?;
        let keys = values.iter().map(|v| key(v, self.plan.collation)).collect();
        let at = self.group(keys, values);
        for (running, aggregate) in self.groups[at].1.iter_mut().zip(&self.plan.aggregates) {
            running.add(aggregate, env)?;
        }
        Ok(())
    }

    /// One row per group: keys, then aggregates.
    pub(crate) fn rows(self) -> Result<Vec<Row>> {
        let plan = self.plan;
        let finish = |(mut row, running): (Row, Vec<Running>)| -> Result<Row> {
            for (running, aggregate) in running.iter().zip(&plan.aggregates) {
                row.push(running.result(aggregate)?);
            }
            Ok(row)
        };
        self.groups.into_iter().map(finish).collect()
    }
}

/// Rewrites an expression over the source's row into one over the group's row. 8120 for a column that is no key.
pub(crate) fn over_group(bound: &Bound, plan: &GroupPlan, name: &dyn Fn(usize) -> String) -> Result<Bound> {
    bound.map(&|part| {
        let column = |index| Bound {
            node: Node::Column { depth: 0, index },
            ..part.clone()
        };
        if let Some(at) = plan.keys.iter().position(|k| k == part) {
            return Ok(Some(column(at)));
        }
        match &part.node {
            Node::Aggregate(n) => Ok(Some(column(plan.keys.len() + n))),
            Node::Column { depth: 0, index } => Err(err!(8120, name(*index))),
            // A subquery that looks at the row before grouping could not be told which row.
            Node::Quantified(_, _, _, sub, _) | Node::Scalar(sub) | Node::Exists(sub) if sub.correlated => {
                Err(err!(8120, ""))
            }
            _ => Ok(None),
        }
    })
}
