//! `sp_getapplock` and `sp_releaseapplock`: locks on names, scoped by database and principal, compared bytewise.

use std::time::Duration;

use super::Call;
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::Run;
use crate::engine::locks::{Mode, Outcome, Owner, Request, Resource};
use crate::engine::permissions;
use crate::engine::session::Session;

fn owner(name: &str) -> Option<Owner> {
    match name.to_ascii_lowercase().as_str() {
        "session" => Some(Owner::Session),
        "transaction" => Some(Owner::Transaction),
        _ => None,
    }
}

/// The resource that a name means to this session. The first 255 characters count.
fn resource(session: &Session, name: &str, principal: &str) -> Resource {
    let name: String = name.chars().take(255).collect();
    Resource::App(session.database_id, principal.to_lowercase(), name)
}

/// -999 with a message for what the caller got wrong.
fn invalid(option: &str) -> crate::engine::errors::SqlError {
    err!(15_600, option)
}

/// Whether the caller is the principal, or in it: otherwise 15247.
fn check_principal(session: &Session, principal: &str) -> Result<()> {
    let database = session.current()?;
    if database.principal(principal).is_none() {
        return Err(err!(15_151, "find", "database principal", principal));
    }
    let user = session.user_in(&database, session.database_id);
    let is = user.is_some_and(|u| {
        u.name.eq_ignore_ascii_case(principal) || u.principal_id == 1 || permissions::in_role(&database, &u, principal)
    });
    if is { Ok(()) } else { Err(err!(15_247)) }
}

/// `sp_getapplock`: 0 at once, 1 after waiting, -1 timeout, -2 cancelled, -3 deadlock victim.
pub(crate) async fn get(session: &Session, call: &Call) -> Run<i32> {
    let args = call.bind(
        "sp_getapplock",
        &["@Resource", "@LockMode", "@LockOwner", "@LockTimeout", "@DbPrincipal"],
    )?;
    let name = args.required(0, "@Resource")?;
    let mode = args.required(1, "@LockMode")?;
    let mode = Mode::from_name(&mode).ok_or_else(|| invalid("sys.sp_getapplock"))?;
    let owner =
        owner(&args.text(2).unwrap_or_else(|| "Transaction".to_owned())).ok_or_else(|| invalid("sys.sp_getapplock"))?;
    let principal = args.text(4).unwrap_or_else(|| "public".to_owned());
    check_principal(session, &principal)?;
    if owner == Owner::Transaction && session.transaction.count == 0 {
        let text = "The statement or function must be executed in the context of a user transaction.";
        return Err(crate::engine::errors::raw_error(3918, 16, 1, text.to_owned()).into());
    }
    session.fault("applock", &session.handle()?.name(), &name).await?;
    let millis = args.int(3).unwrap_or(session.options.lock_timeout);
    if millis < -1 {
        return Err(invalid("sys.sp_getapplock").into());
    }
    let request = Request {
        session: session.spid(),
        resource: resource(session, &name, &principal),
        mode,
        owner,
        timeout: u64::try_from(millis).ok().map(Duration::from_millis),
    };
    Ok(match session.inst.locks.acquire(request, &session.info.cancel).await {
        Outcome::Granted => 0,
        Outcome::GrantedAfterWait => 1,
        Outcome::Timeout => -1,
        Outcome::Cancelled => -2,
        Outcome::Deadlock => -3,
    })
}

/// `sp_releaseapplock`: as often as it was taken. 1223 for a lock that is not held.
pub(crate) fn release(session: &Session, call: &Call) -> Result<i32> {
    let args = call.bind("sp_releaseapplock", &["@Resource", "@LockOwner", "@DbPrincipal"])?;
    let name = args.required(0, "@Resource")?;
    let owner = owner(&args.text(1).unwrap_or_else(|| "Transaction".to_owned()))
        .ok_or_else(|| invalid("sys.sp_releaseapplock"))?;
    let principal = args.text(2).unwrap_or_else(|| "public".to_owned());
    if session
        .inst
        .locks
        .release(session.spid(), &resource(session, &name, &principal), owner)
    {
        return Ok(0);
    }
    let text = format!(
        "Cannot release the application lock (Database Principal: '{principal}', Resource: '{name}') because it is not currently held."
    );
    Err(crate::engine::errors::raw_error(1223, 16, 1, text))
}

/// `APPLOCK_MODE`.
pub(crate) fn mode(session: &Session, principal: &str, name: &str, owned_by: &str) -> &'static str {
    let owner = owner(owned_by).unwrap_or(Owner::Transaction);
    session
        .inst
        .locks
        .mode(session.spid(), &resource(session, name, principal), owner)
        .map_or("NoLock", Mode::name)
}

/// `APPLOCK_TEST`.
pub(crate) fn test(session: &Session, principal: &str, name: &str, mode: &str) -> bool {
    let mode = Mode::from_name(mode).unwrap_or(Mode::Exclusive);
    session
        .inst
        .locks
        .would_grant(session.spid(), &resource(session, name, principal), mode)
}
