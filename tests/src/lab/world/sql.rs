//! The two SQL Servers: LocalDB with a grown ADSync on the old server, and the one to move to.

use std::path::{Path, PathBuf};

use syncferry_sqlserver::storage::sample::{AdSync, Emptiness, adsync};
use syncferry_sqlserver::storage::{Database, InstanceSpec, PermissionState, ServerPermission};
use time::{Duration, OffsetDateTime};

use super::{
    NEW_SERVER, OLD_ACCOUNT, OLD_SERVER, OnTarget, SQL_HOST, SourceEngine, TENANT, TargetEngine, TargetRights, Visitor,
    World,
};
use crate::lab::host::sql::WINDOWS_PASSWORD;

/// Agents run as LocalSystem.
pub(super) const AGENT_LOGIN: &str = r"NT AUTHORITY\SYSTEM";
/// Whom the wizard runs as.
const INSTALLER_LOGIN: &str = r"CONTOSO\installer";
/// The DBA of contoso.lab.
const DBA_LOGIN: &str = r"CONTOSO\dba";

/// Whom another Connect server's service runs as.
const OTHER_SERVICE: &str = r"CONTOSO\gmsa-sync09$";
/// Whom the monitoring runs as.
const MONITORING: &str = r"CONTOSO\svc-monitoring";

const CASE_SENSITIVE: &str = "SQL_Latin1_General_CP1_CS_AS";

pub(super) fn create(world: &World, now: OffsetDateTime, note: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    let options = world.options();
    if options.replaces.is_some() {
        note(&format!(
            "{SQL_HOST}: the SQL Server with {}, about {} rows of objects; {OLD_SERVER} uses it",
            options.database, options.objects
        ));
        write(world, "target", SQL_HOST, in_use(world, now))?;
        return join_group(world);
    }
    note(&format!(
        "{OLD_SERVER}: LocalDB with {}, about {} rows of objects",
        options.database, options.objects
    ));
    let source = source(world, now);
    write(world, "source", OLD_SERVER, source)?;
    note(&format!("{SQL_HOST}: the SQL Server to move to"));
    let target = occupied(target(world, now), world, now);
    write(world, "target", SQL_HOST, target)
}

/// What is on the instance already.
fn occupied(spec: InstanceSpec, world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let collation = spec.config.collation.clone();
    let version = spec.config.internal_version();
    match options.around.on_target {
        OnTarget::Nothing => spec,
        OnTarget::SameName => spec.database(Database::new(&options.database, &collation, version, now)),
        OnTarget::OtherEngine => spec.database(Database::new("FIMSynchronizationService", &collation, version, now)),
        OnTarget::Copy => {
            let mut sample = source_sample(world, now, version);
            sample.data_folder.clear();
            let mut copy = adsync(&sample);
            copy.fork("ADSync_copy", now);
            spec.database(copy)
        }
    }
}

/// The group that the database of a server that is to be replaced is in.
fn join_group(world: &World) -> anyhow::Result<()> {
    if !world.options().around.availability_group {
        return Ok(());
    }
    let id = |n: u128| uuid::Uuid::from_u128(0x5c1f_0000_0000_4000_8000_0000_0000_0000 + n).to_string();
    let group = serde_json::json!({ "groups": [{
        "name": "AG-SYNC", "group_id": id(1), "replica_id": id(2), "role": "primary", "readable": false,
        "listener": { "dns_name": "sync-ag", "port": super::SQL_PORT },
        "others": [{ "server_name": "SQL02", "replica_id": id(3) }],
        "databases": [{ "name": world.options().database, "group_database_id": id(4) }],
    }]});
    std::fs::write(
        world.sql_dir("target").join("availability.json"),
        serde_json::to_vec_pretty(&group)?,
    )?;
    Ok(())
}

fn source(world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let spec = match options.source {
        SourceEngine::Localdb2012 => InstanceSpec::localdb_2012(OLD_SERVER, now),
        SourceEngine::Localdb2019 => InstanceSpec::localdb_2019(OLD_SERVER, now),
        SourceEngine::Localdb2022 => InstanceSpec::localdb_2022(OLD_SERVER, now),
    };
    let sample = source_sample(world, now, spec.config.internal_version());
    // Local administrators are sysadmin in LocalDB, and an agent there is one.
    let spec = spec.windows_login(AGENT_LOGIN, &["sysadmin"]);
    let spec = match options.dba {
        true => spec.windows_login(DBA_LOGIN, &["sysadmin"]),
        false => spec,
    };
    with_visitors(spec, world).database(adsync(&sample))
}

fn source_sample(world: &World, now: OffsetDateTime, internal_version: u16) -> AdSync {
    let options = world.options();
    let mut sample = AdSync::new(now);
    sample.name.clone_from(&options.database);
    sample.connect_version = options.old_version().into();
    sample.tenant = TENANT.into();
    sample.objects = options.objects;
    sample.seed = options.database_seed;
    sample.owner_host = OLD_SERVER.into();
    sample.data_folder = options.source.data_folder().into();
    sample.internal_version = internal_version;
    if let Some(days) = options.last_sync_days {
        sample.last_sync_age = Some(Duration::days(days));
    }
    if options.empty {
        sample.emptiness = Emptiness::NoRows;
    }
    if options.case_sensitive {
        sample.collation = CASE_SENSITIVE.into();
    }
    options.installation.describe(&mut sample);
    sample
}

/// Whom a visitor logs in as.
pub(in crate::lab) fn visitor_account(visitor: Visitor) -> &'static str {
    match visitor {
        Visitor::ConnectServer => OTHER_SERVICE,
        Visitor::Monitoring => MONITORING,
    }
}

fn with_visitors(mut spec: InstanceSpec, world: &World) -> InstanceSpec {
    for visitor in &world.options().around.visitors {
        spec = spec.windows_login(visitor_account(*visitor), &["sysadmin"]);
    }
    spec
}

/// The SQL host of a server that is to be replaced: the database is there and used. What agents and accounts may do in it is the
/// DBA's (`dba.rs`).
fn in_use(world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let spec = target(world, now)
        .windows_login(OLD_ACCOUNT, &[])
        .windows_login(options.seat_account(), &[]);
    let mut sample = AdSync::on_full_sql(now, spec.config.internal_version(), OLD_ACCOUNT);
    // Named, because a database can have a name that no file can have.
    sample.data_folder.clone_from(&spec.config.data_path);
    sample.name.clone_from(&options.database);
    sample.connect_version = options.old_version().into();
    sample.tenant = TENANT.into();
    sample.objects = options.objects;
    sample.owner_host = OLD_SERVER.into();
    if let Some(days) = options.last_sync_days {
        sample.last_sync_age = Some(Duration::days(days));
    }
    options.installation.describe(&mut sample);
    with_visitors(spec, world).database(adsync(&sample))
}

/// What an agent needs on the target, and nothing else: it creates one database, becomes its owner, and hands it over; and
/// what a fence there needs.
fn target(world: &World, now: OffsetDateTime) -> InstanceSpec {
    let options = world.options();
    let mut spec = match options.target {
        TargetEngine::Standard2022 => InstanceSpec::standard_2022(SQL_HOST, None, now),
        TargetEngine::Express2022 => InstanceSpec::express_2022(SQL_HOST, None, now),
        TargetEngine::Developer2022 => InstanceSpec::developer_2022(SQL_HOST, None, now),
        TargetEngine::Standard2019 => InstanceSpec::standard_2019(SQL_HOST, None, now),
        TargetEngine::Standard2025 => InstanceSpec::standard_2025(SQL_HOST, None, now),
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
        let rights = options.around.target_rights;
        if rights != TargetRights::NoDbcreator && !options.dba {
            agent.roles = vec!["dbcreator".into()];
        }
        let looks = |p: &str| p.starts_with("VIEW ") || p == "CONNECT ANY DATABASE";
        agent.permissions = permissions
            .iter()
            .filter(|p| rights != TargetRights::NoLogins || **p != "ALTER ANY LOGIN")
            .filter(|p| !options.dba || looks(p))
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
