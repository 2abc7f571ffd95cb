//! The whole agent over gRPC and mTLS: enrolled files, configuration, a job, a log, a second process.

use std::sync::Arc;
use std::time::Duration;

use syncferry_proto::transport::peer::agent_uri;
use syncferry_proto::transport::{EnrolmentToken, Fingerprint, Limits, Profile, listen};
use syncferry_proto::v1;
use syncferry_proto::v1::agent_server::AgentServer;
use syncferry_proto::v1::enrolment_server::{Enrolment as EnrolmentService, EnrolmentServer};
use syncferry_shared::spec::JobSpec;
use syncferry_shared::{AgentId, Clock, HostId, Millis};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::town::{Hall, Town, offer};
use crate::app::{AppError, run_with};
use crate::clocks::Clocks;
use crate::config::Config;
use crate::identity::{EnrolError, Enrolled, Enrolment, NotEnrolled, enrol, prepare_data_dir, renew_for_ever};
use crate::os::Native;
use crate::runner::Job;
use crate::runner::tests::world::{Make, Shared, make, new_world, offered};
use crate::testing::Authority;

const AGENT: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120002";

async fn serve(authority: &Authority, town: &Arc<Town>, stop: CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = listen(listener, &authority.controller(), &authority.pem(), Limits::default()).unwrap();
    let server = Profile::Control
        .server()
        .add_service(AgentServer::new(Hall(Arc::clone(town))));
    tokio::spawn(server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()));
    address
}

fn config(dir: &std::path::Path, controller: String) -> Config {
    Config {
        controller,
        data_dir: dir.join("data"),
        staging_dir: dir.to_str().unwrap().into(),
        ..Config::default()
    }
}

fn enrol_files(authority: &Authority, config: &Config) {
    prepare_data_dir(&config.data_dir).unwrap();
    let agent_id: AgentId = AGENT.parse().unwrap();
    let enrolment = Enrolment {
        agent_id,
        host_id: HostId(Uuid::nil()),
        host_name: "sql01".into(),
        ticket_key: String::new(),
    };
    let (cert, key) = authority.issue(&agent_uri(agent_id, 1));
    Enrolled::save(&config.data_dir, &enrolment, &cert, &key, &authority.pem()).unwrap();
}

fn builder(world: &Shared) -> Arc<dyn crate::runner::Builder> {
    let world = Arc::clone(world);
    Arc::new(move |_: &JobSpec| {
        let step: Make = make("one", &world);
        Ok(Job::new(vec![Box::new(step)], |_| Default::default()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_does_a_job_over_mtls() {
    let (dir, authority, town) = (tempfile::tempdir().unwrap(), Authority::new(), Town::new());
    let stop = CancellationToken::new();
    let address = serve(&authority, &town, stop.clone()).await;
    // Of two controllers one is down; which of them it asks first is drawn.
    let mut config = config(dir.path(), format!("127.0.0.1:1, {address}"));
    config.pace.reconnect_first_ms = 10;
    enrol_files(&authority, &config);
    let (token, spec) = offered(1);
    town.change(|d| d.offers.push(offer(&token, &spec)));
    let world = new_world();
    let agent = tokio::spawn(run_with(
        config.clone(),
        Arc::new(Native),
        builder(&world),
        stop.clone(),
    ));
    let heard = town.until(|h| h.end(1).is_some()).await;
    assert_eq!(heard.end(1), Some(v1::EndKind::Succeeded));
    assert!(!heard.hellos[0].computer_name.is_empty());
    // A second agent on the same data directory does not start.
    let second = run_with(config.clone(), Arc::new(Native), builder(&world), stop.clone()).await;
    assert!(matches!(
        second,
        Err(AppError::Journal(crate::journal::JournalError::InUse))
    ));
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), agent)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(world.lock().unwrap().acted["one"], 1);
}

#[tokio::test]
async fn an_agent_that_is_not_enrolled_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "127.0.0.1:1".into());
    let e = run_with(
        config,
        Arc::new(Native),
        builder(&new_world()),
        CancellationToken::new(),
    )
    .await
    .unwrap_err();
    assert!(matches!(e, AppError::NotEnrolled(NotEnrolled::Never)));
    assert!(e.to_string().contains("syncferry-agent enrol"), "{e}");
}

/// A controller that enrols hosts.
struct Desk {
    authority: Arc<Authority>,
    /// The only token that is good.
    token: String,
    /// The authority that comes with the answer; not always the right one.
    sends: String,
}

#[tonic::async_trait]
impl EnrolmentService for Desk {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let request = request.into_inner();
        if request.token != self.token {
            return Err(Status::invalid_argument("this token is not good"));
        }
        let agent = AGENT.parse().unwrap();
        Ok(Response::new(v1::EnrolResponse {
            agent_id: AGENT.into(),
            host_id: AGENT.into(),
            host_name: "sql01".into(),
            certificate_pem: self.authority.sign(&request.csr_pem, &agent_uri(agent, 1)),
            ca_pem: self.sends.clone(),
            generation: 1,
            ticket_key: String::new(),
        }))
    }
}

#[tokio::test]
async fn a_host_enrols_with_a_token_and_only_at_the_right_controller() {
    let authority = Arc::new(Authority::new());
    let pinned = Fingerprint::of_pem(&authority.pem()).unwrap();
    let token = EnrolmentToken::new(&[7; 32], pinned).text().reveal().to_string();
    let start = async |sends: String| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let incoming = listen(listener, &authority.controller(), &authority.pem(), Limits::default()).unwrap();
        let (authority, token) = (Arc::clone(&authority), token.clone());
        let desk = EnrolmentServer::new(Desk {
            authority,
            token,
            sends,
        });
        tokio::spawn(
            Profile::Control
                .server()
                .add_service(desk)
                .serve_with_incoming(incoming),
        );
        address
    };
    let good = start(authority.pem()).await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");

    let other = EnrolmentToken::new(&[8; 32], pinned).text().reveal().to_string();
    // Of several controllers, the first that is there is asked.
    let good = format!("127.0.0.1:1,{good}");
    let e = enrol(&good, &other, &data, "H").await.unwrap_err();
    assert!(e.to_string().contains("this token is not good"), "{e}");
    let foreign = Fingerprint::of_pem(&Authority::new().pem()).unwrap();
    let foreign = EnrolmentToken::new(&[7; 32], foreign).text().reveal().to_string();
    let e = enrol(&good, &foreign, &data, "H").await.unwrap_err();
    assert!(e.to_string().contains("does not present the authority"), "{e}");
    let swapped = start(Authority::new().pem()).await;
    let e = enrol(&swapped, &token, &data, "H").await.unwrap_err();
    assert!(matches!(e, EnrolError::Answer(_)), "{e}");
    assert!(
        matches!(Enrolled::load(&data), Err(NotEnrolled::Never)),
        "nothing was written"
    );

    let enrolment = enrol(&good, &token, &data, "H").await.unwrap();
    let enrolled = Enrolled::load(&data).unwrap();
    assert_eq!((enrolled.enrolment, enrolled.ca_pem), (enrolment, authority.pem()));
    let e = enrol(&good, &token, &data, "H").await.unwrap_err();
    assert!(matches!(e, EnrolError::Already(_)), "{e}");
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_and_on_the_disk() {
    let (dir, authority, town) = (tempfile::tempdir().unwrap(), Arc::new(Authority::new()), Town::new());
    let config = config(dir.path(), "127.0.0.1:1".into());
    enrol_files(&authority, &config);
    let identity = Enrolled::load(&config.data_dir).unwrap().identity;
    let signer = Arc::clone(&authority);
    *town.certify.lock().unwrap() = Some(Box::new(move |csr| v1::RenewCertificateResponse {
        certificate_pem: signer.sign(csr, &agent_uri(AGENT.parse().unwrap(), 2)),
        ca_pem: signer.pem(),
        generation: 2,
    }));
    // The test's certificates live long: the clock stands in the last third of that life.
    let certificate = identity.certificate();
    let life = certificate.not_after.since(certificate.not_before);
    let late = certificate.not_before.plus(life / 10 * 9);
    let renewing = renew_for_ever(identity.clone(), &config.data_dir, town.clone(), Arc::new(At(late)));
    tokio::select! {
        _ = renewing => {}
        () = async {
            while identity.certificate().generation != 2 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let saved = Enrolled::load(&config.data_dir).unwrap().identity;
    assert_eq!(saved.certificate().generation, 2);
}

/// A clock that stands still.
struct At(Millis);

impl Clock for At {
    fn now(&self) -> Millis {
        self.0
    }
}

impl Clocks for At {}
