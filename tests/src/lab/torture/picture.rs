//! What the SQL Servers and machines of a lab look like while nothing runs: read from their files, not asked of anybody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use syncferry_agent::journal::Journal;
use syncferry_sqlserver::storage::{Database, InstanceStore};

use crate::lab::host::effects::Effects;
use crate::lab::host::state::State;
use crate::lab::world::{HOSTS, World};

/// What synchronisation cycles write, whoever else does something.
const RUN_HISTORY: [&str; 2] = ["mms_run_history", "mms_step_history"];
/// master, tempdb, model, msdb.
const SYSTEM_DATABASES: i32 = 4;

/// A SQL Server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::lab) struct Sql {
    /// The user databases, each with its state and a hash of everything in it but run history.
    pub(in crate::lab) databases: BTreeMap<String, (String, String)>,
    /// Completed statements by kind.
    pub(in crate::lab) counts: BTreeMap<String, u64>,
    /// Logins, with their roles and permissions.
    pub(in crate::lab) logins: Vec<String>,
    /// Databases that were dropped.
    pub(in crate::lab) dropped: Vec<String>,
}

/// `effects.json` of a SQL Server.
#[derive(Debug, Deserialize)]
struct Effected {
    counts: BTreeMap<String, u64>,
    effects: Vec<Effect>,
}

#[derive(Debug, Deserialize)]
struct Effect {
    what: String,
    database: String,
}

/// A machine.
#[derive(Debug, Clone)]
pub(in crate::lab) struct Machine {
    pub(in crate::lab) state: State,
    pub(in crate::lab) effects: Effects,
    /// Backup files, and parts of them.
    pub(in crate::lab) backups: Vec<PathBuf>,
    /// All files on its drives but those of databases.
    pub(in crate::lab) files: Vec<PathBuf>,
    /// What the agent's journal still has open, or must put back.
    pub(in crate::lab) open: Vec<String>,
}

/// A lab.
#[derive(Debug, Clone)]
pub(in crate::lab) struct Picture {
    pub(in crate::lab) source: Sql,
    pub(in crate::lab) target: Sql,
    pub(in crate::lab) machines: BTreeMap<String, Machine>,
}

impl Picture {
    /// Looks at a lab of which nothing runs.
    pub(in crate::lab) fn take(world: &World) -> anyhow::Result<Picture> {
        let mut machines = BTreeMap::new();
        for host in HOSTS {
            machines.insert(
                host.to_string(),
                machine(world, host).with_context(|| host.to_string())?,
            );
        }
        Ok(Picture {
            source: sql(&world.sql_dir("source")).context("the source's SQL Server")?,
            target: sql(&world.sql_dir("target")).context("the target's SQL Server")?,
            machines,
        })
    }

    pub(in crate::lab) fn machine(&self, host: &str) -> &Machine {
        &self.machines[host]
    }
}

/// What journals of a lab whose agents do not run still have open, or must put back.
pub(in crate::lab) fn open_in_journals(world: &World) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for host in HOSTS {
        all.extend(open(&world.agent_dir(host).join("data"))?);
    }
    Ok(all)
}

fn sql(dir: &Path) -> anyhow::Result<Sql> {
    let mut found = Sql::default();
    if !dir.join("instance.json").is_file() {
        // There is no such server in a world for `replace-server`.
        return Ok(found);
    }
    let mut store = InstanceStore::open(dir)?;
    let logins = store.config().logins.iter();
    found.logins = logins
        .map(|l| format!("{} {:?} {:?} {}", l.name, l.roles, l.permissions, l.disabled))
        .collect();
    for open in store.open_databases()? {
        if open.database_id > SYSTEM_DATABASES {
            let state = format!("{:?}", open.database.meta.state);
            let name = open.database.meta.name.clone();
            found.databases.insert(name, (state, digest(&open.database)));
        }
    }
    let path = dir.join("effects.json");
    if path.exists() {
        let journal: Effected = serde_json::from_slice(&std::fs::read(path)?)?;
        let dropped = journal.effects.into_iter().filter(|e| e.what == "DROP DATABASE");
        found.dropped = dropped.map(|e| e.database).collect();
        found.counts = journal.counts;
    }
    Ok(found)
}

fn digest(database: &Database) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut tables: Vec<_> = database
        .tables
        .iter()
        .filter(|t| !RUN_HISTORY.contains(&t.name.as_str()))
        .collect();
    tables.sort_by_key(|t| t.object_id);
    for table in tables {
        hasher.update(format!("{table:?}").as_bytes());
    }
    let rest = (
        &database.principals,
        &database.permissions,
        &database.extended_properties,
        &database.files.iter().map(|f| &f.physical_name).collect::<Vec<_>>(),
        database.meta.user_access,
        database.meta.recovery_model,
        database.meta.family_guid,
    );
    hasher.update(format!("{rest:?}").as_bytes());
    hasher.finalize().to_hex().to_string()
}

fn machine(world: &World, host: &str) -> anyhow::Result<Machine> {
    let dir = world.host_dir(host);
    let data = world.agent_dir(host).join("data");
    let mut files = Vec::new();
    walk(&dir.join("drives"), &mut files)?;
    let ends = |p: &Path, endings: &[&str]| p.extension().is_some_and(|e| endings.iter().any(|x| e == *x));
    files.retain(|p| !ends(p, &["mdf", "ldf", "ndf"]));
    files.sort();
    let backups = files.iter().filter(|p| p.to_string_lossy().contains(".bak")).cloned();
    let backups = backups.collect();
    Ok(Machine {
        state: State::load(&dir)?,
        effects: Effects::load(&dir)?,
        backups,
        files,
        open: if data.join("journal").exists() {
            open(&data)?
        } else {
            vec![]
        },
    })
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn open(data: &Path) -> anyhow::Result<Vec<String>> {
    let (journal, _) = Journal::open(data)?;
    Ok(journal.read(|l| {
        let mut open: Vec<String> = l.open_attempts().map(|a| format!("{} is open", a.key())).collect();
        open.extend(
            l.unreported()
                .map(|a| format!("{} has reports that nobody took", a.key())),
        );
        for attempt in l.attempts.values() {
            let holds = attempt.holds.iter();
            open.extend(holds.map(|h| format!("{} holds '{}' (it was {})", attempt.key(), h.what, h.old)));
        }
        open
    }))
}
