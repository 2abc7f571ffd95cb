//! EXEC: the system's procedures, the database's, and text. Also the RPC requests, which are the same without a batch.

use std::io;

use crate::engine::ast::{Execute, ExecuteAs, Expr, Name, ProcedureParam, ProcedureRef};
use crate::engine::errors::{Result, SqlError, err};
use crate::engine::interpreter::{Flow, Outcome, Run, Stop};
use crate::engine::output::{Out, command};
use crate::engine::parser::{Context, parse_batch};
use crate::engine::permissions;
use crate::engine::procs::{self, Arg, Call};
use crate::engine::session::{Scope, Session, Variable};
use crate::types::{Param, Sink, SqlType, Token, Value};

/// A procedure call of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcCall {
    /// `sp_executesql`, also for its well-known id.
    pub name: String,
    /// Its parameters.
    pub params: Vec<Param>,
}

const MAX_NESTING: usize = 32;

impl Session {
    pub(super) async fn execute(&mut self, out: &mut Out<'_>, execute: &Execute) -> Run<(Outcome, Flow)> {
        let name = match &execute.procedure {
            ProcedureRef::Name(name) => name.clone(),
            ProcedureRef::Var(variable) => {
                let written = match self.variable(&variable.to_lowercase()) {
                    Value::Str(s) => s.to_string(),
                    _ => String::new(),
                };
                crate::engine::catalog::split_name(&written).ok_or_else(|| err!(2812, written))?
            }
        };
        let mut call = Call {
            args: Vec::new(),
            outputs: Vec::new(),
        };
        for argument in &execute.args {
            let (value, ty) = match &argument.value {
                Expr::Default => (Value::Null, SqlType::Int),
                value => self.evaluate(value)?,
            };
            let default = argument.value == Expr::Default;
            call.args.push(Arg {
                name: argument.name.clone(),
                value,
                ty,
                output: argument.output,
                default,
            });
        }
        let ended = self.run_procedure(out, &name, &mut call).await?;
        for (at, value, ty) in std::mem::take(&mut call.outputs) {
            if let Some(Expr::Var(variable)) = execute.args.get(at).filter(|a| a.output).map(|a| &a.value) {
                self.assign(variable, &value, &ty)?;
            }
        }
        let status = match ended {
            Flow::Return(status) => status,
            Flow::EndBatch => return Ok((Outcome::Silent, Flow::EndBatch)),
            _ => 0,
        };
        if let Some(result) = &execute.result {
            self.assign(result, &Value::Int(status.into()), &SqlType::Int)?;
        }
        if out.depth == 0 {
            out.send(Token::ReturnStatus(status)).await?;
        }
        out.done_proc(false).await?;
        Ok((Outcome::Sent, Flow::Next))
    }

    pub(super) async fn execute_text(&mut self, out: &mut Out<'_>, text: &Expr) -> Run<(Outcome, Flow)> {
        let text = self.evaluate_text(text)?.unwrap_or_default();
        let flow = self.run_text(out, &text, &[], &mut Vec::new()).await?;
        out.done_proc(false).await?;
        let flow = if flow == Flow::EndBatch {
            Flow::EndBatch
        } else {
            Flow::Next
        };
        Ok((Outcome::Sent, flow))
    }

    /// Runs a procedure by name. `Flow::Return` has its status.
    async fn run_procedure(&mut self, out: &mut Out<'_>, name: &Name, call: &mut Call) -> Run<Flow> {
        let before = self.database_id;
        if let Some(database) = name.database() {
            self.database_id = self.enter(database).map_err(SqlError::ends_batch)?.id;
        }
        out.depth += 1;
        let system = name
            .schema()
            .is_none_or(|s| s.eq_ignore_ascii_case("sys") || s.eq_ignore_ascii_case("dbo"));
        let result = match procs::find(name.object()).filter(|_| system) {
            Some(found) => Box::pin(procs::run(self, out, found, call)).await,
            None => self.run_user_procedure(out, name, call).await,
        };
        out.depth -= 1;
        self.database_id = before;
        self.publish();
        result
    }

    async fn run_user_procedure(&mut self, out: &mut Out<'_>, name: &Name, call: &mut Call) -> Run<Flow> {
        let database = self.current()?;
        let found = database.procedure(name.schema().unwrap_or("dbo"), name.object());
        let Some(procedure) = found.cloned() else {
            return Err(err!(2812, name).into());
        };
        if !self.may(&database, self.database_id, "EXECUTE", Some(procedure.object_id)) {
            return Err(err!(229, "EXECUTE", procedure.name, database.meta.name, procedure.schema).into());
        }
        let parsed = super::procedure::parse(&procedure.definition)?;
        let bound = bind(&procedure.name, &parsed.params, &call.args)?;
        let mut scope = Scope {
            procedure: procedure.name.clone(),
            procedure_id: procedure.object_id,
            ..Scope::default()
        };
        for (param, value) in parsed.params.iter().zip(self.values(&parsed.params, &bound, call)?) {
            scope.variables.insert(
                param.name.to_lowercase(),
                Variable {
                    ty: param.ty.clone(),
                    value,
                },
            );
        }
        let (flow, scope) = self.run_scoped(out, scope, &parsed.body).await?;
        outputs(&parsed.params, &bound, &scope, &mut call.outputs);
        Ok(match flow {
            Flow::EndBatch | Flow::Return(_) => flow,
            _ => Flow::Return(0),
        })
    }

    /// The parameters' values: given, or their defaults.
    fn values(&self, params: &[ProcedureParam], bound: &[Option<usize>], call: &Call) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        for (param, at) in params.iter().zip(bound) {
            values.push(match at {
                Some(at) => {
                    let arg = &call.args[*at];
                    crate::engine::eval::convert::cast(&arg.value, &arg.ty, &param.ty, 0, &self.conversion())?
                }
                None => match &param.default {
                    Some(default) => self.evaluate_as(default, &param.ty)?,
                    None => Value::Null,
                },
            });
        }
        Ok(values)
    }

    /// Runs statements in a scope of their own; SET options are put back behind it.
    async fn run_scoped(
        &mut self,
        out: &mut Out<'_>,
        scope: Scope,
        body: &[crate::engine::ast::Statement],
    ) -> Run<(Flow, Scope)> {
        if self.scopes.len() > MAX_NESTING {
            return Err(err!(217).into());
        }
        let (options, database) = (self.options.clone(), self.database_id);
        let count = self.transaction.count;
        self.scopes.push(scope);
        let depth = self.scopes.len();
        let result = self.statements(out, body).await;
        // An error that went through has cut the scopes already.
        self.scopes.truncate(depth);
        let scope = if self.scopes.len() == depth {
            self.scopes.pop().unwrap_or_default()
        } else {
            Scope::default()
        };
        self.options = options;
        self.database_id = database;
        let flow = result?;
        if self.transaction.count != count && flow != Flow::EndBatch && !scope.procedure.is_empty() {
            let mismatch = err!(266, count, self.transaction.count).within(&scope.procedure);
            return Err(mismatch.into());
        }
        Ok((flow, scope))
    }

    /// Runs text with parameters: `EXEC (…)`, `sp_executesql`.
    pub(in crate::engine) async fn run_text(
        &mut self,
        out: &mut Out<'_>,
        text: &str,
        params: &[(ProcedureParam, Value)],
        outputs: &mut Vec<(String, Value, SqlType)>,
    ) -> Run<Flow> {
        let context = Context {
            quoted_identifiers: self.options.quoted_identifier,
            variables: params.iter().map(|p| p.0.name.clone()).collect(),
            procedure: false,
        };
        let body = parse_batch(text, &context)?;
        let mut scope = Scope::default();
        for (param, value) in params {
            scope.variables.insert(
                param.name.to_lowercase(),
                Variable {
                    ty: param.ty.clone(),
                    value: value.clone(),
                },
            );
        }
        out.depth += 1;
        let result = self.run_scoped(out, scope, &body).await;
        out.depth -= 1;
        let (flow, scope) = result?;
        for (param, _) in params.iter().filter(|p| p.0.output) {
            if let Some(variable) = scope.variables.get(&param.name.to_lowercase()) {
                outputs.push((param.name.clone(), variable.value.clone(), variable.ty.clone()));
            }
        }
        Ok(flow)
    }

    // ---- RPC ----

    /// Runs a procedure for a client.
    pub async fn rpc(&mut self, call: RpcCall, sink: &mut dyn Sink) -> io::Result<()> {
        let server = self.inst.config().server_name.clone();
        let mut out = Out::new(sink, &server, 0);
        let text = match (call.name.to_lowercase().as_str(), call.params.first()) {
            (
                "sp_executesql",
                Some(Param {
                    value: Value::Str(s), ..
                }),
            ) => s.to_string(),
            _ => call.name.clone(),
        };
        self.begin_request(&text);
        let result = self.run_rpc(&call, &text, &mut out).await;
        self.end_request();
        let failed = result?;
        out.finish_rpc(failed).await
    }

    async fn run_rpc(&mut self, call: &RpcCall, text: &str, out: &mut Out<'_>) -> io::Result<bool> {
        self.scopes = vec![Scope::default()];
        self.tries = 0;
        self.caught.clear();
        self.statement_now = self.inst.now();
        let strike = self
            .inst
            .faults
            .strike("rpc", &self.handle().map(|h| h.name()).unwrap_or_default(), text, None);
        if let Some(error) = self.suffer(strike).await? {
            out.error(&error).await?;
            return Ok(true);
        }
        let arg = |p: &Param| Arg {
            name: Some(p.name.clone()).filter(|n| !n.is_empty()),
            value: p.value.clone(),
            ty: p.ty.clone(),
            output: p.output,
            default: false,
        };
        let mut procedure = Call {
            args: call.params.iter().map(arg).collect(),
            outputs: Vec::new(),
        };
        let name = crate::engine::catalog::split_name(&call.name).unwrap_or_else(|| Name::one(&call.name));
        let ended = match self.run_procedure(out, &name, &mut procedure).await {
            Err(Stop::Sql(error)) if !error.is_cancelled() => self.failed(out, error, 1).await,
            other => other,
        };
        let status = match &ended {
            Ok(Flow::Return(status)) => Some(*status),
            Ok(Flow::EndBatch) | Err(_) => None,
            Ok(_) => Some(0),
        };
        if self.transaction.count == 0 {
            self.commit_rest(out).await?;
        }
        let failed = self.close_batch(out, ended).await?;
        if let Some(status) = status {
            out.send(Token::ReturnStatus(status)).await?;
            for (at, value, ty) in procedure.outputs {
                if let Some(param) = call.params.get(at).filter(|p| p.output) {
                    out.send(Token::ReturnValue {
                        name: param.name.clone(),
                        ty,
                        value,
                    })
                    .await?;
                }
            }
        }
        Ok(failed || status.is_none())
    }

    /// A procedure of the system that was called directly has changed something outside any statement.
    async fn commit_rest(&mut self, out: &mut Out<'_>) -> io::Result<()> {
        let inst = std::sync::Arc::clone(&self.inst);
        if let Err(error) = self.transaction.publish(&inst) {
            out.error(&error).await?;
        }
        self.transaction.clear();
        inst.locks.release_transaction(self.info.spid);
        Ok(())
    }

    // ---- EXECUTE AS ----

    pub(super) fn execute_as(&mut self, who: &ExecuteAs) -> Result<Outcome> {
        let done = Outcome::Done(None, command::OTHER);
        let (name, number) = match who {
            ExecuteAs::Caller => return Ok(done),
            ExecuteAs::Login(name) => (self.evaluate_text(name)?.unwrap_or_default(), 15_406),
            ExecuteAs::User(name) => {
                let user = self.evaluate_text(name)?.unwrap_or_default();
                let database = self.current()?;
                let sid = match database.principal(&user) {
                    Some(p) if p.principal_id == 1 => Some(database.meta.owner_sid.clone()),
                    Some(p) => p.sid.clone(),
                    None => None,
                };
                let config = self.inst.config();
                let login = sid.and_then(|s| config.login_by_sid(&s).map(|l| l.name.clone()));
                (login.ok_or_else(|| err!(15_517, user))?, 15_517)
            }
        };
        let config = self.inst.config();
        let Some(login) = crate::engine::account::effective(&config, &name) else {
            return Err(err!(number, name));
        };
        let own = self.login().is_some_and(|l| l.name.eq_ignore_ascii_case(&login.name));
        if !own && !self.is_sysadmin() && !self.has_server("IMPERSONATE ANY LOGIN") {
            return Err(err!(number, name));
        }
        if permissions::user(&config, &*self.current()?, self.database_id, &login.name).is_none() {
            return Err(err!(916, login.name, self.current()?.meta.name));
        }
        self.acting.push(login.name.clone());
        self.publish();
        Ok(done)
    }

    pub(super) fn revert(&mut self) -> Outcome {
        if self.acting.len() > 1 {
            self.acting.pop();
        }
        self.publish();
        Outcome::Done(None, command::OTHER)
    }
}

/// Which argument belongs to which parameter: 8144, 8145, 8146, 201, 8162.
fn bind(procedure: &str, params: &[ProcedureParam], args: &[Arg]) -> Result<Vec<Option<usize>>> {
    if params.is_empty() && !args.is_empty() {
        return Err(err!(8146, procedure));
    }
    let mut bound: Vec<Option<usize>> = vec![None; params.len()];
    for (i, arg) in args.iter().enumerate() {
        let at = match &arg.name {
            Some(name) => params
                .iter()
                .position(|p| p.name.eq_ignore_ascii_case(name))
                .ok_or_else(|| err!(8145, name, procedure))?,
            None if i < params.len() => i,
            None => return Err(err!(8144, procedure)),
        };
        if bound[at].is_some() {
            let text = format!("Parameter '{}' was supplied multiple times.", params[at].name);
            return Err(crate::engine::errors::raw_error(8143, 16, 1, text));
        }
        if arg.output && !params[at].output {
            return Err(err!(8162, params[at].name));
        }
        if !arg.default {
            bound[at] = Some(i);
        }
    }
    for (param, at) in params.iter().zip(&bound) {
        if at.is_none() && param.default.is_none() {
            return Err(err!(201, procedure, param.name).within(procedure));
        }
    }
    Ok(bound)
}

fn outputs(params: &[ProcedureParam], bound: &[Option<usize>], scope: &Scope, out: &mut Vec<(usize, Value, SqlType)>) {
    for (param, at) in params.iter().zip(bound) {
        let variable = scope.variables.get(&param.name.to_lowercase());
        if let (true, Some(at), Some(variable)) = (param.output, at, variable) {
            out.push((*at, variable.value.clone(), variable.ty.clone()));
        }
    }
}
