//! The controller's configuration: one TOML file, environment overrides, every field documented, unknown fields refused.

mod agents;
mod leases;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use agents::Agents;
pub use leases::Leases;
pub use store::{Engine, StoreUrl};

/// The whole configuration. Every field has a default, so that an empty file is a valid one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything that must survive is kept: store, certificate authority, operator credentials.
    pub data_dir: PathBuf,
    /// Where the store is: a file of the embedded one, or PostgreSQL.
    pub store: StoreUrl,
    /// Where agents and operators connect.
    pub listen: SocketAddr,
    /// How agents and operators reach it, `host:port`; the listening address when empty.
    pub advertise: String,
    /// A version catalogue to use instead of the one of this release.
    pub catalogue: Option<PathBuf>,
    /// How long an agent has to answer an inspection.
    pub inspection_timeout_s: u64,
    /// What is logged, for example `info` or `syncferry_controller=debug`.
    pub log: String,
    /// Log as JSON.
    pub log_json: bool,
    /// Leases.
    pub leases: Leases,
    /// Agents.
    pub agents: Agents,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            store: StoreUrl::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
            advertise: String::new(),
            catalogue: None,
            inspection_timeout_s: 60,
            log: "info".to_string(),
            log_json: false,
            leases: Leases::default(),
            agents: Agents::default(),
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
    #[error("{path}: {error}\nThe fields and their meaning are in docs/samples/controller.toml.")]
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
        field: &'static str,
        /// Why.
        reason: String,
    },
}

impl Config {
    /// Reads a file, applies the environment and checks the values.
    pub fn load(path: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: path.to_path_buf(),
            error,
        })?;
        let mut config: Config = toml::from_str(&text).map_err(|error| ConfigError::Shape {
            path: path.to_path_buf(),
            error: Box::new(error),
        })?;
        config.apply_env(env)?;
        config.check()?;
        Ok(config)
    }

    /// `SYNCFERRY_CONTROLLER_DATA_DIR`, `_STORE`, `_LISTEN`, `_ADVERTISE` and `_LOG` win over the file.
    pub fn apply_env(&mut self, env: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        if let Some(v) = env("SYNCFERRY_CONTROLLER_DATA_DIR") {
            self.data_dir = v.into();
        }
        if let Some(v) = env("SYNCFERRY_CONTROLLER_STORE") {
            self.store = v.as_str().into();
        }
        if let Some(v) = env("SYNCFERRY_CONTROLLER_LISTEN") {
            self.listen = v.parse().map_err(|_| ConfigError::Value {
                field: "SYNCFERRY_CONTROLLER_LISTEN",
                reason: format!("is '{v}', which is not an address such as 0.0.0.0:7443"),
            })?;
        }
        if let Some(v) = env("SYNCFERRY_CONTROLLER_ADVERTISE") {
            self.advertise = v;
        }
        if let Some(v) = env("SYNCFERRY_CONTROLLER_LOG") {
            self.log = v;
        }
        Ok(())
    }

    /// Whether the values make sense together.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.store.engine()?;
        self.leases.check()?;
        self.agents.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_default() {
        let sample = include_str!("../../../docs/samples/controller.toml");
        let config: Config = toml::from_str(sample).unwrap();
        assert_eq!(config, Config::default());
        config.check().unwrap();
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let e = toml::from_str::<Config>("lisen = \"127.0.0.1:1\"").unwrap_err();
        assert!(e.to_string().contains("lisen"), "{e}");
    }

    #[test]
    fn the_environment_wins_and_is_checked() {
        let mut c = Config::default();
        c.apply_env(|k| (k == "SYNCFERRY_CONTROLLER_LISTEN").then(|| "127.0.0.1:9".to_string()))
            .unwrap();
        assert_eq!(c.listen.port(), 9);
        c.apply_env(|k| (k == "SYNCFERRY_CONTROLLER_STORE").then(|| "sqlite:x.db".to_string()))
            .unwrap();
        assert_eq!(c.store.to_string(), "sqlite:x.db");
        c.store = "postgres://db.example.com/x".into();
        assert!(c.check().unwrap_err().to_string().contains("store"));
        let e = c
            .apply_env(|k| (k == "SYNCFERRY_CONTROLLER_LISTEN").then(|| "nowhere".to_string()))
            .unwrap_err();
        assert!(e.to_string().contains("'nowhere'"), "{e}");
    }

    #[test]
    fn a_lease_that_ends_before_it_can_be_renewed_is_refused() {
        let mut c = Config::default();
        c.leases.renew_every_s = c.leases.ttl_s;
        assert!(c.check().unwrap_err().to_string().contains("renew_every_s"));
    }
}
