//! A connection's session: who it is, its options, variables and transaction. Statements are run in `interpreter`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::errors::{Result, err};
use super::eval::compare::Collation;
use super::eval::convert::Setting;
use super::instance::{Handle, Inner, SessionInfo};
use super::transaction::Transaction;
use crate::storage::{Database, Table};
use crate::types::{Cancel, Message, SqlType, Value};

/// A variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variable {
    /// Its declared type.
    pub ty: SqlType,
    /// Its value.
    pub value: Value,
}

/// The variables of a batch or a procedure.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// By lower-case name.
    pub variables: HashMap<String, Variable>,
    /// Table variables.
    pub tables: HashMap<String, Arc<Table>>,
    /// The procedure; empty in a batch.
    pub procedure: String,
    /// `@@PROCID`.
    pub procedure_id: i32,
}

/// `SET` options.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    /// NOCOUNT.
    pub nocount: bool,
    /// XACT_ABORT.
    pub xact_abort: bool,
    /// IMPLICIT_TRANSACTIONS.
    pub implicit: bool,
    /// QUOTED_IDENTIFIER.
    pub quoted_identifier: bool,
    /// CONCAT_NULL_YIELDS_NULL.
    pub concat_null: bool,
    /// ANSI_NULLS.
    pub ansi_nulls: bool,
    /// ARITHABORT.
    pub arithabort: bool,
    /// ANSI_PADDING, ANSI_WARNINGS and the rest, by name.
    pub others: BTreeMap<String, bool>,
    /// NOEXEC.
    pub noexec: bool,
    /// PARSEONLY.
    pub parseonly: bool,
    /// FMTONLY.
    pub fmtonly: bool,
    /// LOCK_TIMEOUT in milliseconds, -1 for ever.
    pub lock_timeout: i64,
    /// ROWCOUNT, 0 for all.
    pub rowcount: u64,
    /// TEXTSIZE.
    pub textsize: i64,
    /// DATEFIRST.
    pub datefirst: u8,
    /// DATEFORMAT, lower case.
    pub date_format: String,
    /// LANGUAGE.
    pub language: String,
    /// TRANSACTION ISOLATION LEVEL: 1 read uncommitted … 5 snapshot.
    pub isolation: u8,
    /// IDENTITY_INSERT: database and table.
    pub identity_insert: Option<(i32, i32)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nocount: false,
            xact_abort: false,
            implicit: false,
            quoted_identifier: true,
            concat_null: true,
            ansi_nulls: true,
            arithabort: false,
            others: BTreeMap::new(),
            noexec: false,
            parseonly: false,
            fmtonly: false,
            lock_timeout: -1,
            rowcount: 0,
            textsize: 2_147_483_647,
            datefirst: 7,
            date_format: "mdy".to_owned(),
            language: "us_english".to_owned(),
            isolation: 2,
            identity_insert: None,
        }
    }
}

/// A prepared statement (`sp_prepare`).
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// Its parameters' declaration.
    pub declaration: String,
    /// Its text.
    pub text: String,
}

/// One session. Dropping it ends it: its transaction is rolled back and its locks are released.
pub struct Session {
    pub(super) inst: Arc<Inner>,
    pub(super) info: Arc<SessionInfo>,
    pub(super) login_database: i32,
    pub(super) login_language: String,
    pub(super) database_id: i32,
    /// The logins it acts as, the innermost last; the first one connected. With it, the database of EXECUTE AS.
    pub(super) acting: Vec<String>,
    pub(super) options: Options,
    pub(super) scopes: Vec<Scope>,
    pub(super) transaction: Transaction,
    pub(super) rowcount: u64,
    pub(super) error: i32,
    pub(super) identity: Option<i64>,
    /// The errors that CATCH blocks handle, the innermost last.
    pub(super) caught: Vec<Message>,
    pub(super) tries: usize,
    pub(super) prepared: BTreeMap<i32, Prepared>,
    pub(super) next_prepared: i32,
    /// The moment of the running statement.
    pub(super) statement_now: time::OffsetDateTime,
    /// The rows last read by `SELECT`, for FMTONLY-like clients.
    pub(super) temp: HashMap<String, Arc<Table>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.transaction.clear();
        self.inst.remove_session(self.info.spid);
    }
}

impl Session {
    /// `@@SPID`.
    pub fn spid(&self) -> u16 {
        self.info.spid
    }

    /// Set it to stop the running statement.
    pub fn cancel(&self) -> Cancel {
        self.info.cancel.clone()
    }

    /// Cancelled when the session was killed: the connection has to be closed.
    pub fn killed(&self) -> CancellationToken {
        self.info.killed.clone()
    }

    /// RESETCONNECTION: as after login.
    pub fn reset(&mut self) {
        self.transaction.clear();
        self.inst.locks.release_session(self.info.spid);
        self.options = Options {
            language: self.login_language.clone(),
            ..Options::default()
        };
        self.scopes = vec![Scope::default()];
        self.acting.truncate(1);
        self.prepared.clear();
        self.temp.clear();
        self.caught.clear();
        self.rowcount = 0;
        self.error = 0;
        self.database_id = self.login_database;
        self.publish();
    }

    /// Shows the session's state to the others.
    pub(super) fn publish(&self) {
        let mut activity = self.info.activity();
        activity.database_id = self.database_id;
        activity.login_name = self.login_name().to_owned();
        activity.transactions = self.transaction.count;
        activity.written = self.transaction.written();
        activity.isolation = self.options.isolation;
    }

    // ---- who ----

    /// The login it acts as.
    pub(super) fn login_name(&self) -> &str {
        self.acting.last().map_or("", String::as_str)
    }

    /// The login it connected as.
    pub(super) fn original_login(&self) -> &str {
        self.acting.first().map_or("", String::as_str)
    }

    // ---- variables ----

    pub(super) fn scope(&self) -> &Scope {
        // There is always the batch's scope.
        &self.scopes[self.scopes.len() - 1]
    }

    pub(super) fn scope_mut(&mut self) -> &mut Scope {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// A variable's value; NULL for one that is not there (the parser has refused those).
    pub fn variable(&self, lower: &str) -> Value {
        self.scope()
            .variables
            .get(lower)
            .map_or(Value::Null, |v| v.value.clone())
    }

    pub(super) fn variable_type(&self, name: &str) -> Result<SqlType> {
        self.scope()
            .variables
            .get(&name.to_lowercase())
            .map(|v| v.ty.clone())
            .ok_or_else(|| err!(137, name))
    }

    /// Assigns, converting from a value of type `from`.
    pub(super) fn assign(&mut self, name: &str, value: &Value, from: &SqlType) -> Result<()> {
        let to = self.variable_type(name)?;
        let converted = super::eval::convert::cast(value, from, &to, 0, &self.conversion())?;
        if let Some(variable) = self.scope_mut().variables.get_mut(&name.to_lowercase()) {
            variable.value = converted;
        }
        Ok(())
    }

    pub(super) fn declare(&mut self, name: &str, ty: SqlType, value: Value) {
        self.scope_mut()
            .variables
            .insert(name.to_lowercase(), Variable { ty, value });
    }

    /// What conversions depend on.
    pub fn conversion(&self) -> Setting {
        Setting {
            date_format: self.options.date_format.clone(),
            offset: self.inst.offset(),
        }
    }

    // ---- databases ----

    /// The current database.
    pub(super) fn handle(&self) -> Result<Arc<Handle>> {
        self.inst
            .handle(self.database_id)
            .ok_or_else(|| err!(911, self.database_id))
    }

    /// A database as this session sees it: the committed state and what its own transaction changed.
    pub(super) fn view(&self, handle: &Handle) -> Arc<Database> {
        self.transaction.view(handle)
    }

    /// The current database as this session sees it.
    pub(super) fn current(&self) -> Result<Arc<Database>> {
        Ok(self.view(&*self.handle()?))
    }

    /// How texts compare in the current database.
    pub(super) fn collation(&self) -> Collation {
        self.current()
            .map_or(Collation::Insensitive, |d| Collation::from_name(&d.meta.collation))
    }
}
