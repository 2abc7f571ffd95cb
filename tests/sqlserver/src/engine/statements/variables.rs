//! DECLARE and SET of variables.

use std::sync::Arc;

use crate::engine::ast::{BinaryOp, ColumnDef, Declaration, Expr};
use crate::engine::errors::Result;
use crate::engine::interpreter::Outcome;
use crate::engine::output::command;
use crate::engine::session::Session;
use crate::types::Value;

impl Session {
    pub(super) fn declare_all(&mut self, variables: &[Declaration]) -> Result<Outcome> {
        for variable in variables {
            self.declare(&variable.name, variable.ty.clone(), Value::Null);
            if let Some(value) = &variable.value {
                let value = self.evaluate_as(value, &variable.ty)?;
                self.declare(&variable.name, variable.ty.clone(), value);
            }
        }
        Ok(Outcome::Silent)
    }

    pub(super) fn declare_table(&mut self, name: &str, columns: &[ColumnDef]) -> Result<Outcome> {
        let table = super::tables::build(0, "", name, columns, None, self.inst.now())?;
        self.scope_mut().tables.insert(name.to_lowercase(), Arc::new(table));
        Ok(Outcome::Silent)
    }

    pub(super) fn set_variable(&mut self, name: &str, op: Option<BinaryOp>, value: &Expr) -> Result<Outcome> {
        let ty = self.variable_type(name)?;
        let value = match op {
            Some(op) => &Expr::Op(op, Box::new(Expr::Var(name.to_owned())), Box::new(value.clone())),
            None => value,
        };
        let value = self.evaluate_as(value, &ty)?;
        self.declare(name, ty, value);
        Ok(Outcome::Done(None, command::SET))
    }
}
