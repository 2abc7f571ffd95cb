//! ORDER BY, TOP, OFFSET and FETCH over finished rows.

use std::cmp::Ordering;

use super::Plan;
use crate::engine::errors::{Result, err};
use crate::engine::eval::compare::{Collation, approximate, order};
use crate::engine::eval::{Bound, Env};
use crate::storage::Row;
use crate::types::Value;

/// TOP of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopPlan {
    /// How many, or per cent.
    pub count: Bound,
    /// Per cent.
    pub percent: bool,
    /// And those equal to the last.
    pub ties: bool,
}

/// A count of rows: negative or NULL is an error.
pub(crate) fn row_count(env: &Env<'_>, bound: &Bound) -> Result<usize> {
    match env.eval(bound)? {
        Value::Int(n) => usize::try_from(n).map_err(|_| err!(1060)),
        Value::Decimal(v, 0) => usize::try_from(v).map_err(|_| err!(1060)),
        _ => Err(err!(1060)),
    }
}

/// How many rows are enough, where no sort needs all of them.
pub(crate) fn early_limit(env: &Env<'_>, plan: &Plan) -> Result<Option<usize>> {
    match &plan.top {
        Some(top) if !top.percent && plan.order.is_empty() && !plan.shape.is_distinct() => {
            row_count(env, &top.count).map(Some)
        }
        _ => Ok(None),
    }
}

fn compare_rows(a: &Row, b: &Row, keys: &[(usize, bool)], collation: Collation) -> Ordering {
    for (at, desc) in keys {
        let null = Value::Null;
        let found = order(a.get(*at).unwrap_or(&null), b.get(*at).unwrap_or(&null), collation);
        if found.is_ne() {
            return if *desc { found.reverse() } else { found };
        }
    }
    Ordering::Equal
}

/// Sorts rows; equal ones keep their order.
pub(crate) fn sort(rows: &mut [Row], keys: &[(usize, bool)], collation: Collation) {
    if !keys.is_empty() {
        rows.sort_by(|a, b| compare_rows(a, b, keys, collation));
    }
}

/// Sorts and cuts.
pub(crate) fn finish(env: &Env<'_>, plan: &Plan, rows: &mut Vec<Row>) -> Result<()> {
    let collation = env.session.collation();
    sort(rows, &plan.order, collation);
    if let Some(top) = &plan.top {
        let mut keep = if top.percent {
            percentage(env, &top.count, rows.len())?
        } else {
            row_count(env, &top.count)?
        };
        if top.ties && keep > 0 {
            while keep < rows.len() && compare_rows(&rows[keep - 1], &rows[keep], &plan.order, collation).is_eq() {
                keep += 1;
            }
        }
        rows.truncate(keep);
    }
    if let Some(offset) = &plan.offset {
        let skip = row_count(env, offset)?.min(rows.len());
        rows.drain(..skip);
    }
    if let Some(fetch) = &plan.fetch {
        rows.truncate(row_count(env, fetch)?);
    }
    Ok(())
}

fn percentage(env: &Env<'_>, count: &Bound, total: usize) -> Result<usize> {
    let percent = approximate(&env.eval(count)?).clamp(0.0, 100.0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to total"
    )]
    let keep = (total as f64 * percent / 100.0).ceil() as usize;
    Ok(keep)
}
