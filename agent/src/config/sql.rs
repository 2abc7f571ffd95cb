//! `[[sql]]`: an instance that the agent works with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use syncferry_shared::secret::Secret;

use super::ConfigError;
use crate::sql::{ServerCertificate, SqlEndpoint, SqlInstance, SqlLogin};

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// Its name in Syncferry: short, and the same for as long as plans name it.
    pub name: String,
    /// Where it answers: `tcp:host,port`, `np:\\.\pipe\…` or `(localdb)\.\ADSync2019`.
    pub endpoint: SqlEndpoint,
    /// How to log in: `"integrated"`, or a SQL login with its password in a private file.
    #[serde(default)]
    pub login: LoginConfig,
    /// Believe any certificate. Right for LocalDB and for pipes of this very machine only.
    #[serde(default)]
    pub trust_server_certificate: bool,
    /// Believe exactly the certificate in this file (PEM or DER).
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// Believe a certificate that the machine trusts and that is issued for this name.
    #[serde(default)]
    pub certificate_name: Option<String>,
    /// The host name that a Connect server uses to reach the instance, where it differs from the endpoint's.
    #[serde(default)]
    pub connect_host: Option<String>,
    /// The port that a Connect server uses, where it differs from the endpoint's.
    #[serde(default)]
    pub connect_port: Option<u16>,
    /// The account that the engine runs as, where the agent's login may not ask. It gets access to backup files.
    #[serde(default)]
    pub service_account: Option<String>,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LoginConfig {
    /// As the account that the agent runs as.
    #[default]
    #[serde(with = "integrated")]
    Integrated,
    /// With a SQL login.
    Sql(SqlLoginConfig),
}

/// A SQL login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlLoginConfig {
    /// The login.
    pub user: String,
    /// The file with its password, readable by the agent's account alone.
    pub password_file: PathBuf,
}

/// The word for an integrated login.
mod integrated {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("integrated")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "integrated" => Ok(()),
            other => Err(D::Error::custom(format!("'{other}' is not 'integrated'"))),
        }
    }
}

impl SqlConfig {
    pub(super) fn check(&self, at: usize) -> Result<(), ConfigError> {
        let field = |name: &str| format!("sql[{at}].{name}");
        if self.name.trim().is_empty() || self.name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(ConfigError::value(field("name"), "is empty or has spaces in it"));
        }
        let choices = [
            self.trust_server_certificate,
            self.certificate_file.is_some(),
            self.certificate_name.is_some(),
        ];
        if choices.iter().filter(|c| **c).count() > 1 {
            return Err(ConfigError::value(
                format!("sql[{at}]"),
                "has more than one of trust_server_certificate, certificate_file and certificate_name; keep the strictest that works",
            ));
        }
        if self.trust_server_certificate && matches!(self.login, LoginConfig::Sql(_)) && !self.endpoint.is_local_only()
        {
            // Allowed, because small sites have nothing else; said where the agent starts.
            tracing::warn!(instance = %self.name, "a password is sent to a server whose certificate nobody checks");
        }
        Ok(())
    }

    /// The instance as the SQL client takes it. Reads the password's file.
    pub fn instance(&self) -> Result<SqlInstance, ConfigError> {
        let login = match &self.login {
            LoginConfig::Integrated => SqlLogin::Integrated,
            LoginConfig::Sql(sql) => SqlLogin::Sql {
                user: sql.user.clone(),
                password: self.password(sql)?,
            },
        };
        let certificate = match (&self.certificate_file, &self.certificate_name) {
            _ if self.trust_server_certificate => ServerCertificate::Any,
            (Some(file), _) => ServerCertificate::Pinned(file.clone()),
            (None, Some(name)) => ServerCertificate::VerifiedAs(name.clone()),
            (None, None) => ServerCertificate::Verified,
        };
        Ok(SqlInstance {
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            login,
            certificate,
            purpose: "inspect".into(),
        })
    }

    fn password(&self, login: &SqlLoginConfig) -> Result<Secret, ConfigError> {
        let text = syncferry_proto::transport::private_file::read(&login.password_file)
            .map_err(|e| ConfigError::value(format!("sql '{}': password_file", self.name), e.to_string()))?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SqlConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn logins() {
        let base = "name = \"x\"\nendpoint = \"tcp:a,1433\"\n";
        assert_eq!(parse(base).unwrap().login, LoginConfig::Integrated);
        assert_eq!(
            parse(&format!("{base}login = \"integrated\"")).unwrap().login,
            LoginConfig::Integrated
        );
        let sql = parse(&format!("{base}login = {{ user = \"u\", password_file = \"/p\" }}")).unwrap();
        assert!(matches!(sql.login, LoginConfig::Sql(l) if l.user == "u"));
        assert!(parse(&format!("{base}login = \"sa\"")).is_err());
        assert!(parse(&format!("{base}login = {{ user = \"u\", password = \"p\" }}")).is_err());
    }

    #[test]
    fn a_missing_password_file_is_said_with_the_instance() {
        let config =
            parse("name = \"x\"\nendpoint = \"tcp:a,1433\"\nlogin = { user = \"u\", password_file = \"/nowhere/p\" }");
        let e = config.unwrap().instance().unwrap_err().to_string();
        assert!(e.starts_with("sql 'x': password_file cannot read /nowhere/p"), "{e}");
    }
}
