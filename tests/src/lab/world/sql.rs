//! The two SQL Servers: LocalDB with a grown ADSync on the old server, and the one to move to.

use std::path::{Path, PathBuf};

use syncferry_sqlserver::storage::sample::{AdSync, Emptiness, adsync};
use syncferry_sqlserver::storage::{InstanceSpec, PermissionState, ServerPermission};
use time::{Duration, OffsetDateTime};

use super::{
    NEW_SERVER, OLD_ACCOUNT, OLD_SERVER, SERVICE_ACCOUNT, SQL_HOST, SourceEngine, TENANT, TargetEngine, World,
};
use crate::lab::host::sql::WINDOWS_PASSWORD;

/// Agents run as LocalSystem.
pub(super) const AGENT_LOGIN: &str = r"NT AUTHORITY\SYSTEM";
/// Whom the wizard runs as.
const INSTALLER_LOGIN: &str = r"CONTOSO\installer";
/// The DBA of contoso.lab.
const DBA_LOGIN: &str = r"CONTOSO\dba";

const CASE_SENSITIVE: &str = "SQL_Latin1_General_CP1_CS_AS";

pub(super) fn create(world: &World, now: OffsetDateTime, note: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    let options = world.options();
    if options.replaces.is_some() {
        note(&format!(
            "{SQL_HOST}: the SQL Server with {}, about {} rows of objects; {OLD_SERVER} uses it",
            options.database, options.objects
        ));
        return write(world, "target", SQL_HOST, in_use(world, now));
    }
    note(&format!(
        "{OLD_SERVER}: LocalDB with {}, about {} rows of objects",
        options.database, options.objects
    ));
    let source = source(world, now);
    write(world, "source", OLD_SERVER, source)?;
    note(&format!("{SQL_HOST}: the SQL Server to move to"));
    let target = target(world, now);
    write(world, "target", SQL_HOST, target)
}

fn source(world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let spec = match options.source {
        SourceEngine::Localdb2012 => InstanceSpec::localdb_2012(OLD_SERVER, now),
        SourceEngine::Localdb2019 => InstanceSpec::localdb_2019(OLD_SERVER, now),
        SourceEngine::Localdb2022 => InstanceSpec::localdb_2022(OLD_SERVER, now),
    };
    let mut sample = AdSync::new(now);
    sample.name.clone_from(&options.database);
    sample.connect_version = options.source.connect_version().into();
    sample.tenant = TENANT.into();
    sample.objects = options.objects;
    sample.seed = options.database_seed;
    sample.owner_host = OLD_SERVER.into();
    sample.internal_version = spec.config.internal_version();
    if let Some(days) = options.last_sync_days {
        sample.last_sync_age = Some(Duration::days(days));
    }
    if options.empty {
        sample.emptiness = Emptiness::NoRows;
    }
    if options.case_sensitive {
        sample.collation = CASE_SENSITIVE.into();
    }
    // Local administrators are sysadmin in LocalDB, and an agent there is one.
    let spec = spec.windows_login(AGENT_LOGIN, &["sysadmin"]);
    let spec = match options.dba {
        true => spec.windows_login(DBA_LOGIN, &["sysadmin"]),
        false => spec,
    };
    spec.database(adsync(&sample))
}

/// The SQL host of a server that is to be replaced: the database is there and used. What agents and accounts may do in it is the
/// DBA's (`dba.rs`).
fn in_use(world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let spec = target(world, now)
        .windows_login(OLD_ACCOUNT, &[])
        .windows_login(SERVICE_ACCOUNT, &[]);
    let mut sample = AdSync::on_full_sql(now, spec.config.internal_version(), OLD_ACCOUNT);
    sample.name.clone_from(&options.database);
    sample.connect_version = options.source.connect_version().into();
    sample.tenant = TENANT.into();
    sample.objects = options.objects;
    sample.owner_host = OLD_SERVER.into();
    if let Some(days) = options.last_sync_days {
        sample.last_sync_age = Some(Duration::days(days));
    }
    spec.database(adsync(&sample))
}

/// What an agent needs on the target, and nothing else: it creates one database, becomes its owner, and hands it over; and
/// what a fence there needs.
fn target(world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let mut spec = match options.target {
        TargetEngine::Standard2022 => InstanceSpec::standard_2022(SQL_HOST, None, now),
        TargetEngine::Express2022 => InstanceSpec::express_2022(SQL_HOST, None, now),
        TargetEngine::Standard2016 => InstanceSpec::standard_2016(SQL_HOST, None, now),
        TargetEngine::Localdb => InstanceSpec::localdb_2022(SQL_HOST, now).windows_login(AGENT_LOGIN, &["sysadmin"]),
    };
    if options.case_sensitive {
        spec.config.collation = CASE_SENSITIVE.into();
    }
    let permissions = [
        "VIEW SERVER STATE",
        "VIEW SERVER PERFORMANCE STATE",
        "VIEW ANY DEFINITION",
        "ALTER ANY LOGIN",
        "CONNECT ANY DATABASE",
        "ALTER ANY CONNECTION",
    ];
    if let Some(agent) = spec.config.logins.iter_mut().find(|l| l.name == AGENT_LOGIN)
        && options.target != TargetEngine::Localdb
    {
        agent.roles = if options.dba { vec![] } else { vec!["dbcreator".into()] };
        let looks = |p: &&&str| !options.dba || p.starts_with("VIEW ") || **p == "CONNECT ANY DATABASE";
        agent.permissions = permissions
            .iter()
            .filter(looks)
            .map(|p| ServerPermission {
                permission: (*p).into(),
                state: PermissionState::Grant,
            })
            .collect();
    }
    // By which groups an account gets in: without it no fence is offered.
    spec.master_grant(AGENT_LOGIN, "xp_logininfo")
        .windows_login(INSTALLER_LOGIN, &["sysadmin"])
        .windows_login(DBA_LOGIN, &["sysadmin"])
}

/// Both the machine and its SQL Server have the same drives.
fn write(world: &World, which: &str, host: &str, mut spec: InstanceSpec) -> anyhow::Result<()> {
    let mut shared = Vec::new();
    for drive in &spec.config.drives {
        let root = PathBuf::from("../../hosts")
            .join(host)
            .join("drives")
            .join(drive.name.trim_end_matches(':'));
        shared.push((drive.name.clone(), root, drive.total_bytes));
    }
    for (name, root, total) in shared {
        spec = spec.drive(&name, &root, total);
    }
    let dir = world.sql_dir(which);
    spec.create(&dir)?;
    settings(&dir, world.options().io_mb_per_s)?;
    debug_assert_ne!(host, NEW_SERVER, "Connect's new server has no SQL Server of its own");
    Ok(())
}

/// The lab's own settings of an instance.
fn settings(dir: &Path, io_mb_per_s: f64) -> anyhow::Result<()> {
    let json = serde_json::json!({
        "clock_offset_ms": 0,
        "io_mb_per_s": io_mb_per_s,
        "windows_password": WINDOWS_PASSWORD,
    });
    std::fs::write(dir.join("lab.json"), serde_json::to_vec_pretty(&json)?)?;
    Ok(())
}
