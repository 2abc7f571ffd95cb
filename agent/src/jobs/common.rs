//! What several jobs do alike: sessions, identity, files, comparisons.

use std::sync::Arc;
use std::time::Duration;

use syncferry_shared::Finding;
use syncferry_shared::artifact::Counts;
use syncferry_shared::inventory::{ConnectParameters, SessionFacts};
use syncferry_shared::spec::{DatabaseIdentity, ExpectedConnect};

use crate::host::Host;
use crate::runner::{Cx, StepError};
use crate::sql::ops::applock::NotLocked;
use crate::sql::ops::{self, Applock, DatabaseRow, Watch};
use crate::sql::{Role, SqlInstance, SqlSession};

/// How long another agent at the same database is waited for.
const LOCK_WAIT_MS: u32 = 15_000;

pub(super) const OURS: &str = "Syncferry: nothing is used that was not proven";

/// Sessions on one instance for one attempt.
pub(super) struct Server {
    pub(super) instance: SqlInstance,
    pub(super) work: SqlSession,
    monitor: Option<SqlSession>,
}

impl Server {
    /// Connects. The monitor session is a help, not a must.
    pub(super) async fn open(cx: &Cx, name: &str) -> Result<Self, StepError> {
        let known = cx.env.sql.get(name).map_err(|f| StepError::failed(*f))?;
        let instance = known.sql.for_purpose(cx.spec.migration.short());
        let work = SqlSession::connect(&instance, Role::Work).await?;
        let monitor = SqlSession::connect(&instance, Role::Monitor).await.ok();
        Ok(Self {
            instance,
            work,
            monitor,
        })
    }

    /// The work session, and how to watch what it does.
    pub(super) fn watched(&mut self) -> (&mut SqlSession, Watch<'_>) {
        let application = self.instance.application_name();
        (&mut self.work, Watch::new(self.monitor.as_mut(), application))
    }

    pub(super) async fn close(self) {
        self.work.close().await;
        if let Some(monitor) = self.monitor {
            monitor.close().await;
        }
    }
}

/// The lock that keeps a second agent, or a second run of this one, from working on the same database. It is held by a
/// connection of its own and ends with it, so that a killed agent never leaves it behind.
pub(super) async fn lock(cx: &Cx, server: &mut Server, database: &str) -> Result<Applock, StepError> {
    let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
    match Applock::take(&server.instance, database, LOCK_WAIT_MS, facts.is_sysadmin).await {
        Ok(lock) => Ok(lock),
        Err(NotLocked::Sql(e)) => Err(e.into()),
        Err(NotLocked::Busy(who)) => Err(StepError::passing(
            Finding::blocker(
                "database-is-being-worked-on",
                format!("Somebody else of ours works on {database}"),
            )
            .saw("sp_getapplock on master", who)
            .source(OURS)
            .next("Find the other agent that works on this instance and let it end; this job tries again for a while."),
        )),
    }
}

/// The account that the engine runs as: as configured, or as it says itself.
pub(super) fn service_account(cx: &Cx, instance: &str, said: Option<String>) -> Option<String> {
    let configured = cx.env.sql.get(instance).ok().and_then(|i| i.service_account.clone());
    configured.or(said)
}

/// The database of that identity, or a refusal: name, server and both GUIDs must be what the plan was made for.
pub(super) async fn same_database(
    cx: &Cx,
    server: &mut Server,
    known: &DatabaseIdentity,
) -> Result<DatabaseRow, StepError> {
    let facts = ops::probe_instance(&mut server.work, &server.instance, cx.env.clocks.as_ref()).await?;
    let name = &known.address.database;
    let refuse = |what: &str, found: String| {
        StepError::failed(
            Finding::blocker("source-is-another-database", format!("{name} is not the database that the plan was made for"))
                .saw(format!("{what} now"), found)
                .saw("in the plan", format!("{} with database_guid {}", known.server_name, known.database_guid))
                .source(OURS)
                .next("It was restored, moved or replaced since the plan was made. Find out which one is in use, register it and plan again."),
        )
    };
    if !facts.server_name.eq_ignore_ascii_case(&known.server_name) {
        return Err(refuse("SERVERPROPERTY('ServerName')", facts.server_name));
    }
    let row = ops::database_identity(&mut server.work, name).await?;
    let row = row.ok_or_else(|| refuse("sys.databases", "no such database".to_string()))?;
    if row.database_guid != Some(known.database_guid) || row.family_guid != Some(known.family_guid) {
        let found = row.database_guid.map_or("unknown".to_string(), |g| g.to_string());
        return Err(refuse("database_guid", found));
    }
    Ok(row)
}

/// What was counted, or why not.
pub(super) async fn count(server: &mut Server, database: &str) -> Result<Counts, StepError> {
    crate::adsync::count(&mut server.work, database).await?.ok_or_else(|| {
        StepError::failed(
            Finding::blocker(
                "not-adsync",
                format!("{database} is not a database of Microsoft Entra Connect"),
            )
            .saw("dbo.mms_server_configuration and dbo.mms_management_agent", "not there")
            .source(OURS)
            .next("Find out which database the ADSync service uses, register that one and plan again."),
        )
    })
}

/// Sessions of synchronisation services that are not on `server`.
pub(super) fn foreign_services<'a>(sessions: &'a [SessionFacts], server: &str) -> Vec<&'a SessionFacts> {
    sessions
        .iter()
        .filter(|s| s.is_sync_service() && !is_from(s, server))
        .collect()
}

/// Whether a session comes from a server, as the client says it.
pub(super) fn is_from(session: &SessionFacts, server: &str) -> bool {
    session.host.as_deref().is_some_and(|h| same_host(h, server))
}

/// Host names are equal when their first labels are: `SQL01` and `sql01.contoso.lab` are one host.
pub(super) fn same_host(a: &str, b: &str) -> bool {
    let label = |n: &str| n.split('.').next().unwrap_or(n).to_ascii_lowercase();
    label(a) == label(b)
}

/// Whether the registry names what the card said. The port may or may not stand in the registry's instance.
pub(super) fn parameters_fit(p: &ConnectParameters, expect: &ExpectedConnect) -> bool {
    let bare = |i: &str| i.split(',').next().unwrap_or(i).trim().to_ascii_lowercase();
    same_host(&p.server, &expect.server)
        && bare(&p.instance) == bare(&expect.instance)
        && p.database.eq_ignore_ascii_case(&expect.database)
}

/// What the registry names, for people.
pub(super) fn shown(p: &ConnectParameters) -> String {
    format!(
        "Server {}, SQLInstance '{}', DBName {}",
        p.server, p.instance, p.database
    )
}

/// Deletes a file of ours, if it is there.
pub(super) async fn delete_file(host: &Arc<dyn Host>, path: &str) -> Result<(), StepError> {
    match tokio::fs::remove_file(host.local_path(path)).await {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StepError::failed(
            Finding::blocker("file-not-deleted", format!("{path} could not be deleted"))
                .saw(path, e)
                .source("A backup of ADSync carries credentials")
                .next("Find out who has the file open, delete it by hand, and apply the migration again."),
        )),
    }
}

/// Whether a file is there.
pub(super) async fn file_exists(host: &Arc<dyn Host>, path: &str) -> bool {
    tokio::fs::try_exists(host.local_path(path)).await.unwrap_or(false)
}

/// The folder of one migration under the staging folder.
pub(super) fn staging(cx: &Cx) -> String {
    cx.env.host.join(&cx.env.staging_dir, &cx.spec.migration.short())
}

/// A budget in minutes.
pub(super) const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// What differs between two counts, as evidence lines: what, before, after. Empty when nothing differs.
pub(super) fn differences(before: &Counts, after: &Counts) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut differ = |what: String, a: String, b: String| {
        if a != b {
            found.push((what, a, b));
        }
    };
    differ(
        "columns of all tables".to_string(),
        before.schema_digest.clone(),
        after.schema_digest.clone(),
    );
    let tables: std::collections::BTreeSet<&String> = before.rows.keys().chain(after.rows.keys()).collect();
    let rows = |c: &Counts, t: &String| c.rows.get(t).map_or("missing".to_string(), i64::to_string);
    for table in tables {
        differ(format!("rows of {table}"), rows(before, table), rows(after, table));
    }
    differ(
        "connectors".to_string(),
        before.connectors.join(", "),
        after.connectors.join(", "),
    );
    let number = |n: Option<i64>| n.map_or("unknown".to_string(), |n| n.to_string());
    differ(
        "synchronisation rules".to_string(),
        number(before.rules),
        number(after.rules),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_instances_compare_as_people_mean_them() {
        assert!(same_host("SQL01", "sql01.contoso.lab"));
        assert!(!same_host("SQL01", "SQL011"));
        let expect = ExpectedConnect {
            server: "SQL01".into(),
            instance: ",14330".into(),
            database: "ADSync".into(),
            service_account: None,
            version: syncferry_shared::ConnectVersion([2, 6, 91, 0]),
        };
        let p = |server: &str, instance: &str, database: &str| ConnectParameters {
            server: server.into(),
            instance: instance.into(),
            database: database.into(),
        };
        assert!(parameters_fit(&p("sql01.contoso.lab", "", "adsync"), &expect));
        assert!(parameters_fit(&p("SQL01", ",14330", "ADSync"), &expect));
        assert!(!parameters_fit(&p("(localdb)", ".\\ADSync2019", "ADSync"), &expect));
        assert!(!parameters_fit(&p("SQL01", "OTHER", "ADSync"), &expect));
        assert!(!parameters_fit(&p("SQL01", "", "ADSync2"), &expect));
    }

    #[test]
    fn differences_name_what_and_both_values() {
        let mut a = Counts {
            rules: Some(3),
            ..Counts::default()
        };
        a.rows.insert("dbo.t".into(), 5);
        let mut b = a.clone();
        assert!(differences(&a, &b).is_empty());
        b.rows.insert("dbo.t".into(), 4);
        b.rules = None;
        let found = differences(&a, &b);
        assert_eq!(found[0], ("rows of dbo.t".into(), "5".into(), "4".into()));
        assert_eq!(found[1].2, "unknown");
    }
}
