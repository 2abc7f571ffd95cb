//! The whole agent over gRPC and mTLS: enrolled files, configuration, a job, a log, a second process.

use std::sync::Arc;
use std::time::Duration;

use syncferry_proto::transport::{Limits, Profile, listen};
use syncferry_proto::v1;
use syncferry_proto::v1::agent_server::AgentServer;
use syncferry_shared::spec::JobSpec;
use syncferry_shared::{AgentId, HostId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::town::{Hall, Town, offer};
use crate::app::{AppError, run_with};
use crate::config::Config;
use crate::identity::{Enrolled, Enrolment, NotEnrolled, prepare_data_dir};
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

fn enrol(authority: &Authority, config: &Config) {
    prepare_data_dir(&config.data_dir).unwrap();
    let agent_id: AgentId = AGENT.parse().unwrap();
    let enrolment = Enrolment {
        agent_id,
        host_id: HostId(Uuid::nil()),
        host_name: "sql01".into(),
        ticket_key: String::new(),
    };
    let (cert, key) = authority.issue(&syncferry_proto::transport::peer::agent_uri(agent_id, 1));
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
    let config = config(dir.path(), address);
    enrol(&authority, &config);
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
