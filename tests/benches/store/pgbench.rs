//! What `pgbench` makes of the same server: transactions like TPC-B's, and one UPDATE of one row each.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use syncferry_store_postgres::server::Server;

/// At least as many branches as clients, or they wait for one another's rows.
const SCALE: &str = "16";
const ONE_ROW: &str =
    "\\set id random(1, 1600000)\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :id;\n";

/// The peers, on a database of their own.
pub(crate) struct Peers {
    program: PathBuf,
    port: String,
    database: String,
    /// With the script.
    folder: tempfile::TempDir,
}

impl Peers {
    pub(crate) async fn prepare(server: &Server) -> anyhow::Result<Peers> {
        let url = server.database().await;
        let (place, database) = url.rsplit_once('/').context("a URL without a database")?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("one-row.sql"), ONE_ROW)?;
        let peers = Peers {
            program: server.programs().join("pgbench"),
            port: place.rsplit_once(':').context("a URL without a port")?.1.to_string(),
            database: database.to_string(),
            folder,
        };
        peers.run(&["--initialize", "--quiet", "--scale", SCALE]).await?;
        Ok(peers)
    }

    /// Transactions like TPC-B's in a second: three UPDATEs, a SELECT, an INSERT.
    pub(crate) async fn tpcb(&self, clients: usize, time: Duration) -> anyhow::Result<f64> {
        self.rate(clients, time, &[]).await
    }

    /// Transactions of one UPDATE in a second.
    pub(crate) async fn one_row(&self, clients: usize, time: Duration) -> anyhow::Result<f64> {
        let script = self.folder.path().join("one-row.sql");
        self.rate(clients, time, &["--file", &script.to_string_lossy()]).await
    }

    async fn rate(&self, clients: usize, time: Duration, more: &[&str]) -> anyhow::Result<f64> {
        let (clients, threads) = (clients.to_string(), clients.min(2).to_string());
        let seconds = time.as_secs().max(1).to_string();
        let mut words = vec![
            "--no-vacuum",
            "--protocol",
            "prepared",
            "--client",
            &clients,
            "--jobs",
            &threads,
        ];
        words.extend(["--time", &seconds]);
        words.extend(more);
        let said = self.run(&words).await?;
        let line = said.lines().find_map(|l| l.strip_prefix("tps = "));
        let rate = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
        rate.with_context(|| format!("pgbench does not say how fast it was: {said}"))
    }

    async fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command
            .args(["--host", "127.0.0.1", "--port", &self.port, "--username", "syncferry"])
            .args(words)
            .arg(&self.database);
        let done = tokio::task::spawn_blocking(move || command.output()).await??;
        anyhow::ensure!(
            done.status.success(),
            "{}: {}",
            self.program.display(),
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }
}
