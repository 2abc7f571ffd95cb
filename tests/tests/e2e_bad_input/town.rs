//! A lab that is up, an operator who types, and what a person would compare before and after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use syncferry_agent::clocks::SystemClocks;
use syncferry_agent::sql::{Role, ServerCertificate, SqlInstance, SqlLogin, SqlSession, ops};
use syncferry_cli::{Console, Exit};
use syncferry_proto::{schema, v1};
use syncferry_shared::Finding;
use syncferry_shared::inventory::DatabaseFacts;
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::plan::Plan;
use syncferry_shared::secret::Secret;
use syncferry_tests::lab::host::effects::Effects;
use syncferry_tests::lab::host::sql::WINDOWS_PASSWORD;
use syncferry_tests::lab::host::state::State;
use syncferry_tests::lab::host_client::HostClient;
use syncferry_tests::lab::operator::{AtTheGate, Operator, Rest};
use syncferry_tests::lab::run::Lab;
use syncferry_tests::lab::typed::Scenario;
use syncferry_tests::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST, STAGING, World, WorldOptions};

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(240);

/// The lab.
pub(crate) struct Town {
    pub(crate) lab: Lab,
    pub(crate) operator: Operator,
    dir: tempfile::TempDir,
}

/// What a person would compare: every database of a server that is not SQL Server's own, with what is in it.
pub(crate) type Databases = BTreeMap<String, DatabaseFacts>;

/// A world that is not up yet.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    options: WorldOptions,
}

impl Place {
    pub(crate) fn new(options: WorldOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        World::create(&dir.path().join("lab"), &options, |_| {}).unwrap();
        Self { dir, options }
    }

    pub(crate) fn world(&self) -> World {
        World::look(&self.dir.path().join("lab")).unwrap()
    }

    pub(crate) fn open(self) -> (Lab, tempfile::TempDir) {
        let lab = Lab::open(exe(), &self.dir.path().join("lab"), &self.options).unwrap();
        (lab, self.dir)
    }

    /// Everything up, and the source registered.
    pub(crate) async fn up(self) -> Town {
        let name = self.options.database.clone();
        let (mut lab, dir) = self.open();
        let mut operator = lab.bring_up().await.unwrap();
        operator.add_database_named(&name).await.unwrap();
        Town::of(lab, operator, dir)
    }
}

pub(crate) fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lab"))
}

impl Town {
    pub(crate) fn of(lab: Lab, operator: Operator, dir: tempfile::TempDir) -> Self {
        Self { lab, operator, dir }
    }

    pub(crate) async fn new() -> Self {
        Place::new(WorldOptions::small()).up().await
    }

    pub(crate) fn world(&self) -> &World {
        self.lab.world()
    }

    pub(crate) async fn down(mut self) {
        self.lab.processes().stop_all().await;
        drop(self.dir);
    }

    /// A command line, as a person types it.
    pub(crate) async fn type_in(&self, words: &[&str]) -> (Exit, String) {
        type_in(&self.world().credentials(), words).await
    }

    /// Plans the move of the registered source, and waits for the plan.
    pub(crate) async fn plan(&mut self) -> v1::Migration {
        let source = self.world().options().database.clone();
        self.plan_of(&source).await
    }

    pub(crate) async fn plan_of(&mut self, source: &str) -> v1::Migration {
        let mut words = Scenario::MoveToFullSql.plan(self.world(), source);
        words.push("--json".into());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (exit, said) = self.type_in(&words).await;
        assert!(matches!(exit, Exit::Ok | Exit::Refused), "{said}");
        let answer = said.lines().collect::<String>();
        let start = answer.find('{').unwrap_or_else(|| panic!("no JSON: {said}"));
        // What went to the other stream comes behind it.
        let mut values = serde_json::Deserializer::from_str(&answer[start..]).into_iter::<serde_json::Value>();
        let json = values.next().unwrap().unwrap_or_else(|e| panic!("{e}: {said}"));
        let id = json["migration"]["id"].as_str().unwrap_or_else(|| panic!("{said}"));
        self.operator.planned(id).await.unwrap()
    }

    /// Applies and waits until the migration rests. At the gate, the lab's person works through the wizard.
    pub(crate) async fn apply(&mut self, migration: &str) -> Rest {
        let planned = self.operator.migration(migration).await.unwrap();
        self.operator.apply(&planned).await.unwrap();
        let gate = AtTheGate::Played {
            host: HostClient::new(&self.world().host_dir(NEW_SERVER)),
            pause: Duration::ZERO,
            sql: Default::default(),
        };
        let watching = tokio::time::timeout(PATIENCE, self.operator.watch(migration, &gate));
        watching.await.expect("the migration does not come to rest").unwrap()
    }

    /// Applies; the job must stop with this finding, with everything put back.
    pub(crate) async fn stops(&mut self, migration: &str, job: &str, rule: &str) -> Failure {
        assert_eq!(self.apply(migration).await, Rest::Stopped, "{job}, {rule}");
        let now = self.operator.migration(migration).await.unwrap();
        let ended = now.jobs.iter().find(|j| j.name == job).unwrap();
        assert_eq!(ended.state, "failed", "{job}");
        let failure: Failure = ended.result.as_ref().unwrap().read(schema::FAILURE).unwrap();
        assert_eq!(failure.findings[0].rule, rule, "{failure:?}");
        assert!(failure.undone, "{failure:?}");
        failure.findings.iter().for_each(says_everything);
        failure
    }

    /// What a job that ended well said.
    pub(crate) async fn outcome(&mut self, migration: &str, job: &str) -> Outcome {
        let now = self.operator.migration(migration).await.unwrap();
        let ended = now.jobs.iter().find(|j| j.name == job).unwrap();
        ended.result.as_ref().unwrap().read(schema::OUTCOME).unwrap()
    }

    /// Waits until a job is in a state.
    pub(crate) async fn until_job(&mut self, migration: &str, job: &str, state: &str) {
        let looking = async {
            loop {
                let now = self.operator.migration(migration).await.unwrap();
                if now.jobs.iter().any(|j| j.name == job && j.state == state) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("{job} is not {state}"));
    }

    /// The databases of both servers: `source`, then `target`.
    pub(crate) async fn databases(&self) -> (Databases, Databases) {
        let ports = self.world().ports();
        let source = databases(ports.sql_source, r"NT AUTHORITY\SYSTEM").await;
        (source, databases(ports.sql_target, r"CONTOSO\dba").await)
    }

    /// Writes the fault plan of a SQL Server: one rule, or none.
    pub(crate) fn sql_fault(&self, which: &str, rule: &str) {
        let path = self.world().sql_dir(which).join("faults.json");
        std::fs::write(path, format!("{{\"rules\": [{rule}]}}")).unwrap();
    }

    /// How big drives of a machine are from now on; the SQL Server there sees the same.
    pub(crate) fn drive(&self, host: &str, drive: &str, bytes: u64) {
        self.world().size_drive(host, drive, bytes).unwrap();
    }

    /// Completed statements of a SQL Server by kind.
    pub(crate) fn completed(&self, which: &str) -> BTreeMap<String, u64> {
        let path = self.world().sql_dir(which).join("effects.json");
        let Ok(text) = std::fs::read(path) else {
            return BTreeMap::new();
        };
        let effects: serde_json::Value = serde_json::from_slice(&text).unwrap();
        serde_json::from_value(effects["counts"].clone()).unwrap_or_default()
    }

    pub(crate) fn effects(&self, host: &str) -> Effects {
        Effects::load(&self.world().host_dir(host)).unwrap()
    }

    /// Whether the old server's scheduler is on.
    pub(crate) fn scheduler_is_on(&self) -> bool {
        let state = State::load(&self.world().host_dir(OLD_SERVER)).unwrap();
        state.scheduler.sync_cycle_enabled
    }

    /// The real file behind a path of a machine.
    pub(crate) fn file(&self, host: &str, path: &str) -> PathBuf {
        let (drive, rest) = path.split_once(":\\").unwrap();
        let root = self.world().host_dir(host).join("drives").join(drive);
        rest.split('\\').fold(root, |p, part| p.join(part))
    }

    /// Backups that are on a machine, whole or in part.
    pub(crate) fn backups(&self, host: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.file(host, STAGING)];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().contains(".bak") {
                    found.push(path);
                }
            }
        }
        found
    }

    /// No host was touched, and no statement that changes anything was completed.
    pub(crate) fn assert_untouched(&self) {
        for host in [OLD_SERVER, SQL_HOST, NEW_SERVER] {
            let e = self.effects(host);
            assert_eq!(
                (e.scheduler_changes, e.wizards_started, e.service_stops),
                (0, 0, 0),
                "{host}"
            );
        }
        for which in ["source", "target"] {
            assert!(self.completed(which).is_empty(), "{which}: {:?}", self.completed(which));
        }
    }
}

/// A command line; what it said on both streams.
pub(crate) async fn type_in(credentials: &Path, words: &[&str]) -> (Exit, String) {
    let credentials = credentials.to_string_lossy().into_owned();
    let all = ["syncferry", "--credentials", &credentials];
    let args = all.iter().chain(words).map(std::ffi::OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = syncferry_cli::run(args, &mut Console::plain(&mut out, &mut err)).await;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (exit, text(out) + &text(err))
}

/// The plan of a migration.
pub(crate) fn plan(migration: &v1::Migration) -> Plan {
    migration.plan.as_ref().unwrap().read(schema::PLAN).unwrap()
}

/// The rules that spoke; every finding says all that a person needs.
pub(crate) fn rules(migration: &v1::Migration) -> Vec<String> {
    let findings = plan(migration).findings;
    findings.iter().for_each(says_everything);
    findings.into_iter().map(|f| f.rule).collect()
}

fn says_everything(f: &Finding) {
    assert!(
        !f.title.is_empty() && !f.evidence.is_empty() && !f.source.is_empty(),
        "{f:?}"
    );
    assert!(f.next_step.len() > 8, "{f:?}");
}

async fn databases(port: u16, login: &str) -> Databases {
    let instance = SqlInstance {
        name: "test".into(),
        endpoint: format!("tcp:127.0.0.1,{port}").parse().unwrap(),
        login: SqlLogin::Sql {
            user: login.into(),
            password: Secret::new(WINDOWS_PASSWORD),
        },
        certificate: ServerCertificate::Any,
        purpose: "test".into(),
    };
    let mut session = SqlSession::connect(&instance, Role::Work).await.unwrap();
    let facts = ops::probe_instance(&mut session, &instance, &SystemClocks)
        .await
        .unwrap();
    let mut found = Databases::new();
    for database in &facts.databases {
        if ["master", "model", "msdb", "tempdb"].contains(&database.name.as_str()) {
            continue;
        }
        let looked = ops::inspect_database(&mut session, &facts, &database.name).await;
        let mut looked = looked.unwrap().unwrap();
        without_what_cycles_change(&mut looked);
        found.insert(database.name.clone(), looked);
    }
    session.close().await;
    found
}

/// The old server goes on synchronising, which writes run history.
fn without_what_cycles_change(facts: &mut DatabaseFacts) {
    (facts.sessions, facts.bytes, facts.used_bytes) = (None, 0, None);
    facts.files.iter_mut().for_each(|f| f.bytes = 0);
    if let Some(adsync) = &mut facts.adsync {
        (adsync.last_sync, adsync.last_sync_source, adsync.run_in_progress) = (None, None, None);
        adsync.config.connectors.iter_mut().for_each(|c| c.last_sync = None);
    }
}
