//! The columns that an expression can name, here and in the queries around it.

use std::cell::Cell;

use crate::engine::errors::{Result, err};
use crate::types::SqlType;

/// A column of a FROM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScopeColumn {
    /// The table's exposed name: its alias, or its own.
    pub table: String,
    /// The schema, when there is no alias.
    pub schema: Option<String>,
    /// The column's name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// Not named and not in `*`: row numbers of UPDATE and DELETE.
    pub hidden: bool,
}

/// The columns at hand, and those around.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    /// Here.
    pub columns: Vec<ScopeColumn>,
    /// Around.
    pub parent: Option<&'a Scope<'a>>,
    /// Whether something here named a column around.
    pub escaped: Cell<bool>,
}

impl<'a> Scope<'a> {
    /// A scope.
    pub(crate) fn new(columns: Vec<ScopeColumn>, parent: Option<&'a Scope<'a>>) -> Scope<'a> {
        Scope {
            columns,
            parent,
            escaped: Cell::new(false),
        }
    }

    /// Finds a column: how far out, and where.
    pub(crate) fn resolve(&self, parts: &[String]) -> Result<(usize, usize, &ScopeColumn)> {
        let mut scope = Some(self);
        let mut depth = 0;
        while let Some(here) = scope {
            if let Some(index) = here.find(parts)? {
                self.mark_escaped(depth);
                return Ok((depth, index, &here.columns[index]));
            }
            scope = here.parent;
            depth += 1;
        }
        match parts {
            [one] => Err(err!(207, one)),
            many => Err(err!(4104, many.join("."))),
        }
    }

    fn mark_escaped(&self, depth: usize) {
        let mut scope = Some(self);
        for _ in 0..depth {
            let Some(here) = scope else { return };
            here.escaped.set(true);
            scope = here.parent;
        }
    }

    fn find(&self, parts: &[String]) -> Result<Option<usize>> {
        let mut found = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.hidden && c.is_named(parts))
            .map(|(i, _)| i);
        let first = found.next();
        if first.is_some() && found.next().is_some() {
            return Err(err!(209, parts.last().cloned().unwrap_or_default()));
        }
        Ok(first)
    }
}

/// Whether two names are the same.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

impl ScopeColumn {
    fn is_named(&self, parts: &[String]) -> bool {
        match parts {
            [name] => same(name, &self.name),
            [table, name] => same(name, &self.name) && same(table, &self.table),
            [.., schema, table, name] => {
                same(name, &self.name)
                    && same(table, &self.table)
                    && self
                        .schema
                        .as_ref()
                        .is_some_and(|s| schema.is_empty() || same(s, schema))
            }
            [] => false,
        }
    }
}
