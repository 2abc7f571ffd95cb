//! Looks at the leased databases that this agent reaches, and at Connect on its own host: again and again, changing nothing.
//! What could not be seen says so, because silence is never "nobody is there". What it means is the controller's to judge.

use std::sync::Arc;

use syncferry_proto::v1;
use syncferry_shared::DatabaseId;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::watch::{WatchReport, WatchedConnect, WatchedDatabase};

use crate::clocks::Clocks;
use crate::host::Host;
use crate::instances::Instances;
use crate::sql::{Role, SqlError, SqlSession, ops};

/// What a look needs.
#[derive(Clone)]
pub struct Watcher {
    /// The machine.
    pub host: Arc<dyn Host>,
    /// The SQL Server instances.
    pub sql: Instances,
    /// Time.
    pub clocks: Arc<dyn Clocks>,
}

impl Watcher {
    /// Looks once.
    pub async fn look(&self, duty: &v1::WatchDuty) -> WatchReport {
        let mut report = WatchReport {
            taken_at: self.clocks.now(),
            ..WatchReport::default()
        };
        for target in &duty.databases {
            let Ok(database) = target.database_id.parse::<DatabaseId>() else {
                tracing::warn!(id = target.database_id, "asked to watch a database without an id");
                continue;
            };
            let address = DatabaseAddress {
                instance: target.instance.clone(),
                database: target.database.clone(),
            };
            report.databases.push(self.database(database, address).await);
        }
        if duty.connect {
            report.connect = Some(self.connect().await);
        }
        report
    }

    async fn connect(&self) -> WatchedConnect {
        match self.host.connect_facts().await {
            Ok(facts) => WatchedConnect { error: None, facts },
            Err(e) => WatchedConnect {
                error: Some(e.to_string()),
                ..WatchedConnect::default()
            },
        }
    }

    async fn database(&self, database: DatabaseId, address: DatabaseAddress) -> WatchedDatabase {
        let mut watched = WatchedDatabase {
            database,
            address,
            error: None,
            database_guid: None,
            recovery_fork_guid: None,
            sessions: None,
            marks: Default::default(),
        };
        let looked = self.fill(&mut watched).await;
        if let Err(error) = looked {
            // Half a look could be taken for a whole one.
            watched.error = Some(error);
            watched.sessions = None;
        }
        watched
    }

    async fn fill(&self, watched: &mut WatchedDatabase) -> Result<(), String> {
        let known = self.sql.get(&watched.address.instance).map_err(|f| f.title.clone())?;
        let instance = known.sql.for_purpose("watch");
        let mut session = SqlSession::connect(&instance, Role::Monitor).await.map_err(said)?;
        let facts = ops::probe_instance(&mut session, &instance, self.clocks.as_ref())
            .await
            .map_err(said)?;
        let name = watched.address.database.clone();
        let identity = ops::identity_facts(&mut session, &name).await.map_err(said)?;
        let identity = identity.ok_or_else(|| format!("there is no database {name}"))?;
        watched.database_guid = identity.database_guid;
        watched.recovery_fork_guid = identity.recovery_fork_guid;
        watched.marks = identity.marks;
        // Without the right to see others the server answers "nobody".
        if facts.can_view_state {
            watched.sessions = Some(ops::sessions(&mut session, &name).await.map_err(said)?);
        }
        session.close().await;
        Ok(())
    }
}

fn said(error: SqlError) -> String {
    error.to_string()
}
