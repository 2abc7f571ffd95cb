//! The synchronisation service (`miiserver.exe`): two sessions on its database for as long as it runs, and cycles on a
//! schedule. It starts and stops as the service control manager says.

mod connection;
pub(crate) mod cycle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Host;
use super::layout::SERVICE;
use super::services::{ServiceAction, ServiceError, ServiceState, StartType};
use super::sql::{Row, SqlFailure};
use connection::Connection;

/// A running service.
pub struct Engine {
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What cmdlets and the cycle share.
struct Shared {
    /// The session that answers cmdlets; `None` while the database cannot be reached.
    commands: tokio::sync::Mutex<Option<Connection>>,
    in_cycle: AtomicBool,
}

impl Engine {
    /// Starts it: connects, and then works in the background.
    async fn start(host: &Host) -> Result<Engine, SqlFailure> {
        let first = Connection::open(host).await?;
        let second = Connection::open(host).await?;
        let shared = Arc::new(Shared {
            commands: tokio::sync::Mutex::new(Some(second)),
            in_cycle: AtomicBool::new(false),
        });
        let stop = host.stopping().child_token();
        let task = tokio::spawn(work(host.clone(), Arc::clone(&shared), first, stop.clone()));
        Ok(Engine { shared, stop, task })
    }

    /// Ends it. A cycle that runs is cut off, as when somebody stops the service.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic in it has been logged by the runtime.
        let _ = self.task.await;
        if let Some(connection) = self.shared.commands.lock().await.take() {
            connection.close().await;
        }
    }

    /// `SyncCycleInProgress`.
    pub fn in_cycle(&self) -> bool {
        self.shared.in_cycle.load(Ordering::SeqCst)
    }

    /// Asks its database something on behalf of a cmdlet.
    pub async fn ask(&self, host: &Host, sql: &str) -> Result<Vec<Row>, SqlFailure> {
        let mut commands = self.shared.commands.lock().await;
        if let Some(connection) = commands.as_mut() {
            match connection.run(sql).await {
                // A broken session is replaced once below.
                Err(SqlFailure::Broken(_)) => *commands = None,
                answer => return answer,
            }
        }
        let mut connection = Connection::open(host).await?;
        let answer = connection.run(sql).await;
        *commands = Some(connection);
        answer
    }
}

/// Cycles until the service stops; connects again when its server goes away.
async fn work(host: Host, shared: Arc<Shared>, mut connection: Connection, stop: CancellationToken) {
    loop {
        let pace = host.machine().pace;
        let pause = Duration::from_millis(pace.cycle_every_ms);
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        let enabled = host.look(|s| s.scheduler.sync_cycle_enabled);
        // The wizard suspends the scheduler while it is open.
        if !enabled || host.wizard_open() {
            continue;
        }
        shared.in_cycle.store(true, Ordering::SeqCst);
        let cycle = cycle::run(&host, &mut connection, Duration::from_millis(pace.cycle_ms), &stop);
        let result = cycle.await;
        shared.in_cycle.store(false, Ordering::SeqCst);
        if let Err(error) = result {
            tracing::warn!(%error, "a synchronisation cycle failed");
            match reconnect(&host, &stop).await {
                Some(new) => connection = new,
                None => break,
            }
        }
    }
    connection.close().await;
}

async fn reconnect(host: &Host, stop: &CancellationToken) -> Option<Connection> {
    loop {
        match Connection::open(host).await {
            Ok(connection) => return Some(connection),
            Err(error) => tracing::warn!(%error, "the database cannot be reached; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// What the service control manager does when it is asked.
pub async fn control(host: &Host, name: &str, action: ServiceAction) -> Result<(), ServiceError> {
    if !name.eq_ignore_ascii_case(SERVICE) || host.look(|s| s.service(name).is_none()) {
        return Err(ServiceError::NotInstalled);
    }
    match action {
        ServiceAction::Start => start(host).await,
        ServiceAction::Stop => stop(host).await,
        ServiceAction::Disable => set_start_type(host, StartType::Disabled),
        ServiceAction::Enable => set_start_type(host, StartType::Automatic),
        ServiceAction::Manual => set_start_type(host, StartType::Manual),
    }
}

async fn start(host: &Host) -> Result<(), ServiceError> {
    let mut engine = host.engine().await;
    if engine.is_some() {
        return Err(ServiceError::AlreadyRunning);
    }
    if host.look(|s| s.service(SERVICE).is_some_and(|s| s.start == StartType::Disabled)) {
        return Err(ServiceError::Disabled);
    }
    if let Some(number) = host.faults().service_start {
        return Err(ServiceError::of_number(number));
    }
    set_state(host, ServiceState::StartPending)?;
    match Engine::start(host).await {
        Ok(started) => {
            *engine = Some(started);
            set_state(host, ServiceState::Running)?;
            host.count(|e| e.service_starts += 1);
            Ok(())
        }
        Err(error) => {
            // What Connect writes to the Application log as event 6226.
            tracing::error!(%error, "the service cannot reach its database and stops");
            set_state(host, ServiceState::Stopped)?;
            Err(ServiceError::ServiceSpecific)
        }
    }
}

async fn stop(host: &Host) -> Result<(), ServiceError> {
    let Some(running) = host.engine().await.take() else {
        return Err(ServiceError::NotStarted);
    };
    running.stop().await;
    set_state(host, ServiceState::Stopped)?;
    host.count(|e| e.service_stops += 1);
    Ok(())
}

/// Starts what starts with the machine, and goes on trying: SQL Server may come up later than this host.
pub async fn start_automatic(host: &Host) {
    let automatic = host.look(|s| s.service(SERVICE).is_some_and(|s| s.start == StartType::Automatic));
    if !automatic {
        return;
    }
    // What an old process left is not running now.
    let _ = set_state(host, ServiceState::StartPending);
    let host = host.clone();
    tokio::spawn(async move {
        while !host.stopping().is_cancelled() {
            let mut engine = host.engine().await;
            let wanted = host.look(|s| {
                s.service(SERVICE)
                    .is_some_and(|s| s.state == ServiceState::StartPending)
            });
            if engine.is_some() || !wanted {
                return;
            }
            match Engine::start(&host).await {
                Ok(started) => {
                    *engine = Some(started);
                    let _ = set_state(&host, ServiceState::Running);
                    return;
                }
                Err(error) => tracing::info!(%error, "the service waits for its database"),
            }
            drop(engine);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
}

fn set_state(host: &Host, state: ServiceState) -> Result<(), ServiceError> {
    let changed = host.change(|s| s.service_mut(SERVICE).map(|s| s.state = state));
    match changed {
        Ok(Some(())) => Ok(()),
        Ok(None) => Err(ServiceError::NotInstalled),
        Err(error) => {
            tracing::error!(%error, "the state of the service was not written");
            Err(ServiceError::NoResponse)
        }
    }
}

fn set_start_type(host: &Host, start: StartType) -> Result<(), ServiceError> {
    match host.change(|s| s.service_mut(SERVICE).map(|s| s.start = start)) {
        Ok(Some(())) => Ok(()),
        Ok(None) => Err(ServiceError::NotInstalled),
        Err(_) => Err(ServiceError::NoResponse),
    }
}
