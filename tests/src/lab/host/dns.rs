//! The lab's network: which SQL Server answers under which name, instance and port. `dns.json` in the lab's folder;
//! rewritten whenever a server listens on another port.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use super::layout::LOCALDB;

/// One SQL Server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlName {
    /// The machine's name.
    pub host: String,
    /// Other names of the machine.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The instance, `None` for the default one. LocalDB has its shared name.
    #[serde(default)]
    pub instance: Option<String>,
    /// The TCP port that people on the network know; `None` for LocalDB, which nobody reaches from outside.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether SQL Browser tells where the instance is.
    #[serde(default)]
    pub browser: bool,
    /// Where it really listens.
    pub address: SocketAddr,
}

/// The network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// The servers.
    pub servers: Vec<SqlName>,
}

/// The text that SQL clients show when they find nothing.
const NOT_FOUND: &str = "A network-related or instance-specific error occurred while establishing a connection to SQL Server. The server was not found or was not accessible. Verify that the instance name is correct and that SQL Server is configured to allow remote connections.";

/// Why a name leads nowhere, in the words of a SQL client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReached {
    /// The instance is not there, or SQL Browser does not answer.
    #[error("{NOT_FOUND} (provider: SQL Network Interfaces, error: 26 - Error Locating Server/Instance Specified)")]
    Instance,
    /// No such computer, or nothing listens on the port.
    #[error("{NOT_FOUND} (provider: TCP Provider, error: 0 - {0})")]
    Network(&'static str),
    /// What was typed is no instance.
    #[error("{NOT_FOUND} (provider: SQL Network Interfaces, error: 25 - Connection string is not valid)")]
    Syntax,
}

const NO_HOST: NotReached = NotReached::Network("No such host is known.");
const REFUSED: NotReached =
    NotReached::Network("No connection could be made because the target machine actively refused it.");

/// What somebody typed into "Instance": `INST`, `INST,port`, `,port` or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Typed {
    instance: Option<String>,
    port: Option<u16>,
}

impl Dns {
    /// Reads the network.
    pub fn load(path: &Path) -> io::Result<Dns> {
        files::load(path)
    }

    /// Writes the network.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        files::save(path, self)
    }

    /// Finds the server that `computer` reaches under what somebody typed.
    pub fn resolve(&self, computer: &str, server: &str, instance: &str) -> Result<SocketAddr, NotReached> {
        let typed = typed(server, instance)?;
        let server = server.split([',', '\\']).next().unwrap_or_default().trim();
        if server.eq_ignore_ascii_case(LOCALDB) {
            return self.localdb(computer, instance);
        }
        // An address with a port needs no name.
        if let (Ok(ip), Some(port)) = (server.parse(), typed.port) {
            return Ok(SocketAddr::new(ip, port));
        }
        let here: Vec<&SqlName> = self
            .servers
            .iter()
            .filter(|s| s.port.is_some() && s.is(server))
            .collect();
        if here.is_empty() {
            return Err(NO_HOST);
        }
        // A port wins over an instance's name, as with SQL Server's own clients.
        if let Some(port) = typed.port {
            let found = here.iter().find(|s| s.port == Some(port) || s.address.port() == port);
            return found.map(|s| s.address).ok_or(REFUSED);
        }
        match &typed.instance {
            Some(name) => here
                .iter()
                .find(|s| s.browser && s.instance.as_deref().is_some_and(|i| i.eq_ignore_ascii_case(name)))
                .map(|s| s.address)
                .ok_or(NotReached::Instance),
            None => here
                .iter()
                .find(|s| s.instance.is_none())
                .map(|s| s.address)
                .ok_or(REFUSED),
        }
    }

    /// LocalDB is reached on its own machine only.
    fn localdb(&self, computer: &str, shared_name: &str) -> Result<SocketAddr, NotReached> {
        let shared_name = shared_name.trim_start_matches(".\\");
        self.servers
            .iter()
            .find(|s| {
                s.port.is_none()
                    && s.is(computer)
                    && s.instance
                        .as_deref()
                        .is_some_and(|i| i.eq_ignore_ascii_case(shared_name))
            })
            .map(|s| s.address)
            .ok_or(NotReached::Instance)
    }
}

impl SqlName {
    fn is(&self, name: &str) -> bool {
        self.host.eq_ignore_ascii_case(name) || self.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
    }
}

fn typed(server: &str, instance: &str) -> Result<Typed, NotReached> {
    // Both boxes accept `host\INST,port`, as SQL Server's clients do.
    let (server, port_there) = port_of(server)?;
    let (instance, port_here) = port_of(instance)?;
    let there = server.split_once('\\').map(|(_, i)| i.to_string());
    let here = (!instance.is_empty()).then_some(instance);
    let named = here.or(there).filter(|i| !i.eq_ignore_ascii_case("MSSQLSERVER"));
    Ok(Typed {
        instance: named,
        port: port_here.or(port_there),
    })
}

fn port_of(text: &str) -> Result<(String, Option<u16>), NotReached> {
    match text.split_once(',') {
        None => Ok((text.trim().to_string(), None)),
        Some((name, port)) => {
            let port = port.trim().parse().map_err(|_| NotReached::Syntax)?;
            Ok((name.trim().to_string(), Some(port)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Dns {
        let name = |host: &str, instance: Option<&str>, port, browser, real: u16| SqlName {
            host: host.into(),
            aliases: vec![format!("{host}.contoso.lab")],
            instance: instance.map(Into::into),
            port,
            browser,
            address: SocketAddr::from(([127, 0, 0, 1], real)),
        };
        Dns {
            servers: vec![
                name("SQL01", None, Some(1433), false, 40_001),
                name("SQL01", Some("HR"), Some(50_111), false, 40_002),
                name("SQL02", Some("ADSYNC"), Some(50_222), true, 40_003),
                name("SYNC01", Some("ADSync2019"), None, false, 40_004),
            ],
        }
    }

    #[test]
    fn names_instances_and_ports_lead_where_they_do_on_a_network() {
        let dns = network();
        let port = |server, instance| dns.resolve("SYNC02", server, instance).map(|a| a.port());
        assert_eq!(port("SQL01", ""), Ok(40_001));
        assert_eq!(port("sql01.contoso.lab", ",1433"), Ok(40_001));
        assert_eq!(port("SQL01", "MSSQLSERVER"), Ok(40_001));
        assert_eq!(port("SQL01", "HR,50111"), Ok(40_002));
        assert_eq!(port("SQL01", "HR"), Err(NotReached::Instance), "SQL Browser is off");
        assert_eq!(port(r"SQL02\ADSYNC", ""), Ok(40_003));
        assert_eq!(port("SQL02", ""), Err(REFUSED), "there is no default instance");
        assert_eq!(port("SQL09", ""), Err(NO_HOST));
        assert_eq!(port("SQL01", "HR,x"), Err(NotReached::Syntax));
        assert_eq!(
            port("SYNC01", ""),
            Err(NO_HOST),
            "LocalDB does not listen on the network"
        );
        assert_eq!(port("127.0.0.1", ",40001"), Ok(40_001));
    }

    #[test]
    fn localdb_is_found_on_its_own_machine_only() {
        let dns = network();
        assert_eq!(dns.resolve("SYNC01", LOCALDB, r".\ADSync2019").unwrap().port(), 40_004);
        assert_eq!(
            dns.resolve("SYNC02", LOCALDB, r".\ADSync2019"),
            Err(NotReached::Instance)
        );
        assert!(NotReached::Instance.to_string().contains("error: 26"));
    }
}
