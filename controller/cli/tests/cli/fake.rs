//! A controller that says what it is told: the real service and real mutual TLS over loopback, with canned answers.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use syncferry_cli::{Answers, Console, Exit};
use syncferry_proto::schema;
use syncferry_proto::transport::peer::{CONTROLLER_URI, operator_uri};
use syncferry_proto::transport::{Identity, Limits, OperatorCredentials, Profile, listen, require_operator};
use syncferry_proto::v1::operator_server::{Operator, OperatorServer};
use syncferry_proto::v1::*;
use syncferry_shared::secret::Secret;
use syncferry_shared::{Finding, OperatorId};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::samples::*;

/// What one stream of `Watch` says, one message after the other. An error ends it.
pub(crate) type Script = Vec<Result<WatchResponse, Status>>;

/// What the controller says.
#[derive(Default)]
pub(crate) struct World {
    /// What `GetMigration` answers; the last one again and again.
    pub(crate) migrations: VecDeque<Migration>,
    /// What the streams of `Watch` say, one after the other.
    pub(crate) watches: VecDeque<Script>,
    /// What every call is refused with.
    pub(crate) refusal: Option<Status>,
    /// What `Apply` was asked.
    pub(crate) applied: Vec<ApplyRequest>,
    /// What `CreatePlan` was asked.
    pub(crate) planned: Vec<CreatePlanRequest>,
    /// Lease verbs, each with whether it was a dry run and which row version was seen.
    pub(crate) acted: Vec<(String, bool, i64)>,
    /// What a lease verb answers; otherwise one that goes well.
    pub(crate) lease_answer: Option<LeaseAnswer>,
    /// What is alarming.
    pub(crate) alarms: Vec<Alarm>,
    /// After which events `Watch` was asked to begin.
    pub(crate) watched_after: Vec<i64>,
    /// What `GetReport` answers.
    pub(crate) report: Option<Document>,
}

/// A running controller, and the credentials to reach it.
pub(crate) struct Controller {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) credentials: PathBuf,
    pub(crate) folder: tempfile::TempDir,
    serving: JoinHandle<()>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a command line brought about.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// stdout as one JSON document.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

impl Controller {
    pub(crate) async fn start(world: World) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca_pem = authority.pem();
        let (cert, key) = issue(&authority, CONTROLLER_URI);
        let identity = Identity::from_pem(&cert, &key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = listen(listener, &identity, &ca_pem, Limits::default()).unwrap();
        let world = Arc::new(Mutex::new(world));
        let service = OperatorServer::new(Fake(world.clone()));
        let serving = tokio::spawn(async move {
            let server = Profile::Control.server().add_service(service);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        let operator_id = OperatorId(uuid::Uuid::from_u128(1));
        let (cert_pem, key_pem) = issue(&authority, &operator_uri(operator_id));
        let credentials = OperatorCredentials {
            controller: address.to_string(),
            ca_pem,
            cert_pem,
            key_pem,
            operator_id,
            name: "ada".into(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.toml");
        credentials.save(&path).unwrap();
        Self {
            world,
            credentials: path,
            folder,
            serving,
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Runs a command line with nobody to answer questions.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.run_answering(args, &[]).await
    }

    /// Runs a command line with somebody who gives these answers; nobody, when there are none.
    pub(crate) async fn run_answering(&self, args: &[&str], answers: &[&str]) -> Ran {
        let mut all: Vec<OsString> = vec![
            "syncferry".into(),
            "--credentials".into(),
            self.credentials.clone().into(),
        ];
        all.extend(args.iter().map(OsString::from));
        run(all, answers).await
    }
}

/// Runs a whole command line.
pub(crate) async fn run(args: Vec<OsString>, answers: &[&str]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console::plain(&mut out, &mut err);
    console.now = || NOW;
    if !answers.is_empty() {
        console.answers = Answers::Given(answers.iter().map(|a| a.to_string()).collect());
    }
    let exit = syncferry_cli::run(args, &mut console).await;
    Ran {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, uri: &str) -> (String, Secret) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri).unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), Secret::new(key.serialize_pem()))
}

/// A refusal as the controller sends it.
pub(crate) fn refused(title: &str, findings: &[Finding]) -> Status {
    let mut status = Status::failed_precondition(title);
    let json = serde_json::to_vec(findings).unwrap();
    status
        .metadata_mut()
        .insert_bin("syncferry-findings-bin", MetadataValue::from_bytes(&json));
    status
}

struct Fake(Arc<Mutex<World>>);

type Answer<T> = Result<Response<T>, Status>;

impl Fake {
    /// The world, for an operator's request that is not refused.
    fn enter<T>(&self, request: &Request<T>) -> Result<MutexGuard<'_, World>, Status> {
        require_operator(request)?;
        let world = self.0.lock().unwrap();
        match &world.refusal {
            Some(status) => Err(status.clone()),
            None => Ok(world),
        }
    }

    /// A lease verb: what it would do, or did.
    fn act<T>(&self, request: Request<T>, verb: &str, dry_run: bool, seen: i64) -> Answer<LeaseAnswer> {
        let mut world = self.enter(&request)?;
        world.acted.push((verb.to_string(), dry_run, seen));
        let answer = world.lease_answer.clone().unwrap_or_else(|| lease_answer(dry_run));
        Ok(Response::new(answer))
    }

    fn answer<T, U>(&self, request: Request<T>, value: U) -> Answer<U> {
        self.enter(&request).map(|_| Response::new(value))
    }
}

fn next(world: &mut World) -> Result<Migration, Status> {
    let gone = || Status::not_found("there is no migration 'nope'; `syncferry status` shows what there is");
    match world.migrations.len() {
        0 => Err(gone()),
        1 => Ok(world.migrations[0].clone()),
        _ => world.migrations.pop_front().ok_or_else(gone),
    }
}

#[tonic::async_trait]
impl Operator for Fake {
    async fn get_version(&self, r: Request<GetVersionRequest>) -> Answer<GetVersionResponse> {
        let v = GetVersionResponse {
            version: "0.1.0".into(),
            store_id: MIGRATION.into(),
            incarnation: 1,
            catalogue_signed_off: "2026-11-01".into(),
        };
        self.answer(r, v)
    }
    async fn add_site(&self, r: Request<AddSiteRequest>) -> Answer<Site> {
        let AddSiteRequest {
            name,
            tenant_id,
            labels,
        } = r.get_ref().clone();
        self.answer(
            r,
            Site {
                name,
                tenant_id,
                labels,
                ..site()
            },
        )
    }
    async fn list_sites(&self, r: Request<ListSitesRequest>) -> Answer<ListSitesResponse> {
        self.answer(r, ListSitesResponse { sites: vec![site()] })
    }
    async fn get_site(&self, r: Request<GetSiteRequest>) -> Answer<Site> {
        self.answer(r, site())
    }
    async fn add_host(&self, r: Request<AddHostRequest>) -> Answer<AddHostResponse> {
        let AddHostRequest { name, roles, .. } = r.get_ref().clone();
        let host = Host {
            name,
            roles,
            ..fresh_host()
        };
        self.answer(
            r,
            AddHostResponse {
                host: Some(host),
                token: "sft1.ABC.012".into(),
                token_expires_at: ago(-60),
            },
        )
    }
    async fn list_hosts(&self, r: Request<ListHostsRequest>) -> Answer<ListHostsResponse> {
        self.answer(
            r,
            ListHostsResponse {
                hosts: vec![host("SYNC01"), fresh_host()],
            },
        )
    }
    async fn get_host(&self, r: Request<GetHostRequest>) -> Answer<Host> {
        let name = r.get_ref().host.clone();
        self.answer(r, host(&name))
    }
    async fn create_token(&self, r: Request<CreateTokenRequest>) -> Answer<CreateTokenResponse> {
        self.answer(
            r,
            CreateTokenResponse {
                token: "sft1.ABC.012".into(),
                expires_at: ago(-60),
            },
        )
    }
    async fn add_database(&self, r: Request<AddDatabaseRequest>) -> Answer<Database> {
        self.answer(r, database())
    }
    async fn list_databases(&self, r: Request<ListDatabasesRequest>) -> Answer<ListDatabasesResponse> {
        self.answer(
            r,
            ListDatabasesResponse {
                databases: vec![database()],
            },
        )
    }
    async fn get_database(&self, r: Request<GetDatabaseRequest>) -> Answer<Database> {
        self.answer(r, database())
    }
    async fn create_plan(&self, r: Request<CreatePlanRequest>) -> Answer<Migration> {
        self.enter(&r)?.planned.push(r.get_ref().clone());
        self.answer(
            r,
            Migration {
                waiting_for: "SQL01 and SYNC02".into(),
                ..migration("inspecting")
            },
        )
    }
    async fn apply(&self, r: Request<ApplyRequest>) -> Answer<Migration> {
        self.enter(&r)?.applied.push(r.get_ref().clone());
        self.answer(r, running())
    }
    async fn cancel(&self, r: Request<CancelRequest>) -> Answer<Migration> {
        self.answer(r, migration("unwinding"))
    }
    async fn get_migration(&self, r: Request<GetMigrationRequest>) -> Answer<Migration> {
        Ok(Response::new(next(&mut *self.enter(&r)?)?))
    }
    async fn list_migrations(&self, r: Request<ListMigrationsRequest>) -> Answer<ListMigrationsResponse> {
        self.answer(
            r,
            ListMigrationsResponse {
                migrations: vec![running()],
            },
        )
    }
    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;
    async fn watch(&self, r: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let mut world = self.enter(&r)?;
        world.watched_after.push(r.get_ref().after_seq);
        let script = world
            .watches
            .pop_front()
            .ok_or_else(|| Status::not_found("there is no migration 'nope'"))?;
        Ok(Response::new(Box::pin(tokio_stream::iter(script))))
    }
    async fn list_events(&self, r: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        let (after_seq, limit) = (r.get_ref().after_seq, r.get_ref().limit);
        let limit = usize::try_from(limit).unwrap_or(1000);
        let events = events().into_iter().filter(|e| e.seq > after_seq).take(limit).collect();
        self.answer(r, ListEventsResponse { events })
    }
    async fn list_gates(&self, r: Request<ListGatesRequest>) -> Answer<ListGatesResponse> {
        self.answer(
            r,
            ListGatesResponse {
                gates: vec![gate("open")],
            },
        )
    }
    async fn complete_gate(&self, r: Request<CompleteGateRequest>) -> Answer<Gate> {
        self.answer(r, gate("claimed"))
    }
    async fn list_leases(&self, r: Request<ListLeasesRequest>) -> Answer<ListLeasesResponse> {
        self.answer(
            r,
            ListLeasesResponse {
                leases: vec![lease(), seat(), export()],
            },
        )
    }
    async fn get_lease(&self, r: Request<GetLeaseRequest>) -> Answer<GetLeaseResponse> {
        self.answer(r, lease_detail())
    }
    async fn hand_over_lease(&self, r: Request<HandOverLeaseRequest>) -> Answer<LeaseAnswer> {
        let (dry, seen) = (r.get_ref().dry_run, r.get_ref().seen_version);
        self.act(r, "handover", dry, seen)
    }
    async fn fence_lease(&self, r: Request<FenceLeaseRequest>) -> Answer<LeaseAnswer> {
        let (dry, seen) = (r.get_ref().dry_run, r.get_ref().seen_version);
        self.act(r, "fence", dry, seen)
    }
    async fn break_glass(&self, r: Request<BreakGlassRequest>) -> Answer<LeaseAnswer> {
        let (dry, seen) = (r.get_ref().dry_run, r.get_ref().seen_version);
        self.act(r, "break-glass", dry, seen)
    }
    async fn attest_lease(&self, r: Request<AttestLeaseRequest>) -> Answer<LeaseAnswer> {
        let (dry, seen) = (r.get_ref().dry_run, r.get_ref().seen_version);
        self.act(r, "attest", dry, seen)
    }
    async fn adopt_lease(&self, r: Request<AdoptLeaseRequest>) -> Answer<LeaseAnswer> {
        let (dry, seen) = (r.get_ref().dry_run, r.get_ref().seen_version);
        self.act(r, "adopt", dry, seen)
    }
    async fn plan_fence(&self, r: Request<PlanFenceRequest>) -> Answer<Migration> {
        self.answer(r, fence_run())
    }
    async fn list_alarms(&self, r: Request<ListAlarmsRequest>) -> Answer<ListAlarmsResponse> {
        let alarms = self.enter(&r)?.alarms.clone();
        self.answer(r, ListAlarmsResponse { alarms })
    }
    async fn acknowledge_alarm(&self, r: Request<AcknowledgeAlarmRequest>) -> Answer<Alarm> {
        let remark = r.get_ref().remark.clone();
        self.answer(
            r,
            Alarm {
                state: "acknowledged".into(),
                acknowledged_by: "operator:ada".into(),
                acknowledged_at: ago(0),
                remark,
                ..alarm()
            },
        )
    }
    async fn get_catalogue(&self, r: Request<GetCatalogueRequest>) -> Answer<Catalogue> {
        self.answer(r, catalogue())
    }
    async fn import_catalogue(&self, r: Request<ImportCatalogueRequest>) -> Answer<Catalogue> {
        let text = r.get_ref().text.clone();
        let imported = Catalogue {
            text,
            origin: "imported".into(),
            imported_by: "operator:anna".into(),
            imported_at: Some(syncferry_proto::timestamp(NOW)),
            ..catalogue()
        };
        self.answer(r, imported)
    }
    async fn get_paper(&self, r: Request<GetPaperRequest>) -> Answer<GetPaperResponse> {
        let Some(kind) = syncferry_shared::papers::PaperKind::parse(&r.get_ref().paper) else {
            return Err(Status::invalid_argument("no such paper"));
        };
        let paper = crate::documents::a_paper(kind);
        self.answer(
            r,
            GetPaperResponse {
                text: syncferry_shared::papers::text(&paper),
                html: syncferry_shared::papers::html(&paper),
                paper: Some(Document::of(schema::PAPER, &paper)),
            },
        )
    }
    async fn compare_databases(&self, r: Request<CompareDatabasesRequest>) -> Answer<CompareDatabasesResponse> {
        let comparison = Some(Document::of(schema::COMPARISON, &crate::documents::comparison()));
        self.answer(r, CompareDatabasesResponse { comparison })
    }
    async fn get_checklist(&self, r: Request<GetChecklistRequest>) -> Answer<GetChecklistResponse> {
        let not_seen = if r.get_ref().look {
            vec!["SQL01 is silent".to_string()]
        } else {
            vec![]
        };
        let checklist = Some(Document::of(schema::CHECKLIST, &crate::documents::checklist()));
        self.answer(r, GetChecklistResponse { checklist, not_seen })
    }
    async fn attest_item(&self, r: Request<AttestItemRequest>) -> Answer<GetChecklistResponse> {
        let mut list = crate::documents::checklist();
        let (item, remark) = (r.get_ref().item.clone(), r.get_ref().remark.clone());
        if let Some(i) = list.items.iter_mut().find(|i| i.id == item) {
            i.state = syncferry_shared::aftercare::ItemState::Attested;
            (i.by, i.at, i.evidence) = (Some("operator:ada".into()), Some(NOW), Some(remark));
            i.until = r.get_ref().until.as_ref().map(syncferry_proto::millis);
        }
        let checklist = Some(Document::of(schema::CHECKLIST, &list));
        self.answer(
            r,
            GetChecklistResponse {
                checklist,
                not_seen: vec![],
            },
        )
    }
    async fn withdraw_item(&self, r: Request<WithdrawItemRequest>) -> Answer<GetChecklistResponse> {
        let mut list = crate::documents::checklist();
        let (item, reason) = (r.get_ref().item.clone(), r.get_ref().reason.clone());
        if let Some(i) = list.items.iter_mut().find(|i| i.id == item) {
            i.state = syncferry_shared::aftercare::ItemState::Open;
            (i.by, i.at) = (Some("operator:ada".into()), Some(NOW));
            i.evidence = Some(format!("withdrawn: {reason}"));
        }
        let checklist = Some(Document::of(schema::CHECKLIST, &list));
        self.answer(
            r,
            GetChecklistResponse {
                checklist,
                not_seen: vec![],
            },
        )
    }
    async fn get_report(&self, r: Request<GetReportRequest>) -> Answer<GetReportResponse> {
        let report = self.enter(&r)?.report.clone();
        self.answer(
            r,
            GetReportResponse {
                report,
                html: "<!doctype html><title>from the controller</title>".into(),
            },
        )
    }
}

/// A message of `Watch`.
pub(crate) fn message(events: Vec<Event>, migration: Migration, rests: bool) -> Result<WatchResponse, Status> {
    Ok(WatchResponse {
        events,
        migration: Some(migration),
        rests,
    })
}

/// A report whose chain holds.
fn catalogue() -> Catalogue {
    let text = syncferry_shared::catalogue::EMBEDDED.to_string();
    Catalogue {
        signed_off: "2026-11-01".into(),
        digest: syncferry_shared::token::digest(text.as_bytes()),
        text,
        origin: "release".into(),
        ..Catalogue::default()
    }
}

pub(crate) fn report_document() -> Document {
    Document::of(schema::REPORT, &crate::documents::report())
}
