//! A realistic ADSync database, the same for the same seed.

use time::{Duration, OffsetDateTime};

use super::Database;

/// How the old server let users sign in, `Microsoft.UserSignIn.SignOnMethod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOn {
    /// Password hash synchronisation.
    PasswordHashSync,
    /// Pass-through authentication.
    PassThrough,
    /// AD FS.
    Federation,
    /// Nothing configured.
    None,
}

/// What makes the database unusable as an existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptiness {
    /// It is complete.
    Filled,
    /// The tables exist without rows.
    NoRows,
    /// There are no tables.
    NoTables,
}

/// The parameters of a sample ADSync.
#[derive(Debug, Clone, PartialEq)]
pub struct AdSync {
    /// Database name.
    pub name: String,
    /// The same seed gives the same rows (GUIDs included).
    pub seed: u64,
    /// `ServerConfigurationVersion`, for example `2.5.190.0`.
    pub connect_version: String,
    /// The tenant, `contoso.onmicrosoft.com`.
    pub tenant: String,
    /// AD forests, one connector each.
    pub forests: Vec<String>,
    /// Rows in connector spaces, metaverse and links in total, about.
    pub objects: usize,
    /// Now, UTC.
    pub now: OffsetDateTime,
    /// How long ago the last run ended; None leaves no run history.
    pub last_sync_age: Option<Duration>,
    /// StagingMode.
    pub staging: bool,
    /// The Connect server that owns it; part of the `Sync_…` account or application name.
    pub owner_host: String,
    /// The service account, a user of the database.
    pub service_account: String,
    /// Sign-on method.
    pub sign_on: SignOn,
    /// A run is in progress (`is_run_complete = 0`).
    pub sync_in_progress: bool,
    /// Rows with `export_operation <> 0`.
    pub pending_exports: usize,
    /// Custom synchronisation rules.
    pub custom_rules: usize,
    /// Filled or not.
    pub emptiness: Emptiness,
    /// Collation of the database.
    pub collation: String,
    /// The engine's internal version it lives on: 904, 957.
    pub internal_version: u16,
}

impl AdSync {
    /// Contoso with one forest, 20,000 rows, last synchronised 20 minutes before `now`.
    pub fn new(now: OffsetDateTime) -> AdSync {
        AdSync {
            name: "ADSync".into(),
            seed: 1,
            connect_version: "2.5.190.0".into(),
            tenant: "contoso.onmicrosoft.com".into(),
            forests: vec!["corp.contoso.com".into()],
            objects: 20_000,
            now,
            last_sync_age: Some(Duration::minutes(20)),
            staging: false,
            owner_host: "SYNC01".into(),
            service_account: r"NT SERVICE\ADSync".into(),
            sign_on: SignOn::PasswordHashSync,
            sync_in_progress: false,
            pending_exports: 12,
            custom_rules: 2,
            emptiness: Emptiness::Filled,
            collation: "SQL_Latin1_General_CP1_CI_AS".into(),
            internal_version: 904,
        }
    }
}

/// Builds the database.
pub fn adsync(spec: &AdSync) -> Database {
    unimplemented!("{spec:?}")
}
