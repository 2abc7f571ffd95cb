//! Once per lab: the site, its hosts with their tokens, the source database.

use std::time::{Duration, Instant};

use anyhow::Context;
use syncferry_proto::v1;

use super::Operator;
use crate::lab::world::{DATABASE, INSTANCE, NEW_SERVER, OLD_SERVER, SITE, SQL_HOST, TENANT_ID};

const ONLINE_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A host and what it does.
const HOSTS: [(&str, &[&str]); 3] = [
    (OLD_SERVER, &["sql-host", "connect-server"]),
    (SQL_HOST, &["sql-host"]),
    (NEW_SERVER, &["connect-server"]),
];

impl Operator {
    /// Waits until the controller answers.
    pub async fn wait_for_controller(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + ONLINE_TIMEOUT;
        loop {
            match self.client.get_version(v1::GetVersionRequest {}).await {
                Ok(_) => return Ok(()),
                Err(status) if Instant::now() > until => {
                    return Err(status).context("the controller does not answer");
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Adds the site unless it is there.
    pub async fn add_site(&mut self) -> anyhow::Result<()> {
        let sites = self
            .client
            .list_sites(v1::ListSitesRequest {})
            .await?
            .into_inner()
            .sites;
        if sites.iter().any(|s| s.name == SITE) {
            return Ok(());
        }
        self.must(&["site", "add", SITE, "--tenant-id", TENANT_ID]).await
    }

    /// Adds the hosts that are not there. Answers with a token for each agent that has not enrolled: host and token.
    /// Where the old server's database is on the SQL host, the old server is no SQL host.
    pub async fn add_hosts(&mut self, replaces: bool) -> anyhow::Result<Vec<(String, String)>> {
        let known = self.hosts().await?;
        let mut tokens = Vec::new();
        for (name, roles) in HOSTS {
            let roles = match name {
                OLD_SERVER if replaces => &["connect-server"][..],
                _ => roles,
            };
            let token = match known.iter().find(|h| h.name == name) {
                Some(host) if !host.agent_id.is_empty() => continue,
                Some(_) => self.ask(&["host", "token", name]).await?,
                None => {
                    let mut words = vec!["host", "add", name, "--site", SITE];
                    for role in roles {
                        words.extend(["--role", role]);
                    }
                    println!("$ syncferry {}", super::shown(&words));
                    self.ask(&words).await?
                }
            };
            let token = token["token"].as_str().context("the answer has no token")?;
            tokens.push((name.to_string(), token.to_string()));
        }
        Ok(tokens)
    }

    /// Makes another token for a host's agent.
    pub async fn token(&self, host: &str) -> anyhow::Result<String> {
        let answer = self.ask(&["host", "token", host]).await?;
        Ok(answer["token"].as_str().context("the answer has no token")?.to_string())
    }

    /// Waits until every agent is online.
    pub async fn wait_for_agents(&mut self) -> anyhow::Result<()> {
        self.wait_for_agents_on(&crate::lab::world::HOSTS).await
    }

    /// Waits until the agents on these hosts are online.
    pub async fn wait_for_agents_on(&mut self, names: &[&str]) -> anyhow::Result<()> {
        let until = Instant::now() + ONLINE_TIMEOUT;
        loop {
            let hosts = self.hosts().await?;
            let missing: Vec<&str> = hosts
                .iter()
                .filter(|h| names.contains(&h.name.as_str()) && h.agent_state != "online")
                .map(|h| h.name.as_str())
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < until,
                "the agents on {} are not online after {} s; see logs/",
                missing.join(", "),
                ONLINE_TIMEOUT.as_secs()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Registers the source unless it is there.
    pub async fn add_database(&mut self) -> anyhow::Result<()> {
        self.add_database_named(DATABASE).await
    }

    /// Registers the source under whatever name it has, unless it is there.
    pub async fn add_database_named(&mut self, name: &str) -> anyhow::Result<()> {
        self.add_database_on(OLD_SERVER, name).await
    }

    /// Registers a database of a host unless it is there.
    pub async fn add_database_on(&mut self, host: &str, name: &str) -> anyhow::Result<()> {
        let request = v1::ListDatabasesRequest { site: SITE.into() };
        let databases = self.client.list_databases(request).await?.into_inner().databases;
        if databases.iter().any(|d| d.host == host) {
            return Ok(());
        }
        let words = [
            "database",
            "add",
            name,
            "--site",
            SITE,
            "--host",
            host,
            "--instance",
            INSTANCE,
        ];
        self.must(&words).await
    }

    /// All hosts, with what is known of their agents.
    pub async fn hosts(&mut self) -> anyhow::Result<Vec<v1::Host>> {
        let request = v1::ListHostsRequest { site: String::new() };
        Ok(self.client.list_hosts(request).await?.into_inner().hosts)
    }
}
