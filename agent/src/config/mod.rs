//! The agent's configuration: one TOML file, environment overrides, every field documented, unknown fields refused.

mod pace;
mod power;
mod sql;
mod transfer;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use pace::PaceConfig;
pub use power::PowerConfig;
pub use sql::{LoginConfig, SqlConfig};
pub use transfer::TransferConfig;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the controller answers, `host:port`.
    pub controller: String,
    /// Where everything that must survive is kept: journal, certificate and key, manifests. For this agent alone.
    pub data_dir: PathBuf,
    /// The folder for backup files, as SQL Server on this host names it.
    pub staging_dir: String,
    /// The SQL Server instances that this agent works with.
    pub sql: Vec<SqlConfig>,
    /// Handing artifacts out to other agents; off without this section.
    pub transfer: Option<TransferConfig>,
    /// A program that knows whether other machines are off; off without this section.
    pub power: Option<PowerConfig>,
    /// How patient the agent is.
    pub pace: PaceConfig,
    /// What is logged, for example `info` or `syncferry_agent=debug`.
    pub log: String,
    /// Log as JSON.
    pub log_json: bool,
}

impl Default for Config {
    fn default() -> Self {
        let windows = cfg!(windows);
        Self {
            controller: String::new(),
            data_dir: PathBuf::from(if windows {
                r"C:\ProgramData\Syncferry\agent"
            } else {
                "/var/lib/syncferry-agent"
            }),
            staging_dir: if windows {
                r"C:\ProgramData\Syncferry\staging"
            } else {
                "/var/lib/syncferry-staging"
            }
            .into(),
            sql: Vec::new(),
            transfer: None,
            power: None,
            pace: PaceConfig::default(),
            log: "info,mssql_tds=warn".into(),
            log_json: false,
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not of the shape.
    #[error("{path}: {error}\nThe fields and their meaning are in docs/samples/agent.toml.")]
    Shape {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{field} {reason}")]
    Value {
        /// Which.
        field: String,
        /// Why.
        reason: String,
    },
}

impl ConfigError {
    pub(crate) fn value(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl Config {
    /// Reads a file, applies the environment and checks the values.
    pub fn load(path: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let path = || path.to_path_buf();
        let text = std::fs::read_to_string(path()).map_err(|error| ConfigError::Read { path: path(), error })?;
        let mut config: Config = toml::from_str(&text).map_err(|error| ConfigError::Shape {
            path: path(),
            error: Box::new(error),
        })?;
        config.apply_env(env);
        config.check()?;
        Ok(config)
    }

    /// `SYNCFERRY_AGENT_CONTROLLER`, `_DATA_DIR`, `_STAGING_DIR`, `_TRANSFER_LISTEN`, `_TRANSFER_ADVERTISE` and `_LOG` win over
    /// the file.
    pub fn apply_env(&mut self, env: impl Fn(&str) -> Option<String>) {
        let get = |name: &str| env(&format!("SYNCFERRY_AGENT_{name}"));
        if let Some(v) = get("CONTROLLER") {
            self.controller = v;
        }
        if let Some(v) = get("DATA_DIR") {
            self.data_dir = v.into();
        }
        if let Some(v) = get("STAGING_DIR") {
            self.staging_dir = v;
        }
        if let Some(v) = get("TRANSFER_LISTEN") {
            self.transfer.get_or_insert_default().listen = v;
        }
        if let Some(v) = get("TRANSFER_ADVERTISE") {
            self.transfer.get_or_insert_default().advertise = v;
        }
        if let Some(v) = get("LOG") {
            self.log = v;
        }
    }

    /// Whether the values make sense, each and together.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self
            .controller
            .rsplit_once(':')
            .is_none_or(|(h, p)| h.is_empty() || p.parse::<u16>().is_err())
        {
            let reason = format!(
                "is '{}', which is not host:port, such as controller.example.com:7443",
                self.controller
            );
            return Err(ConfigError::value("controller", reason));
        }
        for (field, empty) in [
            ("data_dir", self.data_dir.as_os_str().is_empty()),
            ("staging_dir", self.staging_dir.trim().is_empty()),
        ] {
            if empty {
                return Err(ConfigError::value(field, "is empty"));
            }
        }
        for (at, sql) in self.sql.iter().enumerate() {
            sql.check(at)?;
            if self.sql[..at].iter().any(|s| s.name.eq_ignore_ascii_case(&sql.name)) {
                return Err(ConfigError::value(
                    format!("sql[{at}].name"),
                    format!("'{}' is there twice", sql.name),
                ));
            }
        }
        if let Some(transfer) = &self.transfer {
            transfer.check()?;
        }
        if let Some(power) = &self.power {
            power.check()?;
        }
        self.pace.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../docs/samples/agent.toml");

    #[test]
    fn the_sample_is_a_valid_configuration_with_everything_in_it() {
        let config: Config = toml::from_str(SAMPLE).unwrap();
        config.check().unwrap();
        assert_eq!(config.sql.len(), 3);
        assert_eq!(config.pace, PaceConfig::default());
        // Every field is in the sample, set or commented out.
        let all = toml::to_string(&config).unwrap();
        for field in all.lines().filter_map(|l| l.split_once(" = ").map(|(f, _)| f)) {
            assert!(
                SAMPLE.contains(&format!("{field} = ")),
                "'{field}' is not in the sample"
            );
        }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        for (text, field) in [
            ("controler = \"a:1\"", "controler"),
            ("[[sql]]\nname = \"x\"\nendpoint = \"tcp:a,1\"\npasword = 1", "pasword"),
            ("[transfer]\nport = 1", "port"),
        ] {
            let e = toml::from_str::<Config>(text).unwrap_err();
            assert!(e.to_string().contains(field), "{e}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        let check = |text: &str| {
            let mut config: Config = toml::from_str(text).unwrap();
            if config.controller.is_empty() {
                config.controller = "c:1".into();
            }
            config.check().unwrap_err().to_string()
        };
        insta::assert_snapshot!(check("controller = \"host\""), @"controller is 'host', which is not host:port, such as controller.example.com:7443");
        insta::assert_snapshot!(check("[[sql]]\nname = \"a\"\nendpoint = \"tcp:a,1\"\n[[sql]]\nname = \"A\"\nendpoint = \"tcp:a,1\""), @"sql[1].name 'A' is there twice");
        insta::assert_snapshot!(check("[[sql]]\nname = \"a\"\nendpoint = \"tcp:a,1\"\ntrust_server_certificate = true\ncertificate_file = \"x\""), @"sql[0] has more than one of trust_server_certificate, certificate_file and certificate_name; keep the strictest that works");
        insta::assert_snapshot!(check("[transfer]\nlisten = \"7444\""), @"transfer.listen is '7444', which is not an address such as 0.0.0.0:7444");
    }

    #[test]
    fn the_environment_wins() {
        let mut config: Config = toml::from_str("controller = \"a:1\"").unwrap();
        config.apply_env(|name| match name {
            "SYNCFERRY_AGENT_CONTROLLER" => Some("b:2".into()),
            "SYNCFERRY_AGENT_TRANSFER_LISTEN" => Some("127.0.0.1:0".into()),
            _ => None,
        });
        assert_eq!(config.controller, "b:2");
        assert_eq!(config.transfer.unwrap().listen, "127.0.0.1:0");
    }
}
