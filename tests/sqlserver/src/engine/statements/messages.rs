//! PRINT, RAISERROR, THROW, WAITFOR.

use crate::engine::ast::{Expr, RaiseError};
use crate::engine::catalog::printf;
use crate::engine::errors::{Reach, Result, SqlError, err, message, raw, raw_error};
use crate::engine::eval::text::prefix;
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::types::{SqlType, Value};

const DONE: Outcome = Outcome::Done(None, command::OTHER);

impl Session {
    pub(super) async fn print(&mut self, out: &mut Out<'_>, text: &Expr) -> Run<Outcome> {
        let text = self.evaluate_text(text)?.unwrap_or_default();
        out.info(raw(0, 0, 1, prefix(&text, 4000))).await?;
        Ok(DONE)
    }

    pub(super) async fn raise_error(&mut self, out: &mut Out<'_>, raise: &RaiseError) -> Run<Outcome> {
        let (template, _) = self.evaluate(&raise.message)?;
        let severity = self.evaluate_int(&raise.severity)?.unwrap_or(0).clamp(0, 25);
        let state = u8::try_from(self.evaluate_int(&raise.state)?.unwrap_or(1).clamp(0, 255)).unwrap_or(1);
        let args = raise
            .args
            .iter()
            .map(|a| Ok(self.evaluate(a)?.0))
            .collect::<Result<Vec<Value>>>()?;
        let (number, template) = match template {
            Value::Int(n) => {
                let number = i32::try_from(n).unwrap_or(50_000);
                if number < 13_000 {
                    return Err(raw_error(2732, 16, 1, format!("Error number {number} is invalid. The number must be from 13000 through 2147483647 and it cannot be 50000.")).into());
                }
                (number, message(number, &[]).text)
            }
            Value::Str(s) => (50_000, s.to_string()),
            _ => (50_000, String::new()),
        };
        let text = prefix(&printf(&template, &args)?, 2047);
        let class = u8::try_from(severity).unwrap_or(16);
        if class > 18 && !(self.is_sysadmin() && raise.options.iter().any(|o| o == "LOG")) {
            return Err(raw_error(2754, 16, 1, "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG option.".to_owned()).into());
        }
        if class <= 10 {
            out.info(raw(number, class, state, text)).await?;
            return Ok(DONE);
        }
        Err(raw_error(number, class, state, text).into())
    }

    pub(super) fn throw(&mut self, throw: Option<&(Expr, Expr, Expr)>) -> Result<Outcome> {
        let Some((number, text, state)) = throw else {
            let Some(caught) = self.caught.last().cloned() else {
                return Err(err!(10704));
            };
            return Err(SqlError {
                messages: vec![caught],
                reach: Reach::Batch,
            });
        };
        let number = match self.evaluate_as(number, &SqlType::Int)? {
            Value::Int(n) => i32::try_from(n).unwrap_or(0),
            _ => 0,
        };
        if number < 50_000 {
            return Err(raw_error(
                35_100,
                16,
                10,
                format!(
                    "Error number {number} in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647."
                ),
            ));
        }
        let text = self.evaluate_text(text)?.unwrap_or_default();
        let state = u8::try_from(self.evaluate_int(state)?.unwrap_or(1).clamp(0, 255)).unwrap_or(1);
        Err(raw_error(number, 16, state, text).ends_batch())
    }

    pub(super) async fn wait_for(&mut self, delay: &Expr) -> Run<Outcome> {
        let text = self.evaluate_text(delay)?.unwrap_or_default();
        let parsed = crate::engine::eval::dates::parse(&text, "mdy").map_err(|_| err!(148, text))?;
        let time = parsed.local.time() - time::Time::MIDNIGHT;
        self.info.activity().wait = Some("WAITFOR");
        let slept = self.sleep(time.try_into().unwrap_or_default()).await;
        self.info.activity().wait = None;
        if slept {
            Ok(DONE)
        } else {
            Err(SqlError::cancelled().into())
        }
    }
}
