//! The operator of one site of the fleet: asks any controller, and the next one where one does not answer. Nothing here believes
//! that a call that got no answer was not done.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use syncferry_cli::{Console, Exit};
use syncferry_proto::transport::{OperatorCredentials, Profile};
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_proto::{schema, v1};
use syncferry_shared::Severity;
use syncferry_shared::plan::Plan;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::site::Names;
use crate::lab::world::{INSTALLER, INSTANCE, NEW_SERVER, OLD_SERVER, SERVICE_ACCOUNT, SQL_HOST};

/// How long one controller may take.
const ONE: Duration = Duration::from_secs(15);
/// For how long something is tried again while nobody can do it.
const PATIENCE: Duration = Duration::from_secs(180);
const AGAIN: Duration = Duration::from_millis(300);

/// A host and what it does.
const HOSTS: [(&str, &[&str]); 3] = [
    (OLD_SERVER, &["sql-host", "connect-server"]),
    (SQL_HOST, &["sql-host"]),
    (NEW_SERVER, &["connect-server"]),
];

/// The operator of a site.
pub(super) struct Operator {
    clients: Vec<OperatorClient<Channel>>,
    at: usize,
    credentials: PathBuf,
    names: Names,
}

/// Whether another controller, or the same one a little later, may answer otherwise.
fn passes(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Aborted | Code::Internal
    )
}

impl Operator {
    /// With the credentials that name every controller; begins with any of them.
    pub(super) fn open(credentials: &Path, names: Names) -> anyhow::Result<Operator> {
        let read = OperatorCredentials::load(credentials)?;
        let mut clients = Vec::new();
        for one in read.controller.split(',') {
            let mut of_one = read.clone();
            of_one.controller = one.to_string();
            clients.push(
                OperatorClient::new(of_one.connect()?).max_decoding_message_size(Profile::Control.max_message_bytes()),
            );
        }
        Ok(Operator {
            at: names.number % clients.len(),
            clients,
            credentials: credentials.to_path_buf(),
            names,
        })
    }

    /// Asks one controller after the other.
    async fn call<T, F, A>(&mut self, ask: F) -> Result<T, Status>
    where
        F: Fn(OperatorClient<Channel>) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let mut failed = Status::unavailable("nobody was asked");
        for _ in 0..self.clients.len() {
            let client = self.clients[self.at].clone();
            match tokio::time::timeout(ONE, ask(client)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if !passes(&status) => return Err(status),
                Ok(Err(status)) => failed = status,
                Err(_) => failed = Status::deadline_exceeded("no answer in time"),
            }
            self.at = (self.at + 1) % self.clients.len();
        }
        Err(failed)
    }

    /// The same, again and again, until somebody can do it.
    async fn insist<T, F, A>(&mut self, what: &str, ask: F) -> anyhow::Result<T>
    where
        F: Fn(OperatorClient<Channel>) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let began = Instant::now();
        loop {
            match self.call(&ask).await {
                Ok(answer) => return Ok(answer),
                Err(status) if passes(&status) && began.elapsed() < PATIENCE => tokio::time::sleep(AGAIN).await,
                Err(status) => return Err(status).context(what.to_string()),
            }
        }
    }

    /// Adds the site.
    pub(super) async fn add_site(&mut self) -> anyhow::Result<()> {
        let request = v1::AddSiteRequest {
            name: self.names.site(),
            tenant_id: self.names.tenant(),
            ..Default::default()
        };
        let added = self.insist("site add", |mut c| {
            let request = request.clone();
            async move { c.add_site(request).await }
        });
        match added.await {
            // An answer that was lost.
            Err(e) if code(&e) == Some(Code::AlreadyExists) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Adds the hosts.
    pub(super) async fn add_hosts(&mut self) -> anyhow::Result<()> {
        for (host, roles) in HOSTS {
            let request = v1::AddHostRequest {
                site: self.names.site(),
                name: self.names.host(host),
                roles: roles.iter().map(|r| r.to_string()).collect(),
                token_minutes: 0,
            };
            let added = self.insist("host add", |mut c| {
                let request = request.clone();
                async move { c.add_host(request).await }
            });
            match added.await {
                Err(e) if code(&e) == Some(Code::AlreadyExists) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// A token for the agent on a host.
    pub(super) async fn token(&mut self, host: &str) -> anyhow::Result<String> {
        let request = v1::CreateTokenRequest {
            host: self.names.host(host),
            minutes: 0,
        };
        let made = self.insist("host token", |mut c| {
            let request = request.clone();
            async move { c.create_token(request).await }
        });
        Ok(made.await?.token)
    }

    /// Registers the source. Its agent may be away meanwhile.
    pub(super) async fn add_database(&mut self) -> anyhow::Result<()> {
        let request = v1::AddDatabaseRequest {
            site: self.names.site(),
            host: self.names.host(OLD_SERVER),
            instance: INSTANCE.into(),
            name: self.names.database(),
        };
        let began = Instant::now();
        loop {
            if self.source().await.is_ok() {
                return Ok(());
            }
            let asked = self.call(|mut c| {
                let request = request.clone();
                async move { c.add_database(request).await }
            });
            if let Err(status) = asked.await
                && !passes(&status)
                // What could not be looked at now is a finding.
                && !(status.code() == Code::FailedPrecondition && began.elapsed() < PATIENCE)
            {
                return Err(status).context("database add");
            }
            anyhow::ensure!(began.elapsed() < PATIENCE * 2, "the source could not be registered");
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn source(&mut self) -> anyhow::Result<String> {
        let request = v1::ListDatabasesRequest {
            site: self.names.site(),
        };
        let all = self.insist("database list", |mut c| {
            let request = request.clone();
            async move { c.list_databases(request).await }
        });
        let databases = all.await?.databases;
        let host = self.names.host(OLD_SERVER);
        let source = databases.into_iter().find(|d| d.host == host);
        Ok(source.context("the source is not registered")?.id)
    }

    /// Asks for a plan. Whether it was made, `migrations` says.
    pub(super) async fn plan(&mut self) -> anyhow::Result<()> {
        let request = v1::CreatePlanRequest {
            scenario: "move-to-full-sql".into(),
            site: self.names.site(),
            source: self.source().await?,
            target_host: self.names.host(SQL_HOST),
            target_instance: INSTANCE.into(),
            connect_host: self.names.host(NEW_SERVER),
            installer: INSTALLER.into(),
            service_account: SERVICE_ACCOUNT.into(),
            ..Default::default()
        };
        let asked = self.call(|mut c| {
            let request = request.clone();
            async move { c.create_plan(request).await }
        });
        asked.await?;
        Ok(())
    }

    /// All migrations of the site, the newest first.
    pub(super) async fn migrations(&mut self) -> anyhow::Result<Vec<v1::Migration>> {
        let request = v1::ListMigrationsRequest {
            site: self.names.site(),
        };
        let all = self.insist("status", |mut c| {
            let request = request.clone();
            async move { c.list_migrations(request).await }
        });
        Ok(all.await?.migrations)
    }

    /// A migration as it stands.
    pub(super) async fn migration(&mut self, id: &str) -> anyhow::Result<v1::Migration> {
        let request = v1::GetMigrationRequest { migration: id.into() };
        self.insist("status", |mut c| {
            let request = request.clone();
            async move { c.get_migration(request).await }
        })
        .await
    }

    /// Applies a plan, accepting its warnings.
    pub(super) async fn apply(&mut self, m: &v1::Migration) -> anyhow::Result<()> {
        let plan: Plan = m.plan.as_ref().context("there is no plan")?.read(schema::PLAN)?;
        let mut accept: Vec<String> = Vec::new();
        for finding in plan.findings.iter().filter(|f| f.severity == Severity::Warning) {
            if !accept.contains(&finding.rule) {
                accept.push(finding.rule.clone());
            }
        }
        let again = ["stopped", "stuck"].contains(&m.state.as_str());
        let request = v1::ApplyRequest {
            migration: m.id.clone(),
            plan_digest: m.plan_digest.clone(),
            accept_until: None,
            accept_warnings: accept,
            reason: if again {
                "the fleet goes on".into()
            } else {
                "the fleet's plans are read".into()
            },
        };
        let asked = self.call(|mut c| {
            let request = request.clone();
            async move { c.apply(request).await }
        });
        asked.await?;
        Ok(())
    }

    /// The open gates of a migration.
    pub(super) async fn gates(&mut self, migration: &str) -> anyhow::Result<Vec<v1::Gate>> {
        let request = v1::ListGatesRequest {
            migration: migration.into(),
            open_only: true,
        };
        let all = self.insist("gate list", |mut c| {
            let request = request.clone();
            async move { c.list_gates(request).await }
        });
        Ok(all.await?.gates)
    }

    /// Says that a gate is done. Whether it is, its agent sees.
    pub(super) async fn complete(&mut self, gate: &str) -> Result<(), Status> {
        let request = v1::CompleteGateRequest {
            gate: gate.into(),
            remark: String::new(),
        };
        let asked = self.call(|mut c| {
            let request = request.clone();
            async move { c.complete_gate(request).await }
        });
        asked.await.map(drop)
    }

    /// The hosts of the site.
    pub(super) async fn hosts(&mut self) -> anyhow::Result<Vec<v1::Host>> {
        let request = v1::ListHostsRequest {
            site: self.names.site(),
        };
        let all = self.insist("host list", |mut c| {
            let request = request.clone();
            async move { c.list_hosts(request).await }
        });
        Ok(all.await?.hosts)
    }

    /// Waits until every agent of the site is online.
    pub(super) async fn wait_for_agents(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let hosts = self.hosts().await?;
            let missing: Vec<String> = hosts
                .iter()
                .filter(|h| h.agent_state != "online")
                .map(|h| format!("{} is {}", h.name, h.agent_state))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "agents do not come: {}", missing.join(", "));
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The leases of the site's databases, with hosts under their own names.
    pub(super) async fn leases(&mut self) -> anyhow::Result<Vec<v1::Lease>> {
        let all = self
            .insist("lease list", |mut c| async move {
                c.list_leases(v1::ListLeasesRequest {}).await
            })
            .await?;
        let prefix = self.names.prefix();
        // What a lease is about is said as the SQL Server calls itself: machines of other sites have the same names.
        let database = format!("/ {}", self.names.database());
        let ours = all.leases.into_iter().filter(|l| l.subject.ends_with(&database));
        let bare = |name: &str| name.replacen(&prefix, "", 1);
        Ok(ours
            .map(|l| v1::Lease {
                holder: bare(&l.holder),
                renewer: bare(&l.renewer),
                ..l
            })
            .collect())
    }

    /// The evidence, by the command line: its chain must hold.
    pub(super) async fn report(&mut self, id: &str, dir: &Path) -> anyhow::Result<()> {
        let (html, json) = (dir.join("report.html"), dir.join("report.json"));
        let (html, json) = (html.to_string_lossy(), json.to_string_lossy());
        self.type_in(&["report", id, "--html", &html]).await?;
        self.type_in(&["report", id, "--json", &json]).await?;
        self.type_in(&["report", "verify", &json]).await
    }

    async fn type_in(&mut self, words: &[&str]) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let credentials = self.credentials.to_string_lossy().into_owned();
            let args = ["syncferry", "--credentials", &credentials];
            let args = args.iter().chain(words).map(std::ffi::OsString::from);
            match syncferry_cli::run(args, &mut Console::plain(&mut out, &mut err)).await {
                Exit::Ok => return Ok(()),
                // The one that was asked may be away, or its store.
                _ if began.elapsed() < PATIENCE => tokio::time::sleep(AGAIN).await,
                exit => anyhow::bail!(
                    "syncferry {} ended with exit code {}: {}{}",
                    words.join(" "),
                    exit.code(),
                    String::from_utf8_lossy(&out),
                    String::from_utf8_lossy(&err)
                ),
            }
        }
    }
}

fn code(error: &anyhow::Error) -> Option<Code> {
    error.downcast_ref::<Status>().map(Status::code)
}
