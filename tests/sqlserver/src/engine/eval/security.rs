//! Functions about logins, users, roles and permissions.

use std::sync::Arc;

use super::functions::Call;
use crate::engine::account;
use crate::engine::errors::Result;
use crate::engine::permissions;
use crate::engine::session::Session;
use crate::storage::LoginKind;
use crate::types::Value;

fn text(value: impl Into<Arc<str>>) -> Value {
    Value::Str(value.into())
}

/// The name behind a SID: a login, or a well-known Windows account.
pub(super) fn name_of_sid(session: &Session, sid: &[u8]) -> Option<String> {
    account::name_of(&session.inst.config(), sid)
}

pub(super) fn suser_sname(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    Ok(match call.values.first() {
        None => text(session.login_name()),
        Some(Value::Bytes(sid)) => name_of_sid(session, sid).map_or(Value::Null, text),
        Some(_) => Value::Null,
    })
}

pub(super) fn suser_name(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    if call.values.is_empty() {
        return Ok(text(session.login_name()));
    }
    let config = session.inst.config();
    let found = config
        .logins
        .iter()
        .find(|l| Some(i64::from(l.principal_id)) == call.int(0));
    Ok(found.map_or(Value::Null, |l| text(l.name.as_str())))
}

pub(super) fn suser_sid(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let name = if call.values.is_empty() {
        session.login_name()
    } else {
        call.text(0)
    };
    let sid = account::sid_of(&session.inst.config(), name);
    Ok(sid.map_or(Value::Null, |s| Value::Bytes(s.into())))
}

pub(super) fn suser_id(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let name = if call.values.is_empty() {
        session.login_name()
    } else {
        call.text(0)
    };
    Ok(session
        .inst
        .config()
        .login(name)
        .map_or(Value::Null, |l| Value::Int(l.principal_id.into())))
}

pub(super) fn original_login(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.env.session.original_login()))
}

pub(super) fn system_user(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.env.session.login_name()))
}

pub(super) fn current_user(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let user = session.user_in(&*session.current()?, session.database_id);
    Ok(text(user.map_or_else(|| "guest".to_owned(), |u| u.name)))
}

pub(super) fn user_name(call: &Call<'_>) -> Result<Value> {
    if call.values.is_empty() {
        return current_user(call);
    }
    let database = call.env.session.current()?;
    let found = database
        .principals
        .iter()
        .find(|p| Some(i64::from(p.principal_id)) == call.int(0));
    Ok(found.map_or(Value::Null, |p| text(p.name.as_str())))
}

pub(super) fn user_id(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let database = session.current()?;
    if call.values.is_empty() {
        let user = session.user_in(&database, session.database_id);
        return Ok(user.map_or(Value::Null, |u| Value::Int(u.principal_id.into())));
    }
    Ok(database
        .principal(call.text(0))
        .map_or(Value::Null, |p| Value::Int(p.principal_id.into())))
}

const SERVER_ROLES: &[&str] = &[
    "sysadmin",
    "serveradmin",
    "securityadmin",
    "processadmin",
    "setupadmin",
    "bulkadmin",
    "diskadmin",
    "dbcreator",
    "public",
];

pub(super) fn is_srvrolemember(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let config = session.inst.config();
    let role = call.text(0);
    let known = SERVER_ROLES.iter().any(|r| r.eq_ignore_ascii_case(role))
        || config
            .logins
            .iter()
            .any(|l| l.kind == LoginKind::ServerRole && l.name.eq_ignore_ascii_case(role));
    let name = call.text_or_null(1).unwrap_or(session.login_name());
    let Some(login) = account::effective(&config, name).filter(|_| known) else {
        return Ok(Value::Null);
    };
    let member = permissions::is_sysadmin(&login) || permissions::in_server_role(&login, role);
    Ok(Value::Int(i64::from(member)))
}

pub(super) fn is_member(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let database = session.current()?;
    let role = call.text(0);
    if database.principal(role).is_none() {
        return Ok(Value::Null);
    }
    let user = match call.text_or_null(1) {
        // A Windows account that has no user is what its groups make it.
        Some(name) => match database.principal(name) {
            Some(user) => Some(user.clone()),
            None if !account::windows_knows(&session.inst.config(), name) => None,
            None => permissions::identity(&session.inst.config(), &database, session.database_id, name),
        },
        None => session.user_in(&database, session.database_id),
    };
    Ok(user.map_or(Value::Null, |u| {
        Value::Int(i64::from(
            u.principal_id == 1 && role.eq_ignore_ascii_case("db_owner") || permissions::in_role(&database, &u, role),
        ))
    }))
}

pub(super) fn has_dbaccess(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let Some(handle) = session.inst.find(call.text(0)) else {
        return Ok(Value::Null);
    };
    let usable = session.inst.usable(call.text(0)).is_ok();
    let enters = session.may_enter(&handle.database(), handle.id).is_some();
    Ok(Value::Int(i64::from(usable && enters)))
}

/// `HAS_PERMS_BY_NAME(securable, class, permission)`: NULL for what does not exist.
pub(super) fn has_perms_by_name(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let (securable, class) = (call.text_or_null(0), call.text_or_null(1).map(str::to_ascii_uppercase));
    let Some(permission) = call.text_or_null(2) else {
        return Ok(Value::Null);
    };
    let permission = permission.to_uppercase();
    let answer = match (securable, class.as_deref()) {
        (None, None | Some("SERVER")) => Some(if permission == "ANY" {
            true
        } else {
            session.has_server(&permission)
        }),
        (name, Some("DATABASE")) => database_permission(session, name, &permission),
        (Some(name), Some("LOGIN")) => session
            .inst
            .config()
            .login(name)
            .map(|_| session.is_sysadmin() || name.eq_ignore_ascii_case(session.login_name())),
        (Some(name), Some("OBJECT" | "TYPE")) => object_permission(session, name, &permission)?,
        (Some(_), Some("SCHEMA")) => Some(session.may(&*session.current()?, session.database_id, &permission, None)),
        _ => None,
    };
    Ok(answer.map_or(Value::Null, |yes| Value::Int(i64::from(yes))))
}

fn database_permission(session: &Session, name: Option<&str>, permission: &str) -> Option<bool> {
    let handle = match name {
        // The name may be quoted: `[ADSync]`.
        Some(name) => session
            .inst
            .find(name)
            .or_else(|| session.inst.find(crate::engine::catalog::split_name(name)?.object()))?,
        None => session.handle().ok()?,
    };
    let database = session.view(&handle);
    let permission = if permission == "ANY" { "CONNECT" } else { permission };
    if permission == "CONNECT" {
        return Some(session.user_in(&database, handle.id).is_some());
    }
    if matches!(permission, "ALTER" | "CONTROL") {
        return Some(session.may_alter(&database, handle.id) || session.may(&database, handle.id, permission, None));
    }
    Some(session.may(&database, handle.id, permission, None))
}

fn object_permission(session: &Session, name: &str, permission: &str) -> Result<Option<bool>> {
    let Some(object) = crate::engine::catalog::find_object(session, name) else {
        return Ok(None);
    };
    let database = session.current()?;
    Ok(Some(
        object.id < 0 || session.may(&database, session.database_id, permission, Some(object.id)),
    ))
}

/// The old bitmap: everything for owners, nothing otherwise.
pub(super) fn permissions(call: &Call<'_>) -> Result<Value> {
    let session = call.env.session;
    let owner = session.may_alter(&*session.current()?, session.database_id);
    Ok(Value::Int(if owner { 4_294_967_294_i64 >> 1 } else { 0 }))
}
