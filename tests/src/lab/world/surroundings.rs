//! What stands in the way, or is only odd: on the SQL host, on the new server, and who else is on the database.

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{HOSTS, SERVICE_ACCOUNT, World};
use crate::lab::host::faults::Faults;

/// Who else has a session on the old server's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visitor {
    /// The synchronisation service of another Connect server, SYNC09: two servers on one database.
    ConnectServer,
    /// A monitoring program.
    Monitoring,
}

/// What is on the SQL host's instance already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTarget {
    /// Nothing.
    Nothing,
    /// Somebody's database of the same name.
    SameName,
    /// A copy of the very database, under another name.
    Copy,
    /// The database of another synchronisation engine.
    OtherEngine,
}

/// What the agent may do on the SQL host's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetRights {
    /// What it needs.
    Enough,
    /// It may not create databases.
    NoDbcreator,
    /// It may not create logins, and the service account has none.
    NoLogins,
}

/// What is wrong with the new server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewServerHas {
    /// No graphical shell.
    ServerCore,
    /// TLS 1.2 is off.
    NoTls12,
    /// It is in no domain.
    NoDomain,
    /// .NET Framework 4.6.2.
    OldDotnet,
    /// Windows Server 2025, which Connect does not support yet.
    Windows2025,
    /// Windows Server 2012 R2.
    Windows2012,
    /// 2 GiB of memory.
    LittleMemory,
    /// Connect is installed.
    Connect,
    /// The registry keys of an engine that was uninstalled.
    EngineKeys,
    /// No right to the password of the managed service account.
    NoPassword,
    /// A policy that denies the service account the logon as a service.
    LogonDenied,
    /// No domain controller that answers.
    NoDirectory,
}

/// What the installer on the new server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallerIs {
    /// Microsoft's, of the version that was asked for.
    Good,
    /// Not signed.
    Unsigned,
    /// Cut off in the middle of the download.
    CutOff,
    /// Another product.
    OtherProduct,
    /// Not there.
    Missing,
}

/// What stands in the way, or is only odd.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub struct Surroundings {
    /// Who else has a session on the old server's database
    #[arg(long, value_enum, value_delimiter = ',')]
    pub visitors: Vec<Visitor>,
    /// The database of a server that is to be replaced is in an availability group
    #[arg(long)]
    pub availability_group: bool,
    /// What is on the SQL host's instance already
    #[arg(long, value_enum, default_value_t = OnTarget::Nothing)]
    pub on_target: OnTarget,
    /// What the agent may do on the SQL host's instance
    #[arg(long, value_enum, default_value_t = TargetRights::Enough)]
    pub target_rights: TargetRights,
    /// What is wrong with the new server
    #[arg(long, value_enum, value_delimiter = ',')]
    pub new_server_has: Vec<NewServerHas>,
    /// What the installer on the new server is
    #[arg(long, value_enum, default_value_t = InstallerIs::Good)]
    pub installer_is: InstallerIs,
    /// Drives that are full, for example `SYNC01:D,SQL01:C`
    #[arg(long, value_delimiter = ',', value_name = "HOST:DRIVE,…")]
    pub full_drives: Vec<String>,
    /// The name that Kerberos asks SQL Server by is registered for a second account
    #[arg(long)]
    pub spn_twice: bool,
    /// The service account that the operator plans with
    #[arg(long, value_name = "ACCOUNT", default_value = SERVICE_ACCOUNT)]
    pub service_account: String,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            visitors: Vec::new(),
            availability_group: false,
            on_target: OnTarget::Nothing,
            target_rights: TargetRights::Enough,
            new_server_has: Vec::new(),
            installer_is: InstallerIs::Good,
            full_drives: Vec::new(),
            spn_twice: false,
            service_account: SERVICE_ACCOUNT.into(),
        }
    }
}

/// A drive that is full has this size.
const FULL: u64 = 1 << 20;
/// One that is not.
const ROOMY: u64 = 1 << 37;

impl World {
    /// Fills the drives that are to be full, or makes room on them: a SQL Server needs some when it starts.
    pub(in crate::lab) fn fill_drives(&self, full: bool) -> anyhow::Result<()> {
        for drive in &self.options().around.full_drives {
            let (host, letter) = drive
                .split_once(':')
                .with_context(|| format!("{drive} is not HOST:DRIVE"))?;
            anyhow::ensure!(HOSTS.contains(&host), "{drive}: there is no host {host}");
            self.size_drive(host, letter, if full { FULL } else { ROOMY })?;
        }
        Ok(())
    }

    /// How big a drive of a machine is from now on; the SQL Server there sees the same.
    pub fn size_drive(&self, host: &str, drive: &str, bytes: u64) -> anyhow::Result<()> {
        let dir = self.host_dir(host);
        let letter = drive.trim_end_matches(':');
        let mut faults = Faults::load(&dir)?;
        faults.drive_bytes.insert(format!("{letter}:"), bytes);
        faults.save(&dir)?;
        // SQL Server reads the drive's own rules.
        let rules = dir.join("drives").join(letter).join(".acl.json");
        let mut json: serde_json::Value = match std::fs::read(&rules) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(_) => serde_json::json!({}),
        };
        json["total_bytes"] = bytes.into();
        Ok(std::fs::write(&rules, json.to_string())?)
    }
}
