//! An agent that a test plays: its journal is a list of tokens, its life (heartbeats, pulls, renewals, answers to
//! inspections) runs in the background until it is paused, and what it does with jobs is the test's business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use syncferry_proto::transport::{Dial, EnrolmentToken, ExpectedPeer, Identity, Profile, connect, connect_pinned, csr};
use syncferry_proto::v1::agent_client::AgentClient;
use syncferry_proto::v1::enrolment_client::EnrolmentClient;
use syncferry_proto::v1::{self, Document};
use syncferry_proto::{duration, schema};
use syncferry_shared::inventory::{DatabaseAddress, DatabaseFacts, InspectionRequest, Inventory};
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::spec::{JobSpec, Task};
use syncferry_shared::watch::WatchReport;
use syncferry_shared::{Finding, SessionId};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

use super::{facts, until};

/// What the background does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Everything.
    Normal,
    /// Everything but renewing leases.
    NoRenewals,
    /// Nothing: it is silent.
    Silent,
}

/// What an agent has on its disk, and what the background last heard.
pub(crate) struct Journal {
    pub(crate) session: SessionId,
    pub(crate) seq: i64,
    pub(crate) open: Vec<v1::AttemptToken>,
    pub(crate) epochs: BTreeMap<String, i64>,
    pub(crate) incarnation: i64,
    pub(crate) transfer_address: String,
    pub(crate) inventory: Inventory,
    pub(crate) pulled: v1::PullResponse,
    /// Orders of the last hello, by job.
    pub(crate) orders: BTreeMap<String, v1::Order>,
    pub(crate) answers: bool,
    /// The questions that were answered, oldest first.
    pub(crate) asked: Vec<InspectionRequest>,
    number: i64,
}

/// An agent.
pub(crate) struct FakeAgent {
    pub(crate) name: String,
    pub(crate) client: AgentClient<Channel>,
    pub(crate) identity: Identity,
    pub(crate) ca_pem: String,
    address: String,
    journal: Arc<Mutex<Journal>>,
    life: watch::Sender<Life>,
    background: AbortHandle,
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.background.abort();
    }
}

/// A job that was offered.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) token: v1::AttemptToken,
    pub(crate) spec: JobSpec,
    pub(crate) undo: bool,
}

/// Sends a token and a signing request, as an agent does at its first start.
pub(crate) async fn enrol(
    address: &str,
    token: &str,
) -> Result<(v1::EnrolResponse, syncferry_shared::secret::Secret), Status> {
    let parsed: EnrolmentToken = token.parse().expect("a token");
    let channel = connect_pinned(address, parsed.ca_fingerprint).unwrap();
    let request = csr::make().unwrap();
    let enrol = v1::EnrolRequest {
        token: token.to_string(),
        csr_pem: request.csr_pem,
        computer_name: "test".to_string(),
        agent_version: "0.1.0".to_string(),
    };
    let answer = EnrolmentClient::new(channel).enrol(enrol).await?.into_inner();
    Ok((answer, request.key_pem))
}

pub(crate) fn dial(address: &str, ca_pem: &str, identity: &Identity) -> Channel {
    connect(Dial {
        endpoint: address.to_string(),
        ca_pem: ca_pem.to_string(),
        identity: Some(identity.clone()),
        expected: ExpectedPeer::Controller,
        profile: Profile::Control,
    })
    .unwrap()
}

impl FakeAgent {
    /// Enrols, says hello and begins to live.
    pub(crate) async fn enrolled(address: &str, token: &str, inventory: Inventory) -> Self {
        let (answer, key) = enrol(address, token).await.unwrap();
        let identity = Identity::from_pem(&answer.certificate_pem, &key).unwrap();
        let journal = Arc::new(Mutex::new(Journal {
            session: SessionId(Uuid::now_v7()),
            seq: 1,
            open: vec![],
            epochs: BTreeMap::new(),
            incarnation: 0,
            transfer_address: String::new(),
            inventory,
            pulled: v1::PullResponse::default(),
            orders: BTreeMap::new(),
            answers: true,
            asked: vec![],
            number: 0,
        }));
        let client = AgentClient::new(dial(address, &answer.ca_pem, &identity));
        let (life, watched) = watch::channel(Life::Normal);
        hello(&client, &journal).await.unwrap();
        let background = tokio::spawn(live(client.clone(), journal.clone(), watched)).abort_handle();
        Self {
            name: answer.host_name,
            client,
            identity,
            ca_pem: answer.ca_pem,
            address: address.to_string(),
            journal,
            life,
            background,
        }
    }

    pub(crate) fn set_life(&self, life: Life) {
        self.life.send_replace(life);
    }

    /// Changes what is on its disk.
    pub(crate) fn journal<T>(&self, change: impl FnOnce(&mut Journal) -> T) -> T {
        change(&mut self.journal.lock().unwrap())
    }

    /// Its disk is gone: another session, nothing open.
    pub(crate) fn lose_journal(&self) {
        self.journal(|j| {
            j.session = SessionId(Uuid::now_v7());
            j.open.clear();
            j.seq = 1;
        });
    }

    pub(crate) async fn hello(&self) -> Result<v1::HelloResponse, Status> {
        hello(&self.client, &self.journal).await
    }

    /// A connection of its own, as this agent.
    pub(crate) fn channel(&self) -> Channel {
        dial(&self.address, &self.ca_pem, &self.identity)
    }

    pub(crate) async fn pull(&self) -> Result<v1::PullResponse, Status> {
        let session_id = self.journal(|j| j.session.to_string());
        Ok(self
            .client
            .clone()
            .pull(v1::PullRequest { session_id })
            .await?
            .into_inner())
    }

    /// Waits until a job is offered.
    pub(crate) async fn offered(&self, job: &str) -> Offered {
        until(&format!("{job} is offered to {}", self.name), async || {
            self.offers().await.into_iter().find(|o| name_of(&o.spec.task) == job)
        })
        .await
    }

    /// Every offer.
    pub(crate) async fn offers(&self) -> Vec<Offered> {
        let Ok(pulled) = self.pull().await else {
            return vec![];
        };
        let offers = pulled.offers.into_iter();
        offers
            .map(|o| {
                let undo = o.mode() == v1::JobMode::Undo;
                let (token, document) = (o.token.unwrap(), o.spec.unwrap());
                assert_eq!(syncferry_shared::token::digest(&document.json), token.digest);
                let spec: JobSpec = document.read(schema::JOB_SPEC).unwrap();
                assert_eq!(spec.lease.epoch, token.epoch, "a specification of another epoch");
                Offered { token, spec, undo }
            })
            .collect()
    }

    /// Waits until it is told to stop a job.
    pub(crate) async fn told_to_cancel(&self, job: &Offered) {
        until("the order to cancel", async || {
            let pulled = self.pull().await.ok()?;
            pulled.cancels.contains(&job.token).then_some(())
        })
        .await;
    }

    pub(crate) async fn try_accept(&self, job: &Offered) -> Result<v1::AcceptResponse, Status> {
        let request = v1::AcceptRequest {
            token: Some(job.token.clone()),
            session_id: self.journal(|j| j.session.to_string()),
            journal_seq: self.journal(|j| j.seq),
        };
        Ok(self.client.clone().accept(request).await?.into_inner())
    }

    /// Writes it down and takes it.
    pub(crate) async fn accept(&self, job: &Offered) {
        self.journal(|j| {
            j.seq += 1;
            j.open.push(job.token.clone());
            let epoch = j.epochs.entry(job.spec.lease.resource.0.clone()).or_default();
            *epoch = job.token.epoch.max(*epoch);
        });
        let answer = self.try_accept(job).await.unwrap();
        assert!(answer.accepted, "{}", answer.reason);
    }

    /// Waits for a job, and takes it.
    pub(crate) async fn take(&self, job: &str) -> Offered {
        let offered = self.offered(job).await;
        self.accept(&offered).await;
        offered
    }

    /// Says what it sees at a gate of an attempt.
    pub(crate) async fn see(&self, token: &v1::AttemptToken, sight: v1::GateSight, observation: &str, title: &str) {
        let seen = gate(sight, observation, title);
        self.try_report(token, seen).await.unwrap();
    }

    pub(crate) async fn try_report(
        &self,
        token: &v1::AttemptToken,
        what: v1::report_request::What,
    ) -> Result<v1::ReportResponse, Status> {
        let number = self.journal(|j| {
            j.number += 1;
            j.number
        });
        let request = v1::ReportRequest {
            token: Some(token.clone()),
            number,
            what: Some(what),
        };
        Ok(self.client.clone().report(request).await?.into_inner())
    }

    pub(crate) async fn step(&self, job: &Offered, ordinal: i32, state: &str) -> v1::ReportResponse {
        self.try_report(&job.token, step(ordinal, state)).await.unwrap()
    }

    /// Reports the end; the attempt is not open any more, unless nobody can tell.
    pub(crate) async fn end(&self, job: &Offered, what: v1::report_request::What) -> v1::ReportResponse {
        let answer = self.try_report(&job.token, what.clone()).await.unwrap();
        let unknown = matches!(&what, v1::report_request::What::End(e) if e.kind() == v1::EndKind::Unknown);
        if !unknown {
            self.journal(|j| j.open.retain(|t| t != &job.token));
        }
        answer
    }

    pub(crate) async fn succeed(&self, job: &Offered) {
        let end = if job.undo {
            undone()
        } else {
            succeeded(&facts::outcome(&job.spec))
        };
        assert!(self.end(job, end).await.current);
    }

    /// A job from its offer to its good end, with two steps on the way.
    pub(crate) async fn work(&self, job: &str) -> Offered {
        let offered = self.take(job).await;
        for ordinal in [1, 2] {
            self.step(&offered, ordinal, "running").await;
            self.step(&offered, ordinal, "done").await;
        }
        self.succeed(&offered).await;
        offered
    }

    pub(crate) async fn authorize(&self, job: &Offered, budget_ms: i64) -> v1::AuthorizeResponse {
        let request = v1::AuthorizeRequest {
            token: Some(job.token.clone()),
            step: "act".to_string(),
            budget: Some(duration(budget_ms)),
        };
        self.client.clone().authorize(request).await.unwrap().into_inner()
    }

    /// Tells what it saw.
    pub(crate) async fn watched(&self, report: &WatchReport) -> Result<(), Status> {
        let request = v1::ReportWatchRequest {
            session_id: self.journal(|j| j.session.to_string()),
            report: Some(Document::of(schema::WATCH, report)),
        };
        self.client.clone().report_watch(request).await.map(drop)
    }

    /// What a person does on a Connect server: its service's state and start type.
    pub(crate) fn service(&self, state: &str, start: &str) {
        self.journal(|j| {
            let service = j.inventory.connect.as_mut().unwrap().service.as_mut().unwrap();
            (service.state, service.start) = (state.to_string(), start.to_string());
            for d in &mut j.inventory.databases {
                d.sessions = Some(vec![]);
            }
        });
    }

    pub(crate) async fn renew(&self, resource: &str, epoch: i64) -> v1::RenewLeaseResponse {
        let request = v1::RenewLeaseRequest {
            resource: resource.to_string(),
            epoch,
            session_id: self.journal(|j| j.session.to_string()),
        };
        self.client.clone().renew_lease(request).await.unwrap().into_inner()
    }
}

/// The name of a job, from its task.
pub(crate) fn name_of(task: &Task) -> &'static str {
    match task {
        Task::VerifySource(_) => "verify-source",
        Task::Backup(_) => "backup",
        Task::Restore(_) => "restore",
        Task::Install(_) => "install",
        Task::VerifyServer(_) => "verify-server",
        Task::VerifyTarget(_) => "verify-database",
        Task::VerifyOldServer(_) => "verify-old-server",
        Task::TestRestore(_) => "test-restore",
        Task::StopServer(_) => "stop-old-server",
        Task::VerifyUnused(_) => "verify-unused",
        Task::VerifyStopped(_) => "verify-old-server-out",
        Task::FenceDatabase(_) => "fence-database",
        Task::RemoveMarks(_) => "remove-marks",
        Task::ProbeIdentity(_) => "write-nonce",
        Task::ReadIdentity(_) => "read-nonce",
        Task::RemoveNonce(_) => "remove-nonce",
        Task::VerifyRestored(_) => "verify-restored",
        Task::Drill(_) => "drill-restore",
        Task::ReadAdsync(_) => "look-at-active",
        Task::CompareStaging(_) => "compare-with-active",
        Task::ListExports(_) => "list-exports",
        Task::ReviewExports(_) => "review-exports",
        Task::CloseTasks(_) => "close-sign-in-tasks",
        Task::StagingMode(t) if t.on => "old-into-staging",
        Task::StagingMode(_) => "new-out-of-staging",
        Task::Uninstall(_) => "uninstall",
        Task::VerifyWayBack(_) => "verify-way-back",
    }
}

pub(crate) fn step(ordinal: i32, state: &str) -> v1::report_request::What {
    v1::report_request::What::Step(v1::StepReport {
        ordinal,
        total: 2,
        name: format!("step-{ordinal}"),
        state: state.to_string(),
        evidence: None,
    })
}

fn end(kind: v1::EndKind, result: Option<Document>) -> v1::report_request::What {
    v1::report_request::What::End(v1::EndReport {
        kind: kind.into(),
        result,
    })
}

pub(crate) fn succeeded(outcome: &Outcome) -> v1::report_request::What {
    end(v1::EndKind::Succeeded, Some(Document::of(schema::OUTCOME, outcome)))
}

/// The good end of a job.
pub(crate) fn succeeded_of(job: &Offered) -> v1::report_request::What {
    succeeded(&facts::outcome(&job.spec))
}

pub(crate) fn undone() -> v1::report_request::What {
    let mut outcome = Outcome::default();
    outcome.saw("step-1", "undone (attempt 1)");
    end(v1::EndKind::Undone, Some(Document::of(schema::OUTCOME, &outcome)))
}

pub(crate) fn cancelled() -> v1::report_request::What {
    end(v1::EndKind::Cancelled, Some(failure(true)))
}

fn failure(undone: bool) -> Document {
    let failure = Failure {
        step: "step-1".to_string(),
        findings: vec![Finding::blocker("broken", "It broke").next("Mend it.")],
        undone,
    };
    Document::of(schema::FAILURE, &failure)
}

pub(crate) fn failed(undone: bool) -> v1::report_request::What {
    end(v1::EndKind::Failed, Some(failure(undone)))
}

pub(crate) fn unknown() -> v1::report_request::What {
    end(v1::EndKind::Unknown, Some(failure(false)))
}

/// What an agent says that is to take back something of which its journal knows nothing.
pub(crate) fn nothing_known(rule: &str) -> v1::report_request::What {
    let failure = Failure {
        step: String::new(),
        findings: vec![Finding::blocker(rule, "No record of it").next("Look, and cancel again.")],
        undone: false,
    };
    end(v1::EndKind::Unknown, Some(Document::of(schema::FAILURE, &failure)))
}

pub(crate) fn gate(sight: v1::GateSight, observation: &str, title: &str) -> v1::report_request::What {
    v1::report_request::What::Gate(v1::GateReport {
        sight: sight.into(),
        observation: observation.to_string(),
        title: title.to_string(),
        cards: None,
    })
}

async fn hello(client: &AgentClient<Channel>, journal: &Mutex<Journal>) -> Result<v1::HelloResponse, Status> {
    let request = {
        let j = journal.lock().unwrap();
        v1::HelloRequest {
            agent_version: "0.1.0".to_string(),
            capabilities: syncferry_shared::capability::ALL.map(str::to_string).to_vec(),
            session_id: j.session.to_string(),
            journal_seq: j.seq,
            highest_epochs: j.epochs.clone().into_iter().collect(),
            highest_incarnation: j.incarnation,
            open_attempts: j
                .open
                .iter()
                .map(|t| v1::OpenAttempt {
                    token: Some(t.clone()),
                    step: "step-1".to_string(),
                    probe: v1::ProbeResult::InProgress.into(),
                    detail: String::new(),
                })
                .collect(),
            transfer_address: j.transfer_address.clone(),
            host_facts: Some(Document::of(schema::HOST_FACTS, &j.inventory.host)),
            computer_name: j.inventory.host.computer_name.clone(),
        }
    };
    let answer = client.clone().hello(request).await?.into_inner();
    let mut j = journal.lock().unwrap();
    j.incarnation = answer.incarnation;
    j.orders = answer
        .orders
        .iter()
        .map(|o| (o.token.clone().unwrap().job_id, o.order()))
        .collect();
    for o in &answer.orders {
        if o.order() == v1::Order::Abandon {
            j.open.retain(|t| Some(t) != o.token.as_ref());
        }
    }
    Ok(answer)
}

/// The background. Like a real agent, it says hello again when a call says that it is not known as it believes.
async fn live(client: AgentClient<Channel>, journal: Arc<Mutex<Journal>>, mut life: watch::Receiver<Life>) {
    loop {
        let now = *life.borrow_and_update();
        if now != Life::Silent
            && let Err(status) = one_round(&client, &journal, now).await
            && matches!(
                status.code(),
                Code::Aborted | Code::Unavailable | Code::Unknown | Code::Cancelled
            )
        {
            let _ = hello(&client, &journal).await;
        }
        // The rhythm of the heartbeats; a change of life comes at once.
        let _ = tokio::time::timeout(Duration::from_millis(250), life.changed()).await;
    }
}

async fn one_round(client: &AgentClient<Channel>, journal: &Mutex<Journal>, life: Life) -> Result<(), Status> {
    let mut client = client.clone();
    let (session_id, journal_seq) = {
        let j = journal.lock().unwrap();
        (j.session.to_string(), j.seq)
    };
    let beat = v1::HeartbeatRequest {
        session_id: session_id.clone(),
        journal_seq,
        progress: vec![],
    };
    client.heartbeat(beat).await?;
    let request = v1::PullRequest {
        session_id: session_id.clone(),
    };
    let pulled = client.pull(request).await?.into_inner();
    let (answers, inventory) = {
        let mut j = journal.lock().unwrap();
        j.pulled = pulled.clone();
        (j.answers, j.inventory.clone())
    };
    for duty in pulled.leases.iter().filter(|_| life == Life::Normal) {
        let request = v1::RenewLeaseRequest {
            resource: duty.resource.clone(),
            epoch: duty.epoch,
            session_id: session_id.clone(),
        };
        client.renew_lease(request).await?;
    }
    for i in pulled.inspections.iter().filter(|_| answers) {
        let question: InspectionRequest = i.request.as_ref().unwrap().read(schema::INSPECTION_REQUEST).unwrap();
        let request = v1::ReportInspectionRequest {
            inspection_id: i.inspection_id.clone(),
            inventory: Some(Document::of(schema::INVENTORY, &answer(&inventory, &question))),
            error: String::new(),
        };
        client.report_inspection(request).await?;
        journal.lock().unwrap().asked.push(question);
    }
    Ok(())
}

/// What of an inventory answers a question.
fn answer(all: &Inventory, question: &InspectionRequest) -> Inventory {
    let mut answer = all.clone();
    answer.instances.retain(|i| question.instances.contains(&i.name));
    let wanted = |d: &DatabaseFacts| {
        let same = |a: &DatabaseAddress| a.instance == d.instance && a.database == d.name;
        question.databases.iter().any(same)
    };
    answer.databases.retain(wanted);
    answer.connect = answer.connect.filter(|_| question.connect);
    answer.installer = answer.installer.filter(|_| question.installer.is_some());
    answer.reach.retain(|r| question.reach.contains(&r.target));
    answer.account = answer.account.filter(|_| question.account.is_some());
    answer.power = answer.power.filter(|_| question.power.is_some());
    answer
}
