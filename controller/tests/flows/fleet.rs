//! A controller that is restarted while a fleet is in mid-job: each migration at another point, none of them mixed up with
//! another one, nothing begun twice.

use syncferry_proto::v1;
use syncferry_shared::inventory::Inventory;

use crate::support::{Controller, FakeAgent, Offered, Operator, cancelled, facts, patient};

/// A site with a migration of its own.
struct Site {
    old: FakeAgent,
    sql: FakeAgent,
    new: FakeAgent,
    migration: String,
}

/// What the hosts of another site find: the same, under other names.
fn elsewhere(inventory: &Inventory, n: u32) -> Inventory {
    let mut text = serde_json::to_string(inventory).unwrap();
    for (name, other) in names(n) {
        text = text.replace(name, &other);
        text = text.replace(&name.to_lowercase(), &other.to_lowercase());
    }
    serde_json::from_str(&text).unwrap()
}

fn names(n: u32) -> [(&'static str, String); 3] {
    [
        ("SYNC01", format!("OLD{n}")),
        ("SQL01", format!("SQL{n}")),
        ("SYNC02", format!("NEW{n}")),
    ]
}

impl Site {
    /// Enrolled, registered, planned and applied.
    async fn applied(controller: &Controller, operator: &Operator, n: u32) -> Site {
        let site = format!("site{n}");
        operator.add_site(&site, 100 + n).await;
        let [(_, old), (_, sql), (_, new)] = names(n);
        let agent = async |name: &str, roles: &[&str], inventory: Inventory| {
            let token = operator.add_host(&site, name, roles).await;
            FakeAgent::enrolled(&controller.address, &token, elsewhere(&inventory, n)).await
        };
        let old_agent = agent(&old, &["sql-host", "connect-server"], facts::old_server()).await;
        let sql_agent = agent(&sql, &["sql-host"], facts::sql_host()).await;
        let new_agent = agent(&new, &["connect-server"], facts::new_server()).await;
        old_agent.journal(|j| j.transfer_address = format!("127.0.0.1:{}", 7400 + n));
        old_agent.hello().await.unwrap();
        let register = v1::AddDatabaseRequest {
            site: site.clone(),
            host: old.clone(),
            instance: "localdb".to_string(),
            name: "ADSync".to_string(),
        };
        let database = operator
            .client
            .clone()
            .add_database(register)
            .await
            .unwrap()
            .into_inner();
        let now = operator.lease(&old).await.granted_at.unwrap();
        old_agent.journal(|j| {
            let adsync = j.inventory.databases[0].adsync.as_mut().unwrap();
            adsync.last_sync = Some(syncferry_proto::millis(&now));
        });
        let request = v1::CreatePlanRequest {
            site,
            source: database.id,
            target_host: sql,
            connect_host: new,
            ..Operator::request()
        };
        let m = operator.plan(request).await;
        assert_eq!(m.state, "planned", "{:?}", Operator::plan_of(&m).findings);
        Site {
            old: old_agent,
            sql: sql_agent,
            new: new_agent,
            migration: operator.try_apply(&m, &[]).await.unwrap().id,
        }
    }

    fn agent_of(&self, job: &str) -> &FakeAgent {
        match job {
            "verify-source" | "backup" | "verify-old-server" => &self.old,
            "restore" | "verify-database" => &self.sql,
            _ => &self.new,
        }
    }

    /// Does everything before a job and takes that one.
    async fn at(&self, job: &str) -> Offered {
        for before in ALL.into_iter().take_while(|j| *j != job) {
            self.agent_of(before).work(before).await;
        }
        self.agent_of(job).take(job).await
    }

    /// Ends the job that it is at, and does what is left.
    async fn finish(&self, at: &Offered, job: &str) {
        self.agent_of(job).succeed(at).await;
        for next in ALL.into_iter().skip_while(|j| *j != job).skip(1) {
            self.agent_of(next).work(next).await;
        }
    }
}

const ALL: [&str; 7] = [
    "verify-source",
    "backup",
    "restore",
    "install",
    "verify-server",
    "verify-database",
    "verify-old-server",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_in_mid_job_survives_restarts_of_the_controller() {
    let mut controller = Controller::start(patient()).await;
    let operator = controller.operator();
    let mut fleet = Vec::new();
    for (n, job) in (1..).zip(["verify-source", "backup", "restore", "install"]) {
        let site = Site::applied(&controller, &operator, n).await;
        let offered = site.at(job).await;
        fleet.push((site, offered, job));
    }
    let unwinding = Site::applied(&controller, &operator, 5).await;
    let backup = unwinding.at("backup").await;
    operator.cancel(&unwinding.migration).await.unwrap();

    for _ in 0..2 {
        controller.restart().await;
        for (site, _, job) in &fleet {
            let m = operator.migration(&site.migration).await;
            let state = m.jobs.iter().find(|j| j.name == *job).map(|j| j.state.clone());
            assert_eq!(
                (m.state.as_str(), state.as_deref()),
                ("running", Some("running")),
                "{job}"
            );
        }
        assert_eq!(operator.migration(&unwinding.migration).await.state, "unwinding");
    }
    unwinding.old.told_to_cancel(&backup).await;
    unwinding.old.end(&backup, cancelled()).await;
    operator.until_state(&unwinding.migration, "cancelled").await;
    for (site, offered, job) in &fleet {
        site.finish(offered, job).await;
        let done = operator.until_state(&site.migration, "succeeded").await;
        assert!(done.jobs.iter().all(|j| j.attempt == 1), "nothing was begun twice");
        operator.history(&site.migration).await;
        operator.report(&site.migration).await.verify().unwrap();
    }
    controller.stop_and_audit().await;
}
