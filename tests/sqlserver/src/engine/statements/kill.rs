//! KILL: ends another session; its transaction is rolled back and its connection closed.

use crate::engine::ast::Expr;
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::Outcome;
use crate::engine::output::command;
use crate::engine::session::Session;
use crate::types::Value;

impl Session {
    pub(super) fn kill(&mut self, target: &Expr, status_only: bool) -> Result<Outcome> {
        if self.transaction.count > 0 {
            let text = "KILL command cannot be used inside user transactions.";
            return Err(crate::engine::errors::raw_error(6115, 16, 1, text.to_owned()));
        }
        let spid = match self.evaluate(target)?.0 {
            Value::Int(n) => n,
            Value::Str(s) => s.trim().parse().map_err(|_| err!(6101, s))?,
            _ => return Err(err!(6101, "NULL")),
        };
        if !self.has_server("ALTER ANY CONNECTION") {
            return Err(err!(6102));
        }
        let number = u16::try_from(spid).map_err(|_| err!(6101, spid))?;
        if number == self.info.spid {
            return Err(err!(6104));
        }
        if number < 51 {
            return Err(err!(6107));
        }
        let found = self.inst.sessions().into_iter().find(|s| s.spid == number);
        let Some(session) = found else {
            return Err(err!(6106, spid));
        };
        if status_only {
            return Err(err!(6120, spid));
        }
        session.cancel.cancel();
        session.killed.cancel();
        self.inst.effect("KILL", "", &spid.to_string(), self.login_name());
        Ok(Outcome::Done(None, command::OTHER))
    }
}
