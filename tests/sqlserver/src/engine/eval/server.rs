//! Functions that look at the server, its databases and their objects. What does not exist is NULL.

use std::sync::Arc;

use super::functions::Call;
use super::types::{type_name, type_of};
use crate::engine::catalog;
use crate::engine::errors::Result;
use crate::engine::instance::Handle;
use crate::engine::session::Session;
use crate::storage::{Database, FileKind};
use crate::types::{SqlType, Value};

fn text(value: impl Into<Arc<str>>) -> Value {
    Value::Str(value.into())
}

fn flag(on: bool) -> Value {
    Value::Int(i64::from(on))
}

fn optional(value: Option<impl Into<Arc<str>>>) -> Value {
    value.map_or(Value::Null, text)
}

pub(super) fn null(_: &Call<'_>) -> Result<Value> {
    Ok(Value::Null)
}

pub(super) fn newid(_: &Call<'_>) -> Result<Value> {
    Ok(Value::Guid(catalog::guid()))
}

/// `@@x`.
pub(super) fn global(session: &Session, upper: &str) -> Value {
    let config = session.inst.config();
    let (major, minor, build) = config.version();
    match upper {
        "@@SPID" => Value::Int(session.spid().into()),
        "@@SERVERNAME" => text(config.server_name.as_str()),
        "@@SERVICENAME" => text(
            config
                .instance_name
                .clone()
                .unwrap_or_else(|| "MSSQLSERVER".to_owned())
                .as_str(),
        ),
        "@@VERSION" => text(catalog::version_text(&config)),
        "@@ROWCOUNT" => Value::Int(i64::try_from(session.rowcount).unwrap_or(i64::MAX)),
        "@@ERROR" => Value::Int(session.error.into()),
        "@@TRANCOUNT" => Value::Int(session.transaction.count.into()),
        "@@LANGUAGE" => text(session.options.language.as_str()),
        "@@MAX_PRECISION" => Value::Int(38),
        "@@MICROSOFTVERSION" => Value::Int((i64::from(major) << 24) | (i64::from(minor) << 16) | i64::from(build)),
        "@@OPTIONS" => Value::Int(options(session)),
        "@@DATEFIRST" => Value::Int(session.options.datefirst.into()),
        "@@LOCK_TIMEOUT" => Value::Int(session.options.lock_timeout),
        "@@TEXTSIZE" => Value::Int(session.options.textsize),
        "@@NESTLEVEL" => Value::Int(i64::try_from(session.scopes.len() - 1).unwrap_or(0)),
        "@@PROCID" => Value::Int(session.scope().procedure_id.into()),
        "@@IDENTITY" => session.identity.map_or(Value::Null, |i| Value::Decimal(i.into(), 0)),
        "@@FETCH_STATUS" => Value::Int(0),
        "@@MAX_CONNECTIONS" => Value::Int(32_767),
        "@@DBTS" => Value::Bytes(vec![0, 0, 0, 0, 0, 0, 7, 0xd1].into()),
        "@@REMSERVER" => Value::Null,
        "@@TIMETICKS" => Value::Int(31_250),
        _ => Value::Int(0),
    }
}

fn options(session: &Session) -> i64 {
    let o = &session.options;
    let other = |name: &str| o.others.get(name).copied().unwrap_or(true);
    let bits = [
        (2, o.implicit),
        (8, other("ANSI_WARNINGS")),
        (16, other("ANSI_PADDING")),
        (32, o.ansi_nulls),
        (64, o.arithabort),
        (256, o.quoted_identifier),
        (512, o.nocount),
        (1024, other("ANSI_NULL_DFLT_ON")),
        (4096, o.concat_null),
        (16384, o.xact_abort),
    ];
    bits.iter().filter(|b| b.1).map(|b| b.0).sum()
}

pub(super) fn serverproperty(call: &Call<'_>) -> Result<Value> {
    Ok(catalog::server_property(call.env.session, call.text(0)))
}

pub(super) fn connectionproperty(call: &Call<'_>) -> Result<Value> {
    let login = &call.env.session.info.login;
    Ok(match call.text(0).to_ascii_lowercase().as_str() {
        "net_transport" | "physical_net_transport" => text("TCP"),
        "protocol_type" => text("TSQL"),
        "auth_scheme" => text("SQL"),
        "local_net_address" => text("127.0.0.1"),
        "local_tcp_port" => Value::Int(1433),
        "client_net_address" => text(login.client_address.as_str()),
        _ => Value::Null,
    })
}

pub(super) fn sessionproperty(call: &Call<'_>) -> Result<Value> {
    let o = &call.env.session.options;
    Ok(match call.text(0).to_ascii_uppercase().as_str() {
        "ANSI_NULLS" => flag(o.ansi_nulls),
        "ARITHABORT" => flag(o.arithabort),
        "CONCAT_NULL_YIELDS_NULL" => flag(o.concat_null),
        "QUOTED_IDENTIFIER" => flag(o.quoted_identifier),
        name @ ("ANSI_PADDING" | "ANSI_WARNINGS" | "NUMERIC_ROUNDABORT") => {
            flag(o.others.get(name).copied().unwrap_or(name != "NUMERIC_ROUNDABORT"))
        }
        _ => Value::Null,
    })
}

pub(super) fn databasepropertyex(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    Ok(session
        .inst
        .find(call.text(0))
        .map_or(Value::Null, |h| catalog::database_property(session, &h, call.text(1))))
}

pub(super) fn fileproperty(call: &Call<'_>) -> Result<Value> {
    let handle = call.env.session.handle()?;
    let database = handle.database();
    let Some(file) = database
        .files
        .iter()
        .find(|f| f.name.eq_ignore_ascii_case(call.text(0)))
    else {
        return Ok(Value::Null);
    };
    Ok(match call.text(1).to_ascii_lowercase().as_str() {
        "spaceused" if file.kind == FileKind::Data => Value::Int(handle.used_pages().into()),
        "spaceused" => Value::Int(i64::from(file.size_pages / 16).max(32)),
        "isreadonly" => Value::Int(0),
        "isprimaryfile" => flag(file.file_id == 1),
        "islogfile" => flag(file.kind == FileKind::Log),
        _ => Value::Null,
    })
}

pub(super) fn db_id(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    if call.values.is_empty() {
        return Ok(Value::Int(session.database_id.into()));
    }
    let found = call.text_or_null(0).and_then(|name| session.inst.find(name));
    Ok(found.map_or(Value::Null, |h| Value::Int(h.id.into())))
}

pub(super) fn db_name(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let id = if call.values.is_empty() {
        Some(i64::from(session.database_id))
    } else {
        call.int(0)
    };
    let handle = id
        .and_then(|id| i32::try_from(id).ok())
        .and_then(|id| session.inst.handle(id));
    Ok(optional(handle.map(|h| h.name())))
}

fn database_arg(call: &Call<'_>, n: usize) -> Option<Arc<Handle>> {
    let session = call.env.session;
    if call.values.len() > n {
        session.inst.handle(i32::try_from(call.int(n)?).ok()?)
    } else {
        session.handle().ok()
    }
}

pub(super) fn object_id(call: &Call<'_>) -> Result<Value> {
    let kind = call.text_or_null(1).map(|k| k.trim().to_uppercase());
    let found = catalog::find_object(call.env.session, call.text(0));
    Ok(found
        .filter(|o| kind.as_ref().is_none_or(|k| k == o.kind))
        .map_or(Value::Null, |o| Value::Int(o.id.into())))
}

fn object(call: &Call<'_>) -> Option<catalog::Object> {
    let handle = database_arg(call, 1)?;
    let database = call.env.session.view(&handle);
    catalog::object_by_id(&database, i32::try_from(call.int(0)?).ok()?)
}

pub(super) fn object_name(call: &Call<'_>) -> Result<Value> {
    Ok(optional(object(call).map(|o| o.name)))
}

pub(super) fn object_schema_name(call: &Call<'_>) -> Result<Value> {
    Ok(optional(object(call).map(|o| o.schema)))
}

fn current_object(call: &Call<'_>) -> Option<catalog::Object> {
    catalog::object_by_id(&*call.env.session.current().ok()?, i32::try_from(call.int(0)?).ok()?)
}

pub(super) fn objectproperty(call: &Call<'_>) -> Result<Value> {
    let Some(object) = current_object(call) else {
        return Ok(Value::Null);
    };
    Ok(match call.text(1).to_ascii_lowercase().as_str() {
        "isusertable" | "istable" => flag(object.kind == "U"),
        "isprocedure" => flag(object.kind == "P"),
        "isview" => flag(object.kind == "V"),
        "ismsshipped" => flag(object.id < 0),
        "ownerid" => Value::Int(1),
        _ => Value::Null,
    })
}

fn column(call: &Call<'_>) -> Option<(Arc<Database>, usize, usize)> {
    let database = call.env.session.current().ok()?;
    let id = call.int(0)?;
    let table = database.tables.iter().position(|t| i64::from(t.object_id) == id)?;
    let column = database.tables[table].column(call.text(1))?;
    Some((database, table, column))
}

pub(super) fn columnproperty(call: &Call<'_>) -> Result<Value> {
    let Some((database, table, at)) = column(call) else {
        return Ok(Value::Null);
    };
    let table = &database.tables[table];
    Ok(match call.text(2).to_ascii_lowercase().as_str() {
        "allowsnull" => flag(table.columns[at].nullable),
        "isidentity" => flag(table.identity.as_ref().is_some_and(|i| i.column == at)),
        "columnid" | "ordinal" => Value::Int(i64::try_from(at + 1).unwrap_or(0)),
        "iscomputed" => Value::Int(0),
        _ => Value::Null,
    })
}

pub(super) fn col_length(call: &Call<'_>) -> Result<Value> {
    let Some(object) = catalog::find_object(call.env.session, call.text(0)) else {
        return Ok(Value::Null);
    };
    let database = call.env.session.current()?;
    let table = database.tables.iter().find(|t| t.object_id == object.id);
    let column = table.and_then(|t| t.columns.iter().find(|c| c.name.eq_ignore_ascii_case(call.text(1))));
    Ok(column.map_or(Value::Null, |c| Value::Int(catalog::storage(&c.ty).0.into())))
}

pub(super) fn col_name(call: &Call<'_>) -> Result<Value> {
    let database = call.env.session.current()?;
    let table = database
        .tables
        .iter()
        .find(|t| Some(i64::from(t.object_id)) == call.int(0));
    let at = call.int(1).and_then(|n| usize::try_from(n - 1).ok());
    Ok(optional(
        table
            .zip(at)
            .and_then(|(t, at)| t.columns.get(at))
            .map(|c| c.name.clone()),
    ))
}

pub(super) fn schema_name(call: &Call<'_>) -> Result<Value> {
    if call.values.is_empty() {
        return Ok(text("dbo"));
    }
    let database = call.env.session.current()?;
    let found = catalog::schemas(&database)
        .into_iter()
        .find(|s| Some(i64::from(s.0)) == call.int(0));
    Ok(optional(found.map(|s| s.1)))
}

pub(super) fn schema_id(call: &Call<'_>) -> Result<Value> {
    let database = call.env.session.current()?;
    let name = call.text_or_null(0).unwrap_or("dbo");
    let found = catalog::schemas(&database)
        .into_iter()
        .find(|s| s.1.eq_ignore_ascii_case(name));
    Ok(found.map_or(Value::Null, |s| Value::Int(s.0.into())))
}

pub(super) fn type_name_of(call: &Call<'_>) -> Result<Value> {
    Ok(optional(
        catalog::TYPES
            .iter()
            .find(|t| Some(i64::from(t.user_type_id)) == call.int(0))
            .map(|t| t.name),
    ))
}

pub(super) fn type_id(call: &Call<'_>) -> Result<Value> {
    let found = catalog::TYPES
        .iter()
        .find(|t| t.name.eq_ignore_ascii_case(call.text(0)));
    Ok(found.map_or(Value::Null, |t| Value::Int(t.user_type_id.into())))
}

pub(super) fn collationproperty(call: &Call<'_>) -> Result<Value> {
    let utf8 = call.text(0).to_ascii_uppercase().contains("UTF8");
    Ok(match call.text(1).to_ascii_lowercase().as_str() {
        "codepage" => Value::Int(if utf8 { 65_001 } else { 1252 }),
        "lcid" => Value::Int(1033),
        "comparisonstyle" => Value::Int(196_609),
        "version" => Value::Int(0),
        _ => Value::Null,
    })
}

pub(super) fn sql_variant_property(call: &Call<'_>) -> Result<Value> {
    let declared = &call.args[0].ty;
    let ty = if *declared == SqlType::Variant {
        type_of(&call.values[0])
    } else {
        declared.clone()
    };
    let (length, precision, scale) = catalog::storage(&ty);
    Ok(match call.text(1).to_ascii_lowercase().as_str() {
        "basetype" => text(type_name(&ty).trim_end_matches("(max)")),
        "precision" => Value::Int(precision.into()),
        "scale" => Value::Int(scale.into()),
        "maxlength" | "totalbytes" => Value::Int(length.into()),
        _ => Value::Null,
    })
}

pub(super) fn file_id(call: &Call<'_>) -> Result<Value> {
    let database = call.env.session.current()?;
    let file = database
        .files
        .iter()
        .find(|f| f.name.eq_ignore_ascii_case(call.text(0)));
    Ok(file.map_or(Value::Null, |f| Value::Int(f.file_id.into())))
}

pub(super) fn file_name(call: &Call<'_>) -> Result<Value> {
    let database = call.env.session.current()?;
    let file = database
        .files
        .iter()
        .find(|f| Some(i64::from(f.file_id)) == call.int(0));
    Ok(optional(file.map(|f| f.name.clone())))
}

pub(super) fn app_name(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.env.session.info.login.app_name.as_str()))
}

pub(super) fn host_name(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.env.session.info.login.host_name.as_str()))
}

pub(super) fn host_id(call: &Call<'_>) -> Result<Value> {
    Ok(text(format!("{:<10}", call.env.session.info.login.client_pid)))
}

pub(super) fn scope_identity(call: &Call<'_>) -> Result<Value> {
    Ok(call
        .env
        .session
        .identity
        .map_or(Value::Null, |i| Value::Decimal(i.into(), 0)))
}

pub(super) fn ident_current(call: &Call<'_>) -> Result<Value> {
    let Some(object) = catalog::find_object(call.env.session, call.text(0)) else {
        return Ok(Value::Null);
    };
    let database = call.env.session.current()?;
    let identity = database
        .tables
        .iter()
        .find(|t| t.object_id == object.id)
        .and_then(|t| t.identity.clone());
    Ok(identity.map_or(Value::Null, |i| Value::Decimal(i.last.unwrap_or(i.seed).into(), 0)))
}

pub(super) fn xact_state(call: &Call<'_>) -> Result<Value> {
    let transaction = &call.env.session.transaction;
    Ok(Value::Int(match (transaction.count, transaction.doomed) {
        (0, _) => 0,
        (_, true) => -1,
        (_, false) => 1,
    }))
}

pub(super) fn rowcount_big(call: &Call<'_>) -> Result<Value> {
    Ok(Value::Int(i64::try_from(call.env.session.rowcount).unwrap_or(i64::MAX)))
}

pub(super) fn transaction_id(call: &Call<'_>) -> Result<Value> {
    Ok(Value::Int(
        i64::try_from(call.env.session.transaction.descriptor).unwrap_or(0),
    ))
}

pub(super) fn applock_mode(call: &Call<'_>) -> Result<Value> {
    Ok(text(crate::engine::procs::applock::mode(
        call.env.session,
        call.text(0),
        call.text(1),
        call.text(2),
    )))
}

pub(super) fn applock_test(call: &Call<'_>) -> Result<Value> {
    let granted = crate::engine::procs::applock::test(call.env.session, call.text(0), call.text(1), call.text(2));
    Ok(flag(granted))
}

/// `ERROR_NUMBER()` and its like, inside a CATCH block.
pub(super) fn error_part(call: &Call<'_>) -> Result<Value> {
    let Some(message) = call.env.session.caught.last() else {
        return Ok(Value::Null);
    };
    Ok(match call.name {
        "ERROR_NUMBER" => Value::Int(message.number.into()),
        "ERROR_SEVERITY" => Value::Int(message.class.into()),
        "ERROR_STATE" => Value::Int(message.state.into()),
        "ERROR_LINE" => Value::Int(message.line.into()),
        "ERROR_PROCEDURE" if message.procedure.is_empty() => Value::Null,
        "ERROR_PROCEDURE" => text(message.procedure.as_str()),
        _ => text(message.text.as_str()),
    })
}

pub(super) fn formatmessage(call: &Call<'_>) -> Result<Value> {
    let template = match call.values.first() {
        Some(Value::Str(s)) => s.to_string(),
        Some(Value::Int(n)) => crate::engine::errors::message(i32::try_from(*n).unwrap_or(0), &[]).text,
        _ => return Ok(Value::Null),
    };
    Ok(text(catalog::printf(&template, &call.values[1..])?))
}
