//! A session of the service on the database that the registry names.

use super::super::Host;
use super::super::dns::Dns;
use super::super::layout::{KEY_PARAMETERS, KEY_SERVICE, SERVICE_PROGRAM};
use super::super::sql::{Row, Session, SqlFailure, Target};

/// A session.
pub(crate) struct Connection {
    session: Session,
}

impl Connection {
    /// Connects as the service's account to what `ADSync\Parameters` says.
    pub(crate) async fn open(host: &Host) -> Result<Connection, SqlFailure> {
        let machine = host.machine();
        let (server, instance, database, account) = host.look(|s| {
            (
                s.registry.text(KEY_PARAMETERS, "Server"),
                s.registry.text(KEY_PARAMETERS, "SQLInstance"),
                s.registry.text(KEY_PARAMETERS, "DBName"),
                s.registry.text(KEY_SERVICE, "ObjectName"),
            )
        });
        let dns = Dns::load(&host.dir().join(&machine.dns)).map_err(|e| SqlFailure::Broken(e.to_string()))?;
        let address = dns
            .resolve(&machine.computer_name, &server, &instance)
            .map_err(|e| SqlFailure::Broken(e.to_string()))?;
        let target = Target {
            address,
            account,
            database,
            program: SERVICE_PROGRAM.to_string(),
            computer: machine.computer_name,
        };
        Ok(Connection {
            session: Session::connect(&target).await?,
        })
    }

    pub(crate) async fn run(&mut self, sql: &str) -> Result<Vec<Row>, SqlFailure> {
        self.session.run(sql).await
    }

    pub(crate) async fn close(self) {
        self.session.close().await;
    }
}
