//! What a world is made of, chosen on the command line and remembered in `world.json`.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::installation::Installation;
use super::surroundings::Surroundings;
use crate::lab::flavour::Flavour;
use crate::lab::host::machine::Pace;

/// The engine under the old server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceEngine {
    /// SQL Server 2012 LocalDB, of Connect 1.x.
    #[value(name = "localdb2012")]
    Localdb2012,
    /// SQL Server 2019 LocalDB, of Connect 2.0.3 to 2.6.3.
    #[value(name = "localdb2019")]
    Localdb2019,
    /// SQL Server 2022 LocalDB, of Connect 2.6.84 and later.
    #[value(name = "localdb2022")]
    Localdb2022,
}

impl SourceEngine {
    /// The shared name of its LocalDB instance.
    pub fn shared_name(self) -> &'static str {
        match self {
            SourceEngine::Localdb2012 => "ADSync",
            SourceEngine::Localdb2019 => "ADSync2019",
            SourceEngine::Localdb2022 => "ADSync2022",
        }
    }

    /// The folder of its database files, below Connect's own.
    pub fn data_folder(self) -> &'static str {
        match self {
            SourceEngine::Localdb2012 => r"C:\Program Files\Microsoft Azure AD Sync\Data\",
            SourceEngine::Localdb2019 => r"C:\Program Files\Microsoft Azure AD Sync\Data\ADSync2019\",
            SourceEngine::Localdb2022 => r"C:\Program Files\Microsoft Azure AD Sync\Data\ADSync2022\",
        }
    }

    /// The Connect version that has such a LocalDB.
    pub fn connect_version(self) -> &'static str {
        match self {
            SourceEngine::Localdb2012 => "1.6.16.0",
            SourceEngine::Localdb2019 => "2.5.79.0",
            SourceEngine::Localdb2022 => "2.6.91.0",
        }
    }
}

/// The engine on the SQL host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetEngine {
    /// SQL Server 2022 Standard.
    #[value(name = "standard2022")]
    Standard2022,
    /// SQL Server 2022 Express: a warning.
    #[value(name = "express2022")]
    Express2022,
    /// SQL Server 2022 Developer.
    #[value(name = "developer2022")]
    Developer2022,
    /// SQL Server 2019 Standard: out of mainstream support.
    #[value(name = "standard2019")]
    Standard2019,
    /// SQL Server 2025 Standard: not listed as supported.
    #[value(name = "standard2025")]
    Standard2025,
    /// SQL Server 2016 Standard: refused.
    #[value(name = "standard2016")]
    Standard2016,
    /// LocalDB: refused.
    #[value(name = "localdb")]
    Localdb,
}

/// What a world is made of.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize, Deserialize)]
pub struct WorldOptions {
    /// Rows in connector spaces, metaverse and links, about
    #[arg(long, default_value_t = 24_000)]
    pub objects: usize,
    /// The engine under the old server
    #[arg(long, value_enum, default_value_t = SourceEngine::Localdb2019)]
    pub source: SourceEngine,
    /// The engine on the SQL host
    #[arg(long, value_enum, default_value_t = TargetEngine::Standard2022)]
    pub target: TargetEngine,
    /// The name of the database on the old server
    #[arg(long, default_value = super::DATABASE)]
    pub database: String,
    /// Which database of that shape: another number is another one, with other rows and other GUIDs
    #[arg(long, default_value_t = 1)]
    #[serde(default)]
    pub database_seed: u64,
    /// The version of the installer on the new server
    #[arg(long, default_value = "2.6.91.0")]
    pub installer_version: String,
    /// How long ago the last synchronisation was, in days; the service of the old server is then off
    #[arg(long)]
    pub last_sync_days: Option<i64>,
    /// The database has its tables and nothing in them
    #[arg(long)]
    pub empty: bool,
    /// The database and the SQL host have a case-sensitive collation
    #[arg(long)]
    pub case_sensitive: bool,
    /// How fast BACKUP, RESTORE and CHECKDB go, in MB/s; 0 is as fast as can be
    #[arg(long, default_value_t = 10.0)]
    pub io_mb_per_s: f64,
    /// What the old server's installation is like
    #[command(flatten)]
    #[serde(default)]
    pub installation: Installation,
    /// What stands in the way
    #[command(flatten)]
    #[serde(default)]
    pub around: Surroundings,
    /// Short pauses everywhere: leases, heartbeats, installers, synchronisation cycles
    #[arg(long)]
    pub fast: bool,
    /// The world is for `replace-server`: ADSync is on the SQL host already, and this is how the old server is gone
    #[arg(skip)]
    #[serde(default)]
    pub replaces: Option<Flavour>,
    /// The DBA grants the agent on the SQL host nothing but to look
    #[arg(skip)]
    #[serde(default)]
    pub dba: bool,
}

impl Default for WorldOptions {
    fn default() -> Self {
        WorldOptions {
            objects: 24_000,
            source: SourceEngine::Localdb2019,
            target: TargetEngine::Standard2022,
            database: super::DATABASE.into(),
            database_seed: 1,
            installer_version: "2.6.91.0".into(),
            last_sync_days: None,
            empty: false,
            case_sensitive: false,
            io_mb_per_s: 10.0,
            installation: Installation::default(),
            around: Surroundings::default(),
            fast: false,
            replaces: None,
            dba: false,
        }
    }
}

impl WorldOptions {
    /// For tests: little data, no pauses.
    pub fn small() -> WorldOptions {
        WorldOptions {
            objects: 1_500,
            io_mb_per_s: 0.0,
            fast: true,
            ..WorldOptions::default()
        }
    }

    /// The Connect version of the old server, which its database was used with last.
    pub fn old_version(&self) -> &str {
        let asked = self.installation.connect_version.as_deref();
        asked.unwrap_or_else(|| self.source.connect_version())
    }

    /// Whether the old server's service runs. A database that nobody has synchronised for long belongs to a service that is off,
    /// unless only its scheduler is.
    pub fn old_service_runs(&self) -> bool {
        !self.empty && (self.last_sync_days.is_none() || self.installation.scheduler_off)
    }

    /// The account that the DBA prepares the database for before a server is replaced: the one that is planned with, where it is
    /// one of the domain and not the old server's.
    pub fn seat_account(&self) -> &str {
        let planned = self.around.service_account.as_str();
        let fits = planned.starts_with(r"CONTOSO\") && planned != super::OLD_ACCOUNT;
        if fits { planned } else { super::SERVICE_ACCOUNT }
    }

    /// How long things take on the machines.
    pub fn pace(&self) -> Pace {
        if self.fast { Pace::fast() } else { Pace::default() }
    }
}
