//! The operator: the generated client, with the calls that every test makes.

use syncferry_controller::problem::FINDINGS_KEY;
use syncferry_proto::v1;
use syncferry_proto::v1::operator_client::OperatorClient;
use syncferry_shared::Finding;
use syncferry_shared::event::{Event, StreamKind, verify_chain};
use syncferry_shared::plan::Plan;
use syncferry_shared::report::Report;
use tonic::Status;
use tonic::transport::Channel;

use super::facts::{ACCOUNT, INSTALLER};
use super::until;

/// An operator.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) client: OperatorClient<Channel>,
}

/// The findings of a refusal.
pub(crate) fn findings(status: &Status) -> Vec<Finding> {
    let bin = status.metadata().get_bin(FINDINGS_KEY);
    let bytes = bin
        .unwrap_or_else(|| panic!("no findings in {status:?}"))
        .to_bytes()
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The rules of the findings of a refusal.
pub(crate) fn rules(status: &Status) -> Vec<String> {
    findings(status).into_iter().map(|f| f.rule).collect()
}

impl Operator {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            client: OperatorClient::new(channel).max_decoding_message_size(64 << 20),
        }
    }

    pub(crate) async fn add_site(&self, name: &str, tenant: u32) {
        let request = v1::AddSiteRequest {
            name: name.to_string(),
            tenant_id: format!("3f0e1f5c-0000-4000-8000-{tenant:012}"),
            ..Default::default()
        };
        self.client.clone().add_site(request).await.unwrap();
    }

    /// Adds a host; the token for its agent.
    pub(crate) async fn add_host(&self, site: &str, name: &str, roles: &[&str]) -> String {
        let request = v1::AddHostRequest {
            site: site.to_string(),
            name: name.to_string(),
            roles: roles.iter().map(|r| (*r).to_string()).collect(),
            token_minutes: 5,
        };
        self.client.clone().add_host(request).await.unwrap().into_inner().token
    }

    pub(crate) async fn token(&self, host: &str) -> String {
        let request = v1::CreateTokenRequest {
            host: host.to_string(),
            minutes: 0,
        };
        self.client
            .clone()
            .create_token(request)
            .await
            .unwrap()
            .into_inner()
            .token
    }

    pub(crate) async fn host(&self, name: &str) -> v1::Host {
        let host = name.to_string();
        let request = v1::GetHostRequest { host };
        self.client.clone().get_host(request).await.unwrap().into_inner()
    }

    pub(crate) async fn add_source(&self) -> Result<v1::Database, Status> {
        let request = v1::AddDatabaseRequest {
            site: "contoso".to_string(),
            host: "SYNC01".to_string(),
            instance: "localdb".to_string(),
            name: "ADSync".to_string(),
        };
        Ok(self.client.clone().add_database(request).await?.into_inner())
    }

    pub(crate) async fn databases(&self) -> Vec<v1::Database> {
        let request = v1::ListDatabasesRequest::default();
        self.client
            .clone()
            .list_databases(request)
            .await
            .unwrap()
            .into_inner()
            .databases
    }

    /// What is asked for in every test, unless it is changed.
    pub(crate) fn request() -> v1::CreatePlanRequest {
        v1::CreatePlanRequest {
            scenario: "move-to-full-sql".to_string(),
            site: "contoso".to_string(),
            source: "ADSync".to_string(),
            target_host: "SQL01".to_string(),
            target_instance: "default".to_string(),
            target_database: String::new(),
            connect_host: "SYNC02".to_string(),
            installer: INSTALLER.to_string(),
            service_account: ACCOUNT.to_string(),
            ..Default::default()
        }
    }

    /// Asks for a plan and waits until it is made.
    pub(crate) async fn plan(&self, request: v1::CreatePlanRequest) -> v1::Migration {
        let m = self.client.clone().create_plan(request).await.unwrap().into_inner();
        self.rests(&m.id).await
    }

    /// Follows a migration until it rests; the migration as it is then. The stream must be without gaps.
    pub(crate) async fn rests(&self, id: &str) -> v1::Migration {
        let mut seen = 0;
        until("the migration rests", async || {
            let request = v1::WatchRequest {
                migration: id.to_string(),
                after_seq: seen,
            };
            let mut watching = self.client.clone().watch(request).await.ok()?.into_inner();
            while let Ok(Some(news)) = watching.message().await {
                for e in &news.events {
                    assert_eq!(e.seq, seen + 1, "an event is missing or came twice");
                    seen = e.seq;
                }
                if news.rests {
                    return Some(());
                }
            }
            None
        })
        .await;
        self.migration(id).await
    }

    pub(crate) async fn migration(&self, id: &str) -> v1::Migration {
        let request = v1::GetMigrationRequest {
            migration: id.to_string(),
        };
        self.client.clone().get_migration(request).await.unwrap().into_inner()
    }

    /// Waits until a migration is in a state.
    pub(crate) async fn until_state(&self, id: &str, state: &str) -> v1::Migration {
        let mut last = String::new();
        let end = tokio::time::Instant::now() + super::PATIENCE;
        loop {
            let m = self.migration(id).await;
            if m.state == state {
                return m;
            }
            let jobs: Vec<String> = m.jobs.iter().map(|j| format!("{} {}", j.name, j.state)).collect();
            last.clone_from(&format!("{} ({})", m.state, jobs.join(", ")));
            assert!(tokio::time::Instant::now() < end, "{state} was expected, it is {last}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Waits until a job is in a state.
    pub(crate) async fn until_job(&self, id: &str, job: &str, state: &str) -> v1::Migration {
        until(&format!("job {job} is {state}"), async || {
            let m = self.migration(id).await;
            m.jobs.iter().any(|j| j.name == job && j.state == state).then_some(m)
        })
        .await
    }

    pub(crate) async fn try_apply(&self, m: &v1::Migration, accept: &[&str]) -> Result<v1::Migration, Status> {
        let request = v1::ApplyRequest {
            migration: m.id.clone(),
            plan_digest: m.plan_digest.clone(),
            accept_warnings: accept.iter().map(|r| (*r).to_string()).collect(),
            reason: if accept.is_empty() {
                String::new()
            } else {
                "a test accepts it".to_string()
            },
            accept_until: None,
        };
        Ok(self.client.clone().apply(request).await?.into_inner())
    }

    /// Applies again, saying why.
    pub(crate) async fn apply_because(&self, id: &str, reason: &str) -> Result<v1::Migration, Status> {
        let request = v1::ApplyRequest {
            migration: id.to_string(),
            reason: reason.to_string(),
            ..Default::default()
        };
        Ok(self.client.clone().apply(request).await?.into_inner())
    }

    pub(crate) async fn cancel(&self, id: &str) -> Result<v1::Migration, Status> {
        let request = v1::CancelRequest {
            migration: id.to_string(),
            reason: "a test".to_string(),
        };
        Ok(self.client.clone().cancel(request).await?.into_inner())
    }

    /// Those of databases.
    pub(crate) async fn leases(&self) -> Vec<v1::Lease> {
        let all = self.all_leases().await.into_iter();
        all.filter(|l| l.kind == "database").collect()
    }

    pub(crate) async fn all_leases(&self) -> Vec<v1::Lease> {
        let request = v1::ListLeasesRequest {};
        self.client
            .clone()
            .list_leases(request)
            .await
            .unwrap()
            .into_inner()
            .leases
    }

    /// The lease of a database whose subject contains this, the newest one.
    pub(crate) async fn lease(&self, subject: &str) -> v1::Lease {
        let found = self.leases().await.into_iter().rfind(|l| l.subject.contains(subject));
        found.unwrap_or_else(|| panic!("no lease of {subject}"))
    }

    /// A lease by any of its names.
    pub(crate) async fn find_lease(&self, name: &str) -> Result<v1::GetLeaseResponse, Status> {
        let request = v1::GetLeaseRequest {
            resource: name.to_string(),
        };
        Ok(self.client.clone().get_lease(request).await?.into_inner())
    }

    pub(crate) async fn alarms(&self) -> Vec<v1::Alarm> {
        let request = v1::ListAlarmsRequest { all: true };
        self.client
            .clone()
            .list_alarms(request)
            .await
            .unwrap()
            .into_inner()
            .alarms
    }

    /// Waits until there is an alarm of a kind in a state.
    pub(crate) async fn until_alarm(&self, kind: &str, state: &str) -> v1::Alarm {
        until(&format!("an alarm {kind} is {state}"), async || {
            self.alarms()
                .await
                .into_iter()
                .find(|a| a.kind == kind && a.state == state)
        })
        .await
    }

    pub(crate) async fn until_lease(&self, subject: &str, fits: impl Fn(&v1::Lease) -> bool) -> v1::Lease {
        until(&format!("the lease of {subject} is as expected"), async || {
            Some(self.lease(subject).await).filter(&fits)
        })
        .await
    }

    pub(crate) async fn events(&self, kind: &str, id: &str) -> Vec<v1::Event> {
        let request = v1::ListEventsRequest {
            stream_kind: kind.to_string(),
            stream_id: id.to_string(),
            ..Default::default()
        };
        self.client
            .clone()
            .list_events(request)
            .await
            .unwrap()
            .into_inner()
            .events
    }

    /// The kinds of a migration's events, after its chain was checked as anybody outside could.
    pub(crate) async fn history(&self, id: &str) -> Vec<String> {
        let events = self.events("migration", id).await;
        let read: Vec<Event> = events
            .iter()
            .map(|e| Event {
                stream_kind: StreamKind::parse(&e.stream_kind).unwrap(),
                stream_id: e.stream_id.clone(),
                seq: e.seq,
                kind: e.r#type.clone(),
                schema_version: 1,
                payload: serde_json::from_slice(&e.payload.as_ref().unwrap().json).unwrap(),
                actor: e.actor.clone(),
                at: syncferry_proto::millis(e.at.as_ref().unwrap()),
                prev_hash: e.prev_hash.clone(),
                hash: e.hash.clone(),
            })
            .collect();
        verify_chain(&read).unwrap();
        read.into_iter().map(|e| e.kind).collect()
    }

    pub(crate) async fn report(&self, id: &str) -> Report {
        let request = v1::GetReportRequest {
            migration: id.to_string(),
        };
        let response = self.client.clone().get_report(request).await.unwrap().into_inner();
        response.report.unwrap().read(syncferry_proto::schema::REPORT).unwrap()
    }

    pub(crate) async fn claim(&self, gate: &str) -> Result<v1::Gate, Status> {
        let request = v1::CompleteGateRequest {
            gate: gate.to_string(),
            remark: "done".to_string(),
        };
        Ok(self.client.clone().complete_gate(request).await?.into_inner())
    }

    pub(crate) fn plan_of(m: &v1::Migration) -> Plan {
        m.plan.as_ref().unwrap().read(syncferry_proto::schema::PLAN).unwrap()
    }
}
