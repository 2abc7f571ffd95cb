//! Joins: by hash where ON has an equality of both sides, by nested loops otherwise.

use std::collections::HashMap;

use super::from::{SourcePlan, visit as visit_source};
use crate::engine::ast::{CompareOp, JoinKind};
use crate::engine::errors::Result;
use crate::engine::eval::compare::{Collation, Key, key};
use crate::engine::eval::{Bound, Env, Frame, Node};
use crate::storage::Row;
use crate::types::Value;

/// A join ready to run.
#[derive(Debug, Clone)]
pub(crate) struct JoinPlan {
    kind: JoinKind,
    left: SourcePlan,
    right: SourcePlan,
    on: Option<Bound>,
    /// Equalities of ON: over the left row, and over the right row alone.
    keys: Vec<(Bound, Bound)>,
    left_width: usize,
    right_width: usize,
    collation: Collation,
}

impl JoinPlan {
    /// Finds the equalities that a hash table can use.
    pub(crate) fn new(
        kind: JoinKind,
        left: SourcePlan,
        right: SourcePlan,
        on: Option<Bound>,
        left_width: usize,
        right_width: usize,
        collation: Collation,
    ) -> JoinPlan {
        let mut keys = Vec::new();
        if let Some(on) = &on {
            equalities(on, left_width, &mut keys);
        }
        JoinPlan {
            kind,
            left,
            right,
            on,
            keys,
            left_width,
            right_width,
            collation,
        }
    }
}

fn equalities(on: &Bound, left_width: usize, keys: &mut Vec<(Bound, Bound)>) {
    match &on.node {
        Node::And(a, b) => {
            equalities(a, left_width, keys);
            equalities(b, left_width, keys);
        }
        Node::Compare(CompareOp::Eq, a, b, _) => {
            let sides = match (side(a, left_width), side(b, left_width)) {
                (Some(Side::Left), Some(Side::Right)) => (a, b),
                (Some(Side::Right), Some(Side::Left)) => (b, a),
                _ => return,
            };
            if let Ok(right) = shifted(sides.1, left_width) {
                keys.push((sides.0.as_ref().clone(), right));
            }
        }
        _ => {}
    }
}

#[derive(PartialEq)]
enum Side {
    Left,
    Right,
}

/// Which side an expression reads: plain columns, perhaps converted.
fn side(bound: &Bound, left_width: usize) -> Option<Side> {
    match &bound.node {
        Node::Column { depth: 0, index } => Some(if *index < left_width { Side::Left } else { Side::Right }),
        Node::Cast(inner, None, false) => side(inner, left_width),
        _ => None,
    }
}

fn shifted(bound: &Bound, left_width: usize) -> Result<Bound> {
    bound.map(&|part| {
        Ok(match &part.node {
            Node::Column { depth: 0, index } => Some(Bound {
                node: Node::Column {
                    depth: 0,
                    index: index - left_width,
                },
                ..part.clone()
            }),
            _ => None,
        })
    })
}

fn key_of(
    env: &Env<'_>,
    row: &[Value],
    exprs: &mut dyn Iterator<Item = &Bound>,
    collation: Collation,
) -> Result<Option<Vec<Key>>> {
    let frame = Frame { row, parent: env.frame };
    let env = env.with(&frame);
    let mut keys = Vec::new();
    for expr in exprs {
        match env.eval(expr)? {
            Value::Null => return Ok(None),
            value => keys.push(key(&value, collation)),
        }
    }
    Ok(Some(keys))
}

/// Reads a join, row by row.
pub(super) fn visit(env: &Env<'_>, plan: &JoinPlan, each: &mut dyn FnMut(&[Value]) -> Result<bool>) -> Result<bool> {
    let mut right: Vec<Row> = Vec::new();
    visit_source(env, &plan.right, &mut |row| {
        right.push(row.to_vec());
        Ok(true)
    })?;
    let index = if plan.keys.is_empty() {
        None
    } else {
        Some(build(env, plan, &right)?)
    };
    let all: Vec<usize> = if index.is_none() {
        (0..right.len()).collect()
    } else {
        Vec::new()
    };
    let mut matched = vec![false; right.len()];
    let keep_left = matches!(plan.kind, JoinKind::Left | JoinKind::Full);
    let keep_right = matches!(plan.kind, JoinKind::Right | JoinKind::Full);
    let go_on = visit_source(env, &plan.left, &mut |left| {
        let none = Vec::new();
        let candidates = match &index {
            None => &all,
            Some(index) => match key_of(env, left, &mut plan.keys.iter().map(|k| &k.0), plan.collation)? {
                Some(keys) => index.get(&keys).unwrap_or(&none),
                None => &none,
            },
        };
        let mut found = false;
        for at in candidates {
            let row = [left, &right[*at]].concat();
            if !accepts(env, plan.on.as_ref(), &row)? {
                continue;
            }
            found = true;
            matched[*at] = true;
            if !each(&row)? {
                return Ok(false);
            }
        }
        if !found && keep_left {
            return each(&[left, &vec![Value::Null; plan.right_width]].concat());
        }
        Ok(true)
    })?;
    if !go_on || !keep_right {
        return Ok(go_on);
    }
    for (row, _) in right.iter().zip(&matched).filter(|(_, m)| !**m) {
        if !each(&[&vec![Value::Null; plan.left_width], row.as_slice()].concat())? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn build(env: &Env<'_>, plan: &JoinPlan, right: &[Row]) -> Result<HashMap<Vec<Key>, Vec<usize>>> {
    let mut index: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
    for (at, row) in right.iter().enumerate() {
        if let Some(keys) = key_of(env, row, &mut plan.keys.iter().map(|k| &k.1), plan.collation)? {
            index.entry(keys).or_default().push(at);
        }
    }
    Ok(index)
}

fn accepts(env: &Env<'_>, on: Option<&Bound>, row: &[Value]) -> Result<bool> {
    let Some(on) = on else { return Ok(true) };
    let frame = Frame { row, parent: env.frame };
    env.with(&frame).passes(on)
}
