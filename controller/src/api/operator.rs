//! The operators' service.

use std::pin::Pin;
use std::time::Duration;

use syncferry_proto::v1::operator_server::Operator;
use syncferry_proto::v1::{self, Document};
use syncferry_proto::{schema, timestamp};
use syncferry_shared::MigrationId;
use syncferry_shared::event::StreamKind;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::guard::{self, Shared};
use super::lease::{self as lease_api, ask};
use crate::alarms;
use crate::commands::lease::{self, Typed};
use crate::commands::{add_database, add_host, add_site, apply, cancel, complete_gate, create_plan, lease_run, prove};
use crate::core::Core;
use crate::problem::Problem;
use crate::queries::migration::Detail;
use crate::queries::{self};
use crate::wake::Reason;
use crate::{aftercare, compare, find, papers, report, versions};

/// How often a watcher looks although nothing rang.
const TICK: Duration = Duration::from_millis(500);
const MOST_EVENTS: i64 = 1000;

/// The service.
pub struct Service(pub Shared);

async fn reader(core: &Core, name: &'static str) -> Result<Box<dyn syncferry_store::Tx>, Problem> {
    Ok(core.store.read(name).await?)
}

async fn migration_message(core: &Core, id: MigrationId, detail: Detail) -> Result<v1::Migration, Problem> {
    let mut tx = reader(core, "migration.show").await?;
    let m = tx
        .migration(id)
        .await?
        .ok_or_else(|| Problem::NotFound("the migration is gone".to_string()))?;
    queries::migration::message(&mut *tx, &m, detail).await
}

#[tonic::async_trait]
impl Operator for Service {
    async fn get_version(
        &self,
        request: Request<v1::GetVersionRequest>,
    ) -> Result<Response<v1::GetVersionResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        // A store that can be read and takes no writes is not well: whoever asks for health must hear of it.
        let mut tx = self.0.store.begin("version").await.map_err(Problem::from)?;
        let meta = tx.meta().await.map_err(Problem::from)?;
        let signed_off = versions::current(&self.0, &mut *tx)
            .await
            .map_or(self.0.catalogue.signed_off.clone(), |c| c.signed_off);
        Ok(Response::new(v1::GetVersionResponse {
            version: env!("CARGO_PKG_VERSION").to_string(),
            store_id: meta.id.to_string(),
            incarnation: meta.incarnation,
            catalogue_signed_off: signed_off,
        }))
    }

    async fn add_site(&self, request: Request<v1::AddSiteRequest>) -> Result<Response<v1::Site>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let site = add_site::add_site(&self.0, &actor, &r.name, &r.tenant_id, r.labels.into_iter().collect()).await?;
        let mut tx = reader(&self.0, "site.show").await?;
        let all = tx.sites().await.map_err(Problem::from)?;
        Ok(Response::new(queries::site::message(&site, &all)))
    }

    async fn list_sites(
        &self,
        request: Request<v1::ListSitesRequest>,
    ) -> Result<Response<v1::ListSitesResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "site.list").await?;
        let sites = tx.sites().await.map_err(Problem::from)?;
        Ok(Response::new(v1::ListSitesResponse {
            sites: sites.iter().map(|s| queries::site::message(s, &sites)).collect(),
        }))
    }

    async fn get_site(&self, request: Request<v1::GetSiteRequest>) -> Result<Response<v1::Site>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "site.show").await?;
        let site = find::site(&mut *tx, &request.get_ref().site).await?;
        let all = tx.sites().await.map_err(Problem::from)?;
        Ok(Response::new(queries::site::message(&site, &all)))
    }

    async fn add_host(&self, request: Request<v1::AddHostRequest>) -> Result<Response<v1::AddHostResponse>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let (host, token) = add_host::add_host(&self.0, &actor, &r.site, &r.name, &r.roles, r.token_minutes).await?;
        let mut tx = reader(&self.0, "host.show").await?;
        Ok(Response::new(v1::AddHostResponse {
            host: Some(queries::host::message(&mut *tx, &host).await?),
            token: token.text,
            token_expires_at: Some(timestamp(token.expires_at)),
        }))
    }

    async fn list_hosts(
        &self,
        request: Request<v1::ListHostsRequest>,
    ) -> Result<Response<v1::ListHostsResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "host.list").await?;
        let site = match request.get_ref().site.as_str() {
            "" => None,
            text => Some(find::site(&mut *tx, text).await?.id),
        };
        let mut hosts = Vec::new();
        for host in tx.hosts(site).await.map_err(Problem::from)? {
            hosts.push(queries::host::message(&mut *tx, &host).await?);
        }
        Ok(Response::new(v1::ListHostsResponse { hosts }))
    }

    async fn get_host(&self, request: Request<v1::GetHostRequest>) -> Result<Response<v1::Host>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "host.show").await?;
        let host = find::host(&mut *tx, &request.get_ref().host).await?;
        Ok(Response::new(queries::host::message(&mut *tx, &host).await?))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let token = add_host::create_token(&self.0, &actor, &r.host, r.minutes).await?;
        Ok(Response::new(v1::CreateTokenResponse {
            token: token.text,
            expires_at: Some(timestamp(token.expires_at)),
        }))
    }

    async fn add_database(&self, request: Request<v1::AddDatabaseRequest>) -> Result<Response<v1::Database>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let database = add_database::add_database(&self.0, &actor, &r.site, &r.host, &r.instance, &r.name).await?;
        let mut tx = reader(&self.0, "database.show").await?;
        Ok(Response::new(queries::database::message(&mut *tx, &database).await?))
    }

    async fn list_databases(
        &self,
        request: Request<v1::ListDatabasesRequest>,
    ) -> Result<Response<v1::ListDatabasesResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "database.list").await?;
        let site = match request.get_ref().site.as_str() {
            "" => None,
            text => Some(find::site(&mut *tx, text).await?.id),
        };
        let mut databases = Vec::new();
        for database in tx.databases(site).await.map_err(Problem::from)? {
            databases.push(queries::database::message(&mut *tx, &database).await?);
        }
        Ok(Response::new(v1::ListDatabasesResponse { databases }))
    }

    async fn get_database(&self, request: Request<v1::GetDatabaseRequest>) -> Result<Response<v1::Database>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "database.show").await?;
        let database = find::database(&mut *tx, &request.get_ref().database).await?;
        Ok(Response::new(queries::database::message(&mut *tx, &database).await?))
    }

    async fn create_plan(&self, request: Request<v1::CreatePlanRequest>) -> Result<Response<v1::Migration>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let typed = create_plan::Typed {
            scenario: r.scenario,
            site: r.site,
            source: r.source,
            target_host: r.target_host,
            target_instance: r.target_instance,
            target_database: r.target_database,
            connect_host: r.connect_host,
            installer: r.installer,
            service_account: r.service_account,
            data_dir: r.data_dir,
            log_dir: r.log_dir,
            keep_backup: r.keep_backup,
            handover: r.handover,
            test_instance: r.test_instance,
            backup_file: r.backup_file,
            artifact: r.artifact,
            old_server: r.old_server,
            in_place: r.in_place,
            dba: r.dba,
        };
        let m = create_plan::create_plan(&self.0, &actor, typed).await?;
        Ok(Response::new(migration_message(&self.0, m.id, Detail::Full).await?))
    }

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Result<Response<v1::Migration>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let consent = apply::Consent {
            plan_digest: r.plan_digest,
            accept_warnings: r.accept_warnings,
            reason: r.reason,
            until: r.accept_until.as_ref().map(syncferry_proto::millis),
        };
        let m = apply::apply(&self.0, &actor, &r.migration, consent).await?;
        Ok(Response::new(migration_message(&self.0, m.id, Detail::Full).await?))
    }

    async fn get_catalogue(
        &self,
        request: Request<v1::GetCatalogueRequest>,
    ) -> Result<Response<v1::Catalogue>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "catalogue.show").await?;
        Ok(Response::new(versions::message(&self.0, &mut *tx).await?))
    }

    async fn import_catalogue(
        &self,
        request: Request<v1::ImportCatalogueRequest>,
    ) -> Result<Response<v1::Catalogue>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        versions::import(&self.0, &actor, request.into_inner().text).await?;
        let mut tx = reader(&self.0, "catalogue.show").await?;
        Ok(Response::new(versions::message(&self.0, &mut *tx).await?))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::Migration>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let m = cancel::cancel(&self.0, &actor, &r.migration, &r.reason).await?;
        Ok(Response::new(migration_message(&self.0, m.id, Detail::Full).await?))
    }

    async fn get_migration(
        &self,
        request: Request<v1::GetMigrationRequest>,
    ) -> Result<Response<v1::Migration>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "migration.show").await?;
        let m = find::migration(&mut *tx, &request.get_ref().migration).await?;
        Ok(Response::new(
            queries::migration::message(&mut *tx, &m, Detail::Full).await?,
        ))
    }

    async fn list_migrations(
        &self,
        request: Request<v1::ListMigrationsRequest>,
    ) -> Result<Response<v1::ListMigrationsResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "migration.list").await?;
        let site = match request.get_ref().site.as_str() {
            "" => None,
            text => Some(find::site(&mut *tx, text).await?.id),
        };
        let filter = syncferry_store::MigrationFilter { site, states: vec![] };
        let mut migrations = Vec::new();
        for m in tx.migrations(&filter).await.map_err(Problem::from)? {
            migrations.push(queries::migration::message(&mut *tx, &m, Detail::Row).await?);
        }
        Ok(Response::new(v1::ListMigrationsResponse { migrations }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let id = {
            let mut tx = reader(&self.0, "watch").await?;
            find::migration(&mut *tx, &r.migration).await?.id
        };
        let core = self.0.clone();
        let (send, receive) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            if let Err(problem) = watch(&core, id, r.after_seq, &send).await {
                // Nobody may be reading; then nobody needs to know.
                let _ = send.try_send(Err(problem.into()));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let kind = StreamKind::parse(&r.stream_kind)
            .ok_or_else(|| Status::invalid_argument("the stream is one of migration, agent, lease, system"))?;
        let mut tx = reader(&self.0, "event.list").await?;
        let id = match kind {
            StreamKind::Migration => find::migration(&mut *tx, &r.stream_id).await?.id.to_string(),
            StreamKind::Agent => find::host(&mut *tx, &r.stream_id).await?.id.to_string(),
            StreamKind::Lease => find::lease(&mut *tx, &r.stream_id).await?.resource.0,
            // There is one such stream, and its id is the store's.
            StreamKind::System if r.stream_id.is_empty() => tx.meta().await.map_err(Problem::from)?.id.to_string(),
            StreamKind::System => r.stream_id,
        };
        let limit = if r.limit <= 0 {
            MOST_EVENTS
        } else {
            i64::from(r.limit).min(MOST_EVENTS)
        };
        let events = tx.events(kind, &id, r.after_seq, limit).await.map_err(Problem::from)?;
        Ok(Response::new(v1::ListEventsResponse {
            events: events.iter().map(v1::Event::of).collect(),
        }))
    }

    async fn list_gates(
        &self,
        request: Request<v1::ListGatesRequest>,
    ) -> Result<Response<v1::ListGatesResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let mut tx = reader(&self.0, "gate.list").await?;
        let mut found = match r.migration.as_str() {
            "" => tx.open_gates().await.map_err(Problem::from)?,
            text => {
                let m = find::migration(&mut *tx, text).await?;
                tx.gates_of(m.id).await.map_err(Problem::from)?
            }
        };
        use syncferry_shared::state::GateState::{Claimed, Open};
        found.sort_by_key(|g| !matches!(g.state, Open | Claimed));
        let mut gates = Vec::new();
        for gate in found
            .iter()
            .filter(|g| !r.open_only || matches!(g.state, Open | Claimed))
        {
            gates.push(queries::gate::message(&mut *tx, gate).await?);
        }
        Ok(Response::new(v1::ListGatesResponse { gates }))
    }

    async fn complete_gate(&self, request: Request<v1::CompleteGateRequest>) -> Result<Response<v1::Gate>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let gate = complete_gate::complete_gate(&self.0, &actor, &r.gate, &r.remark).await?;
        let mut tx = reader(&self.0, "gate.show").await?;
        Ok(Response::new(queries::gate::message(&mut *tx, &gate).await?))
    }

    async fn list_leases(
        &self,
        request: Request<v1::ListLeasesRequest>,
    ) -> Result<Response<v1::ListLeasesResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "lease.list").await?;
        let mut leases = Vec::new();
        for lease in tx.leases().await.map_err(Problem::from)? {
            leases.push(queries::lease::message(&mut *tx, &lease).await?);
        }
        Ok(Response::new(v1::ListLeasesResponse { leases }))
    }

    async fn get_lease(&self, request: Request<v1::GetLeaseRequest>) -> Result<Response<v1::GetLeaseResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "lease.show").await?;
        let lease = find::lease(&mut *tx, &request.get_ref().resource).await?;
        Ok(Response::new(queries::lease::with_history(&mut *tx, &lease).await?))
    }

    async fn hand_over_lease(
        &self,
        request: Request<v1::HandOverLeaseRequest>,
    ) -> Result<Response<v1::LeaseAnswer>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let answer = lease::hand_over(&self.0, ask!(r, &actor), &r.to).await?;
        Ok(Response::new(lease_api::answer(&self.0, answer).await?))
    }

    async fn fence_lease(&self, request: Request<v1::FenceLeaseRequest>) -> Result<Response<v1::LeaseAnswer>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let answer = if r.power_off {
            lease::fence_power_off(&self.0, ask!(r, &actor), &r.via).await?
        } else {
            lease::fence(&self.0, ask!(r, &actor)).await?
        };
        Ok(Response::new(lease_api::answer(&self.0, answer).await?))
    }

    async fn break_glass(&self, request: Request<v1::BreakGlassRequest>) -> Result<Response<v1::LeaseAnswer>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let answer = lease::break_glass(
            &self.0,
            ask!(r, &actor),
            Typed {
                server: &r.server,
                ticket: &r.ticket,
            },
        )
        .await?;
        Ok(Response::new(lease_api::answer(&self.0, answer).await?))
    }

    async fn attest_lease(
        &self,
        request: Request<v1::AttestLeaseRequest>,
    ) -> Result<Response<v1::LeaseAnswer>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let answer = lease::attest(
            &self.0,
            ask!(r, &actor),
            Typed {
                server: &r.server,
                ticket: &r.ticket,
            },
        )
        .await?;
        Ok(Response::new(lease_api::answer(&self.0, answer).await?))
    }

    async fn adopt_lease(&self, request: Request<v1::AdoptLeaseRequest>) -> Result<Response<v1::LeaseAnswer>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let answer = lease::adopt(&self.0, ask!(r, &actor), &r.host).await?;
        Ok(Response::new(lease_api::answer(&self.0, answer).await?))
    }

    async fn plan_fence(&self, request: Request<v1::PlanFenceRequest>) -> Result<Response<v1::Migration>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.into_inner();
        let run = match r.run() {
            v1::FenceRun::Fence => lease_run::Run::Fence,
            v1::FenceRun::Open => lease_run::Run::Open,
            v1::FenceRun::RemoveMarks => lease_run::Run::RemoveMarks,
            v1::FenceRun::Prove => {
                let m = prove(&self.0, &actor, &r.lease, &r.other, &r.reason).await?;
                return Ok(Response::new(migration_message(&self.0, m.id, Detail::Full).await?));
            }
            v1::FenceRun::Unspecified => return Err(Status::invalid_argument("what the run is for must be said")),
        };
        let m = lease_run::plan(&self.0, &actor, &r.lease, run, &r.logins, &r.reason).await?;
        Ok(Response::new(migration_message(&self.0, m.id, Detail::Full).await?))
    }

    async fn list_alarms(
        &self,
        request: Request<v1::ListAlarmsRequest>,
    ) -> Result<Response<v1::ListAlarmsResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "alarm.list").await?;
        let alarms = tx.alarms(request.get_ref().all).await.map_err(Problem::from)?;
        Ok(Response::new(v1::ListAlarmsResponse {
            alarms: alarms.iter().map(queries::alarm::message).collect(),
        }))
    }

    async fn acknowledge_alarm(
        &self,
        request: Request<v1::AcknowledgeAlarmRequest>,
    ) -> Result<Response<v1::Alarm>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.get_ref();
        let alarm = alarms::acknowledge(&self.0, &actor, &r.alarm, &r.remark).await?;
        Ok(Response::new(queries::alarm::message(&alarm)))
    }

    async fn get_report(
        &self,
        request: Request<v1::GetReportRequest>,
    ) -> Result<Response<v1::GetReportResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let mut tx = reader(&self.0, "report").await?;
        let m = find::migration(&mut *tx, &request.get_ref().migration).await?;
        let report = report::report(&mut *tx, &m).await?;
        Ok(Response::new(v1::GetReportResponse {
            html: syncferry_shared::report::html(&report),
            report: Some(Document::of(schema::REPORT, &report)),
        }))
    }

    async fn get_paper(&self, request: Request<v1::GetPaperRequest>) -> Result<Response<v1::GetPaperResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let r = request.get_ref();
        let mut tx = reader(&self.0, "paper").await?;
        let m = find::migration(&mut *tx, &r.migration).await?;
        let paper = papers::paper(&self.0, &mut *tx, &m, &r.paper).await?;
        Ok(Response::new(v1::GetPaperResponse {
            text: syncferry_shared::papers::text(&paper),
            html: syncferry_shared::papers::html(&paper),
            paper: Some(Document::of(schema::PAPER, &paper)),
        }))
    }

    async fn compare_databases(
        &self,
        request: Request<v1::CompareDatabasesRequest>,
    ) -> Result<Response<v1::CompareDatabasesResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let r = request.get_ref();
        let comparison = compare::compare(&self.0, &r.active, &r.staging).await?;
        Ok(Response::new(v1::CompareDatabasesResponse {
            comparison: Some(Document::of(schema::COMPARISON, &comparison)),
        }))
    }

    async fn get_checklist(
        &self,
        request: Request<v1::GetChecklistRequest>,
    ) -> Result<Response<v1::GetChecklistResponse>, Status> {
        guard::operator(&self.0, &request).await?;
        let r = request.get_ref();
        let (checklist, not_seen) = aftercare::show(&self.0, &r.migration, r.look).await?;
        Ok(Response::new(v1::GetChecklistResponse {
            checklist: Some(Document::of(schema::CHECKLIST, &checklist)),
            not_seen,
        }))
    }

    async fn attest_item(
        &self,
        request: Request<v1::AttestItemRequest>,
    ) -> Result<Response<v1::GetChecklistResponse>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.get_ref();
        let said = aftercare::Attest {
            migration: &r.migration,
            item: &r.item,
            reason: &r.remark,
            until: r.until.as_ref().map(syncferry_proto::millis),
        };
        let checklist = aftercare::attest(&self.0, &actor, &said).await?;
        Ok(Response::new(v1::GetChecklistResponse {
            checklist: Some(Document::of(schema::CHECKLIST, &checklist)),
            not_seen: vec![],
        }))
    }

    async fn withdraw_item(
        &self,
        request: Request<v1::WithdrawItemRequest>,
    ) -> Result<Response<v1::GetChecklistResponse>, Status> {
        let actor = guard::operator(&self.0, &request).await?;
        let r = request.get_ref();
        let checklist = aftercare::withdraw(&self.0, &actor, &r.migration, &r.item, &r.reason).await?;
        Ok(Response::new(v1::GetChecklistResponse {
            checklist: Some(Document::of(schema::CHECKLIST, &checklist)),
            not_seen: vec![],
        }))
    }
}

fn stopping() -> Problem {
    Problem::NoAnswer("the controller stops; watch again when it is back".to_string())
}

/// Sends what is new until the migration rests, or nobody listens any more.
async fn watch(
    core: &Core,
    id: MigrationId,
    after: i64,
    send: &tokio::sync::mpsc::Sender<Result<v1::WatchResponse, Status>>,
) -> Result<(), Problem> {
    let mut ear = core.wake.listen();
    let mut seen = after;
    let mut last: Option<v1::Migration> = None;
    loop {
        let mut tx = core.store.read("watch").await?;
        let events = tx
            .events(StreamKind::Migration, &id.to_string(), seen, MOST_EVENTS)
            .await?;
        let m = tx
            .migration(id)
            .await?
            .ok_or_else(|| Problem::NotFound("the migration is gone".to_string()))?;
        let message = queries::migration::message(&mut *tx, &m, Detail::WithoutPlan).await?;
        drop(tx);
        seen = events.last().map_or(seen, |e| e.seq);
        // More events than one message holds come with the next one; only then it may rest.
        let rests = queries::migration::rests(&m) && events.len() < usize::try_from(MOST_EVENTS).unwrap_or(usize::MAX);
        if !events.is_empty() || last.as_ref() != Some(&message) || rests {
            let events = events.iter().map(v1::Event::of).collect();
            last = Some(message.clone());
            let response = v1::WatchResponse {
                events,
                migration: Some(message),
                rests,
            };
            // A watcher that does not read must not hold up the order to stop.
            let sent = tokio::select! {
                sent = send.send(Ok(response)) => sent,
                () = core.stop.cancelled() => return Err(stopping()),
            };
            if sent.is_err() || rests {
                return Ok(());
            }
        }
        tokio::select! {
            _ = ear.wait(TICK, |r| r == Reason::Migration(id)) => {}
            () = send.closed() => return Ok(()),
            () = core.stop.cancelled() => return Err(stopping()),
        }
    }
}
