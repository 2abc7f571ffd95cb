//! `[transfer]`: handing artifacts out to other agents.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Handing artifacts out. It needs one inbound port on this host; every connection is checked for an agent's certificate and
/// a ticket of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferConfig {
    /// The address to listen on, for example `0.0.0.0:7444`.
    pub listen: String,
    /// Where other agents reach it, `host:port`; the listening address when empty.
    pub advertise: String,
}

impl TransferConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.address().map(|_| ())
    }

    /// The address to listen on.
    pub fn address(&self) -> Result<SocketAddr, ConfigError> {
        self.listen.parse().map_err(|_| {
            let reason = format!("is '{}', which is not an address such as 0.0.0.0:7444", self.listen);
            ConfigError::value("transfer.listen", reason)
        })
    }
}
