//! Wiring: store, identity, services, scheduler, duties. It decides nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use syncferry_proto::transport::{Limits, Listener, Profile, listen, private_file};
use syncferry_proto::v1::{agent_server, enrolment_server, operator_server};
use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::event::StreamKind;
use syncferry_shared::{Clock, ControllerId, OperatorId};
use syncferry_store::{NewOperator, Store};
use syncferry_store_sqlite::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{agent, enrolment, guard, operator};
use crate::config::Config;
use crate::core::{Core, Greeted, system_event};
use crate::identity::{self, Keys, ServerCertificate};
use crate::wake::Wake;
use crate::{duties, neighbours, recovery, scheduler, store};

/// The stream that remembers whose certificates are good on this store.
const AUTHORITY: &str = "authority";
/// The first operator's name.
const FIRST_OPERATOR: &str = "admin";
/// The file with the first operator's credentials, in the data directory.
pub const CREDENTIALS_FILE: &str = "operator.toml";
/// The file that says where the controller listens, in the data directory, once it does.
pub const ADDRESS_FILE: &str = "address";

/// How long open calls have to end after the order to stop. Our own streams end with it; this is for peers that are gone.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// What a controller stands on.
pub struct Ground {
    /// The configuration.
    pub config: Config,
    /// The machine's clock; leases are measured by the store's.
    pub clock: Arc<dyn Clock>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The address that the listener has.
    pub bound: SocketAddr,
}

/// Runs the controller until `stop` is cancelled. When it returns, nothing of it runs on: the store can be opened again.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if !config.data_dir.exists() {
        private_file::create_directory(&config.data_dir)
            .with_context(|| format!("{} cannot be made", config.data_dir.display()))?;
    }
    let store = store::open(&config, clock.clone()).await?;
    // A folder whose keys cannot be used is said before the port is taken.
    Keys::open(&config.data_dir, clock.now())?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "{} cannot be listened on; is another controller running, or another program using the port?",
            config.listen
        )
    })?;
    let bound = listener.local_addr()?;
    let ground = Ground {
        config,
        clock,
        store,
        bound,
    };
    run_on(ground, listener, stop).await
}

/// As [`run`], on a store and a port of the caller's.
pub async fn run_on<L: Listener>(ground: Ground, listener: L, stop: CancellationToken) -> anyhow::Result<()> {
    // A failure inside stops everything here, and nothing of the caller's.
    let stop = stop.child_token();
    let Ground {
        config,
        clock,
        store,
        bound,
    } = ground;
    let keys = Keys::open(&config.data_dir, clock.now())?;
    let authority = Arc::new(keys.authority);
    // The one of an earlier run, if that ended without a word.
    let _ = std::fs::remove_file(config.data_dir.join(ADDRESS_FILE));
    let advertise = if config.advertise.is_empty() {
        bound.to_string()
    } else {
        config.advertise.clone()
    };
    let names = vec![host_part(&advertise), "localhost".to_string()];
    let certificate = ServerCertificate::new(authority.clone(), names, identity::ca::SERVER_VALIDITY, clock.now())?;
    let catalogue = catalogue(&config)?;
    let ca_pem = authority.pem().to_string();
    let address_file = config.data_dir.join(ADDRESS_FILE);
    let (wake, rung) = match store.is_shared() {
        true => {
            let (wake, rung) = Wake::shared();
            (wake, Some(rung))
        }
        false => (Wake::default(), None),
    };
    let core = Arc::new(Core {
        id: ControllerId::new(clock.now(), &rand::random()),
        store,
        wake,
        authority,
        tickets: keys.tickets,
        catalogue,
        config,
        greeted: Greeted::default(),
        stop: stop.clone(),
    });
    if core.store.is_shared() {
        same_authority(&core).await?;
    }
    recovery::note::check(&core).await?;
    first_operator(&core, &advertise, &*clock).await?;
    started(&core).await?;
    write_address(&address_file, bound)?;
    tracing::info!(address = %bound, advertise, "the controller listens");

    let incoming = listen(listener, certificate.identity(), &ca_pem, Limits::default())?;
    let most = Profile::Control.max_message_bytes();
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<operator_server::OperatorServer<operator::Service>>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(syncferry_proto::DESCRIPTORS)
        // So that tools without our .proto files can ask for health too.
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let mut background = JoinSet::new();
    background.spawn(named("the scheduler", scheduler::run(core.clone(), stop.clone())));
    background.spawn(named("the duties", duties::run(core.clone(), stop.clone())));
    background.spawn(named("the note", recovery::note::keep(core.clone(), stop.clone())));
    if let Some(rung) = rung {
        background.spawn(named("telling", neighbours::tell(core.clone(), rung, stop.clone())));
        background.spawn(named("hearing", neighbours::hear(core.clone(), stop.clone())));
    }
    background.spawn(named("the certificate's renewal", {
        let stop = stop.clone();
        async move { certificate.keep_renewed(&*clock, stop.cancelled_owned()).await }
    }));
    let serving = Profile::Control
        .server()
        .add_service(tonic::service::interceptor::InterceptedService::new(
            health_service,
            guard::OperatorsOnly,
        ))
        .add_service(tonic::service::interceptor::InterceptedService::new(
            reflection,
            guard::OperatorsOnly,
        ))
        .add_service(enrolment_server::EnrolmentServer::new(enrolment::Service(core.clone())))
        .add_service(agent_server::AgentServer::new(agent::Service(core.clone())).max_decoding_message_size(most))
        .add_service(
            operator_server::OperatorServer::new(operator::Service(core.clone())).max_decoding_message_size(most),
        )
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let ended = tokio::select! {
        served = serving => served.context("the server failed"),
        // Without its scheduler, a controller looks alive and does nothing.
        why = ended_early(&mut background, &stop) => Err(why),
        () = overdue(&stop) => {
            tracing::warn!("calls that did not end in time were cut");
            Ok(())
        }
    };
    stop.cancel();
    if tokio::time::timeout(LAST_MOMENT, finish(&mut background))
        .await
        .is_err()
    {
        background.shutdown().await;
    }
    // Whoever finds the file finds a controller that listens.
    let _ = std::fs::remove_file(&address_file);
    tracing::info!("the controller stopped");
    ended
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Resolves when something ends in the background that should not: it panicked, or returned without an order.
async fn ended_early(background: &mut JoinSet<&'static str>, stop: &CancellationToken) -> anyhow::Error {
    let ended = background.join_next().await;
    if stop.is_cancelled() {
        return std::future::pending().await;
    }
    match ended {
        Some(Err(e)) => anyhow::anyhow!("a background task failed: {e}"),
        Some(Ok(name)) => anyhow::anyhow!("{name} ended without an order"),
        None => anyhow::anyhow!("nothing runs in the background"),
    }
}

async fn finish(background: &mut JoinSet<&'static str>) {
    while background.join_next().await.is_some() {}
}

async fn overdue(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_MOMENT).await;
}

fn host_part(address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').to_string()
}

fn catalogue(config: &Config) -> anyhow::Result<Catalogue> {
    let Some(path) = &config.catalogue else {
        return Ok(Catalogue::embedded());
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Catalogue::parse(&text).with_context(|| format!("{} is not a version catalogue", path.display()))
}

/// At the first start, the first operator's credentials are made. They are the keys to everything: mode 0600.
async fn first_operator(core: &Core, advertise: &str, clock: &dyn Clock) -> anyhow::Result<()> {
    let path: PathBuf = core.config.data_dir.join(CREDENTIALS_FILE);
    let mut tx = core.store.begin("operator.first").await?;
    let known = tx.operator_named(FIRST_OPERATOR).await?;
    if let (Some(_), Ok(mut credentials)) = (&known, syncferry_proto::transport::OperatorCredentials::load(&path)) {
        // The controller may listen elsewhere now; the credentials say where it is.
        if credentials.controller != advertise {
            credentials.controller = advertise.to_string();
            credentials.save(&path)?;
        }
        return Ok(());
    }
    if known.is_some() && core.store.is_shared() {
        // Another controller made them. New ones here would void those.
        return Ok(());
    }
    let id = match &known {
        Some(o) => o.id,
        None => OperatorId::new(tx.now(), &core.random()),
    };
    let validity = identity::ca::OPERATOR_VALIDITY;
    let (credentials, issued) =
        identity::operator::credentials(&core.authority, advertise, FIRST_OPERATOR, id, validity, clock.now())?;
    let (fingerprint, serial) = (
        issued.certificate.fingerprint.to_string(),
        issued.certificate.serial.clone(),
    );
    match known {
        Some(_) => drop(tx.set_operator_certificate(id, &fingerprint, &serial).await?),
        None => drop(
            tx.add_operator(&NewOperator {
                id,
                name: FIRST_OPERATOR.to_string(),
                fingerprint,
                serial,
            })
            .await?,
        ),
    }
    credentials.save(&path)?;
    tx.commit().await?;
    tracing::info!(file = %path.display(), "made the first operator's credentials");
    Ok(())
}

/// Controllers on one store have one authority: what one of them issued, the others must know. The first one's is remembered.
async fn same_authority(core: &Core) -> anyhow::Result<()> {
    let mine = core.authority.fingerprint().to_string();
    let mut tx = core.store.begin("system.authority").await?;
    let first = tx.events(StreamKind::System, AUTHORITY, 0, 1).await?;
    let known = first
        .first()
        .and_then(|e| e.payload["fingerprint"].as_str().map(str::to_string));
    match known {
        Some(known) if known == mine => Ok(()),
        Some(known) => anyhow::bail!(
            "this store belongs to controllers of another authority ({}…, not {}…): stop this one, copy the folder identity/ of \
             theirs into {} in place of the one there, and start it again",
            &known[..known.len().min(16)],
            &mine[..mine.len().min(16)],
            core.config.data_dir.display()
        ),
        None => {
            let payload = serde_json::json!({"fingerprint": mine});
            tx.append_event(system_event(AUTHORITY, "authority.seen", "controller", payload))
                .await?;
            Ok(tx.commit().await?)
        }
    }
}

async fn started(core: &Core) -> anyhow::Result<()> {
    let mut tx = core.store.begin("system.start").await?;
    let meta = tx.meta().await?;
    // Sites of an earlier version have no lease for their tenant's export yet.
    for site in tx.sites().await? {
        crate::commands::lease::export::ensure(&mut *tx, &site.tenant_id, "controller").await?;
    }
    let payload = serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "incarnation": meta.incarnation});
    tx.append_event(system_event(
        &meta.id.to_string(),
        "controller.started",
        "controller",
        payload,
    ))
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Written whole or not at all: whoever waits for the file reads an address.
fn write_address(path: &std::path::Path, address: SocketAddr) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, address.to_string())?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}
