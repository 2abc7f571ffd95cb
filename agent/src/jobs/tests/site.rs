//! A SQL Server stand-in with ADSync and two Connect accounts, services that come back whenever they are thrown out, and a
//! runner with the least rights that a fence needs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use syncferry_proto::transport::private_file;
use syncferry_shared::fence::{FencePreviewRequest, RemoveMarksTask};
use syncferry_shared::inventory::{DatabaseAddress, Inventory};
use syncferry_shared::lease::{LeaseRef, Resource};
use syncferry_shared::secret::Secret;
use syncferry_shared::spec::{DatabaseIdentity, FenceDatabaseTask, JobSpec, Task};
use syncferry_shared::token::{AttemptToken, digest};
use syncferry_shared::{DatabaseId, Finding};
use syncferry_sqlserver::engine::Instance as Engine;
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use syncferry_sqlserver::types::Login;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::instances::Instances;
use crate::jobs;
use crate::journal::{AttemptKey, End, Journal, Mode, Record};
use crate::runner::tests::world::{Boss, Both, Machine, PACE, new_world};
use crate::runner::{Builder, Controls, Deps, Ended, Env, LeaseBook, run};
use crate::sql::{Role, SqlInstance, SqlLogin, SqlSession, Statement, ops};
use crate::transfer::Artifacts;

/// The old server's account, and the new one's.
pub(super) const A: &str = r"CONTOSO\svc-a$";
pub(super) const B: &str = r"CONTOSO\svc-b$";
const ID: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120003";

/// A stand-in and what works on it.
pub(super) struct Site {
    pub(super) engine: Engine,
    pub(super) port: u16,
    pub(super) sql: Instances,
    dir: TempDir,
    secrets: TempDir,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

/// A statement of the test's own.
pub(super) fn statement(sql: impl Into<String>) -> Statement {
    Statement {
        name: "test",
        sql: sql.into(),
    }
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::of("SQL01", |spec| spec).await
    }

    /// A site whose instance was changed before it first started.
    pub(super) async fn of(name: &str, change: impl FnOnce(InstanceSpec) -> InstanceSpec) -> Self {
        let now = OffsetDateTime::now_utc();
        let sample = AdSync {
            objects: 400,
            internal_version: 957,
            ..AdSync::new(now)
        };
        let rights = ["VIEW SERVER STATE", "VIEW ANY DEFINITION", "ALTER ANY CONNECTION"];
        let spec = InstanceSpec::standard_2022(name, None, now)
            .sa_password("sa")
            .windows_login(A, &[])
            .windows_login(B, &[])
            .login("agent", "p", &[], &rights)
            .database(adsync(&sample));
        let dir = tempfile::tempdir().unwrap();
        drop(change(spec).create(dir.path()).unwrap());
        let site = Self::serve(dir).await;
        site.sa("ALTER AUTHORIZATION ON DATABASE::ADSync TO sa;").await;
        site.sa("CREATE USER agent FOR LOGIN agent; GRANT EXECUTE ON sys.xp_logininfo TO agent;")
            .await;
        site.sa(
            "USE ADSync; CREATE USER agent FOR LOGIN agent; GRANT ALTER ON DATABASE::ADSync TO agent; ALTER ROLE db_securityadmin ADD MEMBER agent;",
        )
        .await;
        for account in [A, B] {
            site.sa(&format!(
                "USE ADSync; CREATE USER [{account}] FOR LOGIN [{account}]; ALTER ROLE db_owner ADD MEMBER [{account}];"
            ))
            .await;
        }
        site
    }

    /// Starts a stand-in on a folder.
    async fn serve(dir: TempDir) -> Self {
        std::fs::write(dir.path().join("lab.json"), r#"{"windows_password": "w"}"#).unwrap();
        let engine = Engine::open(dir.path()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(syncferry_sqlserver::server::serve(
            engine.clone(),
            listener,
            shutdown.clone(),
        ));
        let secrets = tempfile::tempdir().unwrap();
        let password = secrets.path().join("agent");
        private_file::write(&password, "p").unwrap();
        let config = format!(
            "[[sql]]\nname = \"default\"\nendpoint = \"tcp:127.0.0.1,{port}\"\ntrust_server_certificate = true\nlogin = {{ user = \"agent\", password_file = {:?} }}\n",
            password
        );
        let config: Config = toml::from_str(&config).unwrap();
        Self {
            engine,
            port,
            sql: Instances::new(&config.sql).unwrap(),
            dir,
            secrets,
            shutdown,
            serving,
        }
    }

    /// Stops the stand-in, changes its configuration as a DBA may between a stop and a start, and starts it again.
    pub(super) async fn restarted(self, change: impl FnOnce(&Path)) -> Self {
        let Self {
            engine,
            dir,
            shutdown,
            serving,
            ..
        } = self;
        shutdown.cancel();
        serving.await.unwrap().unwrap();
        drop(engine);
        change(dir.path());
        Self::serve(dir).await
    }

    /// The agent's instances with this one under another endpoint.
    pub(super) fn through(&self, endpoint: &str) -> Instances {
        let config = format!(
            "[[sql]]\nname = \"default\"\nendpoint = \"{endpoint}\"\ntrust_server_certificate = true\nlogin = {{ user = \"agent\", password_file = {:?} }}\n",
            self.secrets.path().join("agent")
        );
        let config: Config = toml::from_str(&config).unwrap();
        Instances::new(&config.sql).unwrap()
    }

    /// Stops it, copies all its files to another machine, whose instance has this name, and starts both: what attaching copied
    /// files makes.
    pub(super) async fn attached_elsewhere(self, name: &str) -> (Self, Self) {
        let there = tempfile::tempdir().unwrap();
        let (from, to, name) = (
            "\"SQL01\"".to_string(),
            there.path().to_path_buf(),
            format!("\"{name}\""),
        );
        let here = self
            .restarted(|dir| {
                copy(dir, &to);
                let file = to.join("instance.json");
                let text = std::fs::read_to_string(&file).unwrap();
                std::fs::write(&file, text.replace(&from, &name)).unwrap();
            })
            .await;
        (here, Self::serve(there).await)
    }

    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn instance(&self) -> SqlInstance {
        self.sql.get("default").unwrap().sql.clone()
    }

    /// The agent's own session.
    pub(super) async fn agent(&self) -> SqlSession {
        SqlSession::connect(&self.instance(), Role::Work).await.unwrap()
    }

    pub(super) async fn login(&self, user: &str, password: &str) -> Result<SqlSession, crate::sql::SqlError> {
        let instance = SqlInstance {
            login: SqlLogin::Sql {
                user: user.into(),
                password: Secret::new(password),
            },
            ..self.instance()
        };
        SqlSession::connect(&instance, Role::Work).await
    }

    /// What a DBA does.
    pub(super) async fn sa(&self, sql: &str) {
        let mut session = self.login("sa", "sa").await.unwrap();
        session.query(&statement(sql)).await.unwrap();
        session.close().await;
    }

    /// Whether an account gets into the database now.
    pub(super) async fn lets_in(&self, account: &str) -> bool {
        let mut session = self.login(account, "w").await.unwrap();
        session.query(&statement("USE ADSync;")).await.is_ok()
    }

    pub(super) fn faults(&self, json: &str) {
        std::fs::write(self.folder().join("faults.json"), json).unwrap();
    }

    /// The synchronisation service of a server: it connects, and connects again whenever it was thrown out.
    pub(super) fn service(&self, account: &str, host: &str) -> Service {
        let (engine, seats) = (self.engine.clone(), watch::Sender::new(0_u32));
        let refused = Arc::new(AtomicU32::new(0));
        let login = Login {
            user: account.into(),
            password: "w".into(),
            database: "ADSync".into(),
            host_name: host.into(),
            app_name: "miiserver".into(),
            client_address: "127.0.0.1".into(),
            ..Login::default()
        };
        let (came_in, turned_away) = (seats.clone(), Arc::clone(&refused));
        let task = tokio::spawn(async move {
            loop {
                match engine.login(login.clone()).await {
                    Ok((session, _)) => {
                        came_in.send_modify(|n| *n += 1);
                        session.killed().cancelled().await;
                    }
                    Err(e) => {
                        assert!(matches!(e.number, 4060 | 18_456), "{e:?}");
                        turned_away.fetch_add(1, Ordering::SeqCst);
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Service { seats, refused, task }
    }

    /// The database, by its identity now.
    pub(super) async fn identity(&self) -> DatabaseIdentity {
        let mut session = self.agent().await;
        let row = ops::database_identity(&mut session, "ADSync").await.unwrap().unwrap();
        let facts = ops::identity_facts(&mut session, "ADSync").await.unwrap().unwrap();
        DatabaseIdentity {
            id: uid(),
            address: address(),
            server_name: facts.server_name,
            database_guid: row.database_guid.unwrap(),
            family_guid: row.family_guid.unwrap(),
        }
    }

    /// What an operator is shown.
    pub(super) async fn preview(&self, request: FencePreviewRequest) -> Inventory {
        use crate::session::Inspect as _;
        let inspector = crate::inspect::Inspector {
            host: Arc::new(Machine(new_world())),
            sql: self.sql.clone(),
            staging_dir: String::new(),
            clocks: Arc::new(Both::new()),
            power: None,
        };
        let request = syncferry_shared::inventory::InspectionRequest {
            preview: Some(request),
            ..Default::default()
        };
        inspector.inspect(&request).await
    }

    /// A fence as an operator approves it now.
    pub(super) async fn fence_task(
        &self,
        epoch: i64,
        owner: Option<&str>,
        deny: &[&str],
        grant: Option<&str>,
    ) -> FenceDatabaseTask {
        let deny: Vec<String> = deny.iter().map(|d| d.to_string()).collect();
        let (owner, grant) = (owner.map(str::to_string), grant.map(str::to_string));
        let request = FencePreviewRequest::Fence {
            database: address(),
            uid: uid(),
            epoch,
            owner: owner.clone(),
            deny: deny.clone(),
            grant: grant.clone(),
        };
        let preview = self.preview(request).await.preview.unwrap();
        FenceDatabaseTask {
            database: self.identity().await,
            epoch,
            owner,
            deny,
            grant,
            preview_digest: preview.digest(),
        }
    }

    /// A removal as an operator approves it now.
    pub(super) async fn removal_task(&self, allow: &[&str]) -> RemoveMarksTask {
        let allow: Vec<String> = allow.iter().map(|d| d.to_string()).collect();
        let request = FencePreviewRequest::RemoveMarks {
            database: address(),
            allow: allow.clone(),
        };
        let preview = self.preview(request).await.preview.unwrap();
        RemoveMarksTask {
            database: self.identity().await,
            allow,
            preview_digest: preview.digest(),
        }
    }

    /// Does a job from its beginning.
    pub(super) async fn does(&self, task: Task) -> End {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        let key = accept(&journal, task).await;
        self.goes_on(&journal, key).await
    }

    /// Does a job, or goes on with it, to its end.
    pub(super) async fn goes_on(&self, journal: &Journal, key: AttemptKey) -> End {
        let (log, _lines) = mpsc::unbounded_channel();
        let paused = watch::Sender::new(false);
        let ended = run(&self.deps(journal), key, Controls::new(paused.subscribe()), log).await;
        assert_eq!(ended, Ended::Reported);
        journal.attempt(key).unwrap().end.unwrap()
    }

    pub(super) fn deps(&self, journal: &Journal) -> Deps {
        self.deps_with(journal, Arc::new(jobs::build))
    }

    /// The same with jobs of the test's own.
    pub(super) fn deps_with(&self, journal: &Journal, builder: Arc<dyn Builder>) -> Deps {
        Deps {
            journal: journal.clone(),
            env: Arc::new(Env {
                host: Arc::new(Machine(new_world())),
                controller: Arc::new(Boss::default()),
                clocks: Arc::new(Both::new()),
                data_dir: Default::default(),
                staging_dir: String::new(),
                sql: self.sql.clone(),
                artifacts: Artifacts::new(Path::new("/nowhere")),
                dial_as: None,
                leases: LeaseBook::default(),
                pace: PACE,
            }),
            builder,
        }
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A synchronisation service.
pub(super) struct Service {
    seats: watch::Sender<u32>,
    refused: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Service {
    /// How often it came in.
    pub(super) fn seats(&self) -> u32 {
        *self.seats.borrow()
    }

    /// How often it was turned away.
    pub(super) fn refused(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Waits until it is in.
    pub(super) async fn is_in(&self) {
        self.seats.subscribe().wait_for(|n| *n > 0).await.unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn uid() -> DatabaseId {
    ID.parse().unwrap()
}

pub(super) fn address() -> DatabaseAddress {
    DatabaseAddress {
        instance: "default".into(),
        database: "ADSync".into(),
    }
}

/// An accepted and confirmed attempt.
pub(super) async fn accept(journal: &Journal, task: Task) -> AttemptKey {
    accepted(journal, task, Mode::Do, 1).await
}

pub(super) async fn accepted(journal: &Journal, task: Task, mode: Mode, attempt: i32) -> AttemptKey {
    let resource = Resource::database(uid());
    let spec = JobSpec {
        schema_version: 1,
        migration: ID.parse().unwrap(),
        job: ID.parse().unwrap(),
        host: ID.parse().unwrap(),
        lease: LeaseRef {
            resource: resource.clone(),
            epoch: 1,
        },
        task,
    };
    let spec = serde_json::to_string(&spec).unwrap();
    let token = AttemptToken {
        job: ID.parse().unwrap(),
        attempt,
        epoch: 1,
        incarnation: 1,
        digest: digest(spec.as_bytes()),
    };
    let key = AttemptKey::of(&token);
    let record = Record::Accepted {
        token,
        resource,
        spec,
        mode,
    };
    journal.append(record).await.unwrap();
    journal.append(Record::Confirmed { attempt: key }).await.unwrap();
    key
}

/// The outcome of a job that ended well.
pub(super) fn succeeded(end: End) -> syncferry_shared::outcome::Outcome {
    match end {
        End::Succeeded { outcome } => *outcome,
        other => panic!("{other:#?}"),
    }
}

/// The findings of a job that failed.
pub(super) fn failed(end: End) -> Vec<Finding> {
    match end {
        End::Failed { failure } => failure.findings,
        other => panic!("{other:#?}"),
    }
}

/// Their rules.
pub(super) fn rules(end: End) -> Vec<String> {
    failed(end).into_iter().map(|f| f.rule).collect()
}
