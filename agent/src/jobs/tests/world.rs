//! A machine with two drives, and the two SQL Servers of a move on it: both see the same drives, so that a backup needs no
//! transfer here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use syncferry_shared::artifact::{Counts, Manifest};
use syncferry_shared::card::Card;
use syncferry_shared::inventory::{DatabaseAddress, DatabaseFacts};
use syncferry_shared::lease::{LeaseRef, Resource};
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::spec::{BackupTask, DatabaseIdentity, JobKind, JobSpec, RestoreTask, Task, TestRestoreTask};
use syncferry_shared::token::{AttemptToken, digest};
use syncferry_shared::{AgentId, ArtifactId, DatabaseId, Finding, HostId, JobId, MigrationId};
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::machine::Machine;
use super::server::{PASSWORD, Server, instances, instances_of};
use crate::clocks::SystemClocks;
use crate::host::Host as _;
use crate::instances::Instances;
use crate::journal::{AttemptKey, End, Journal, Mode, Record, Report, Sight};
use crate::runner::tests::world::{Boss, PACE, until};
use crate::runner::{self, Controls, Deps, Ended, Env, LeaseBook};
use crate::sql::{Role, SqlSession, ops};
use crate::transfer::Artifacts;

/// The folder for backups.
pub(super) const STAGING: &str = r"D:\Staging";
/// The folder for the restored database.
const DATA: &str = r"E:\Data";
/// The account that Connect will run as.
pub(super) const ACCOUNT: &str = r"CONTOSO\gmsa-sync02$";
const MIGRATION: MigrationId = MigrationId(Uuid::from_u128(0x0a1b_2c3d));
const ARTIFACT: ArtifactId = ArtifactId(Uuid::from_u128(0xa7));

/// What a gate said.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Sight and observation, for a test that fails.
    pub(super) said: String,
    pub(super) title: Option<String>,
    pub(super) cards: Vec<Card>,
}

/// What the agent may do on the target.
enum Rights {
    All,
    Looks,
    NoLogins,
}

/// The machine, its SQL Servers, and an agent's runner.
pub(super) struct Site {
    pub(super) machine: Arc<Machine>,
    pub(super) source: Server,
    pub(super) target: Server,
    pub(super) sql: Instances,
    journal: Journal,
    attempts: AtomicI32,
    dir: TempDir,
    name: String,
}

impl Site {
    /// Two servers; the source has a database of this name.
    pub(super) async fn new(name: &str) -> Self {
        Self::with(name, |_| {}).await
    }

    /// The same, with an agent that may only look on the target, and a DBA who may do everything there.
    pub(super) async fn with_a_dba(name: &str) -> Self {
        Self::made(name, |_| {}, Rights::Looks).await
    }

    /// The same, with an agent that may create databases there and no logins; the service account has none.
    pub(super) async fn without_logins(name: &str) -> Self {
        Self::made(name, |_| {}, Rights::NoLogins).await
    }

    /// The same, with a database that was changed.
    pub(super) async fn with(name: &str, change: impl FnOnce(&mut AdSync)) -> Self {
        Self::made(name, change, Rights::All).await
    }

    async fn made(name: &str, change: impl FnOnce(&mut AdSync), rights: Rights) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["D/Staging", "E/Data", "journal"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let now = OffsetDateTime::now_utc();
        let mut sample = AdSync {
            name: name.to_string(),
            objects: 1_000,
            ..AdSync::new(now)
        };
        change(&mut sample);
        let source = InstanceSpec::localdb_2019("SYNC01", now).database(adsync(&sample));
        let source = Server::start("localdb", source, dir.path()).await;
        let target = InstanceSpec::standard_2022("SQL01", None, now);
        let looks = ["VIEW SERVER STATE", "VIEW ANY DEFINITION", "CONNECT ANY DATABASE"];
        let target = target.login("dba", PASSWORD, &["sysadmin"], &[]);
        let target = match rights {
            Rights::All => target.login("agent", PASSWORD, &["sysadmin"], &[]),
            Rights::Looks => target.login("agent", PASSWORD, &[], &looks).windows_login(ACCOUNT, &[]),
            Rights::NoLogins => target.login("agent", PASSWORD, &["dbcreator"], &looks),
        };
        let target = Server::start_for("default", target, dir.path()).await;
        let (journal, _) = Journal::open(&dir.path().join("journal")).unwrap();
        Self {
            machine: Arc::new(Machine::at(dir.path())),
            sql: instances(dir.path(), &[&source, &target]),
            source,
            target,
            journal,
            attempts: AtomicI32::new(0),
            dir,
            name: name.to_string(),
        }
    }

    /// Where this process finds a file.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.machine.local_path(path)
    }

    /// Runs T-SQL on the target as the DBA, batch by batch.
    pub(super) async fn dba(&self, sql: &str) {
        let all = instances_of(self.dir.path(), &[&self.target], "dba");
        let instance = all.get(self.target.name).unwrap().sql.clone();
        let mut session = SqlSession::connect(&instance, Role::Work).await.unwrap();
        for batch in sql.split("\nGO\n") {
            let statement = crate::sql::Statement {
                name: "dba",
                sql: batch.to_string(),
            };
            session
                .query(&statement)
                .await
                .unwrap_or_else(|e| panic!("{batch}: {e}"));
        }
        session.close().await;
    }

    /// Runs T-SQL on the source, where the agent's own login may do everything.
    pub(super) async fn agent_on_source(&self, sql: &str) {
        let instance = self.sql.get(self.source.name).unwrap().sql.clone();
        let mut session = SqlSession::connect(&instance, Role::Work).await.unwrap();
        for batch in sql.split("\nGO\n") {
            let statement = crate::sql::Statement {
                name: "dba",
                sql: batch.to_string(),
            };
            session
                .query(&statement)
                .await
                .unwrap_or_else(|e| panic!("{batch}: {e}"));
        }
        session.close().await;
    }

    /// What gates said, in order.
    pub(super) fn gates(&self) -> Vec<Told> {
        self.journal.read(|l| {
            let reports = l.attempts.values().flat_map(|a| a.unacked.values());
            let told = reports.filter_map(|r| match r {
                Report::Gate {
                    sight,
                    observation,
                    title,
                    cards,
                } => Some(Told {
                    said: format!("{sight:?}: {observation}"),
                    title: title.clone(),
                    cards: cards.clone(),
                }),
                _ => None,
            });
            told.collect()
        })
    }

    /// Waits until a gate says something.
    pub(super) async fn until_told(&self, sight: Sight, text: &str) {
        let says = |r: &Report| matches!(r, Report::Gate { sight: s, observation, .. } if *s == sight && observation.contains(text));
        let until = until(&self.journal, |l| {
            l.attempts.values().flat_map(|a| a.unacked.values()).any(says)
        });
        let told = tokio::time::timeout(std::time::Duration::from_secs(60), until).await;
        let said: Vec<String> = self.gates().into_iter().map(|t| t.said).collect();
        assert!(told.is_ok(), "'{text}' was not said: {:#?}", said);
    }

    /// The next attempt at a job, with somebody who does what its gates ask: they get title and T-SQL of each.
    pub(super) async fn run_with(&self, task: Task, mut at_gate: impl AsyncFnMut(&str, &str)) -> End {
        let before = self.gates().iter().filter(|t| t.title.is_some()).count();
        let ended = CancellationToken::new();
        let running = async {
            let end = self.run(task).await;
            ended.cancel();
            end
        };
        let person = async {
            let mut seen = before;
            loop {
                let opened = || {
                    let all = self.gates().into_iter().filter(|t| t.title.is_some());
                    all.collect::<Vec<Told>>()
                };
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = until(&self.journal, |l| {
                        let reports = l.attempts.values().flat_map(|a| a.unacked.values());
                        reports.filter(|r| matches!(r, Report::Gate { title: Some(_), .. })).count() > seen
                    }) => {}
                }
                let gate = opened().swap_remove(seen);
                seen += 1;
                let fields = gate.cards.iter().flat_map(|c| &c.fields);
                let sql = fields.filter(|f| f.label == "T-SQL").map(|f| f.value.clone()).next();
                at_gate(gate.title.as_deref().unwrap(), &sql.unwrap()).await;
            }
        };
        tokio::join!(running, person).0
    }

    /// The next attempt at a job, to its end.
    pub(super) async fn run(&self, task: Task) -> End {
        let attempt = self.attempts.fetch_add(1, Ordering::SeqCst) + 1;
        let job = JobId(Uuid::from_u128(match task.kind() {
            JobKind::Backup => 1,
            JobKind::Restore => 2,
            JobKind::Install => 3,
            JobKind::Verify => 4,
            JobKind::Fence => 5,
            JobKind::Stop => 6,
        }));
        let resource = Resource("adsync-db:x".into());
        let spec = JobSpec {
            schema_version: 1,
            migration: MIGRATION,
            job,
            host: HostId(Uuid::nil()),
            lease: LeaseRef {
                resource: resource.clone(),
                epoch: 1,
            },
            task,
        };
        let spec = serde_json::to_string(&spec).unwrap();
        let token = AttemptToken {
            job,
            attempt,
            epoch: 1,
            incarnation: 1,
            digest: digest(spec.as_bytes()),
        };
        let key = AttemptKey::of(&token);
        let accepted = Record::Accepted {
            token,
            resource,
            spec,
            mode: Mode::Do,
        };
        self.journal.append(accepted).await.unwrap();
        self.journal.append(Record::Confirmed { attempt: key }).await.unwrap();
        let (_pause, paused) = watch::channel(false);
        let (log, _lines) = mpsc::unbounded_channel();
        let ended = runner::run(&self.deps(), key, Controls::new(paused), log).await;
        assert_eq!(ended, Ended::Reported);
        self.journal.attempt(key).unwrap().end.unwrap()
    }

    fn deps(&self) -> Deps {
        Deps {
            journal: self.journal.clone(),
            env: Arc::new(Env {
                host: self.machine.clone(),
                controller: Arc::new(Boss::default()),
                clocks: Arc::new(SystemClocks),
                data_dir: self.dir.path().to_path_buf(),
                staging_dir: STAGING.into(),
                sql: self.sql.clone(),
                artifacts: Artifacts::new(self.dir.path()),
                dial_as: None,
                leases: LeaseBook::default(),
                pace: PACE,
            }),
            builder: Arc::new(crate::jobs::build),
        }
    }

    /// Everything about the databases of a server that a person could miss.
    pub(super) async fn databases(&self, server: &Server) -> BTreeMap<String, DatabaseFacts> {
        let instance = self.sql.get(server.name).unwrap().sql.clone();
        let mut session = SqlSession::connect(&instance, Role::Work).await.unwrap();
        let facts = ops::probe_instance(&mut session, &instance, &SystemClocks)
            .await
            .unwrap();
        let mut found = BTreeMap::new();
        for database in &facts.databases {
            if ["master", "model", "msdb", "tempdb"].contains(&database.name.as_str()) {
                continue;
            }
            let looked = ops::inspect_database(&mut session, &facts, &database.name).await;
            let mut looked = looked.unwrap().unwrap();
            looked.sessions = None;
            found.insert(database.name.clone(), looked);
        }
        session.close().await;
        found
    }

    async fn source_identity(&self) -> (DatabaseIdentity, Counts) {
        let facts = self.databases(&self.source).await.remove(&self.name).unwrap();
        let identity = DatabaseIdentity {
            id: DatabaseId(Uuid::from_u128(0xd1)),
            address: DatabaseAddress {
                instance: self.source.name.into(),
                database: self.name.clone(),
            },
            server_name: facts.server_name,
            database_guid: facts.database_guid.unwrap(),
            family_guid: facts.family_guid.unwrap(),
        };
        (identity, facts.adsync.unwrap().counts)
    }

    /// A backup of the source.
    pub(super) async fn backup(&self) -> Task {
        Task::Backup(BackupTask {
            database: self.source_identity().await.0,
            artifact: ARTIFACT,
            compression: false,
            hold_scheduler: true,
            scheduler_enabled: Some(true),
            idle_timeout_s: 60,
            expected_bytes: 1 << 30,
            dba: false,
        })
    }

    /// A restore of what a backup made, with its file where the transfer would have put it.
    pub(super) async fn restore(&self, backup: &Outcome) -> Task {
        let manifest = backup.manifest.clone().unwrap();
        std::fs::copy(self.path(&manifest.path), self.path(&self.copy())).unwrap();
        Task::Restore(Box::new(self.restore_task(&manifest).await))
    }

    /// A test restore of what a backup made, on an instance.
    pub(super) async fn test_restore(&self, backup: &Outcome, instance: &str, live: bool) -> Task {
        let manifest = backup.manifest.clone().unwrap();
        let (original, _) = self.source_identity().await;
        let server_name = match instance {
            "default" => "SQL01".to_string(),
            _ => original.server_name.clone(),
        };
        Task::TestRestore(Box::new(TestRestoreTask {
            file: manifest.path.clone(),
            original,
            live,
            restore: RestoreTask {
                instance: instance.into(),
                server_name,
                service_account: None,
                ..self.restore_task(&manifest).await
            },
        }))
    }

    /// Where the target's copy of the backup is.
    pub(super) fn copy(&self) -> String {
        format!(r"{STAGING}\{}\{}.bak", MIGRATION.short(), ARTIFACT.short())
    }

    pub(super) async fn restore_task(&self, manifest: &Manifest) -> RestoreTask {
        RestoreTask {
            artifact: ARTIFACT,
            size: manifest.size,
            root: manifest.root.clone(),
            manifest_digest: manifest.digest(),
            header: manifest.header.clone(),
            source_agent: AgentId(Uuid::nil()),
            source_address: String::new(),
            instance: self.target.name.into(),
            server_name: "SQL01".into(),
            database: DatabaseId(Uuid::from_u128(0xd2)),
            temporary_name: format!("{}__syncferry_{}", self.name, MIGRATION.short()),
            final_name: self.name.clone(),
            data_dir: Some(DATA.into()),
            log_dir: Some(DATA.into()),
            service_account: Some(ACCOUNT.into()),
            here: None,
            uncounted: false,
            without_checksums: false,
            keep_copy: false,
            dba: false,
            counts: self.source_identity().await.1,
        }
    }
}

/// The failure, which must have put everything back and say of each finding all that a person needs.
pub(super) fn stopped(end: End, step: &str, rule: &str) -> Failure {
    let End::Failed { failure } = end else {
        panic!("it did not fail: {end:?}");
    };
    assert_eq!(failure.step, step, "{failure:?}");
    assert_eq!(failure.findings[0].rule, rule, "{failure:?}");
    assert!(failure.undone, "{failure:?}");
    for f in &failure.findings {
        assert!(
            !f.evidence.is_empty() && !f.source.is_empty() && !f.next_step.is_empty(),
            "{f:?}"
        );
    }
    failure
}

/// The outcome of a job that must have ended well.
pub(super) fn done(end: End) -> Outcome {
    match end {
        End::Succeeded { outcome } => *outcome,
        other => panic!("it did not end well: {other:?}"),
    }
}

/// A failure as a person reads it; long numbers differ from run to run.
pub(super) fn read_aloud(failure: &Failure) -> String {
    failure.findings.iter().map(aloud).collect::<Vec<_>>().join("\n")
}

fn aloud(f: &Finding) -> String {
    let mut text = format!("{} {}: {}\n", f.severity.as_str(), f.rule, f.title);
    for e in &f.evidence {
        text += &format!("  {}: {}\n", e.looked_at, e.found);
    }
    text += &format!("  source: {}\n  next: {}\n", f.source, f.next_step);
    steady(&text)
}

/// Numbers of more than four digits, pages and hashes become `#`.
fn steady(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() {
            word.push(c);
            continue;
        }
        let number = word.len() > 4 && word.bytes().all(|b| b.is_ascii_digit());
        let page = out.ends_with("page (1:");
        out.push_str(if number || page || word.len() >= 32 { "#" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}
