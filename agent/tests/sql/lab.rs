//! Two SQL Server stand-ins on loopback: Connect's LocalDB with a sample ADSync, and an empty full SQL Server. Their drive D:
//! is one folder, so that a backup needs no transfer here.

use std::path::Path;

use syncferry_agent::sql::instance::APPLICATION;
use syncferry_agent::sql::{Role, ops};
use syncferry_agent::sql::{ServerCertificate, SqlInstance, SqlLogin, SqlSession};
use syncferry_shared::inventory::{DatabaseFacts, InstanceFacts};
use syncferry_shared::secret::Secret;
use syncferry_shared::{Clock, Millis};
use syncferry_sqlserver::engine::Instance;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use syncferry_sqlserver::storage::{Database, InstanceSpec};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const PASSWORD: &str = "Passw0rd!ä";

/// The machine's clock.
pub(crate) struct Now;

impl Clock for Now {
    fn now(&self) -> Millis {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
        Millis(i64::try_from(nanos / 1_000_000).unwrap())
    }
}

/// A running stand-in.
pub(crate) struct Server {
    pub(crate) instance: SqlInstance,
    pub(crate) dir: TempDir,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(name: &str, spec: InstanceSpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec
            .login("agent", PASSWORD, &["sysadmin"], &[])
            .login("guest1", PASSWORD, &[], &[]);
        spec.config.integrated_security_only = false;
        drop(spec.create(dir.path()).unwrap());
        let engine = Instance::open(dir.path()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(syncferry_sqlserver::server::serve(engine, listener, shutdown.clone()));
        let instance = SqlInstance {
            name: name.into(),
            endpoint: format!("tcp:127.0.0.1,{port}").parse().unwrap(),
            login: SqlLogin::Sql {
                user: "agent".into(),
                password: Secret::new(PASSWORD),
            },
            certificate: ServerCertificate::Any,
            purpose: "test".into(),
        };
        Self {
            instance,
            dir,
            shutdown,
            serving,
        }
    }

    /// The same instance for a login without any right.
    pub(crate) fn as_guest(&self) -> SqlInstance {
        SqlInstance {
            login: SqlLogin::Sql {
                user: "guest1".into(),
                password: Secret::new(PASSWORD),
            },
            ..self.instance.clone()
        }
    }

    pub(crate) async fn work(&self) -> SqlSession {
        SqlSession::connect(&self.instance, Role::Work).await.unwrap()
    }

    pub(crate) async fn monitor(&self) -> SqlSession {
        SqlSession::connect(&self.instance, Role::Monitor).await.unwrap()
    }

    pub(crate) fn faults(&self, json: &str) {
        std::fs::write(self.dir.path().join("faults.json"), json).unwrap();
    }

    /// How fast BACKUP, RESTORE and CHECKDB are.
    pub(crate) fn pace(&self, mb_per_s: f64) {
        let text = format!("{{\"io_mb_per_s\": {mb_per_s}}}");
        std::fs::write(self.dir.path().join("lab.json"), text).unwrap();
    }

    pub(crate) async fn probe(&self) -> InstanceFacts {
        let mut work = self.work().await;
        ops::probe_instance(&mut work, &self.instance, &Now).await.unwrap()
    }

    pub(crate) async fn inspect(&self, database: &str) -> DatabaseFacts {
        let facts = self.probe().await;
        let mut work = self.work().await;
        ops::inspect_database(&mut work, &facts, database)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// Where both servers keep backups.
pub(crate) const STAGING: &str = r"D:\Staging";

/// Connect's LocalDB with a sample ADSync of a few thousand rows.
pub(crate) async fn localdb(shared: &Path) -> Server {
    localdb_with(shared, |_| {}).await
}

/// The same with another ADSync.
pub(crate) async fn localdb_with(shared: &Path, change: impl FnOnce(&mut AdSync)) -> Server {
    let now = OffsetDateTime::now_utc();
    let mut sample = AdSync {
        objects: 3_000,
        ..AdSync::new(now)
    };
    change(&mut sample);
    localdb_of(shared, adsync(&sample)).await
}

/// The same with a database that is as it is given.
pub(crate) async fn localdb_of(shared: &Path, database: Database) -> Server {
    let now = OffsetDateTime::now_utc();
    std::fs::create_dir_all(shared.join("Staging")).unwrap();
    let spec = InstanceSpec::localdb_2019("SYNC01", now)
        .database(database)
        .drive("D:", shared, None);
    Server::start("localdb", spec).await
}

/// An empty SQL Server 2022 Standard.
pub(crate) async fn standard(shared: &Path) -> Server {
    let now = OffsetDateTime::now_utc();
    std::fs::create_dir_all(shared.join("Data")).unwrap();
    let spec = InstanceSpec::standard_2022("SQL01", None, now).drive("D:", shared, None);
    Server::start("default", spec).await
}

/// The application name that sessions of the tests carry.
pub(crate) fn application() -> String {
    format!("{APPLICATION}/test")
}
