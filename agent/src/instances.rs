//! The SQL Server instances of the configuration, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncferry_shared::Finding;

use crate::config::{ConfigError, SqlConfig};
use crate::sql::SqlInstance;

/// An instance, and what the configuration says about it besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Where it is and how to log in.
    pub sql: SqlInstance,
    /// The host name that a Connect server uses, where configured.
    pub connect_host: Option<String>,
    /// The port that a Connect server uses, where configured.
    pub connect_port: Option<u16>,
    /// The engine's account, where configured.
    pub service_account: Option<String>,
}

/// The instances.
#[derive(Debug, Clone, Default)]
pub struct Instances {
    by_name: Arc<BTreeMap<String, Instance>>,
}

impl Instances {
    /// Takes the configuration in, and reads the files with passwords.
    pub fn new(configs: &[SqlConfig]) -> Result<Self, ConfigError> {
        let instance = |c: &SqlConfig| {
            Ok(Instance {
                sql: c.instance()?,
                connect_host: c.connect_host.clone(),
                connect_port: c.connect_port,
                service_account: c.service_account.clone(),
            })
        };
        let pairs = configs.iter().map(|c| Ok((c.name.to_ascii_lowercase(), instance(c)?)));
        Ok(Self {
            by_name: Arc::new(pairs.collect::<Result<_, _>>()?),
        })
    }

    /// Instances that no configuration names: those of a simulation.
    pub fn given(instances: impl IntoIterator<Item = Instance>) -> Self {
        let pairs = instances.into_iter().map(|i| (i.sql.name.to_ascii_lowercase(), i));
        Self {
            by_name: Arc::new(pairs.collect()),
        }
    }

    /// An instance.
    pub fn get(&self, name: &str) -> Result<&Instance, Box<Finding>> {
        self.by_name.get(&name.to_ascii_lowercase()).ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            Box::new(
                Finding::blocker(
                    "instance-unknown",
                    format!("the agent's configuration has no SQL instance '{name}'"),
                )
                .saw("[[sql]] in the agent's configuration", known.join(", "))
                .source("the agent's configuration")
                .next(
                    "Add the instance to the agent's configuration and restart the agent, or name one that is there.",
                ),
            )
        })
    }

    /// Their names, as configured.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.values().map(|i| i.sql.name.as_str())
    }
}
