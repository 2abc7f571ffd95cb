//! Who a name is to the server: its own login, and the logins of the Windows groups that it is in. SQL Server does not keep
//! memberships, Windows does; here `windows_groups` of the configuration stands for the domain.

use crate::storage::{InstanceConfig, Login, LoginKind, windows_sid};

/// The names of a Windows account's groups, also those that it is in through other groups.
pub(super) fn groups_of(config: &InstanceConfig, account: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![account.to_lowercase()];
    while let Some(member) = open.pop() {
        let groups = config.windows_groups.iter();
        for group in groups.filter(|g| g.members.iter().any(|m| m.to_lowercase() == member)) {
            if !found.iter().any(|f| f.eq_ignore_ascii_case(&group.name)) {
                found.push(group.name.clone());
                open.push(group.name.to_lowercase());
            }
        }
    }
    found
}

/// Whether Windows knows a name: an account with a login, a group, or a member of one.
pub(super) fn windows_knows(config: &InstanceConfig, name: &str) -> bool {
    let in_groups = config
        .windows_groups
        .iter()
        .any(|g| g.name.eq_ignore_ascii_case(name) || g.members.iter().any(|m| m.eq_ignore_ascii_case(name)));
    in_groups || config.login(name).is_some_and(|l| is_windows(l.kind))
}

/// Whether a login is Windows'.
pub(super) fn is_windows(kind: LoginKind) -> bool {
    matches!(kind, LoginKind::WindowsUser | LoginKind::WindowsGroup)
}

/// The SID behind a name, as SUSER_SID finds it: a login's, or one that Windows knows.
pub(super) fn sid_of(config: &InstanceConfig, name: &str) -> Option<Vec<u8>> {
    match config.login(name) {
        Some(login) => Some(login.sid.clone()),
        None => windows_knows(config, name).then(|| windows_sid(name)),
    }
}

/// The name behind a SID.
pub(super) fn name_of(config: &InstanceConfig, sid: &[u8]) -> Option<String> {
    if let Some(login) = config.login_by_sid(sid) {
        return Some(login.name.clone());
    }
    let groups = config.windows_groups.iter();
    let mut names = groups.flat_map(|g| std::iter::once(&g.name).chain(&g.members));
    names.find(|n| windows_sid(n) == sid).cloned()
}

/// A login with everything that it has through groups. A Windows account without a login of its own gets in through a group
/// that has one. None for whoever does not get in at all.
pub(super) fn effective(config: &InstanceConfig, name: &str) -> Option<Login> {
    let own = config.login(name).filter(|l| l.kind != LoginKind::ServerRole);
    if own.is_some_and(|l| l.kind == LoginKind::Sql) {
        return own.cloned();
    }
    let names = groups_of(config, name);
    let groups: Vec<&Login> = names
        .iter()
        .filter_map(|g| config.login(g))
        .filter(|l| l.kind == LoginKind::WindowsGroup)
        .collect();
    let mut login = match (own, groups.first()) {
        (Some(own), _) => own.clone(),
        (None, Some(group)) => Login {
            name: name.to_owned(),
            sid: windows_sid(name),
            kind: LoginKind::WindowsUser,
            roles: Vec::new(),
            permissions: Vec::new(),
            ..(*group).clone()
        },
        (None, None) => return None,
    };
    for group in groups {
        login.roles.extend(group.roles.iter().cloned());
        login.permissions.extend(group.permissions.iter().cloned());
    }
    Some(login)
}
