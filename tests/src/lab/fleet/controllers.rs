//! PostgreSQL and the controllers on it: each controller a process of its own, with a wire of its own to PostgreSQL that can be
//! cut. All have one authority; the first makes it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use syncferry_proto::transport::{OperatorCredentials, private_file};
use syncferry_store_postgres::server::Server;
use tokio::sync::Mutex;

use super::low_port;
use crate::lab::processes::{ProcessError, Program, Supervisor};
use crate::lab::proxy::Proxy;
use crate::lab::roles;

/// A controller that cannot start because its store is away is started again, as a service manager would.
const START_AGAIN: Duration = Duration::from_millis(500);
/// By then it must have started.
const START_LIMIT: Duration = Duration::from_secs(180);
const NAME: &str = "controller";

/// All of them.
pub(super) struct Controllers {
    pub(super) members: Vec<Member>,
    pub(super) postgres: Mutex<Server>,
    /// An operator's credentials that name every controller.
    pub(super) credentials: PathBuf,
}

/// One of them.
pub(super) struct Member {
    dir: PathBuf,
    pub(super) address: SocketAddr,
    /// To PostgreSQL.
    pub(super) store: Proxy,
    supervisor: Mutex<Supervisor>,
}

impl Controllers {
    /// Starts PostgreSQL and all controllers.
    pub(super) async fn start(exe: &Path, dir: &Path, count: u8) -> anyhow::Result<Controllers> {
        let postgres = Server::own().await;
        let url = postgres.database().await;
        let (place, name) = place_of(&url)?;
        let mut members = Vec::new();
        for n in 1..=count {
            let dir = dir.join(format!("controller-{n}"));
            fs::create_dir_all(&dir)?;
            let store = Proxy::open(place).await?;
            let address = SocketAddr::from(([127, 0, 0, 1], low_port()?));
            let url = format!("postgres://syncferry@{}/{name}", store.address());
            fs::write(
                dir.join("controller.toml"),
                toml::to_string_pretty(&config(&dir, address, &url))?,
            )?;
            members.push(Member {
                supervisor: Mutex::new(Supervisor::new(exe, &dir)),
                dir,
                address,
                store,
            });
        }
        for (n, member) in members.iter().enumerate() {
            if n > 0 {
                member.take_after(&members[0])?;
            }
            member.start().await?;
        }
        let credentials = dir.join("operator.toml");
        let mut first = OperatorCredentials::load(&members[0].data().join("operator.toml"))?;
        first.controller = members
            .iter()
            .map(|m| m.address.to_string())
            .collect::<Vec<_>>()
            .join(",");
        first.save(&credentials)?;
        Ok(Controllers {
            members,
            postgres: Mutex::new(postgres),
            credentials,
        })
    }

    /// Asks the store whether everything that must hold does.
    pub(super) async fn audit(&self) -> anyhow::Result<()> {
        let first = &self.members[0];
        let arguments = [
            roles::CONTROLLER.into(),
            "--config".into(),
            first.config().into(),
            "audit".into(),
        ];
        Ok(first
            .supervisor
            .lock()
            .await
            .run_to_end("audit", arguments.to_vec())
            .await?)
    }

    /// Ends all controllers in order.
    pub(super) async fn stop(&self) {
        for member in &self.members {
            member.supervisor.lock().await.stop_all().await;
        }
    }

    /// kill -9 of every process of PostgreSQL.
    pub(super) async fn kill_postgres(&self) -> anyhow::Result<()> {
        let server = self.postgres.lock().await;
        let file = server.folder().join("data/postmaster.pid");
        let text = fs::read_to_string(&file).context("PostgreSQL's process id")?;
        let postmaster: i32 = text.lines().next().unwrap_or_default().trim().parse()?;
        let mut all = vec![postmaster];
        all.extend(children(postmaster)?);
        for pid in all.into_iter().filter_map(Pid::from_raw) {
            // It may have ended in between: they end when their postmaster does.
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    /// Starts PostgreSQL again.
    pub(super) async fn restart_postgres(&self) {
        self.postgres.lock().await.kill_and_restart().await;
    }
}

impl Member {
    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("controller.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("logs").join(format!("{NAME}.log"))
    }

    /// The same authority and the same operator as another one.
    fn take_after(&self, other: &Member) -> anyhow::Result<()> {
        private_file::create_directory(&self.data())?;
        private_file::create_directory(&self.data().join("identity"))?;
        for file in fs::read_dir(other.data().join("identity"))? {
            let file = file?;
            fs::copy(file.path(), self.data().join("identity").join(file.file_name()))?;
        }
        Ok(())
    }

    /// kill -9.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        self.supervisor.lock().await.kill(NAME)?;
        Ok(())
    }

    /// Starts it, again and again while its store is away. Answers with how often that was in vain.
    pub(super) async fn start(&self) -> anyhow::Result<u32> {
        let program = Program {
            name: NAME.into(),
            arguments: vec![
                roles::CONTROLLER.into(),
                "--config".into(),
                self.config().into(),
                "run".into(),
            ],
            ready: Some(self.data().join("address")),
        };
        let (began, mut in_vain) = (Instant::now(), 0);
        loop {
            let started = self.supervisor.lock().await.start(program.clone()).await;
            match started {
                Ok(()) => return Ok(in_vain),
                Err(ProcessError::Ended { .. }) if began.elapsed() < START_LIMIT => {
                    in_vain += 1;
                    tokio::time::sleep(START_AGAIN).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Starts it again where it ended by itself; whether it had.
    pub(super) async fn revive(&self) -> anyhow::Result<bool> {
        let revived = self.supervisor.lock().await.revive(super::say).await;
        match revived {
            Ok(count) => Ok(count > 0),
            // It did not come up at once.
            Err(_) => self.start().await.map(|_| true),
        }
    }
}

/// Where PostgreSQL is, and the database's name.
fn place_of(url: &str) -> anyhow::Result<(SocketAddr, String)> {
    let rest = url.rsplit_once('@').context("a URL without a user")?.1;
    let (place, name) = rest.split_once('/').context("a URL without a database")?;
    Ok((place.parse()?, name.to_string()))
}

/// As a world's own controller, but for the store; and inspections that fall into a fault do not hold a plan up for a minute.
fn config(dir: &Path, address: SocketAddr, url: &str) -> serde_json::Value {
    json!({
        "data_dir": dir.join("data"),
        "store": url,
        "listen": address.to_string(),
        "advertise": address.to_string(),
        "inspection_timeout_s": 30,
        "log": "info",
        "leases": { "ttl_s": 60, "renew_every_s": 10, "grace_s": 15, "margin_s": 10 },
        // One writer for all: sixty machines' worth of processes on a few cores need not beat every second.
        "agents": { "heartbeat_s": 3, "silent_after_s": 15, "stop_after_s": 40, "certificate_days": 7 },
    })
}

/// The processes that a process has begun.
fn children(parent: i32) -> anyhow::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let of = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        if of == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}
