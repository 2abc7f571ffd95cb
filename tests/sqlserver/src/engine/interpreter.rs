//! Runs statements: flow of control, errors and TRY, transactions around single statements. What a statement does is
//! in `statements`.

use std::future::Future;
use std::io;
use std::pin::Pin;

use super::ast::{Expr, Kind, Statement};
use super::errors::{Reach, Result, SqlError, err};
use super::eval::{Cache, Env};
use super::faults::Strike;
use super::output::{Out, command};
use super::parser::{Context, parse_batch};
use super::query::bind::Binder;
use super::query::{Plan, Rows};
use super::session::{Scope, Session};
use crate::types::{EnvChange, Sink, SqlType, Value};

/// Why a statement did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// An error of the statement.
    Sql(SqlError),
    /// The client is gone, or has to go.
    Io(io::Error),
}

impl From<SqlError> for Stop {
    fn from(e: SqlError) -> Self {
        Stop::Sql(e)
    }
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Stop::Io(e)
    }
}

/// What statements return.
pub(super) type Run<T> = std::result::Result<T, Stop>;

/// Where execution goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// With the next statement.
    Next,
    /// Behind the loop.
    Break,
    /// With the loop's condition.
    Continue,
    /// Behind the procedure or batch.
    Return(i32),
    /// Nowhere: the batch is over.
    EndBatch,
}

/// How a statement ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Without a DONE: DECLARE.
    Silent,
    /// With a DONE: rows affected or returned, and the command.
    Done(Option<u64>, u16),
    /// With a DONE but without touching `@@ROWCOUNT`'s count: RESTORE has sent its own.
    Sent,
}

type Future_<'a, T> = Pin<Box<dyn Future<Output = Run<T>> + Send + 'a>>;

/// The connection has to close: a fault plan or KILL wants it.
pub(super) fn aborted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the session was ended by the server")
}

impl Session {
    /// Runs a batch.
    pub async fn batch(&mut self, sql: &str, sink: &mut dyn Sink) -> io::Result<()> {
        let server = self.inst.config().server_name.clone();
        let mut out = Out::new(sink, &server, 0);
        self.begin_request(sql);
        let result = self.run_batch(sql, &mut out).await;
        self.end_request();
        result?;
        out.finish().await
    }

    async fn run_batch(&mut self, sql: &str, out: &mut Out<'_>) -> io::Result<()> {
        self.scopes = vec![Scope::default()];
        self.tries = 0;
        self.caught.clear();
        let strike = self
            .inst
            .faults
            .strike("batch", &self.handle().map(|h| h.name()).unwrap_or_default(), sql, None);
        if let Some(error) = self.suffer(strike).await? {
            out.error(&error).await?;
            return out.done(true, None, command::OTHER).await;
        }
        let context = Context {
            quoted_identifiers: self.options.quoted_identifier,
            ..Context::default()
        };
        let statements = match parse_batch(sql, &context) {
            Ok(statements) => statements,
            Err(error) => {
                self.error = error.number();
                out.error(&error).await?;
                return out.done(true, None, command::OTHER).await;
            }
        };
        if self.options.parseonly {
            return Ok(());
        }
        let ended = self.statements(out, &statements).await;
        self.close_batch(out, ended).await.map(|_| ())
    }

    /// Ends a batch or an RPC: errors that nobody caught, a transaction that cannot be committed.
    pub(super) async fn close_batch(&mut self, out: &mut Out<'_>, ended: Run<Flow>) -> io::Result<bool> {
        let mut failed = false;
        match ended {
            Ok(_) => {}
            Err(Stop::Io(e)) => return Err(e),
            Err(Stop::Sql(error)) => {
                failed = true;
                if !error.is_cancelled() {
                    out.error(&error).await?;
                } else if self.info.killed.is_cancelled() {
                    out.error(&err!(596)).await?;
                } else if self.options.xact_abort {
                    self.roll_back(out).await?;
                }
                out.done(true, None, command::OTHER).await?;
            }
        }
        self.scopes.truncate(1);
        if self.transaction.doomed {
            self.roll_back(out).await?;
            out.error(&err!(3998)).await?;
            out.done(true, None, command::OTHER).await?;
            failed = true;
        }
        if self.info.killed.is_cancelled() {
            return Err(aborted());
        }
        Ok(failed)
    }

    pub(super) fn begin_request(&self, text: &str) {
        self.info.cancel.reset();
        let now = self.inst.now();
        let mut activity = self.info.activity();
        activity.running = true;
        activity.request_started = now;
        activity.percent = 0.0;
        activity.command = "SELECT".to_owned();
        activity.text = text.to_owned();
    }

    pub(super) fn end_request(&self) {
        self.publish();
        let now = self.inst.now();
        let mut activity = self.info.activity();
        activity.running = false;
        activity.request_ended = now;
        activity.percent = 0.0;
        activity.target = None;
        activity.wait = None;
    }

    /// Carries a struck fault out: waits, closes the connection, or gives the error to answer with.
    pub(super) async fn suffer(&self, strike: Option<Strike>) -> io::Result<Option<SqlError>> {
        let Some(strike) = strike else { return Ok(None) };
        if let Some(hang) = strike.hang {
            self.sleep(hang).await;
        }
        while strike.hold.as_ref().is_some_and(|file| file.exists()) {
            if !self.sleep(std::time::Duration::from_millis(10)).await {
                break;
            }
        }
        if strike.drop {
            return Err(aborted());
        }
        Ok(strike.error)
    }

    /// The same for a named occasion of a statement.
    pub(super) async fn fault(&self, on: &str, database: &str, text: &str) -> Run<()> {
        let strike = self.inst.faults.strike(on, database, text, None);
        if strike.as_ref().is_some_and(|s| s.flip) {
            // For a medium, the text is its devices.
            text.split(';').for_each(|device| flip(&self.inst.drives(), device));
        }
        match self.suffer(strike).await? {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Sleeps, but wakes for Attention and KILL. False when it was woken.
    pub(super) async fn sleep(&self, how_long: std::time::Duration) -> bool {
        let until = tokio::time::Instant::now() + how_long;
        loop {
            let now = tokio::time::Instant::now();
            if now >= until {
                return true;
            }
            if self.stopped() {
                return false;
            }
            tokio::time::sleep_until(until.min(now + std::time::Duration::from_millis(10))).await;
        }
    }

    /// Whether the statement has to stop.
    pub(super) fn stopped(&self) -> bool {
        self.info.cancel.is_cancelled() || self.info.killed.is_cancelled()
    }

    // ---- statements ----

    pub(super) fn statements<'a>(&'a mut self, out: &'a mut Out<'_>, statements: &'a [Statement]) -> Future_<'a, Flow> {
        Box::pin(async move {
            for statement in statements {
                match self.statement(out, statement).await? {
                    Flow::Next => {}
                    other => return Ok(other),
                }
            }
            Ok(Flow::Next)
        })
    }

    fn statement<'a>(&'a mut self, out: &'a mut Out<'_>, statement: &'a Statement) -> Future_<'a, Flow> {
        Box::pin(async move {
            if self.stopped() {
                return Err(SqlError::cancelled().into());
            }
            self.statement_now = self.inst.now();
            match &statement.kind {
                Kind::Block(body) => self.statements(out, body).await,
                Kind::If(condition, then, other) => match self.checked(condition) {
                    Ok(true) => self.statement(out, then).await,
                    Ok(false) => match other {
                        Some(other) => self.statement(out, other).await,
                        None => Ok(Flow::Next),
                    },
                    Err(error) => self.failed(out, error, statement.line).await,
                },
                Kind::While(condition, body) => self.while_(out, statement.line, condition, body).await,
                Kind::TryCatch(tried, caught) => self.try_catch(out, tried, caught).await,
                Kind::Break => Ok(Flow::Break),
                Kind::Continue => Ok(Flow::Continue),
                Kind::Return(value) => match self.return_value(value.as_ref()) {
                    Ok(value) => Ok(Flow::Return(value)),
                    Err(error) => self.failed(out, error, statement.line).await,
                },
                _ => self.leaf(out, statement).await,
            }
        })
    }

    fn return_value(&self, value: Option<&Expr>) -> Result<i32> {
        let Some(value) = value else { return Ok(0) };
        Ok(match self.evaluate_as(value, &SqlType::Int)? {
            Value::Int(i) => i32::try_from(i).unwrap_or(0),
            _ => 0,
        })
    }

    async fn while_(&mut self, out: &mut Out<'_>, line: i32, condition: &Expr, body: &Statement) -> Run<Flow> {
        loop {
            match self.checked(condition) {
                Ok(true) => {}
                Ok(false) => return Ok(Flow::Next),
                Err(error) => return self.failed(out, error, line).await,
            }
            match self.statement(out, body).await? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Ok(Flow::Next),
                other => return Ok(other),
            }
            // A loop without other waits must let the other sessions run.
            tokio::task::yield_now().await;
        }
    }

    async fn try_catch(&mut self, out: &mut Out<'_>, tried: &[Statement], caught: &[Statement]) -> Run<Flow> {
        let (depth, out_depth) = (self.scopes.len(), out.depth);
        self.tries += 1;
        let result = self.statements(out, tried).await;
        self.tries -= 1;
        let error = match result {
            Err(Stop::Sql(error)) if !error.is_cancelled() && error.reach < Reach::Connection => error,
            other => return other,
        };
        self.scopes.truncate(depth);
        out.depth = out_depth;
        if let Some(last) = error.messages.last() {
            self.caught.push(last.clone());
        }
        let result = self.statements(out, caught).await;
        self.caught.pop();
        result
    }

    /// A statement that controls nothing.
    async fn leaf(&mut self, out: &mut Out<'_>, statement: &Statement) -> Run<Flow> {
        let quiet = matches!(statement.kind, Kind::Declare(_) | Kind::DeclareTable(..));
        if !quiet {
            out.starting().await?;
        }
        if self.options.noexec && !matches!(statement.kind, Kind::SetOption(_)) {
            return Ok(Flow::Next);
        }
        self.info.activity().command = super::statements::command_name(&statement.kind).to_owned();
        let mark = self.transaction.mark();
        let result = match self.refuse_doomed(&statement.kind) {
            Ok(()) => self.execute_kind(out, statement).await,
            Err(error) => Err(error.into()),
        };
        match result {
            Ok((outcome, flow)) => match self.auto_commit() {
                Ok(()) => {
                    self.succeeded(out, outcome, &statement.kind).await?;
                    Ok(flow)
                }
                Err(error) => self.failed(out, error, statement.line).await,
            },
            Err(Stop::Io(e)) => Err(Stop::Io(e)),
            Err(Stop::Sql(error)) => {
                if matches!(statement.kind, Kind::Insert(_) | Kind::Update(_) | Kind::Delete(_)) {
                    self.transaction.back_to(mark);
                }
                if self.transaction.count == 0 {
                    self.transaction.clear();
                    self.inst.locks.release_transaction(self.info.spid);
                }
                self.failed(out, error, statement.line).await
            }
        }
    }

    /// 3930: a doomed transaction allows reading and rolling back only.
    fn refuse_doomed(&self, kind: &Kind) -> Result<()> {
        let writes = matches!(
            kind,
            Kind::Insert(_)
                | Kind::Update(_)
                | Kind::Delete(_)
                | Kind::Commit
                | Kind::Save(_)
                | Kind::CreateTable(_)
                | Kind::Truncate(_)
        );
        if self.transaction.doomed && writes {
            Err(err!(3930))
        } else {
            Ok(())
        }
    }

    /// Publishes what a statement outside a transaction changed.
    fn auto_commit(&mut self) -> Result<()> {
        if self.transaction.count > 0 {
            return Ok(());
        }
        let inst = std::sync::Arc::clone(&self.inst);
        let published = self.transaction.publish(&inst);
        self.transaction.clear();
        inst.locks.release_transaction(self.info.spid);
        published
    }

    async fn succeeded(&mut self, out: &mut Out<'_>, outcome: Outcome, kind: &Kind) -> io::Result<()> {
        self.error = 0;
        match outcome {
            Outcome::Silent | Outcome::Sent => Ok(()),
            Outcome::Done(count, cur_cmd) => {
                if !matches!(kind, Kind::Execute(_) | Kind::ExecuteText(_)) {
                    self.rowcount = count.unwrap_or(0);
                }
                let shown = count.filter(|_| !self.options.nocount);
                // NOCOUNT leaves DONEINPROC of statements without rows out.
                if self.options.nocount && out.depth > 0 && cur_cmd != command::SELECT {
                    return Ok(());
                }
                out.done(false, shown, cur_cmd).await
            }
        }
    }

    /// An error: told here, or left to a TRY around.
    pub(super) async fn failed(&mut self, out: &mut Out<'_>, error: SqlError, line: i32) -> Run<Flow> {
        if error.is_cancelled() {
            return Err(error.into());
        }
        let error = error.at(line).within(&self.scope().procedure.clone());
        self.error = error.number();
        self.rowcount = 0;
        let aborts = error.reach >= Reach::Batch;
        let own = error.number() >= 50_000;
        // RAISERROR does not honour XACT_ABORT; THROW does, and ends the batch by itself.
        let strict = self.options.xact_abort && (aborts || !own);
        let dooms = strict || aborts && !own && !is_compile_error(error.number());
        if self.tries > 0 && error.reach < Reach::Connection {
            self.transaction.doomed |= dooms && self.transaction.count > 0;
            return Err(error.into());
        }
        out.error(&error).await?;
        if terminated(error.number()) {
            out.info(super::errors::message(3621, &[])).await?;
        }
        if error.reach == Reach::Connection {
            out.done(true, None, command::OTHER).await?;
            return Err(Stop::Io(aborted()));
        }
        let deadlock = error.number() == 1205;
        if self.transaction.count > 0 && (dooms || deadlock) {
            self.roll_back(out).await?;
        }
        out.done(true, None, command::OTHER).await?;
        Ok(if aborts || deadlock || strict {
            Flow::EndBatch
        } else {
            Flow::Next
        })
    }

    /// Rolls everything back and tells the client.
    pub(super) async fn roll_back(&mut self, out: &mut Out<'_>) -> io::Result<()> {
        let descriptor = self.transaction.descriptor;
        let open = self.transaction.count > 0;
        self.transaction.clear();
        self.inst.locks.release_transaction(self.info.spid);
        self.publish();
        if open {
            out.change(EnvChange::RollbackTransaction(descriptor)).await?;
        }
        Ok(())
    }

    // ---- expressions ----

    /// Evaluates within a cache that lives as long as the statement.
    pub(super) fn in_env<T>(&self, run: impl FnOnce(&Env<'_>) -> Result<T>) -> Result<T> {
        let cache = Cache::default();
        run(&Env {
            session: self,
            frame: None,
            cache: &cache,
            now: self.statement_now,
        })
    }

    /// A value and its type.
    pub(super) fn evaluate(&self, expr: &Expr) -> Result<(Value, SqlType)> {
        let bound = Binder::new(self).constant(expr)?;
        let value = self.in_env(|env| env.eval(&bound))?;
        Ok((value, bound.ty))
    }

    /// A value converted to a type.
    pub(super) fn evaluate_as(&self, expr: &Expr, ty: &SqlType) -> Result<Value> {
        let bound = super::query::bind::assign(Binder::new(self).constant(expr)?, ty)?;
        self.in_env(|env| env.eval(&bound))
    }

    /// Text, or None for NULL.
    pub(super) fn evaluate_text(&self, expr: &Expr) -> Result<Option<String>> {
        Ok(match self.evaluate_as(expr, &SqlType::NVarChar(None))? {
            Value::Str(s) => Some(s.to_string()),
            _ => None,
        })
    }

    /// An integer, or None for NULL.
    pub(super) fn evaluate_int(&self, expr: &Expr) -> Result<Option<i64>> {
        Ok(match self.evaluate_as(expr, &SqlType::BigInt)? {
            Value::Int(i) => Some(i),
            _ => None,
        })
    }

    fn checked(&self, condition: &Expr) -> Result<bool> {
        let binder = Binder::new(self);
        let scope = super::query::scope::Scope::new(Vec::new(), None);
        let bound = binder.within(&scope).condition(condition)?;
        self.in_env(|env| env.passes(&bound))
    }

    /// Runs a bound query.
    pub(super) fn run_plan(&self, plan: &Plan) -> Result<Rows> {
        self.in_env(|env| super::query::run(env, plan))
    }
}

/// Errors that are found before a statement runs leave the transaction alone.
fn is_compile_error(number: i32) -> bool {
    matches!(
        number,
        102..=209 | 911 | 1087 | 1088 | 2812 | 4104 | 8120 | 213 | 257 | 402 | 8116 | 8117 | 4121
    )
}

/// Errors after which SQL Server adds "The statement has been terminated."
fn terminated(number: i32) -> bool {
    matches!(
        number,
        220 | 232 | 515 | 517 | 547 | 544 | 2601 | 2627 | 2628 | 8115 | 8134 | 8152 | 512
    )
}

/// Changes one byte in the middle of a file, as a bad disk does.
fn flip(drives: &crate::storage::Drives, path: &str) {
    let changed = drives
        .real_path(path)
        .map_err(|e| std::io::Error::other(e.to_string()))
        .and_then(|real| {
            let mut bytes = std::fs::read(&real)?;
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0xFF;
            }
            std::fs::write(&real, bytes)
        });
    if let Err(error) = changed {
        tracing::warn!(path, %error, "the fault plan wants this file damaged, and it could not be");
    }
}
