//! What the old server's installation is like: its version, its forests, how people sign in, and what its database says of it.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use syncferry_sqlserver::storage::sample::{AdSync, SignOn};

/// The forest, unless others are asked for.
const FOREST: &str = "corp.contoso.com";

/// How the people of contoso sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignIn {
    /// Password hash synchronisation.
    Phs,
    /// Pass-through authentication.
    Pta,
    /// AD FS.
    AdFs,
    /// PingFederate.
    PingFederate,
    /// Not configured.
    None,
}

impl SignIn {
    fn method(self) -> SignOn {
        match self {
            SignIn::Phs => SignOn::PasswordHashSync,
            SignIn::Pta => SignOn::PassThrough,
            SignIn::AdFs => SignOn::Federation,
            SignIn::PingFederate => SignOn::PingFederate,
            SignIn::None => SignOn::None,
        }
    }
}

/// What the old server's installation is like.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default)]
pub struct Installation {
    /// The Connect version that used the database last; without it the last one that comes with the engine
    #[arg(long, value_name = "VERSION")]
    pub connect_version: Option<String>,
    /// The forests, one connector each
    #[arg(long, value_delimiter = ',', value_name = "FOREST,…", default_value = FOREST)]
    pub forests: Vec<String>,
    /// How people sign in
    #[arg(long, value_enum, default_value_t = SignIn::Phs)]
    pub sign_in: SignIn,
    /// Seamless single sign-on is on
    #[arg(long)]
    pub seamless_sso: bool,
    /// Device writeback is on
    #[arg(long)]
    pub device_writeback: bool,
    /// The old server is in staging mode
    #[arg(long)]
    pub staging: bool,
    /// A connector is flagged for a full synchronisation
    #[arg(long)]
    pub full_sync_flagged: bool,
    /// A run was cut off: the history says that it runs still
    #[arg(long)]
    pub cut_off_run: bool,
    /// Synchronisation rules that somebody wrote
    #[arg(long, default_value_t = 2)]
    pub custom_rules: usize,
    /// The Entra connector names this server as the one that made it, instead of the old server
    #[arg(long, value_name = "SERVER")]
    pub named_owner: Option<String>,
    /// Somebody turned the scheduler off; the service runs
    #[arg(long)]
    pub scheduler_off: bool,
    /// The database's owner is nobody that its SQL Server knows, as after a restore by hand
    #[arg(long)]
    pub unknown_owner: bool,
}

impl Default for Installation {
    fn default() -> Self {
        Installation {
            connect_version: None,
            forests: vec![FOREST.into()],
            sign_in: SignIn::Phs,
            seamless_sso: false,
            device_writeback: false,
            staging: false,
            full_sync_flagged: false,
            cut_off_run: false,
            custom_rules: 2,
            named_owner: None,
            scheduler_off: false,
            unknown_owner: false,
        }
    }
}

impl Installation {
    /// Writes it into the sample that becomes the database.
    pub(super) fn describe(&self, sample: &mut AdSync) {
        sample.forests.clone_from(&self.forests);
        sample.sign_on = self.sign_in.method();
        sample.desktop_sso = self.seamless_sso;
        sample.device_writeback = self.device_writeback;
        sample.staging = self.staging;
        sample.full_sync_flagged = self.full_sync_flagged;
        sample.sync_in_progress = self.cut_off_run;
        sample.custom_rules = self.custom_rules;
        sample.owner_unknown = self.unknown_owner;
        if let Some(server) = &self.named_owner {
            sample.owner_host.clone_from(server);
        }
    }
}
