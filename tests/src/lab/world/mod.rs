//! The lab's world for `move-to-full-sql`: three machines of contoso.lab, two SQL Servers, what is on them, and the
//! configuration of controller and agents. All of it is below one folder, which may be moved.
//!
//! ```text
//! syncferry-lab/
//!   world.json   what was asked for, and the ports
//!   dns.json     which SQL Server answers under which name
//!   state.json   the processes that run
//!   logs/        one file per process
//!   hosts/SYNC01 SQL01 SYNC02    the machines: state, drives, faults.json, effects.json
//!   sql/source target            the SQL Servers: instance, databases, faults.json, effects.json
//!   controller/  agents/…        configuration and data of Syncferry itself
//!   report.html report.json      the evidence, at the end
//! ```

mod configs;
mod hosts;
mod installation;
mod options;
mod ports;
mod sql;
mod surroundings;
#[cfg(test)]
mod tests;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use installation::{Installation, SignIn};
pub use options::{SourceEngine, TargetEngine, WorldOptions};
pub use ports::Ports;
pub(super) use sql::visitor_account;
pub use surroundings::{InstallerIs, NewServerHas, OnTarget, Surroundings, TargetRights, Visitor};

use super::host::dns::{Dns, SqlName};

/// The domain.
pub const DOMAIN: &str = "contoso.lab";
/// The old Connect server, with LocalDB.
pub const OLD_SERVER: &str = "SYNC01";
/// The SQL host.
pub const SQL_HOST: &str = "SQL01";
/// The new Connect server.
pub const NEW_SERVER: &str = "SYNC02";
/// All machines.
pub const HOSTS: [&str; 3] = [OLD_SERVER, SQL_HOST, NEW_SERVER];

/// The site's name in Syncferry.
pub const SITE: &str = "contoso";
/// The tenant's id.
pub const TENANT_ID: &str = "8f3c1a52-6d0e-4b7a-9c51-2e7d4f60ab13";
/// The tenant.
pub const TENANT: &str = "contoso.onmicrosoft.com";
/// The name that agents give to their SQL Server instance.
pub const INSTANCE: &str = "default";
/// The database, unless it is asked for under another name.
pub const DATABASE: &str = "ADSync";
/// The service account of the old server, where it uses the SQL host.
pub const OLD_ACCOUNT: &str = r"CONTOSO\gmsa-sync01$";
/// The service account of the new server.
pub const SERVICE_ACCOUNT: &str = r"CONTOSO\gmsa-sync02$";
/// Where the installer is on the new server.
pub const INSTALLER: &str = r"D:\Install\AzureADConnect.msi";
/// Where agents keep backups.
pub const STAGING: &str = r"D:\Syncferry\staging";
/// The TCP port of SQL Server as people of contoso.lab know it.
pub const SQL_PORT: u16 = 1433;

/// A world on disk.
#[derive(Debug, Clone)]
pub struct World {
    dir: PathBuf,
    file: WorldFile,
}

/// `world.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WorldFile {
    options: WorldOptions,
    ports: Ports,
    #[serde(with = "time::serde::rfc3339")]
    created: OffsetDateTime,
}

impl World {
    /// Whether there is a whole world in a folder.
    pub fn exists(dir: &Path) -> bool {
        dir.join("world.json").is_file()
    }

    /// Builds a world in a new folder. `note` is told what is being made.
    pub fn create(dir: &Path, options: &WorldOptions, mut note: impl FnMut(&str)) -> anyhow::Result<World> {
        anyhow::ensure!(!Self::exists(dir), "there is a lab in {} already", dir.display());
        // A world that was begun and not finished has no world.json: its parts are made anew.
        for part in ["hosts", "sql", "controller", "agents", "logs"] {
            let part = dir.join(part);
            if part.exists() {
                fs::remove_dir_all(&part).with_context(|| format!("cannot clear {}", part.display()))?;
            }
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let now = OffsetDateTime::now_utc();
        let world = World {
            dir: dir.to_path_buf(),
            file: WorldFile {
                options: options.clone(),
                ports: Ports::choose(None)?,
                created: now,
            },
        };
        note("three Windows servers in contoso.lab");
        hosts::create(&world, &mut note)?;
        sql::create(&world, now, &mut note)?;
        world.write_configs()?;
        world.save()?;
        Ok(world)
    }

    /// Opens the world of a folder, with ports that are free now: the same ones as before where possible.
    pub fn open(dir: &Path) -> anyhow::Result<World> {
        let path = dir.join("world.json");
        let text = fs::read(&path).with_context(|| format!("there is no lab in {}", dir.display()))?;
        let mut file: WorldFile =
            serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", path.display()))?;
        file.ports = Ports::choose(Some(&file.ports))?;
        let world = World {
            dir: dir.to_path_buf(),
            file,
        };
        world.write_configs()?;
        world.save()?;
        Ok(world)
    }

    /// Opens the world of a folder whose processes may be running: nothing is written.
    pub fn look(dir: &Path) -> anyhow::Result<World> {
        let path = dir.join("world.json");
        let text = fs::read(&path).with_context(|| format!("there is no lab in {}", dir.display()))?;
        let file = serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(World {
            dir: dir.to_path_buf(),
            file,
        })
    }

    fn save(&self) -> anyhow::Result<()> {
        let path = self.dir.join("world.json");
        let temporary = path.with_extension("new");
        fs::write(&temporary, serde_json::to_vec_pretty(&self.file)?)?;
        fs::rename(&temporary, path)?;
        Ok(())
    }

    /// What was asked for.
    pub fn options(&self) -> &WorldOptions {
        &self.file.options
    }

    /// The ports.
    pub fn ports(&self) -> &Ports {
        &self.file.ports
    }

    /// The folder of it all.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of a machine.
    pub fn host_dir(&self, host: &str) -> PathBuf {
        self.dir.join("hosts").join(host)
    }

    /// The folder of a SQL Server: `source` or `target`.
    pub fn sql_dir(&self, which: &str) -> PathBuf {
        self.dir.join("sql").join(which)
    }

    /// The folder of an agent.
    pub fn agent_dir(&self, host: &str) -> PathBuf {
        self.dir.join("agents").join(host.to_ascii_lowercase())
    }

    /// The controller's folder.
    pub fn controller_dir(&self) -> PathBuf {
        self.dir.join("controller")
    }

    /// The operator's credentials, which the controller makes at its first start.
    pub fn credentials(&self) -> PathBuf {
        self.controller_dir().join("data").join("operator.toml")
    }

    /// Lets the agent on a host find the controller under another address, or several, until the world is opened again.
    pub fn dial_through(&self, host: &str, controller: impl std::fmt::Display) -> anyhow::Result<()> {
        configs::write_agent(self, host, &controller.to_string())
    }

    fn write_configs(&self) -> anyhow::Result<()> {
        self.dns().save(&self.dir.join("dns.json"))?;
        configs::write(self)
    }

    fn dns(&self) -> Dns {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let full_name = |host: &str| format!("{}.{DOMAIN}", host.to_ascii_lowercase());
        let target_is_localdb = self.options().target == TargetEngine::Localdb;
        let source = SqlName {
            host: OLD_SERVER.into(),
            aliases: vec![full_name(OLD_SERVER)],
            instance: Some(self.options().source.shared_name().into()),
            port: None,
            browser: false,
            address: at(self.ports().sql_source),
        };
        let target = SqlName {
            host: SQL_HOST.into(),
            aliases: vec![full_name(SQL_HOST)],
            instance: target_is_localdb.then(|| "ADSync2022".to_string()),
            port: (!target_is_localdb).then_some(SQL_PORT),
            browser: false,
            address: at(self.ports().sql_target),
        };
        Dns {
            servers: match self.options().replaces {
                Some(_) => vec![target],
                None => vec![source, target],
            },
        }
    }

    /// The SQL Servers of this world, by the names of their folders, and their ports.
    pub fn sql_servers(&self) -> Vec<(&'static str, u16)> {
        let target = ("target", self.ports().sql_target);
        match self.options().replaces {
            Some(_) => vec![target],
            None => vec![("source", self.ports().sql_source), target],
        }
    }

    /// Whether the machine of the old server is switched off, and stays so when the lab is started again.
    pub fn old_server_is_off(&self) -> bool {
        self.off_file().exists()
    }

    /// Remembers that it is switched off, or that it is not.
    pub fn switch_old_server(&self, on: bool) -> std::io::Result<()> {
        match on {
            false => fs::write(self.off_file(), "off"),
            true if self.off_file().exists() => fs::remove_file(self.off_file()),
            true => Ok(()),
        }
    }

    /// Whether the source's SQL Server is gone for good.
    pub fn source_is_lost(&self) -> bool {
        self.sql_dir("source").join("lost").exists()
    }

    /// Remembers that it is gone.
    pub fn lose_source(&self) -> std::io::Result<()> {
        fs::write(self.sql_dir("source").join("lost"), "lost")
    }

    /// Where a path of a machine's drives is in the lab's folder.
    pub fn on_drive(&self, host: &str, path: &str) -> anyhow::Result<PathBuf> {
        let dir = self.host_dir(host);
        let drives = super::host::MachineSpec::load(&dir)?.drives(&dir);
        drives.real_path(path).map_err(anyhow::Error::msg)
    }

    fn off_file(&self) -> PathBuf {
        self.host_dir(OLD_SERVER).join("power")
    }
}
