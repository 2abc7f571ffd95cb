//! The machine's state: read and changed under one lock, each part in a JSON file of its own. What is on disk is the
//! truth after a crash; what runs (services, the wizard) is not a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use syncferry_sqlserver::storage::Drives;
use tokio_util::sync::CancellationToken;

use super::effects::Effects;
use super::engine::Engine;
use super::faults::Faults;
use super::files;
use super::layout::{KEY_SERVICE, SERVICE};
use super::machine::MachineSpec;
use super::products::Product;
use super::registry::Registry;
use super::services::{Service, ServiceState};
use super::wizard::Wizard;

/// What the scheduler remembers on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// `SyncCycleEnabled`.
    pub sync_cycle_enabled: bool,
    /// `MaintenanceEnabled`.
    pub maintenance_enabled: bool,
    /// `NextSyncCyclePolicyType`: `Delta` or `Initial`.
    pub next_policy: String,
}

impl Default for Scheduler {
    fn default() -> Self {
        Scheduler {
            sync_cycle_enabled: true,
            maintenance_enabled: true,
            next_policy: "Delta".into(),
        }
    }
}

/// Everything that is kept on disk.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// `registry.json`.
    pub registry: Registry,
    /// `services.json`.
    pub services: Vec<Service>,
    /// `products.json`.
    pub products: Vec<Product>,
    /// `scheduler.json`.
    pub scheduler: Scheduler,
    /// `effects.json`.
    pub effects: Effects,
}

impl State {
    /// A service by name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|s| s.name.eq_ignore_ascii_case(name))
    }

    /// A service by name, to change it.
    pub fn service_mut(&mut self, name: &str) -> Option<&mut Service> {
        self.services.iter_mut().find(|s| s.name.eq_ignore_ascii_case(name))
    }

    /// Adds a service or replaces it.
    pub fn put_service(&mut self, service: Service) {
        if service.name == SERVICE {
            self.registry.set(KEY_SERVICE, "ObjectName", service.account.as_str());
        }
        self.services.retain(|s| s.name != service.name);
        self.services.push(service);
    }

    /// Reads the state of a folder.
    pub fn load(dir: &Path) -> io::Result<State> {
        Ok(State {
            registry: files::load(&dir.join("registry.json"))?,
            services: files::load(&dir.join("services.json"))?,
            products: files::load(&dir.join("products.json"))?,
            scheduler: files::load(&dir.join("scheduler.json"))?,
            effects: files::load(&dir.join("effects.json"))?,
        })
    }

    /// Writes all of it.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        self.save_changes(dir, None)
    }

    fn save_changes(&self, dir: &Path, old: Option<&State>) -> io::Result<()> {
        if old.is_none_or(|o| o.registry != self.registry) {
            files::save(&dir.join("registry.json"), &self.registry)?;
        }
        if old.is_none_or(|o| o.services != self.services) {
            files::save(&dir.join("services.json"), &self.services)?;
        }
        if old.is_none_or(|o| o.products != self.products) {
            files::save(&dir.join("products.json"), &self.products)?;
        }
        if old.is_none_or(|o| o.scheduler != self.scheduler) {
            files::save(&dir.join("scheduler.json"), &self.scheduler)?;
        }
        if old.is_none_or(|o| o.effects != self.effects) {
            files::save(&dir.join("effects.json"), &self.effects)?;
        }
        Ok(())
    }
}

/// The machine, shared by everything that runs on it.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    machine: Mutex<MachineSpec>,
    state: Mutex<State>,
    wizard: tokio::sync::Mutex<Option<Wizard>>,
    wizard_open: AtomicBool,
    engine: tokio::sync::Mutex<Option<Engine>>,
    /// `Global\_MSIExecute`: one installation at a time.
    msi: tokio::sync::Mutex<()>,
    stopping: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Opens the machine of a folder. Nothing runs on it yet.
    pub fn open(dir: &Path, stopping: CancellationToken) -> io::Result<Host> {
        let machine = MachineSpec::load(dir)?;
        let state = State::load(dir)?;
        Ok(Host(Arc::new(Inner {
            dir: dir.to_path_buf(),
            machine: Mutex::new(machine),
            state: Mutex::new(state),
            wizard: tokio::sync::Mutex::default(),
            wizard_open: AtomicBool::new(false),
            engine: tokio::sync::Mutex::default(),
            msi: tokio::sync::Mutex::default(),
            stopping,
        })))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The machine.
    pub fn machine(&self) -> MachineSpec {
        lock(&self.0.machine).clone()
    }

    /// Its drives.
    pub fn drives(&self) -> Drives {
        self.machine().drives(self.dir())
    }

    /// The fault plan as it is now; one that cannot be read is none, and is told.
    pub fn faults(&self) -> Faults {
        Faults::load(self.dir()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the fault plan cannot be read and is ignored");
            Faults::default()
        })
    }

    /// Looks at the state.
    pub fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&lock(&self.0.state))
    }

    /// Changes the state and writes what changed before anybody sees it.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> io::Result<R> {
        let mut state = lock(&self.0.state);
        let mut new = state.clone();
        let result = change(&mut new);
        new.save_changes(self.dir(), Some(&state))?;
        *state = new;
        Ok(result)
    }

    /// Counts something.
    pub fn count(&self, count: impl FnOnce(&mut Effects)) {
        if let Err(error) = self.change(|s| count(&mut s.effects)) {
            tracing::error!(%error, "effects were not counted");
        }
    }

    /// The wizard, if it runs.
    pub async fn wizard(&self) -> tokio::sync::MutexGuard<'_, Option<Wizard>> {
        self.0.wizard.lock().await
    }

    /// Whether the wizard runs; it suspends the scheduler. Never waits for a wizard that is busy.
    pub fn wizard_open(&self) -> bool {
        self.0.wizard_open.load(Ordering::SeqCst)
    }

    pub(crate) fn set_wizard_open(&self, open: bool) {
        self.0.wizard_open.store(open, Ordering::SeqCst);
    }

    /// The synchronisation service's process, if it runs.
    pub async fn engine(&self) -> tokio::sync::MutexGuard<'_, Option<Engine>> {
        self.0.engine.lock().await
    }

    /// Takes `Global\_MSIExecute`; `None` when another installation has it.
    pub fn begin_msi(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.0.msi.try_lock().ok()
    }

    /// Cancelled when the machine goes down.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Restarts the machine: everything that runs ends, automatic services start again.
    pub async fn reboot(&self) -> io::Result<()> {
        *self.wizard().await = None;
        self.set_wizard_open(false);
        if let Some(engine) = self.engine().await.take() {
            engine.stop().await;
        }
        {
            let mut machine = lock(&self.0.machine);
            let mut new = machine.clone();
            new.boot_id = uuid::Uuid::now_v7().to_string();
            files::save(&self.dir().join("machine.json"), &new)?;
            *machine = new;
        }
        self.change(|s| {
            s.effects.reboots += 1;
            for service in &mut s.services {
                service.state = ServiceState::Stopped;
            }
        })?;
        super::engine::start_automatic(self).await;
        Ok(())
    }
}
