//! Logging in: password, default database, the session that comes of it. The client is told 18456 without the reason.

use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::account;
use super::errors::{SqlError, err, msg};
use super::instance::{Activity, Instance, SessionInfo};
use super::interpreter::aborted;
use super::permissions;
use super::session::{Options, Scope, Session};
use super::transaction::Transaction;
use crate::storage::{DatabaseState, LoginKind};
use crate::types::{Cancel, Login, Message};

/// What a successful login tells the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginReply {
    /// The database it is in.
    pub database: String,
    /// The language.
    pub language: String,
    /// 5701 and 5703.
    pub infos: Vec<Message>,
}

impl Instance {
    /// Logs in: 18456 for a wrong name or password or a disabled login, 4060 for a database that cannot be opened.
    pub async fn login(&self, login: Login) -> Result<(Session, LoginReply), Message> {
        let refused = |error: &SqlError| first(error, &self.server_name());
        if let Some(strike) = self.0.faults.strike("login", &login.database, &login.user, None) {
            if let Some(hang) = strike.hang {
                tokio::time::sleep(hang).await;
            }
            if strike.drop {
                return Err(refused(&super::errors::raw_error(17_829, 20, 1, aborted().to_string())));
            }
            if let Some(error) = strike.error {
                return Err(refused(&error));
            }
        }
        let config = self.0.config();
        let known = account::effective(&config, &login.user).filter(|l| l.kind != LoginKind::WindowsGroup);
        let lets_in = |l: &crate::storage::Login| !l.disabled && permissions::has_server(l, "CONNECT SQL");
        let accepted = known
            .as_ref()
            .filter(|l| lets_in(l) && self.password_fits(l, &login.password));
        let Some(account) = accepted else {
            // The log has the reason; the client never does.
            let reason = match &known {
                None => "unknown login",
                Some(l) if !lets_in(l) => "the login is disabled or denied",
                Some(_) => "wrong password",
            };
            tracing::info!(
                login = login.user,
                client = login.client_address,
                reason,
                "login failed"
            );
            return Err(refused(&err!(18456, login.user)));
        };
        let account = account.clone();
        let wanted = if login.database.is_empty() {
            account.default_database.clone()
        } else {
            login.database.clone()
        };
        let database_id = match self.openable(&account.name, &wanted) {
            Some(id) => id,
            None if login.database.is_empty() => return Err(refused(&err!(4064).then(err!(18456, login.user)))),
            None => return Err(refused(&err!(4060, wanted))),
        };
        let session = self.session(login, &account, database_id);
        let database = session.handle().map(|h| h.name()).unwrap_or_default();
        let language = account.default_language.clone();
        let mut infos = vec![msg!(5701, database), msg!(5703, language)];
        for info in &mut infos {
            info.server = self.server_name();
            info.line = 1;
        }
        Ok((
            session,
            LoginReply {
                database,
                language,
                infos,
            },
        ))
    }

    fn password_fits(&self, login: &crate::storage::Login, password: &str) -> bool {
        let windows = [LoginKind::WindowsUser, LoginKind::WindowsGroup].contains(&login.kind);
        match &login.password {
            Some(own) => own == password,
            None => windows && windows_password(&self.0.dir).is_some_and(|p| p == password),
        }
    }

    fn openable(&self, login: &str, database: &str) -> Option<i32> {
        let handle = self.0.find(database)?;
        let state = handle.database();
        let online = state.meta.state == DatabaseState::Online;
        let enters = permissions::user(&self.0.config(), &state, handle.id, login).is_some();
        let allowed = super::statements::access::allowed(&self.0, &handle, login, 0);
        (online && enters && allowed && self.0.readable(&handle).is_ok()).then_some(handle.id)
    }

    fn session(&self, login: Login, account: &crate::storage::Login, database_id: i32) -> Session {
        let now = self.0.now();
        let info = self.0.add_session(|spid| SessionInfo {
            spid,
            login,
            connected: now,
            connection_id: super::catalog::guid(),
            cancel: Cancel::default(),
            killed: CancellationToken::new(),
            state: Mutex::new(Activity {
                login_name: account.name.clone(),
                original_login: account.name.clone(),
                sid: account.sid.clone(),
                database_id,
                transactions: 0,
                written: Vec::new(),
                running: false,
                command: "AWAITING COMMAND".to_owned(),
                percent: 0.0,
                request_started: now,
                request_ended: now,
                wait: None,
                isolation: 2,
                text: String::new(),
                target: None,
            }),
        });
        Session {
            inst: std::sync::Arc::clone(&self.0),
            info,
            login_database: database_id,
            login_language: account.default_language.clone(),
            database_id,
            acting: vec![account.name.clone()],
            options: Options {
                language: account.default_language.clone(),
                ..Options::default()
            },
            scopes: vec![Scope::default()],
            transaction: Transaction::default(),
            rowcount: 0,
            error: 0,
            identity: None,
            caught: Vec::new(),
            tries: 0,
            prepared: std::collections::BTreeMap::new(),
            next_prepared: 1,
            statement_now: now,
            temp: std::collections::HashMap::new(),
        }
    }
}

fn first(error: &SqlError, server: &str) -> Message {
    let mut message = error.messages.first().cloned().unwrap_or_else(|| msg!(18456, ""));
    server.clone_into(&mut message.server);
    message.line = 1;
    message
}

/// Kerberos is what the lab does not have: with `windows_password` in `lab.json` every Windows login gets in by it, also one
/// that CREATE LOGIN FROM WINDOWS made.
fn windows_password(dir: &std::path::Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Settings {
        windows_password: Option<String>,
    }
    let text = std::fs::read_to_string(dir.join("lab.json")).ok()?;
    serde_json::from_str::<Settings>(&text).ok()?.windows_password
}
