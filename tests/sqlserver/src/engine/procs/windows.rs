//! `xp_logininfo`: by which ways a Windows account gets in, and who is in a group.

use super::Call;
use crate::engine::account;
use crate::engine::catalog;
use crate::engine::errors::{Result, err};
use crate::engine::interpreter::Run;
use crate::engine::output::{Out, command};
use crate::engine::permissions;
use crate::engine::session::Session;
use crate::storage::{InstanceConfig, LoginKind, Row};
use crate::types::{Column, SqlType, Value};

const PROCEDURE: &str = "xp_logininfo";

/// For sysadmin, and for whom it was granted in master.
fn permitted(session: &Session) -> Result<()> {
    let granted = session.inst.handle(1).is_some_and(|master| {
        let database = session.view(&master);
        let object = catalog::find_object(session, "sys.xp_logininfo").map(|o| o.id);
        object.is_some() && session.may(&database, master.id, "EXECUTE", object)
    });
    if session.is_sysadmin() || granted {
        return Ok(());
    }
    Err(err!(229, "EXECUTE", PROCEDURE, "mssqlsystemresource", "sys"))
}

/// `xp_logininfo account [, 'all' | 'members']`.
pub(super) async fn login_info(session: &Session, out: &mut Out<'_>, call: &Call) -> Run<i32> {
    permitted(session)?;
    let args = call.bind(PROCEDURE, &["@acctname", "@option", "@privilege"])?;
    let account = args.required(0, "@acctname")?;
    let config = session.inst.config();
    if !account::windows_knows(&config, &account) {
        return Err(err!(15_404, account, "0x534").into());
    }
    let option = args.text(1).map(|o| o.to_lowercase());
    let rows = match option.as_deref() {
        Some("members") => members(&config, &account),
        Some("all") => paths(&config, &account),
        None => paths(&config, &account).into_iter().take(1).collect(),
        Some(other) => return Err(err!(15_600, other).into()),
    };
    let columns = [
        ("account name", SqlType::NVarChar(Some(128))),
        ("type", SqlType::Char(8)),
        ("privilege", SqlType::Char(9)),
        ("mapped login name", SqlType::NVarChar(Some(128))),
        ("permission path", SqlType::NVarChar(Some(128))),
    ];
    let columns = columns.map(|(name, ty)| Column {
        name: name.to_owned(),
        ty,
        nullable: true,
    });
    let count = out.rows(columns.to_vec(), rows).await?;
    out.done(false, Some(count), command::SELECT).await?;
    Ok(0)
}

fn row(account: &str, kind: &str, admin: bool, path: Option<&str>) -> Row {
    let text = |s: &str| Value::Str(s.into());
    vec![
        text(account),
        text(&format!("{kind:<8}")),
        text(if admin { "admin    " } else { "user     " }),
        text(account),
        path.map_or(Value::Null, text),
    ]
}

/// Its own login first, then every group that has one.
fn paths(config: &InstanceConfig, account: &str) -> Vec<Row> {
    let is_group = config
        .windows_groups
        .iter()
        .any(|g| g.name.eq_ignore_ascii_case(account));
    let kind = if is_group { "group" } else { "user" };
    let mut rows = Vec::new();
    if let Some(own) = config.login(account).filter(|l| account::is_windows(l.kind)) {
        rows.push(row(&own.name, kind, permissions::is_sysadmin(own), None));
    }
    for group in account::groups_of(config, account) {
        if let Some(login) = config.login(&group).filter(|l| l.kind == LoginKind::WindowsGroup) {
            rows.push(row(account, kind, permissions::is_sysadmin(login), Some(&login.name)));
        }
    }
    rows
}

fn members(config: &InstanceConfig, group: &str) -> Vec<Row> {
    let Some(group) = config
        .windows_groups
        .iter()
        .find(|g| g.name.eq_ignore_ascii_case(group))
    else {
        return Vec::new();
    };
    let is_group = |name: &String| config.windows_groups.iter().any(|g| g.name.eq_ignore_ascii_case(name));
    let rows = group.members.iter().map(|m| {
        let kind = if is_group(m) { "group" } else { "user" };
        let admin = account::effective(config, m).is_some_and(|l| permissions::is_sysadmin(&l));
        row(m, kind, admin, Some(&group.name))
    });
    rows.collect()
}
