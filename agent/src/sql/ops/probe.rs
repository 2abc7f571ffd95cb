//! What an instance is.

use std::collections::BTreeMap;

use syncferry_shared::Clock;
use syncferry_shared::inventory::InstanceFacts;

use super::{databases, one_row, or_unknown, rows, unusable};
use crate::sql::endpoint::SqlEndpoint;
use crate::sql::errors::SqlError;
use crate::sql::instance::SqlInstance;
use crate::sql::rows::Row;
use crate::sql::session::SqlSession;
use crate::sql::statements::{instance as extras, probe};

/// Reads everything about an instance that the login may see.
pub async fn probe_instance(
    session: &mut SqlSession,
    instance: &SqlInstance,
    clock: &dyn Clock,
) -> Result<InstanceFacts, SqlError> {
    let statement = probe::instance();
    let asked = clock.now();
    let row = one_row(session, &statement).await?;
    let answered = clock.now();
    let mut facts = read(&row, instance).map_err(|missing| unusable(session, statement.name, &missing))?;
    if let Some(server) = row.utc("server_utc") {
        // The server looked at its clock somewhere in between.
        let here = asked.plus(answered.since(asked) / 2);
        facts.clock_offset_ms = server.since(here);
    }
    facts.service_account = service_account(session, facts.instance_name.as_deref()).await?;
    facts.volumes = volumes(session, facts.major).await?;
    facts.databases = databases::list_databases(session).await?;
    Ok(facts)
}

fn read(row: &Row, instance: &SqlInstance) -> Result<InstanceFacts, crate::sql::rows::MissingColumn> {
    let product_version = row.need("product_version", Row::text)?;
    let major = product_version
        .split('.')
        .next()
        .and_then(|m| m.parse().ok())
        .unwrap_or(0);
    let is_sysadmin = row.flag("is_sysadmin").unwrap_or(false);
    let (connect_host, connect_port) = match &instance.endpoint {
        SqlEndpoint::Tcp { host, port } => (Some(host.clone()), Some(*port)),
        SqlEndpoint::Pipe(_) | SqlEndpoint::LocalDb { .. } => (None, None),
    };
    // From SQL Server 2022 on, sessions and locks need one narrower right and connections another; on older versions those
    // names are unknown and give NULL.
    let may = |column| row.flag(column).unwrap_or(false);
    let can_view_state = may("can_view_state") || (may("can_view_performance_state") && may("can_view_security_state"));
    Ok(InstanceFacts {
        name: instance.name.clone(),
        connect_host,
        connect_port,
        server_name: row.need("server_name", Row::text)?,
        machine_name: row.text("machine_name").unwrap_or_default(),
        instance_name: row.text("instance_name").filter(|n| !n.is_empty()),
        major,
        product_version,
        edition: row.text("edition").unwrap_or_default(),
        edition_id: row.int("edition_id").unwrap_or(0),
        engine_edition: row.need("engine_edition", Row::int32)?,
        is_localdb: row.flag("is_localdb").unwrap_or(false),
        collation: row.text("collation_name").unwrap_or_default(),
        hadr_enabled: row.flag("is_hadr_enabled"),
        integrated_only: row.flag("is_integrated_only"),
        login: row.text("login_name").unwrap_or_default(),
        is_sysadmin,
        can_create_database: is_sysadmin
            || row.flag("is_dbcreator").unwrap_or(false)
            || row.flag("can_create_database").unwrap_or(false),
        can_view_state,
        can_alter_logins: row.flag("can_alter_logins"),
        data_path: row.text("data_path").filter(|p| !p.is_empty()),
        log_path: row.text("log_path").filter(|p| !p.is_empty()),
        service_account: None,
        clock_offset_ms: 0,
        utc_offset_minutes: row
            .offset("server_now")
            .map_or(0, |t| i32::from(t.offset().whole_minutes())),
        volumes: BTreeMap::new(),
        databases: Vec::new(),
    })
}

/// The account of the engine's own service; `None` for LocalDB, which has no service.
async fn service_account(session: &mut SqlSession, instance_name: Option<&str>) -> Result<Option<String>, SqlError> {
    let answer = or_unknown(session.query(&extras::services()).await)?;
    let services = rows(answer.unwrap_or_default());
    let wanted = format!("SQL Server ({})", instance_name.unwrap_or("MSSQLSERVER"));
    let engine = services
        .iter()
        .find(|r| r.text("servicename").is_some_and(|n| n.eq_ignore_ascii_case(&wanted)));
    Ok(engine.and_then(|r| r.text("service_account")))
}

/// Free bytes per volume: of every drive where the version can say, else of those that hold database files.
async fn volumes(session: &mut SqlSession, major: i32) -> Result<BTreeMap<String, u64>, SqlError> {
    let mut volumes = BTreeMap::new();
    let files = or_unknown(session.query(&extras::database_volumes()).await)?;
    for row in rows(files.unwrap_or_default()) {
        if let (Some(mount), Some(free)) = (row.text("volume_mount_point"), row.size("available_bytes")) {
            volumes.insert(mount, free);
        }
    }
    if major >= 14 {
        let drives = or_unknown(session.query(&extras::fixed_drives()).await)?;
        for row in rows(drives.unwrap_or_default()) {
            if let (Some(drive), Some(free)) = (row.text("fixed_drive_path"), row.size("free_space_in_bytes")) {
                volumes.insert(drive, free);
            }
        }
    }
    Ok(volumes)
}

/// Settings of the instance that touch backups and restores, by name; empty where they may not be seen.
pub async fn configurations(session: &mut SqlSession) -> Result<BTreeMap<String, i64>, SqlError> {
    let answer = or_unknown(session.query(&extras::configurations()).await)?;
    let found = rows(answer.unwrap_or_default());
    let settings = found
        .iter()
        .filter_map(|row| Some((row.text("name")?, row.int("value_in_use")?)));
    Ok(settings.collect())
}

/// Thumbprints of the certificates in `master`, as upper-case hexadecimal.
pub async fn certificates(session: &mut SqlSession) -> Result<Vec<String>, SqlError> {
    let answer = or_unknown(session.query(&extras::certificates()).await)?;
    let found = rows(answer.unwrap_or_default());
    Ok(found.iter().filter_map(|row| row.text("thumbprint")).collect())
}

/// The internal version of databases that the instance makes: what a backup's version is compared with.
pub async fn internal_version(session: &mut SqlSession) -> Result<Option<i32>, SqlError> {
    let row = one_row(session, &probe::instance()).await?;
    Ok(row.int32("internal_version"))
}
