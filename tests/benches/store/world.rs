//! What the paths work on: for each lane a site with one host, its agent, a database that it holds the lease of, and jobs that were
//! offered to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::Context as _;
use serde_json::json;
use syncferry_controller::config::Config;
use syncferry_controller::core::{Core, Greeted};
use syncferry_controller::identity::Keys;
use syncferry_controller::wake::Wake;
use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::lease::{LeaseKind, Resource};
use syncferry_shared::plan::Scenario;
use syncferry_shared::spec::JobKind;
use syncferry_shared::state::JobState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{
    AgentId, Clock as _, ControllerId, DatabaseId, HostId, JobId, MigrationId, Millis, SessionId, SiteId,
};
use syncferry_store::{
    By, DatabaseGuids, Grant, Hello, HostRole, IdentityState, NewAgent, NewAttempt, NewDatabase, NewHost, NewJob,
    NewMigration, NewSite, Store, Tx,
};
use syncferry_store_sqlite::SystemClock;
use tokio_util::sync::CancellationToken;

/// Jobs that are offered in all, and how many of them a migration has.
const JOBS: usize = 2_400;
const JOBS_OF_A_MIGRATION: usize = 8;

/// The world.
pub(crate) struct World {
    pub(crate) core: Arc<Core>,
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// Keys of the controller's authority.
    _folder: tempfile::TempDir,
}

/// What one of those who work side by side has for itself.
pub(crate) struct Lane {
    pub(crate) site: String,
    pub(crate) host: HostId,
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) database: DatabaseId,
    pub(crate) resource: Resource,
    pub(crate) epoch: i64,
    /// The offers, in the order in which they are accepted and reported.
    pub(crate) offers: Vec<AttemptToken>,
    /// How many of them were accepted.
    pub(crate) accepted: AtomicUsize,
}

fn at() -> Millis {
    SystemClock.now()
}

fn random() -> [u8; 10] {
    rand::random()
}

impl World {
    pub(crate) async fn make(store: Arc<dyn Store>, lanes: usize) -> anyhow::Result<World> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::open(folder.path(), at())?;
        let mut made = Vec::new();
        for n in 0..lanes {
            made.push(Arc::new(
                Lane::make(&*store, n, JOBS / lanes)
                    .await
                    .with_context(|| format!("lane {n}"))?,
            ));
        }
        let greeted = Greeted::default();
        for lane in &made {
            greeted.note(lane.agent);
        }
        let core = Core {
            id: ControllerId::new(at(), &random()),
            store,
            wake: Wake::default(),
            config: Config::default(),
            authority: Arc::new(keys.authority),
            tickets: keys.tickets,
            catalogue: Catalogue::embedded(),
            greeted,
            stop: CancellationToken::new(),
        };
        Ok(World {
            core: Arc::new(core),
            lanes: made,
            _folder: folder,
        })
    }

    /// What was done must be right as well as fast.
    pub(crate) async fn audit(&self) -> anyhow::Result<()> {
        let found = self.core.store.read("bench.audit").await?.audit().await?;
        anyhow::ensure!(found.is_empty(), "the audit finds: {found:?}");
        Ok(())
    }
}

impl Lane {
    async fn make(store: &dyn Store, n: usize, jobs: usize) -> anyhow::Result<Lane> {
        let mut tx = store.begin("bench.lane").await?;
        let (site, host, agent) = (
            SiteId::new(at(), &random()),
            HostId::new(at(), &random()),
            AgentId::new(at(), &random()),
        );
        let (session, database) = (SessionId::new(at(), &random()), DatabaseId::new(at(), &random()));
        let org = tx.default_org().await?.id;
        tx.add_site(&NewSite {
            id: site,
            org,
            name: format!("site-{n}"),
            tenant_id: format!("8f3c1a52-6d0e-4b7a-9c51-{n:012x}"),
            labels: BTreeMap::new(),
        })
        .await?;
        tx.add_host(&NewHost {
            id: host,
            site,
            name: format!("HOST{n}"),
            roles: vec![HostRole::SqlHost, HostRole::ConnectServer],
        })
        .await?;
        tx.enrol_agent(&NewAgent {
            id: agent,
            host,
            certificate_serial: format!("{n:x}"),
        })
        .await?;
        tx.agent_hello(
            agent,
            &Hello {
                session,
                version: "bench".into(),
                capabilities: vec![],
                transfer_address: None,
                journal_seq: 0,
            },
        )
        .await?;
        tx.add_database(&NewDatabase {
            id: database,
            site,
            physical_key: format!("bench|{n}"),
            guids: DatabaseGuids {
                database: Some(database.0),
                ..DatabaseGuids::default()
            },
            server_name: format!("HOST{n}"),
            host,
            address: DatabaseAddress {
                instance: "default".into(),
                database: format!("ADSync{n}"),
            },
            identity_state: IdentityState::Confirmed,
            facts: json!({}),
        })
        .await?;
        let resource = Resource::database(database);
        let by = By::new("operator:bench");
        tx.create_lease(&resource, LeaseKind::Database, Some(&json!({ "sessions": [] })), &by)
            .await?;
        let grant = Grant {
            resource: resource.clone(),
            seen_epoch: 0,
            holder: host,
            session,
            renewer: host,
            ttl_ms: 600_000,
        };
        let epoch = tx.acquire_lease(&grant, &by).await?.epoch;
        tx.commit().await?;
        let mut lane = Lane {
            site: format!("site-{n}"),
            host,
            agent,
            session,
            database,
            resource,
            epoch,
            offers: Vec::new(),
            accepted: AtomicUsize::new(0),
        };
        while lane.offers.len() < jobs {
            let mut tx = store.begin("bench.offers").await?;
            lane.migration(&mut *tx, site).await?;
            tx.commit().await?;
        }
        Ok(lane)
    }

    /// A migration whose jobs are all offered.
    async fn migration(&mut self, tx: &mut dyn Tx, site: SiteId) -> anyhow::Result<()> {
        let migration = MigrationId::new(at(), &random());
        tx.add_migration(&NewMigration {
            id: migration,
            site,
            scenario: Scenario::MoveToFullSql,
            request: json!({ "target_instance": "default" }),
            actor: "operator:bench".into(),
        })
        .await?;
        let job = |n: usize| NewJob {
            id: JobId::new(at(), &random()),
            stage: 0,
            ordinal: i32::try_from(n).unwrap_or_default(),
            name: format!("backup-{n}"),
            kind: JobKind::Backup,
            host: self.host,
            resource: self.resource.clone(),
        };
        let jobs: Vec<NewJob> = (0..JOBS_OF_A_MIGRATION).map(job).collect();
        tx.add_jobs(migration, &jobs).await?;
        for job in jobs {
            let digest = tx.set_job_spec(job.id, br#"{"bench":true}"#).await?;
            tx.transition_job(job.id, JobState::Waiting, JobState::Ready).await?;
            tx.transition_job(job.id, JobState::Ready, JobState::Offered).await?;
            let attempt = tx
                .open_attempt(&NewAttempt {
                    job: job.id,
                    agent: self.agent,
                    epoch: self.epoch,
                    digest,
                    undo: false,
                })
                .await?;
            self.offers.push(attempt.token());
        }
        Ok(())
    }
}
