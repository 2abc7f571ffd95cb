//! The world of most tests: a controller, an operator, and the agents of SYNC01, SQL01 and SYNC02.

use syncferry_controller::config::Config;
use syncferry_proto::v1;
use syncferry_shared::inventory::Inventory;

use super::agent::gate;
use super::{Controller, FakeAgent, Offered, Operator, facts, patient};

/// A controller with its fleet.
pub(crate) struct World {
    pub(crate) controller: Controller,
    pub(crate) operator: Operator,
    /// SYNC01: the old server, with LocalDB.
    pub(crate) old: FakeAgent,
    /// SQL01.
    pub(crate) sql: FakeAgent,
    /// SYNC02: the new server.
    pub(crate) new: FakeAgent,
}

impl World {
    /// Everything enrolled and the source registered.
    pub(crate) async fn new() -> Self {
        Self::with(patient()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let controller = Controller::start(config).await;
        let operator = controller.operator();
        operator.add_site("contoso", 1).await;
        let at = &controller.address;
        let agent = async |name: &str, roles: &[&str], inventory: Inventory| {
            let token = operator.add_host("contoso", name, roles).await;
            FakeAgent::enrolled(at, &token, inventory).await
        };
        let old = agent("SYNC01", &["sql-host", "connect-server"], facts::old_server()).await;
        let sql = agent("SQL01", &["sql-host"], facts::sql_host()).await;
        let new = agent("SYNC02", &["connect-server"], facts::new_server()).await;
        // The agent that has the backup hands it out.
        old.journal(|j| j.transfer_address = "127.0.0.1:7444".to_string());
        old.hello().await.unwrap();
        operator.add_source().await.unwrap();
        // What was seen lately is by this test's clock.
        let now = operator.lease("SYNC01").await.granted_at.unwrap();
        old.journal(|j| {
            let adsync = j.inventory.databases[0].adsync.as_mut().unwrap();
            adsync.last_sync = Some(syncferry_proto::millis(&now));
        });
        Self {
            controller,
            operator,
            old,
            sql,
            new,
        }
    }

    pub(crate) fn agents(&self) -> [&FakeAgent; 3] {
        [&self.old, &self.sql, &self.new]
    }

    /// The agent that does a job.
    pub(crate) fn agent_of(&self, job: &str) -> &FakeAgent {
        match job {
            "verify-source" | "backup" | "verify-old-server" => &self.old,
            "restore" | "verify-database" => &self.sql,
            _ => &self.new,
        }
    }

    /// A plan without blockers.
    pub(crate) async fn planned(&self) -> v1::Migration {
        let m = self.operator.plan(Operator::request()).await;
        assert_eq!(m.state, "planned", "{:?}", Operator::plan_of(&m).findings);
        m
    }

    /// A migration that runs; its id.
    pub(crate) async fn applied(&self) -> String {
        let m = self.planned().await;
        self.operator.try_apply(&m, &[]).await.unwrap().id
    }

    /// Does these jobs.
    pub(crate) async fn work(&self, jobs: &[&str]) {
        for job in jobs {
            self.agent_of(job).work(job).await;
        }
    }

    /// A migration in which one job was just accepted, everything before it is done; its id and the job.
    pub(crate) async fn at(&self, job: &str) -> (String, Offered) {
        let id = self.applied().await;
        let before = ["verify-source", "backup", "restore", "install"];
        self.work(before.split(|j| *j == job).next().unwrap_or_default()).await;
        (id, self.agent_of(job).take(job).await)
    }

    /// The install job with its person, from its acceptance to its good end.
    pub(crate) async fn install(&self, job: &Offered) {
        let new = &self.new;
        new.step(job, 1, "running").await;
        let opening = gate(v1::GateSight::Waiting, "waiting for a person", "Complete the wizard");
        new.try_report(&job.token, opening).await.unwrap();
        let open = super::until("the gate is open", async || {
            let m = self.operator.migration(&job.spec.migration.to_string()).await;
            m.open_gates.first().cloned()
        })
        .await;
        self.operator.claim(&open.id).await.unwrap();
        super::until("the claim is heard of", async || {
            let pulled = new.pull().await.ok()?;
            pulled.claims.iter().any(|c| c.gate_id == open.id).then_some(())
        })
        .await;
        let proven = gate(v1::GateSight::Proven, "ADSync runs on SQL01", "");
        new.try_report(&job.token, proven).await.unwrap();
        new.step(job, 1, "done").await;
        new.succeed(job).await;
    }

    /// What follows an installation.
    pub(crate) async fn verify(&self) {
        self.work(&["verify-server", "verify-database", "verify-old-server"])
            .await;
    }
}
