//! Wiring: configuration and machine in, a running agent out. Decides nothing.

use std::sync::Arc;

use syncferry_proto::transport::{Dial, ExpectedPeer, Profile, connect, endpoints};
use syncferry_shared::SessionId;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clocks::{Clocks, SystemClocks};
use crate::config::{Config, ConfigError};
use crate::controller::Controller;
use crate::host::{Host, HostError};
use crate::identity::{Enrolled, NotEnrolled, prepare_data_dir, renew_for_ever};
use crate::inspect::Inspector;
use crate::instances::Instances;
use crate::jobs;
use crate::journal::{Journal, JournalError};
use crate::runner::{Builder, Deps, Env, LeaseBook};
use crate::session::{About, Link, Remote, Session, TicketKey, open_session};
use crate::transfer::{Artifacts, Counter, DialAs, serve};

/// Why the agent does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity.
    #[error(transparent)]
    NotEnrolled(#[from] NotEnrolled),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The machine does not say what it is.
    #[error("this machine cannot be used: {0}")]
    Host(#[from] HostError),
    /// The controller's address.
    #[error(transparent)]
    Dial(#[from] syncferry_proto::transport::DialError),
    /// The transfer port.
    #[error("cannot listen for transfers on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Runs the agent on a machine until `shutdown`.
pub async fn run(config: Config, host: Arc<dyn Host>, shutdown: CancellationToken) -> Result<(), AppError> {
    run_with(config, host, Arc::new(jobs::build), shutdown).await
}

/// As [`run`], with jobs of the caller's choice.
pub async fn run_with(
    config: Config,
    host: Arc<dyn Host>,
    builder: Arc<dyn Builder>,
    shutdown: CancellationToken,
) -> Result<(), AppError> {
    prepare_data_dir(&config.data_dir).map_err(NotEnrolled::from)?;
    let enrolled = Enrolled::load(&config.data_dir)?;
    let sql = Instances::new(&config.sql)?;
    let (journal, torn) = Journal::open(&config.data_dir)?;
    if torn > 0 {
        tracing::warn!(
            bytes = torn,
            "the journal's last record was torn by a crash; it was cut off"
        );
    }
    let clocks: Arc<dyn Clocks> = Arc::new(SystemClocks);
    let new_id = SessionId::new(clocks.now(), &rand::random());
    let session = open_session(&journal, &host.facts().await?, new_id).await?;
    let link = Arc::new(link(&config.controller, &enrolled)?);
    let controller: Arc<dyn Controller> = link.clone();
    let artifacts = Artifacts::new(&config.data_dir);
    let ticket_key = TicketKey::default();
    if ticket_key.set_from(&enrolled.enrolment.ticket_key).is_err() {
        tracing::debug!("no ticket key yet; it comes with hello");
    }
    let env = Env {
        host: Arc::clone(&host),
        controller: Arc::clone(&controller),
        clocks: Arc::clone(&clocks),
        data_dir: config.data_dir.clone(),
        staging_dir: config.staging_dir.clone(),
        sql: sql.clone(),
        artifacts: artifacts.clone(),
        dial_as: Some(DialAs {
            identity: enrolled.identity.clone(),
            ca_pem: enrolled.ca_pem.clone(),
        }),
        leases: LeaseBook::default(),
        pace: config.pace.runner(),
    };
    let counter = Counter {
        agent: enrolled.enrolment.agent_id,
        ticket_key: ticket_key.clone(),
        artifacts,
        host: Arc::clone(&host),
        clocks: Arc::clone(&clocks),
    };
    let stop = shutdown.child_token();
    let transfer_address = open_counter(&config, &enrolled, counter, stop.clone()).await?;
    let about = About {
        version: env!("CARGO_PKG_VERSION").to_string(),
        capabilities: jobs::capabilities(),
        transfer_address,
        agent_id: enrolled.enrolment.agent_id.to_string(),
        ticket_key,
        reconnect: config.pace.reconnect(),
    };
    let deps = Deps {
        journal,
        env: Arc::new(env),
        builder,
    };
    let inspector = Inspector {
        host,
        sql,
        staging_dir: config.staging_dir.clone(),
        clocks: Arc::clone(&clocks),
    };
    tracing::info!(host = %enrolled.enrolment.host_name, controller = %config.controller, %session, "the agent runs");
    let session = Session::new(session, deps, about, link, Arc::new(inspector));
    let result = tokio::select! {
        result = session.run(shutdown) => result,
        never = renew_for_ever(enrolled.identity, &config.data_dir, controller, clocks) => match never {},
    };
    stop.cancel();
    Ok(result?)
}

/// The link to the controllers, beginning with any of them. Where there are several, each has a channel of its own, because one
/// that answers is left as well when it cannot do anything: it may be the only one that lost its store.
fn link(list: &str, enrolled: &Enrolled) -> Result<Link, AppError> {
    let mut remotes = Vec::new();
    for endpoint in endpoints(list)? {
        let channel = connect(Dial {
            endpoint: endpoint.clone(),
            ca_pem: enrolled.ca_pem.clone(),
            identity: Some(enrolled.identity.clone()),
            expected: ExpectedPeer::Controller,
            profile: Profile::Control,
        })?;
        let remote: Arc<dyn Controller> = Arc::new(Remote::new(channel));
        remotes.push((endpoint, remote));
    }
    // A list of endpoints has at least one, or it was refused.
    let (name, first) = remotes.remove(0);
    Ok(Link::among(
        name,
        first,
        remotes,
        rand::random_range(0..usize::from(u16::MAX)),
    ))
}

/// Begins to hand artifacts out, where that is configured; the address that other agents use.
async fn open_counter(
    config: &Config,
    enrolled: &Enrolled,
    counter: Counter,
    stop: CancellationToken,
) -> Result<String, AppError> {
    let Some(transfer) = &config.transfer else {
        return Ok(String::new());
    };
    let address = transfer.address()?;
    let failed = |error| AppError::Listen {
        address: transfer.listen.clone(),
        error,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(%bound, "handing artifacts out");
    let (identity, ca_pem) = (enrolled.identity.clone(), enrolled.ca_pem.clone());
    tokio::spawn(async move {
        if let Err(e) = serve(listener, &identity, &ca_pem, counter, stop).await {
            tracing::error!("artifacts are not handed out any more: {e:#}");
        }
    });
    Ok(match transfer.advertise.as_str() {
        "" => bound.to_string(),
        advertised => advertised.to_string(),
    })
}
