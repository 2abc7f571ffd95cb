//! The agents' jobs and calls, looked at from outside: what is done without a permit, and what the controller believes that it
//! must not. Nothing is changed on the way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use syncferry_agent::controller::{Called, Controller};
use syncferry_agent::jobs;
use syncferry_agent::runner::{Builder, Cx, Job, Policy, Probe, Step, StepError};
use syncferry_agent::session::Remote;
use syncferry_proto::{millis_of_duration, v1};
use syncferry_shared::Finding;
use syncferry_shared::spec::JobSpec;
use syncferry_shared::token::AttemptToken;
use tokio::sync::mpsc;

use crate::determinism::now;
use crate::observer;
use crate::world::{World, lock};

/// The product's jobs, with each step looked at.
pub(crate) struct Jobs {
    pub(crate) world: Arc<World>,
    pub(crate) agent: usize,
}

impl Builder for Jobs {
    fn build(&self, spec: &JobSpec) -> Result<Job, Box<Finding>> {
        let job = jobs::build(spec)?;
        let steps = job.steps.into_iter();
        let watched = steps.map(|step| {
            Box::new(WatchedStep {
                step,
                world: Arc::clone(&self.world),
                agent: self.agent,
            }) as Box<dyn Step>
        });
        Ok(Job {
            steps: watched.collect(),
            finish: job.finish,
        })
    }
}

struct WatchedStep {
    step: Box<dyn Step>,
    world: Arc<World>,
    agent: usize,
}

#[async_trait]
impl Step for WatchedStep {
    fn name(&self) -> &'static str {
        self.step.name()
    }
    fn destructive(&self) -> bool {
        self.step.destructive()
    }
    fn looks_only(&self) -> bool {
        self.step.looks_only()
    }
    fn budget(&self) -> Duration {
        self.step.budget()
    }
    fn limit(&self) -> Duration {
        self.step.limit()
    }
    async fn before(&self, cx: &mut Cx) -> Result<Value, StepError> {
        self.step.before(cx).await
    }
    async fn probe(&self, cx: &mut Cx) -> Result<Probe, StepError> {
        self.step.probe(cx).await
    }
    async fn act(&self, cx: &mut Cx) -> Result<Value, StepError> {
        let host = self.world.slots[self.agent].host;
        let name = self.step.name();
        self.world
            .say(format!("{host}: {name} of attempt {} acts", cx.token.attempt));
        if self.step.destructive() {
            self.world.count("destructive acts");
            let key = (cx.token.job.to_string(), cx.token.attempt, name.to_string());
            let until = lock(&self.world.slots[self.agent].permits).get(&key).copied();
            if until.is_none_or(|until| until <= now()) {
                self.world.violated(
                    "I9",
                    format!("{name} began on {host} without a permit (until {until:?})"),
                );
            }
        }
        let acted = self.step.act(cx).await;
        if let Err(error) = &acted {
            self.world.say(format!("{host}: {name} failed: {error}"));
        }
        acted
    }
    async fn confirm(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        self.step.confirm(cx, evidence).await
    }
    fn undoes_on_failure(&self) -> bool {
        self.step.undoes_on_failure()
    }
    async fn undo(&self, cx: &mut Cx, evidence: &Value) -> Result<(), StepError> {
        self.step.undo(cx, evidence).await
    }
    async fn discard(&self, cx: &mut Cx) -> Result<(), StepError> {
        self.step.discard(cx).await
    }
    fn on_partial(&self) -> Policy {
        self.step.on_partial()
    }
    async fn clean(&self, cx: &mut Cx, what: &str) -> Result<(), StepError> {
        self.step.clean(cx, what).await
    }
}

/// The controller, with what it answers looked at.
#[derive(Clone)]
pub(crate) struct WatchedController {
    world: Arc<World>,
    agent: usize,
    inner: Remote,
}

impl WatchedController {
    pub(crate) fn new(world: Arc<World>, agent: usize, inner: Remote) -> Self {
        Self { world, agent, inner }
    }

    /// When this call is sent once more, if it is.
    fn later(&self) -> Option<Duration> {
        let mut twice = lock(&self.world.slots[self.agent].twice);
        let most = twice.1;
        twice.0 = twice.0.checked_sub(1)?;
        self.world.count("calls that were sent twice");
        Some(Duration::from_millis(self.world.below(most).unsigned_abs()))
    }

    async fn send_report(&self, request: v1::ReportRequest) -> Called<v1::ReportResponse> {
        let token = request.token.as_ref().and_then(|t| AttemptToken::try_from(t).ok());
        let restores = self.world.restores.load(Ordering::SeqCst);
        let stale = match &token {
            Some(token) => observer::is_stale(&self.world, token).await,
            None => false,
        };
        let called = self.inner.report(request).await;
        if let (true, Ok(answer), Some(token)) = (stale, &called, token) {
            self.world.count("stale reports");
            if answer.current && restores == self.world.restores.load(Ordering::SeqCst) {
                let host = self.world.slots[self.agent].host;
                self.world.violated(
                    "I9",
                    format!(
                        "a report of {host} with an old token (attempt {}) counted",
                        token.attempt
                    ),
                );
            }
        }
        called
    }
}

macro_rules! passed_on {
    (
        once { $($call:ident($request:ty) -> $response:ty;)* }
        twice { $($twice:ident($asked:ty) -> $answered:ty;)* }
    ) => {
        #[async_trait]
        impl Controller for WatchedController {
            $(
            async fn $call(&self, request: $request) -> Called<$response> {
                self.world.breathe(self.agent).await;
                self.inner.$call(request).await
            }
            )*

            async fn authorize(&self, request: v1::AuthorizeRequest) -> Called<v1::AuthorizeResponse> {
                let asked = now();
                self.world.breathe(self.agent).await;
                let called = self.inner.authorize(request.clone()).await;
                let token = request.token.as_ref().and_then(|t| AttemptToken::try_from(t).ok());
                if let (Ok(answer), Some(token)) = (&called, token)
                    && answer.permitted
                {
                    let valid = answer.valid_for.as_ref().map_or(0, millis_of_duration);
                    let key = (token.job.to_string(), token.attempt, request.step.clone());
                    lock(&self.world.slots[self.agent].permits).insert(key, asked + valid);
                }
                called
            }

            async fn report(&self, request: v1::ReportRequest) -> Called<v1::ReportResponse> {
                self.world.breathe(self.agent).await;
                let token = request.token.as_ref().and_then(|t| AttemptToken::try_from(t).ok());
                if let (Some(token), Some(v1::report_request::What::End(_))) = (token, &request.what) {
                    lock(&self.world.ended).insert((token.job.to_string(), token.attempt));
                }
                if let Some(later) = self.later() {
                    let (me, again) = (self.clone(), request.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(later).await;
                        me.send_report(again).await
                    });
                }
                self.send_report(request).await
            }

            $(
            async fn $twice(&self, request: $asked) -> Called<$answered> {
                self.world.breathe(self.agent).await;
                if let Some(later) = self.later() {
                    let (me, again) = (self.clone(), request.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(later).await;
                        me.inner.$twice(again).await
                    });
                }
                self.inner.$twice(request).await
            }
            )*
        }
    };
}

passed_on! {
    once {
        hello(v1::HelloRequest) -> v1::HelloResponse;
        hints(v1::SessionRequest) -> mpsc::Receiver<v1::Hint>;
        pull(v1::PullRequest) -> v1::PullResponse;
        log_chunk(v1::LogChunkRequest) -> v1::LogChunkResponse;
        heartbeat(v1::HeartbeatRequest) -> v1::HeartbeatResponse;
        report_watch(v1::ReportWatchRequest) -> v1::ReportWatchResponse;
        request_transfer(v1::RequestTransferRequest) -> v1::RequestTransferResponse;
        renew_certificate(v1::RenewCertificateRequest) -> v1::RenewCertificateResponse;
    }
    twice {
        accept(v1::AcceptRequest) -> v1::AcceptResponse;
        renew_lease(v1::RenewLeaseRequest) -> v1::RenewLeaseResponse;
        report_inspection(v1::ReportInspectionRequest) -> v1::ReportInspectionResponse;
    }
}
