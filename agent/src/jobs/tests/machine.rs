//! A machine whose drives are folders; what Connect shows on it follows from its fields.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use async_trait::async_trait;
use syncferry_shared::inventory::{
    ConnectFacts, ConnectParameters, HostFacts, ProductFacts, SchedulerFacts, ServiceFacts,
};

use crate::host::{Host, HostError, MsiExit, WizardSight};

/// The machine. What Connect shows follows from the fields.
pub(super) struct Machine {
    root: PathBuf,
    /// Free bytes, wherever one looks.
    pub(super) free: AtomicU64,
    /// `SyncCycleEnabled`.
    pub(super) cycle: AtomicBool,
    /// Whether it ever was off.
    pub(super) was_off: AtomicBool,
    /// What installing ends with.
    pub(super) msi_exit: AtomicI32,
    /// How often something was installed.
    pub(super) installs: AtomicI32,
    /// The product that is installed, and where Connect ends up.
    pub(super) installed: Mutex<Option<(String, ConnectParameters)>>,
    /// What installing brings.
    pub(super) brings: Mutex<Option<(String, ConnectParameters)>>,
    /// What Windows says of a signature.
    pub(super) trusted: AtomicBool,
    /// State and start type of the service, where Connect is installed.
    pub(super) service: Mutex<(String, String)>,
    /// Whether the service can be stopped.
    pub(super) stops: AtomicBool,
}

impl Machine {
    /// With its drives below a folder, and nothing of Connect on it.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            free: AtomicU64::new(1 << 40),
            cycle: AtomicBool::new(true),
            was_off: AtomicBool::new(false),
            msi_exit: AtomicI32::new(0),
            installs: AtomicI32::new(0),
            installed: Mutex::default(),
            brings: Mutex::default(),
            trusted: AtomicBool::new(true),
            service: Mutex::new(("running".into(), "automatic".into())),
            stops: AtomicBool::new(true),
        }
    }
}

#[async_trait]
impl Host for Machine {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        Ok(HostFacts::default())
    }
    fn local_path(&self, path: &str) -> PathBuf {
        let (drive, rest) = path.split_once(":\\").unwrap_or(("X", path));
        rest.split('\\').fold(self.root.join(drive), |p, part| p.join(part))
    }
    fn join(&self, folder: &str, name: &str) -> String {
        format!("{}\\{name}", folder.trim_end_matches('\\'))
    }
    async fn free_space(&self, _: &str) -> Result<u64, HostError> {
        Ok(self.free.load(Ordering::SeqCst))
    }
    async fn secure_dir(&self, path: &str, _: &[String]) -> Result<(), HostError> {
        std::fs::create_dir_all(self.local_path(path)).map_err(|e| HostError::Os {
            what: path.into(),
            error: e.to_string(),
        })
    }
    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        let installed = self.installed.lock().unwrap().clone();
        let scheduler = SchedulerFacts {
            sync_cycle_enabled: self.cycle.load(Ordering::SeqCst),
            staging_mode: installed.is_some(),
            suspended: false,
            cycle_in_progress: false,
            next_policy: "Delta".into(),
        };
        let mut facts = ConnectFacts {
            scheduler: Some(scheduler),
            ..ConnectFacts::default()
        };
        if let Some((product_code, parameters)) = installed {
            facts.products.push(ProductFacts {
                name: "Microsoft Entra Connect Sync".into(),
                version: "2.6.91.0".into(),
                product_code,
            });
            let (state, start) = self.service.lock().unwrap().clone();
            facts.service = Some(ServiceFacts {
                state,
                start,
                account: r"CONTOSO\gmsa$".into(),
            });
            facts.parameters = Some(parameters);
        }
        Ok(facts)
    }
    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }
    async fn set_sync_cycle(&self, enabled: bool) -> Result<(), HostError> {
        self.cycle.store(enabled, Ordering::SeqCst);
        self.was_off.fetch_or(!enabled, Ordering::SeqCst);
        Ok(())
    }
    async fn stop_sync_service(&self) -> Result<(), HostError> {
        if !self.stops.load(Ordering::SeqCst) {
            return Err(HostError::Os {
                what: "Stop-Service ADSync".into(),
                error: "it does not respond".into(),
            });
        }
        self.service.lock().unwrap().0 = "stopped".into();
        Ok(())
    }
    async fn start_sync_service(&self) -> Result<(), HostError> {
        self.service.lock().unwrap().0 = "running".into();
        Ok(())
    }
    async fn set_sync_service_start(&self, start: &str) -> Result<(), HostError> {
        self.service.lock().unwrap().1 = start.into();
        Ok(())
    }
    async fn signature_trusted(&self, _: &str) -> Result<Option<bool>, HostError> {
        Ok(Some(self.trusted.load(Ordering::SeqCst)))
    }
    async fn install_msi(&self, _: &str, log: &str) -> Result<MsiExit, HostError> {
        let code = self.msi_exit.load(Ordering::SeqCst);
        if code == 0 {
            self.installs.fetch_add(1, Ordering::SeqCst);
            *self.installed.lock().unwrap() = self.brings.lock().unwrap().clone();
        }
        let failed = ["Note: 1: 2203 2: D:\\Install\\AzureADConnect.msi 3: -2147286960".to_string()];
        Ok(MsiExit {
            code,
            log: log.into(),
            excerpt: if code == 0 { Vec::new() } else { failed.to_vec() },
        })
    }
    async fn uninstall_msi(&self, _: &str, log: &str) -> Result<MsiExit, HostError> {
        *self.installed.lock().unwrap() = None;
        Ok(MsiExit {
            code: 0,
            log: log.into(),
            excerpt: Vec::new(),
        })
    }
    async fn wizard(&self) -> Result<WizardSight, HostError> {
        Ok(WizardSight::default())
    }
}
