//! A realistic ADSync database, the same for the same seed.

mod build;
mod connectors;
mod dice;
mod history;
mod objects;
mod people;
mod rules;
mod security;
mod settings;

use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use self::build::Tables;
use self::dice::Dice;
use super::{Database, FileKind, Table};

/// How the old server let users sign in, `Microsoft.UserSignIn.SignOnMethod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOn {
    /// Password hash synchronisation.
    PasswordHashSync,
    /// Pass-through authentication.
    PassThrough,
    /// AD FS.
    Federation,
    /// PingFederate.
    PingFederate,
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
    /// Seamless single sign-on.
    pub desktop_sso: bool,
    /// Device writeback, one of the device options.
    pub device_writeback: bool,
    /// Connectors flagged for a full synchronisation: the first one of AD.
    pub full_sync_flagged: bool,
    /// Containers that the first AD connector leaves out.
    pub excluded: Vec<String>,
    /// Rows with `export_operation = 2`, which changes an object.
    pub pending_exports: usize,
    /// Rows with `export_operation = 1`, which adds an object.
    pub pending_adds: usize,
    /// Rows with `export_operation = 4`, which deletes an object.
    pub pending_deletes: usize,
    /// Custom synchronisation rules.
    pub custom_rules: usize,
    /// Filled or not.
    pub emptiness: Emptiness,
    /// The owner is nobody whom the instance knows, as after a restore by hand; the service account is a user then.
    pub owner_unknown: bool,
    /// Collation of the database.
    pub collation: String,
    /// Where its files are, with the trailing backslash; empty is the instance's default folder.
    pub data_folder: String,
    /// The engine's internal version it lives on: 904, 957.
    pub internal_version: u16,
}

impl AdSync {
    /// On LocalDB 2019: Contoso with one forest, 20,000 rows, last synchronised 20 minutes before `now`.
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
            desktop_sso: false,
            device_writeback: false,
            full_sync_flagged: false,
            excluded: Vec::new(),
            pending_exports: 12,
            pending_adds: 0,
            pending_deletes: 0,
            custom_rules: 2,
            emptiness: Emptiness::Filled,
            owner_unknown: false,
            collation: "SQL_Latin1_General_CP1_CI_AS".into(),
            data_folder: r"C:\Program Files\Microsoft Azure AD Sync\Data\ADSync2019\".into(),
            internal_version: 904,
        }
    }
}

impl AdSync {
    /// The same on full SQL Server: default folders, that engine's version, and a domain account as the owner (give it
    /// a login with [`windows_login`](super::InstanceSpec::windows_login)).
    pub fn on_full_sql(now: OffsetDateTime, internal_version: u16, service_account: &str) -> AdSync {
        AdSync {
            data_folder: String::new(),
            service_account: service_account.into(),
            internal_version,
            ..AdSync::new(now)
        }
    }
}

/// Builds the database.
pub fn adsync(spec: &AdSync) -> Database {
    let mut dice = Dice::new(spec.seed);
    let made = spec.now - Duration::days(900);
    let mut database = Database::new(&spec.name, &spec.collation, spec.internal_version, made);
    identify(&mut database, &mut dice);
    for file in &mut database.files {
        // 8 MiB steps: the file stays about as big as what is in it.
        file.growth = 1024;
    }
    for file in database.files.iter_mut().filter(|_| !spec.data_folder.is_empty()) {
        let ending = if file.kind == FileKind::Data { ".mdf" } else { ".ldf" };
        // A database can have a name that no file can have.
        let stem = file
            .name
            .replace(|c: char| c.is_control() || "<>:\"/\\|?*".contains(c), "_");
        file.physical_name = format!("{}{stem}{ending}", spec.data_folder);
    }
    if spec.emptiness != Emptiness::NoTables {
        let mut tables = Tables::new(made);
        database.tables = fill(spec, &mut tables, &mut dice).into_iter().map(Arc::new).collect();
        database.procedures = security::procedures(&mut tables, made);
    }
    security::users(&mut database, spec, made);
    database
}

/// GUIDs from the seed, so that the same spec is the same database.
fn identify(database: &mut Database, dice: &mut Dice) {
    let meta = &mut database.meta;
    meta.database_guid = dice.guid();
    meta.family_guid = dice.guid();
    meta.recovery_fork_guid = dice.guid();
    meta.first_recovery_fork_guid = meta.recovery_fork_guid;
    meta.service_broker_guid = dice.guid();
    for file in &mut database.files {
        file.file_guid = dice.guid();
    }
}

fn fill(spec: &AdSync, tables: &mut Tables, dice: &mut Dice) -> Vec<Table> {
    let connectors = connectors::connectors(spec, dice);
    let people = objects::people(spec, dice);
    let mut all = settings::tables(tables, spec, dice);
    all.extend(connectors::tables(tables, spec, &connectors, dice));
    all.push(rules::table(tables, spec, &connectors, dice));
    all.extend(history::tables(tables, spec, &connectors, dice));
    all.extend(objects::tables(tables, spec, &connectors, &people, dice));
    if spec.emptiness == Emptiness::NoRows {
        all.iter_mut().for_each(|table| table.rows.clear());
    }
    all
}
