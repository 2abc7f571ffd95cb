//! SET options and USE. What has no effect here is still checked and remembered.

use crate::engine::ast::{Expr, SetOption};
use crate::engine::errors::{Result, err, msg, raw_error};
use crate::engine::interpreter::{Outcome, Run};
use crate::engine::output::{Out, command};
use crate::engine::session::Session;
use crate::types::{EnvChange, SqlType, Value};

const SET: Outcome = Outcome::Done(None, command::SET);

/// Language names and aliases, and what DATEFORMAT they bring.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("us_english", "english", "mdy"),
    ("British", "british english", "dmy"),
    ("Deutsch", "german", "dmy"),
    ("Français", "french", "dmy"),
    ("Español", "spanish", "dmy"),
    ("Italiano", "italian", "dmy"),
    ("Nederlands", "dutch", "dmy"),
    ("日本語", "japanese", "ymd"),
];

impl Session {
    pub(super) async fn set_option(&mut self, out: &mut Out<'_>, option: &SetOption) -> Run<Outcome> {
        match option {
            SetOption::Flags(names, on) => {
                for name in names {
                    self.set_flag(name, *on);
                }
            }
            SetOption::Isolation(level) => self.options.isolation = *level,
            SetOption::IdentityInsert(name, on) => self.identity_insert(name, *on)?,
            SetOption::Statistics => {}
            SetOption::Value(name, value) if name == "LANGUAGE" => self.set_language(out, value).await?,
            SetOption::Value(name, value) => self.set_value(name, value)?,
        }
        Ok(SET)
    }

    fn set_flag(&mut self, name: &str, on: bool) {
        let o = &mut self.options;
        match name {
            "NOCOUNT" => o.nocount = on,
            "XACT_ABORT" => o.xact_abort = on,
            "IMPLICIT_TRANSACTIONS" => o.implicit = on,
            "QUOTED_IDENTIFIER" => o.quoted_identifier = on,
            "CONCAT_NULL_YIELDS_NULL" => o.concat_null = on,
            "ANSI_NULLS" => o.ansi_nulls = on,
            "ARITHABORT" => o.arithabort = on,
            "NOEXEC" => o.noexec = on,
            "PARSEONLY" => o.parseonly = on,
            "FMTONLY" => o.fmtonly = on,
            "ANSI_DEFAULTS" => {
                o.ansi_nulls = on;
                o.quoted_identifier = on;
                o.implicit = on;
                for other in [
                    "ANSI_NULL_DFLT_ON",
                    "ANSI_PADDING",
                    "ANSI_WARNINGS",
                    "CURSOR_CLOSE_ON_COMMIT",
                ] {
                    o.others.insert(other.to_owned(), on);
                }
            }
            other => {
                o.others.insert(other.to_owned(), on);
            }
        }
    }

    fn number(&self, value: &Expr) -> Result<i64> {
        match self.evaluate_as(value, &SqlType::BigInt)? {
            Value::Int(i) => Ok(i),
            _ => Err(err!(102, "SET")),
        }
    }

    fn set_value(&mut self, name: &str, value: &Expr) -> Result<()> {
        match name {
            "LOCK_TIMEOUT" => self.options.lock_timeout = self.number(value)?.max(-1),
            "TEXTSIZE" => self.options.textsize = self.number(value)?,
            "ROWCOUNT" => self.options.rowcount = u64::try_from(self.number(value)?).unwrap_or(0),
            "DATEFIRST" => self.options.datefirst = u8::try_from(self.number(value)?.clamp(1, 7)).unwrap_or(7),
            "DATEFORMAT" => {
                let format = self.evaluate_text(value)?.unwrap_or_default().to_lowercase();
                if !["mdy", "dmy", "ymd", "ydm", "myd", "dym"].contains(&format.as_str()) {
                    return Err(raw_error(
                        2741,
                        16,
                        1,
                        format!("SET DATEFORMAT date order '{format}' is invalid."),
                    ));
                }
                self.options.date_format = format;
            }
            // DEADLOCK_PRIORITY and its like only matter to a real scheduler.
            _ => {}
        }
        Ok(())
    }

    async fn set_language(&mut self, out: &mut Out<'_>, value: &Expr) -> Run<()> {
        let wanted = self.evaluate_text(value)?.unwrap_or_default();
        let found = LANGUAGES
            .iter()
            .find(|l| l.0.to_lowercase() == wanted.to_lowercase() || l.1 == wanted.to_lowercase());
        let Some((name, _, format)) = found else {
            let text = format!("'{wanted}' is not an official language name or a language alias on this SQL Server.");
            return Err(raw_error(2740, 16, 1, text).into());
        };
        let old = std::mem::replace(&mut self.options.language, (*name).to_owned());
        (*format).clone_into(&mut self.options.date_format);
        out.change(EnvChange::Language((*name).to_owned(), old)).await?;
        Ok(out.info(msg!(5703, name)).await?)
    }

    fn identity_insert(&mut self, name: &crate::engine::ast::Name, on: bool) -> Result<()> {
        let (handle, table) = crate::engine::query::bind::Binder::new(self)
            .target(name)
            .map_err(|e| if e.number() == 208 { err!(1088, name) } else { e })?;
        let this = (handle.id, table.object_id);
        if on {
            self.options.identity_insert = Some(this);
        } else if self.options.identity_insert == Some(this) {
            self.options.identity_insert = None;
        }
        Ok(())
    }

    pub(super) async fn use_database(&mut self, out: &mut Out<'_>, name: &str) -> Run<Outcome> {
        let handle = self.enter(name)?;
        let old = self.handle().map(|h| h.name()).unwrap_or_default();
        let new = handle.name();
        self.database_id = handle.id;
        self.publish();
        out.change(EnvChange::Database(new.clone(), old)).await?;
        out.info(msg!(5701, new)).await?;
        Ok(Outcome::Done(None, command::USE))
    }
}
