//! Queries: a bound [`Plan`] and its rows. Binding resolves every name and type before a row is read.

pub(super) mod aggregate;
pub(super) mod bind;
pub(super) mod from;
mod join;
pub(super) mod scope;
pub(super) mod select;
pub(super) mod sort;
mod window;

use self::select::Shape;
use super::errors::Result;
use super::eval::{Bound, Env};
use crate::storage::Row;
use crate::types::Column;

/// A query ready to run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// What it returns.
    pub columns: Vec<Column>,
    /// How.
    pub shape: Shape,
    /// Sort keys: positions in the row (which may be behind the visible columns), and whether descending.
    pub order: Vec<(usize, bool)>,
    /// TOP.
    pub top: Option<sort::TopPlan>,
    /// OFFSET.
    pub offset: Option<Bound>,
    /// FETCH.
    pub fetch: Option<Bound>,
    /// Whether it looks at a row of a query around it.
    pub correlated: bool,
}

/// A query's result.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rows {
    /// The rows, without hidden sort keys.
    pub rows: Vec<Row>,
}

/// Runs a query.
pub(super) fn run(env: &Env<'_>, plan: &Plan) -> Result<Rows> {
    let limit = sort::early_limit(env, plan)?;
    let mut rows = select::rows(env, &plan.shape, limit)?;
    sort::finish(env, plan, &mut rows)?;
    let visible = plan.columns.len();
    for row in &mut rows {
        row.truncate(visible);
    }
    Ok(Rows { rows })
}
