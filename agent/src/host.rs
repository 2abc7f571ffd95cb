//! What the agent needs of the machine it runs on. `os/` holds the real ones; the lab brings its own. Everything that a
//! job does outside SQL Server goes through here, so that one set of jobs serves Windows, Linux and the lab.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use syncferry_shared::account::{AccountFacts, AccountRequest};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::{ConnectFacts, HostFacts};

/// How long a TCP port may take to answer.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// Why the machine did not do or say something.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// This operating system cannot do it: for example, Connect exists on Windows only.
    #[error("{0} is not available on this operating system")]
    Unsupported(&'static str),
    /// The operating system refused, with its own words.
    #[error("{what}: {error}")]
    Os {
        /// What was tried.
        what: String,
        /// What the system said.
        error: String,
    },
    /// A program or a query ran and its answer cannot be used. An empty success is such an answer.
    #[error("{what} gave an answer that cannot be used: {reason}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// It took too long.
    #[error("{what} did not end within {seconds} s")]
    Timeout {
        /// What was asked.
        what: String,
        /// The limit.
        seconds: u64,
    },
}

/// How `msiexec` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsiExit {
    /// The exit code: 0, 1602, 1603, 1605, 1618, 1619, 1620, 1638, 1639, 1641, 3010 …
    pub code: i32,
    /// Where the verbose log is, as people on that machine would name it.
    pub log: String,
    /// The last lines of the log that say why, where it failed.
    pub excerpt: Vec<String>,
}

/// What can be seen of the wizard. Its trace log is a hint, never the only proof.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WizardSight {
    /// Whether the wizard runs.
    pub running: bool,
    /// The page it is on.
    pub page: Option<String>,
    /// Whether it was started with `/useexistingdatabase`; `None` when that cannot be seen. Somebody completing the
    /// Express wizard instead would make a new, empty database.
    pub existing_database: Option<bool>,
    /// Errors from its trace log.
    pub errors: Vec<String>,
    /// Whether its trace log says that configuration is complete.
    pub completed: bool,
}

/// The machine.
///
/// Paths are given as SQL Server and people on that machine name them (`D:\Syncferry\staging\x.bak`).
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// What the machine is.
    async fn facts(&self) -> Result<HostFacts, HostError>;

    /// Where this process finds a file that SQL Server names `path`. The same path on a real machine.
    fn local_path(&self, path: &str) -> PathBuf;

    /// Joins a folder and a file name with the machine's separator.
    fn join(&self, folder: &str, name: &str) -> String;

    /// Free bytes on the volume of `path`.
    async fn free_space(&self, path: &str) -> Result<u64, HostError>;

    /// Makes a folder that only administrators, the system, this agent and the given accounts can use.
    async fn secure_dir(&self, path: &str, accounts: &[String]) -> Result<(), HostError>;

    /// What Connect looks like here: products, service, registry, scheduler. Looking changes nothing.
    async fn connect_facts(&self) -> Result<ConnectFacts, HostError>;

    /// What a service account is, and whether this machine may use it. Looking changes nothing.
    async fn account(&self, _request: &AccountRequest) -> Result<AccountFacts, HostError> {
        Err(HostError::Unsupported("looking at service accounts"))
    }

    /// What this server would export, attribute by attribute: `csexport.exe` for each connector. Its files name people: they are
    /// read and deleted.
    async fn pending_exports(&self) -> Result<ExportList, HostError> {
        Err(HostError::Unsupported("csexport.exe"))
    }

    /// Names of the connectors, from `Get-ADSyncConnector`.
    async fn connectors(&self) -> Result<Vec<String>, HostError>;

    /// `Set-ADSyncScheduler -SyncCycleEnabled`. Whoever calls it has written the old value to the journal.
    async fn set_sync_cycle(&self, enabled: bool) -> Result<(), HostError>;

    /// `Stop-Service ADSync`. Returns when it has stopped; a service that is stopped already is as good.
    async fn stop_sync_service(&self) -> Result<(), HostError> {
        Err(HostError::Unsupported("stopping the service ADSync"))
    }

    /// `Start-Service ADSync`. Returns when it runs.
    async fn start_sync_service(&self) -> Result<(), HostError> {
        Err(HostError::Unsupported("starting the service ADSync"))
    }

    /// `Set-Service ADSync -StartupType …`: `automatic`, `manual` or `disabled`, as [`ServiceFacts`] names them. Whoever calls
    /// it has written the old value to the journal.
    ///
    /// [`ServiceFacts`]: syncferry_shared::inventory::ServiceFacts
    async fn set_sync_service_start(&self, _start: &str) -> Result<(), HostError> {
        Err(HostError::Unsupported("changing how the service ADSync starts"))
    }

    /// Whether the machine trusts the file's signature; `None` where that cannot be asked.
    async fn signature_trusted(&self, path: &str) -> Result<Option<bool>, HostError>;

    /// `msiexec /i <path> /quiet /norestart /l*v <log>`. Returns when it ended.
    async fn install_msi(&self, path: &str, log: &str) -> Result<MsiExit, HostError>;

    /// `msiexec /x <product code> /quiet /norestart /l*v <log>`.
    async fn uninstall_msi(&self, product_code: &str, log: &str) -> Result<MsiExit, HostError>;

    /// What can be seen of the wizard.
    async fn wizard(&self) -> Result<WizardSight, HostError>;

    /// Whether a program on this machine reaches a TCP port, by the name that a person would type.
    async fn reach(&self, host: &str, port: u16) -> Result<(), HostError> {
        let what = format!("TCP to {host},{port}");
        let connecting = tokio::net::TcpStream::connect((host, port));
        match tokio::time::timeout(REACH_LIMIT, connecting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(HostError::Os {
                what,
                error: e.to_string(),
            }),
            Err(_) => Err(HostError::Timeout {
                what,
                seconds: REACH_LIMIT.as_secs(),
            }),
        }
    }
}
