//! What logins are in a database, and what the agent's own login may do there. What is refused stays unknown.

use std::collections::VecDeque;

use syncferry_shared::fence::PrincipalFacts;

use super::{or_unknown, rows};
use crate::sql::errors::SqlError;
use crate::sql::session::SqlSession;
use crate::sql::statements::principals as statements;

/// How many groups are asked for their members before it is too much to know.
const MOST_GROUPS: usize = 64;

/// What the agent's login may do, and where the database stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnRights {
    /// `Updateability`.
    pub updateability: Option<String>,
    /// What is missing for a fence.
    pub lacks: Vec<String>,
    /// Whether logins of others can be seen; without it, "not there" means nothing.
    pub sees_logins: bool,
    /// Whether sessions of others can be seen; without it, "nobody" means nothing.
    pub sees_sessions: bool,
}

/// Asks what the agent's login may do in a database.
pub async fn own_rights(session: &mut SqlSession, database: &str) -> Result<OwnRights, SqlError> {
    let found = rows(session.query_in(database, &statements::own_rights()).await?);
    let row = found.first().cloned().unwrap_or_default();
    let needs = [
        ("can_mark", "ALTER on the database (marks)"),
        (
            "can_deny",
            "membership of db_securityadmin in the database (DENY and GRANT CONNECT)",
        ),
        ("can_kill", "ALTER ANY CONNECTION (KILL)"),
        ("can_view_state", "VIEW SERVER STATE (sessions)"),
        ("can_view_definition", "VIEW ANY DEFINITION (logins)"),
    ];
    let lacking = needs.iter().filter(|(column, _)| row.flag(column) != Some(true));
    Ok(OwnRights {
        updateability: row.text("updateability"),
        lacks: lacking.map(|(_, what)| (*what).to_string()).collect(),
        sees_logins: row.flag("can_view_definition") == Some(true),
        sees_sessions: row.flag("can_view_state") == Some(true),
    })
}

/// What a login is in a database.
pub async fn principal(
    session: &mut SqlSession,
    database: &str,
    login: &str,
    rights: &OwnRights,
) -> Result<PrincipalFacts, SqlError> {
    let statement = statements::login(login);
    let found = rows(session.query_in(database, &statement).await?);
    let row = found.first().cloned().unwrap_or_default();
    let known = row.text("login_type").is_some();
    Ok(PrincipalFacts {
        login: login.to_string(),
        exists: (known || rights.sees_logins).then_some(known),
        user: row.text("user_name"),
        is_owner: row.flag("is_owner"),
        // NULL for a login that the instance does not know, or that may not be looked at.
        is_sysadmin: row
            .flag("is_sysadmin")
            .or((!known && rights.sees_logins).then_some(false)),
        groups: groups(session, database, login).await?,
        connect: row.text("connect_state"),
    })
}

/// The user behind a name: of the login's SID, or, where the instance does not know the login, of the name.
pub async fn user_behind(session: &mut SqlSession, database: &str, name: &str) -> Result<Option<String>, SqlError> {
    let found = rows(session.query_in(database, &statements::login(name)).await?);
    if let Some(user) = found.first().and_then(|r| r.text("user_name")) {
        return Ok(Some(user));
    }
    let found = rows(session.query_in(database, &statements::user(name)).await?);
    Ok(found.first().and_then(|r| r.text("name")))
}

/// Windows groups by which a login gets into a database; `None` when that cannot be seen. A SQL login is in none.
async fn groups(session: &mut SqlSession, database: &str, login: &str) -> Result<Option<Vec<String>>, SqlError> {
    if !login.contains('\\') {
        return Ok(Some(Vec::new()));
    }
    let with_users = rows(session.query_in(database, &statements::group_users()).await?);
    let with_users: Vec<String> = with_users.iter().filter_map(|r| r.text("group_name")).collect();
    let Some(ways) = or_unknown(session.query(&statements::ways(login)).await)? else {
        return Ok(None);
    };
    let ways = rows(ways);
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let mut found: Vec<String> = Vec::new();
    for way in &ways {
        let Some(group) = way.text("permission path") else {
            continue;
        };
        let admin = way.text("privilege").is_some_and(|p| p.trim() == "admin");
        if admin || with_users.iter().any(|g| same(g, &group)) {
            found.push(group);
        }
    }
    // A group needs no login to have a user; then its members have to be asked for.
    for group in &with_users {
        if found.iter().any(|f| same(f, group)) {
            continue;
        }
        match is_member(session, group, login).await? {
            Some(true) => found.push(group.clone()),
            Some(false) => {}
            None => return Ok(None),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(Some(found))
}

/// Whether an account is in a group, also through other groups.
async fn is_member(session: &mut SqlSession, group: &str, account: &str) -> Result<Option<bool>, SqlError> {
    let mut open = VecDeque::from([group.to_string()]);
    let mut seen: Vec<String> = Vec::new();
    while let Some(group) = open.pop_front() {
        if seen.len() >= MOST_GROUPS {
            return Ok(None);
        }
        let Some(sets) = or_unknown(session.query(&statements::members(&group)).await)? else {
            return Ok(None);
        };
        for member in rows(sets) {
            let Some(name) = member.text("account name") else {
                continue;
            };
            if name.eq_ignore_ascii_case(account) {
                return Ok(Some(true));
            }
            let is_group = member.text("type").is_some_and(|t| t.trim() == "group");
            if is_group && !seen.iter().any(|s| s.eq_ignore_ascii_case(&name)) {
                open.push_back(name);
            }
        }
        seen.push(group);
    }
    Ok(Some(false))
}
