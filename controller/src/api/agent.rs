//! The agents' service.

use std::pin::Pin;
use std::time::Duration;

use syncferry_proto::transport::peer;
use syncferry_proto::v1::agent_server::Agent;
use syncferry_proto::v1::{self, Document};
use syncferry_proto::{InvalidMessage, duration, millis_of_duration, schema};
use syncferry_shared::progress::Progress;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{AgentId, HostId, SessionId};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::guard::{self, Shared};
use crate::dispatch::hello::{Greeting, Order};
use crate::dispatch::report::{End, Sight, StepReport, What};
use crate::dispatch::{
    accept, authorize, certificate, heartbeat, hello, inspection, log_chunk, pull, renew_lease, report, transfer, watch,
};
use crate::problem::Problem;
use crate::recovery::witness::OpenSight;
use crate::wake::{HostReason, Reason};

/// How often a stream says something although nothing happened: a lost hint costs at most this.
const REMIND: Duration = Duration::from_secs(15);

/// The service.
pub struct Service(pub Shared);

fn token(t: Option<&v1::AttemptToken>) -> Result<AttemptToken, InvalidMessage> {
    AttemptToken::try_from(t.ok_or(InvalidMessage::Missing("token"))?)
}

fn session(text: &str) -> Result<SessionId, InvalidMessage> {
    text.parse()
        .map_err(|e: syncferry_shared::InvalidId| InvalidMessage::Field {
            field: "session_id",
            reason: e.to_string(),
        })
}

fn seconds(s: u64) -> prost_types::Duration {
    duration(i64::try_from(s.saturating_mul(1000)).unwrap_or(i64::MAX))
}

fn order(o: Order) -> i32 {
    match o {
        Order::Continue => v1::Order::Continue,
        Order::Cancel => v1::Order::Cancel,
        Order::Abandon => v1::Order::Abandon,
    }
    .into()
}

fn document<'a>(d: Option<&'a Document>, field: &'static str) -> Result<&'a Document, InvalidMessage> {
    d.ok_or(InvalidMessage::Missing(field))
}

impl Service {
    /// An agent that called while the store could not be used is not silent.
    fn unheard(&self, problem: Problem) -> Problem {
        if problem.is_unavailable() || problem.is_busy() {
            self.0.wake.ring_from_afar(Reason::Unheard);
        }
        problem
    }

    async fn host_of(&self, id: AgentId) -> Result<HostId, Status> {
        let mut tx = self.0.store.read("agent.session").await.map_err(Problem::from)?;
        let agent = tx.agent(id).await.map_err(Problem::from)?;
        agent.map(|a| a.host).ok_or_else(|| {
            Status::permission_denied("this agent is not enrolled here; enrol it again with a new token")
        })
    }
}

fn hint(reason: Option<Reason>) -> v1::Hint {
    let reason = match reason {
        Some(Reason::Host(_, HostReason::Inspection)) => v1::HintReason::Inspection,
        Some(Reason::Host(_, HostReason::Lease)) => v1::HintReason::Lease,
        Some(Reason::Host(_, HostReason::Gate)) => v1::HintReason::Gate,
        _ => v1::HintReason::Work,
    };
    v1::Hint { reason: reason.into() }
}

/// What a report says. Pure: what is not right is refused by name.
pub fn what(r: v1::ReportRequest) -> Result<What, InvalidMessage> {
    use v1::report_request::What as W;
    Ok(match r.what.ok_or(InvalidMessage::Missing("what"))? {
        W::Step(s) => What::Step(StepReport {
            ordinal: s.ordinal,
            total: s.total,
            state: s
                .state
                .parse()
                .map_err(|e: syncferry_shared::state::UnknownState| InvalidMessage::Field {
                    field: "step.state",
                    reason: e.to_string(),
                })?,
            evidence: match &s.evidence {
                Some(d) => d.read(schema::EVIDENCE)?,
                None => vec![],
            },
            name: s.name,
        }),
        W::Gate(g) => What::Gate {
            sight: match g.sight() {
                v1::GateSight::Waiting | v1::GateSight::InProgress => Sight::Waiting,
                v1::GateSight::Proven => Sight::Proven,
                v1::GateSight::Contradicted => Sight::Contradicted,
                v1::GateSight::Unspecified => return Err(unknown("gate.sight", g.sight)),
            },
            cards: match &g.cards {
                Some(d) => d.read(schema::CARDS)?,
                None => vec![],
            },
            observation: g.observation,
            title: g.title,
        },
        W::End(e) => What::End(end(&e)?),
    })
}

fn unknown(field: &'static str, value: i32) -> InvalidMessage {
    InvalidMessage::Field {
        field,
        reason: format!("{value} is not a value that this release knows"),
    }
}

/// What an agent says of an end that needs no words.
fn said<T: serde::de::DeserializeOwned>(e: &v1::EndReport, schema: &'static str) -> Result<Option<T>, InvalidMessage> {
    e.result.as_ref().map(|d| d.read(schema)).transpose()
}

fn end(e: &v1::EndReport) -> Result<End, InvalidMessage> {
    let result = || document(e.result.as_ref(), "end.result");
    Ok(match e.kind() {
        v1::EndKind::Succeeded => End::Succeeded(Box::new(result()?.read(schema::OUTCOME)?)),
        v1::EndKind::Failed => End::Failed(result()?.read(schema::FAILURE)?),
        v1::EndKind::Unknown => End::Unknown(result()?.read(schema::FAILURE)?),
        v1::EndKind::Cancelled => End::Cancelled(said(e, schema::FAILURE)?),
        v1::EndKind::Undone => End::Undone(said(e, schema::OUTCOME)?.map(Box::new)),
        v1::EndKind::Unspecified => return Err(unknown("end.kind", e.kind)),
    })
}

#[tonic::async_trait]
impl Agent for Service {
    async fn hello(&self, request: Request<v1::HelloRequest>) -> Result<Response<v1::HelloResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let open = r
            .open_attempts
            .iter()
            .map(|o| {
                let token = token(o.token.as_ref())?;
                let probe = o
                    .probe()
                    .as_str_name()
                    .trim_start_matches("PROBE_RESULT_")
                    .to_lowercase();
                Ok(OpenSight {
                    token,
                    step: o.step.clone(),
                    probe: probe.replace('_', " "),
                    detail: o.detail.clone(),
                })
            })
            .collect::<Result<_, Status>>()?;
        let facts = match &r.host_facts {
            Some(d) => Some(d.read(schema::HOST_FACTS)?),
            None => None,
        };
        let greeting = Greeting {
            hello: syncferry_store::Hello {
                session: session(&r.session_id)?,
                version: r.agent_version,
                capabilities: r.capabilities,
                transfer_address: (!r.transfer_address.is_empty()).then_some(r.transfer_address),
                journal_seq: r.journal_seq,
            },
            highest_incarnation: r.highest_incarnation,
            highest_epochs: r.highest_epochs.into_iter().collect(),
            open,
            facts,
            computer_name: r.computer_name,
        };
        let greeted = hello::hello(&self.0, id, greeting).await;
        let welcome = greeted.map_err(|p| self.unheard(p))?;
        let agents = &self.0.config.agents;
        Ok(Response::new(v1::HelloResponse {
            controller_version: env!("CARGO_PKG_VERSION").to_string(),
            incarnation: welcome.incarnation,
            heartbeat_interval: Some(seconds(agents.heartbeat_s)),
            silence_limit: Some(seconds(agents.stop_after_s)),
            orders: welcome
                .orders
                .iter()
                .map(|(t, o)| v1::AttemptOrder {
                    token: Some(t.into()),
                    order: order(*o),
                })
                .collect(),
            ticket_key: self.0.tickets.public_key().to_string(),
            agent_id: id.to_string(),
            host_id: welcome.host.id.to_string(),
            host_name: welcome.host.name,
        }))
    }

    type SessionStream = Pin<Box<dyn Stream<Item = Result<v1::Hint, Status>> + Send>>;

    async fn session(&self, request: Request<v1::SessionRequest>) -> Result<Response<Self::SessionStream>, Status> {
        let id = guard::agent(&request)?;
        let host = self.host_of(id).await?;
        let mut ear = self.0.wake.listen();
        let stop = self.0.stop.clone();
        let (send, receive) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            let hello = v1::Hint {
                reason: v1::HintReason::Hello.into(),
            };
            let mut next = Ok(hello);
            // The agent is gone when nobody takes the hint any more.
            while send.send(next).await.is_ok() {
                let heard = ear.wait(REMIND, |r| matches!(r, Reason::Host(h, _) if h == host));
                let reason = tokio::select! {
                    reason = heard => reason,
                    () = send.closed() => return,
                    () = stop.cancelled() => return,
                };
                next = Ok(hint(reason));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }

    async fn pull(&self, request: Request<v1::PullRequest>) -> Result<Response<v1::PullResponse>, Status> {
        let id = guard::agent(&request)?;
        let session = session(&request.get_ref().session_id)?;
        let desired = pull::pull(&self.0, id, session).await?;
        let leases = &self.0.config.leases;
        Ok(Response::new(v1::PullResponse {
            offers: desired
                .offers
                .into_iter()
                .map(|o| v1::Offer {
                    token: Some((&o.token).into()),
                    spec: Some(Document {
                        schema: schema::JOB_SPEC.to_string(),
                        json: o.spec,
                    }),
                    mode: if o.undo { v1::JobMode::Undo } else { v1::JobMode::Do }.into(),
                    signature: vec![],
                })
                .collect(),
            cancels: desired.cancels.iter().map(Into::into).collect(),
            inspections: desired
                .inspections
                .into_iter()
                .map(|i| v1::Inspection {
                    inspection_id: i.id.to_string(),
                    request: Some(Document::of(schema::INSPECTION_REQUEST, &i.request)),
                })
                .collect(),
            leases: desired
                .leases
                .into_iter()
                .map(|d| v1::LeaseDuty {
                    resource: d.resource,
                    epoch: d.epoch,
                    renew_every: Some(seconds(leases.renew_every_s)),
                    ttl: Some(seconds(leases.ttl_s)),
                })
                .collect(),
            claims: desired
                .claims
                .into_iter()
                .map(|(gate, job)| v1::GateClaim {
                    gate_id: gate.to_string(),
                    job_id: job.to_string(),
                })
                .collect(),
            watch: Some(v1::WatchDuty {
                every: Some(seconds(leases.watch_s)),
                databases: desired
                    .watch
                    .databases
                    .into_iter()
                    .map(|(id, address)| v1::WatchTarget {
                        database_id: id.to_string(),
                        instance: address.instance,
                        database: address.database,
                    })
                    .collect(),
                connect: desired.watch.connect,
            })
            .filter(|w| w.connect || !w.databases.is_empty()),
        }))
    }

    async fn accept(&self, request: Request<v1::AcceptRequest>) -> Result<Response<v1::AcceptResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let token = token(r.token.as_ref())?;
        // What it says of its journal is a help, not a condition.
        let journal = session(&r.session_id).ok().map(|session| (session, r.journal_seq));
        let refused = accept::accept(&self.0, id, &token, journal).await?;
        Ok(Response::new(v1::AcceptResponse {
            accepted: refused.is_none(),
            reason: refused.unwrap_or_default(),
        }))
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let token = token(r.token.as_ref())?;
        let next = report::report(&self.0, id, &token, what(r)?).await?;
        Ok(Response::new(v1::ReportResponse {
            current: next.current,
            order: order(next.order),
        }))
    }

    async fn log_chunk(&self, request: Request<v1::LogChunkRequest>) -> Result<Response<v1::LogChunkResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let token = token(r.token.as_ref())?;
        log_chunk::log_chunk(&self.0, id, &token, &r.lines).await?;
        Ok(Response::new(v1::LogChunkResponse {}))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let mut progress = Vec::new();
        for p in &r.progress {
            let of = p.progress.as_ref().ok_or(InvalidMessage::Missing("progress"))?;
            progress.push((token(p.token.as_ref())?, Progress::try_from(of)?));
        }
        let heard = heartbeat::heartbeat(&self.0, id, session(&r.session_id)?, r.journal_seq, progress).await;
        let stale = heard.map_err(|p| self.unheard(p))?;
        Ok(Response::new(v1::HeartbeatResponse {
            stale: stale.iter().map(Into::into).collect(),
            pull: false,
        }))
    }

    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let budget = r.budget.as_ref().map_or(0, millis_of_duration).max(0);
        let answer = authorize::authorize(&self.0, id, &token(r.token.as_ref())?, &r.step, budget).await?;
        Ok(Response::new(match answer {
            Ok(ms) => v1::AuthorizeResponse {
                permitted: true,
                valid_for: Some(duration(ms)),
                reason: String::new(),
            },
            Err(reason) => v1::AuthorizeResponse {
                permitted: false,
                valid_for: None,
                reason,
            },
        }))
    }

    async fn renew_lease(
        &self,
        request: Request<v1::RenewLeaseRequest>,
    ) -> Result<Response<v1::RenewLeaseResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let answer = renew_lease::renew_lease(&self.0, id, &r.resource, r.epoch, session(&r.session_id)?).await?;
        Ok(Response::new(match answer {
            Ok(ms) => v1::RenewLeaseResponse {
                renewed: true,
                valid_for: Some(duration(ms)),
                reason: String::new(),
            },
            Err(reason) => v1::RenewLeaseResponse {
                renewed: false,
                valid_for: None,
                reason,
            },
        }))
    }

    async fn report_inspection(
        &self,
        request: Request<v1::ReportInspectionRequest>,
    ) -> Result<Response<v1::ReportInspectionResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let inspection = r
            .inspection_id
            .parse()
            .map_err(|e: syncferry_shared::InvalidId| InvalidMessage::Field {
                field: "inspection_id",
                reason: e.to_string(),
            })?;
        let answer = match (&r.inventory, r.error.is_empty()) {
            (Some(d), true) => Ok(d.read(schema::INVENTORY)?),
            (None, true) => return Err(InvalidMessage::Missing("inventory").into()),
            (_, false) => Err(r.error.clone()),
        };
        inspection::report(&self.0, id, inspection, answer).await?;
        Ok(Response::new(v1::ReportInspectionResponse {}))
    }

    async fn request_transfer(
        &self,
        request: Request<v1::RequestTransferRequest>,
    ) -> Result<Response<v1::RequestTransferResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.into_inner();
        let artifact = r
            .artifact_id
            .parse()
            .map_err(|e: syncferry_shared::InvalidId| InvalidMessage::Field {
                field: "artifact_id",
                reason: e.to_string(),
            })?;
        let ticket = transfer::request(&self.0, id, &token(r.token.as_ref())?, artifact).await?;
        Ok(Response::new(v1::RequestTransferResponse {
            ticket: ticket.text,
            source_agent_id: ticket.source.to_string(),
            source_address: ticket.address,
        }))
    }

    async fn report_watch(
        &self,
        request: Request<v1::ReportWatchRequest>,
    ) -> Result<Response<v1::ReportWatchResponse>, Status> {
        let id = guard::agent(&request)?;
        let r = request.get_ref();
        let look = document(r.report.as_ref(), "report")?.read(schema::WATCH)?;
        watch::report(&self.0, id, session(&r.session_id)?, look).await?;
        Ok(Response::new(v1::ReportWatchResponse {}))
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let id = guard::agent(&request)?;
        let with = peer(&request)?;
        let (certificate_pem, generation) = certificate::renew(&self.0, id, &with, &request.get_ref().csr_pem).await?;
        let ca_pem = self.0.authority.pem().to_string();
        Ok(Response::new(v1::RenewCertificateResponse {
            certificate_pem,
            ca_pem,
            generation,
        }))
    }
}
