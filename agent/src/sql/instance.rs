//! An instance as the agent's configuration names it: where it is, how to log in, and whom to believe.

use std::path::PathBuf;
use std::sync::Arc;

use syncferry_shared::secret::Secret;

use super::endpoint::SqlEndpoint;
use super::session::Exchange;

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlLogin {
    /// As the account that the agent runs as.
    Integrated,
    /// With a SQL login. The password comes from the agent's own host, never from the controller.
    Sql {
        /// The login.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// Not over TDS at all: statements are handed to whoever this is. For simulations.
    Exchange(Exchanged),
}

/// An [`Exchange`], which is equal to itself only.
#[derive(Clone)]
pub struct Exchanged(pub Arc<dyn Exchange>);

impl std::fmt::Debug for Exchanged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exchanged")
    }
}

impl PartialEq for Exchanged {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Exchanged {}

/// Which certificate of the server is believed. Connections are always encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServerCertificate {
    /// One that the machine's trusted authorities vouch for.
    #[default]
    Verified,
    /// As [`ServerCertificate::Verified`], but issued for this name.
    VerifiedAs(String),
    /// Exactly the one in this file (PEM or DER).
    Pinned(PathBuf),
    /// Any. For LocalDB and pipes of this machine, whose certificate the engine makes anew at every start.
    Any,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlInstance {
    /// Its name in the agent's configuration.
    pub name: String,
    /// Where it answers.
    pub endpoint: SqlEndpoint,
    /// How to log in.
    pub login: SqlLogin,
    /// Which certificate is believed.
    pub certificate: ServerCertificate,
    /// What the agent is there for, for example a migration's id: part of the application name that DBAs see.
    pub purpose: String,
}

impl SqlInstance {
    /// The application name that sessions carry: `syncferry-agent/<purpose>`.
    pub fn application_name(&self) -> String {
        // LOGIN7 takes 128 UTF-16 units.
        let mut name = format!("{APPLICATION}/{}", self.purpose);
        while name.encode_utf16().count() > 128 {
            name.pop();
        }
        name
    }

    /// The same instance for another purpose.
    #[must_use]
    pub fn for_purpose(&self, purpose: impl Into<String>) -> Self {
        Self {
            purpose: purpose.into(),
            ..self.clone()
        }
    }
}

/// How every application name of ours starts.
pub const APPLICATION: &str = "syncferry-agent";

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(purpose: &str) -> SqlInstance {
        SqlInstance {
            name: "default".into(),
            endpoint: "tcp:sql01,1433".parse().unwrap(),
            login: SqlLogin::Sql {
                user: "agent".into(),
                password: Secret::new("hunter2"),
            },
            certificate: ServerCertificate::Verified,
            purpose: purpose.into(),
        }
    }

    #[test]
    fn application_names_fit_a_login() {
        assert_eq!(instance("inspect").application_name(), "syncferry-agent/inspect");
        let long = instance(&"😀".repeat(100)).application_name();
        assert!(long.encode_utf16().count() <= 128);
    }

    #[test]
    fn a_password_is_never_shown() {
        assert!(!format!("{:?}", instance("x")).contains("hunter2"));
    }
}
