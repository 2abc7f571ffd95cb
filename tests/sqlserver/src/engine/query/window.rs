//! `ROW_NUMBER() OVER (…)` and its like, and aggregates over a partition.

use std::collections::HashMap;

use super::bind::Exprs;
use crate::engine::ast::Call;
use crate::engine::errors::{Result, raw_error};
use crate::engine::eval::compare::{Collation, key, order};
use crate::engine::eval::{Bound, Env, Frame};
use crate::storage::Row;
use crate::types::{SqlType, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RowNumber,
    Rank,
    DenseRank,
    Count,
}

/// A window function of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    kind: Kind,
    partition: Vec<Bound>,
    order: Vec<(Bound, bool)>,
    collation: Collation,
}

impl Window {
    /// Binds `f() OVER (…)`. Aggregates other than COUNT(*) over a window are not there.
    pub(crate) fn bind(exprs: &Exprs<'_>, call: &Call) -> Result<Window> {
        let kind = match call.name.as_str() {
            "ROW_NUMBER" => Kind::RowNumber,
            "RANK" => Kind::Rank,
            "DENSE_RANK" => Kind::DenseRank,
            "COUNT" => Kind::Count,
            other => {
                let text = format!("The stand-in cannot compute {other} over a window.");
                return Err(raw_error(40_000, 16, 1, text).ends_batch());
            }
        };
        let over = call.over.clone().unwrap_or_default();
        let partition = over
            .partition
            .iter()
            .map(|e| exprs.scalar(e))
            .collect::<Result<Vec<_>>>()?;
        let order = over
            .order
            .iter()
            .map(|o| Ok((exprs.scalar(&o.expr)?, o.desc)))
            .collect::<Result<Vec<_>>>()?;
        if order.is_empty() && kind != Kind::Count {
            return Err(raw_error(
                4112,
                15,
                1,
                format!("The function '{}' must have an OVER clause with ORDER BY.", call.name),
            )
            .ends_batch());
        }
        Ok(Window {
            kind,
            partition,
            order,
            collation: exprs.binder.collation,
        })
    }

    /// The result type.
    pub(crate) fn ty(&self) -> SqlType {
        if self.kind == Kind::Count {
            SqlType::Int
        } else {
            SqlType::BigInt
        }
    }

    /// Computes the function for all rows, in their order.
    pub(crate) fn compute(&self, env: &Env<'_>, rows: &[Row]) -> Result<Vec<Value>> {
        let mut partitions: HashMap<Vec<_>, Vec<usize>> = HashMap::new();
        let mut keys = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let frame = Frame { row, parent: env.frame };
            let env = env.with(&frame);
            let partition = self
                .partition
                .iter()
                .map(|p| Ok(key(&env.eval(p)?, self.collation)))
                .collect::<Result<Vec<_>>>()?;
            keys.push(
                self.order
                    .iter()
                    .map(|(o, _)| env.eval(o))
                    .collect::<Result<Vec<_>>>()?,
            );
            partitions.entry(partition).or_default().push(at);
        }
        let mut out = vec![Value::Null; rows.len()];
        for mut members in partitions.into_values() {
            members.sort_by(|a, b| self.order_of(&keys[*a], &keys[*b]));
            self.number(&members, &keys, &mut out);
        }
        Ok(out)
    }

    fn order_of(&self, a: &[Value], b: &[Value]) -> std::cmp::Ordering {
        for ((x, y), (_, desc)) in a.iter().zip(b).zip(&self.order) {
            let found = order(x, y, self.collation);
            if found.is_ne() {
                return if *desc { found.reverse() } else { found };
            }
        }
        std::cmp::Ordering::Equal
    }

    fn number(&self, members: &[usize], keys: &[Vec<Value>], out: &mut [Value]) {
        let as_value = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let (mut rank, mut dense) = (0, 0);
        for (n, at) in members.iter().enumerate() {
            let fresh = n == 0 || self.order_of(&keys[members[n - 1]], &keys[*at]).is_ne();
            if fresh {
                rank = n + 1;
                dense += 1;
            }
            out[*at] = match self.kind {
                Kind::RowNumber => as_value(n + 1),
                Kind::Rank => as_value(rank),
                Kind::DenseRank => as_value(dense),
                Kind::Count => as_value(members.len()),
            };
        }
    }
}
