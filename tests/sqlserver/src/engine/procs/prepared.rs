//! `sp_executesql` and prepared statements.

use super::{Arg, Call};
use crate::engine::ast::ProcedureParam;
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::{Flow, Run};
use crate::engine::output::Out;
use crate::engine::parser::parse_parameters;
use crate::engine::session::{Prepared, Session};
use crate::types::{SqlType, Value};

fn text(call: &Call, n: usize) -> Option<String> {
    match call.args.get(n).map(|a| &a.value) {
        Some(Value::Str(s)) => Some(s.to_string()),
        _ => None,
    }
}

fn handle(call: &Call, n: usize) -> i32 {
    match call.args.get(n).map(|a| &a.value) {
        Some(Value::Int(i)) => i32::try_from(*i).unwrap_or(0),
        _ => 0,
    }
}

/// `sp_executesql @stmt, @params, …`. The first two may be named.
pub(super) async fn execute_sql(session: &mut Session, out: &mut Out<'_>, call: &mut Call) -> Run<Flow> {
    let Some(statement) = call.args.first() else {
        return Err(err!(201, "sp_executesql", "@statement").into());
    };
    let Value::Str(_) = &statement.value else {
        return Err(err!(214, "@statement", "ntext/nchar/nvarchar").into());
    };
    let text = text(call, 0).unwrap_or_default();
    let declaration = match call.args.get(1) {
        None => String::new(),
        Some(Arg {
            value: Value::Str(s), ..
        }) => s.to_string(),
        Some(Arg { value: Value::Null, .. }) => String::new(),
        Some(_) => return Err(err!(214, "@parameters", "ntext/nchar/nvarchar").into()),
    };
    run(session, out, &text, &declaration, call, 2).await
}

/// Runs text with the arguments from `first` on.
async fn run(
    session: &mut Session,
    out: &mut Out<'_>,
    text: &str,
    declaration: &str,
    call: &mut Call,
    first: usize,
) -> Run<Flow> {
    let params = if declaration.trim().is_empty() {
        Vec::new()
    } else {
        parse_parameters(declaration)?
    };
    let bound = bind(session, text, &params, call, first)?;
    let values: Vec<(ProcedureParam, Value)> = bound.iter().map(|(p, _, v)| (p.clone(), v.clone())).collect();
    let mut outputs = Vec::new();
    // The text is one level deep already: the procedure's.
    out.depth -= 1;
    let flow = session.run_text(out, text, &values, &mut outputs).await;
    out.depth += 1;
    let flow = flow?;
    for (name, value, ty) in outputs {
        let at = bound.iter().find(|(p, _, _)| p.name == name).map(|b| b.1);
        if let Some(at) = at {
            call.outputs.push((at, value, ty));
        }
    }
    Ok(match flow {
        Flow::EndBatch => Flow::EndBatch,
        _ => Flow::Return(0),
    })
}

/// Each parameter with its argument's position and value: 8178 for one that is missing.
fn bind(
    session: &Session,
    text: &str,
    params: &[ProcedureParam],
    call: &Call,
    first: usize,
) -> Result<Vec<(ProcedureParam, usize, Value)>> {
    let args = call.args.get(first..).unwrap_or_default();
    let mut bound = Vec::new();
    for (i, param) in params.iter().enumerate() {
        let named = args
            .iter()
            .position(|a| a.name.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(&param.name)));
        let at = named.or_else(|| args.get(i).filter(|a| a.name.is_none()).map(|_| i));
        let Some(at) = at else {
            let shown: String = format!(
                "({}){text}",
                params.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(",")
            );
            return Err(err!(8178, shown.chars().take(128).collect::<String>(), param.name));
        };
        let arg = &args[at];
        let value = crate::engine::eval::convert::cast(&arg.value, &arg.ty, &param.ty, 0, &session.conversion())?;
        let param = ProcedureParam {
            output: param.output || arg.output,
            ..param.clone()
        };
        bound.push((param, first + at, value));
    }
    if args.len() > params.len() {
        return Err(err!(8144, ""));
    }
    Ok(bound)
}

fn keep(session: &mut Session, declaration: String, text: String) -> i32 {
    let handle = session.next_prepared;
    session.next_prepared += 1;
    session.prepared.insert(handle, Prepared { declaration, text });
    handle
}

/// `sp_prepare @handle OUTPUT, @params, @stmt`.
pub(super) fn prepare(session: &mut Session, call: &mut Call) -> Result<i32> {
    let declaration = text(call, 1).unwrap_or_default();
    let statement = text(call, 2).ok_or_else(|| err!(214, "@stmt", "ntext/nchar/nvarchar"))?;
    let mut context = crate::engine::parser::Context {
        quoted_identifiers: true,
        ..Default::default()
    };
    if !declaration.trim().is_empty() {
        context.variables = parse_parameters(&declaration)?.into_iter().map(|p| p.name).collect();
    }
    crate::engine::parser::parse_batch(&statement, &context)?;
    let handle = keep(session, declaration, statement);
    call.outputs.push((0, Value::Int(handle.into()), SqlType::Int));
    Ok(0)
}

fn find(session: &Session, handle: i32) -> Result<Prepared> {
    session.prepared.get(&handle).cloned().ok_or_else(|| err!(8179, handle))
}

/// `sp_execute @handle, …`.
pub(super) async fn execute(session: &mut Session, out: &mut Out<'_>, call: &mut Call) -> Run<Flow> {
    let prepared = find(session, handle(call, 0))?;
    run(session, out, &prepared.text, &prepared.declaration, call, 1).await
}

/// `sp_prepexec @handle OUTPUT, @params, @stmt, …`.
pub(super) async fn prepare_and_execute(session: &mut Session, out: &mut Out<'_>, call: &mut Call) -> Run<Flow> {
    let declaration = text(call, 1).unwrap_or_default();
    let statement = text(call, 2).ok_or_else(|| err!(214, "@stmt", "ntext/nchar/nvarchar"))?;
    let handle = keep(session, declaration.clone(), statement.clone());
    call.outputs.push((0, Value::Int(handle.into()), SqlType::Int));
    run(session, out, &statement, &declaration, call, 3).await
}

/// `sp_unprepare @handle`.
pub(super) fn unprepare(session: &mut Session, call: &Call) -> Result<i32> {
    let handle = handle(call, 0);
    session
        .prepared
        .remove(&handle)
        .map(|_| 0)
        .ok_or_else(|| err!(8179, handle))
}
