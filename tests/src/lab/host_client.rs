//! The lab's side of the agent's seam to the machine: every call is a question to the host's process. It does with those
//! questions what an agent on Windows does with Win32, `msiexec.exe` and `powershell.exe`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use syncferry_agent::connect::{account, export_xml, msi_log, powershell_json, trace_log};
use syncferry_agent::host::{Host, HostError, MsiExit, WizardSight};
use syncferry_shared::account::{AccountFacts, AccountRequest};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::{
    ConnectFacts, ConnectParameters, HostFacts, ProductFacts, SchedulerFacts, ServiceFacts,
};
use syncferry_shared::sync_config::Unknown;
use syncferry_sqlserver::storage::Drives;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::host::MachineSpec;
use super::host::dns::Dns;
use super::host::layout::{KEY_COEXISTENCE, KEY_PARAMETERS, SERVICE, TRACE_DIR, UPGRADE_ENGINE, WIZARD_EXE};
use super::host::protocol::{MachineFacts, PORT_FILE, Process, Request, Response, answers};
use super::host::services::ServiceAction;
use super::host::wizard::WizardView;

/// How long PowerShell may take: loading the ADSync module alone takes seconds on a real server.
const POWERSHELL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long Windows Installer may take.
const MSI_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const TIMEOUT: Duration = Duration::from_secs(60);

/// Asks one host. Cheap to clone; a connection per question, so that a restarted host is found again.
#[derive(Debug, Clone)]
pub struct HostClient {
    dir: PathBuf,
    beside: Option<Beside>,
}

/// A program that keeps the same machine in another way, and is told of the wizard.
#[derive(Debug, Clone)]
struct Beside {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl HostClient {
    /// A client of the host in a folder.
    pub fn new(dir: &Path) -> HostClient {
        HostClient {
            dir: dir.to_path_buf(),
            beside: None,
        }
    }

    /// The same, with a program beside it that is told when the wizard opens and has closed.
    #[must_use]
    pub fn beside(mut self, program: PathBuf, lab: &Path, config: &Path) -> HostClient {
        self.beside = Some(Beside {
            program,
            arguments: vec![lab.into(), config.into()],
        });
        self
    }

    async fn tell_beside(&self, words: &[&str]) -> Result<(), HostError> {
        let Some(beside) = &self.beside else { return Ok(()) };
        let what = || format!("{} {}", beside.program.display(), words.join(" "));
        let status = tokio::process::Command::new(&beside.program)
            .args(&beside.arguments)
            .args(words)
            .stdin(std::process::Stdio::null())
            .status()
            .await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(HostError::Os {
                what: what(),
                error: status.to_string(),
            }),
            Err(error) => Err(HostError::Os {
                what: what(),
                error: error.to_string(),
            }),
        }
    }

    /// Asks within a time.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        request: &Request,
        limit: Duration,
    ) -> Result<T, HostError> {
        let asking = tokio::time::timeout(limit, self.exchange(request));
        let response = asking.await.map_err(|_| HostError::Timeout {
            what: what.to_string(),
            seconds: limit.as_secs(),
        })?;
        match response {
            Ok(Response::Ok(value)) => serde_json::from_value(value).map_err(|e| HostError::Answer {
                what: what.to_string(),
                reason: e.to_string(),
            }),
            Ok(Response::Error(error)) => Err(HostError::Os {
                what: what.to_string(),
                error,
            }),
            Err(error) => Err(HostError::Os {
                what: what.to_string(),
                error: format!("the host does not answer: {error}"),
            }),
        }
    }

    async fn exchange(&self, request: &Request) -> io::Result<Response> {
        let port = std::fs::read_to_string(self.dir.join(PORT_FILE))?;
        let port: u16 = port.trim().parse().map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&answer).map_err(io::Error::other)
    }

    /// Opens the wizard.
    pub async fn start_wizard(&self, arguments: &str) -> Result<WizardView, HostError> {
        self.tell_beside(&["wizard-opens", arguments]).await?;
        let request = Request::StartWizard {
            arguments: arguments.to_string(),
        };
        self.ask("AzureADConnect.exe", &request, TIMEOUT).await
    }

    /// What the wizard shows; `None` when it is not open.
    pub async fn wizard_view(&self) -> Result<Option<WizardView>, HostError> {
        self.ask("AzureADConnect.exe", &Request::Wizard, TIMEOUT).await
    }

    /// Fills a field of the wizard.
    pub async fn enter(&self, field: &str, value: &str) -> Result<WizardView, HostError> {
        let request = Request::Enter {
            field: field.to_string(),
            value: value.to_string(),
        };
        self.ask("AzureADConnect.exe", &request, TIMEOUT).await
    }

    /// Presses a button of the wizard.
    pub async fn press(&self, button: &str) -> Result<Option<WizardView>, HostError> {
        let request = Request::Press {
            button: button.to_string(),
        };
        let view: Option<WizardView> = self.ask("AzureADConnect.exe", &request, TIMEOUT * 5).await?;
        if view.is_none() {
            self.tell_beside(&["wizard-closed"]).await?;
        }
        Ok(view)
    }

    /// A client of another host of the same world.
    pub fn of(&self, host: &str) -> HostClient {
        HostClient::new(&self.dir.with_file_name(host))
    }

    /// Turns staging mode on or off, as a person does with the wizard.
    pub async fn set_staging_mode(&self, on: bool) -> Result<(), HostError> {
        self.ask("AzureADConnect.exe", &Request::SetStagingMode { on }, TIMEOUT)
            .await
    }

    /// Uninstalls Connect, as a person does in Programs and Features.
    pub async fn remove_connect(&self) -> Result<(), HostError> {
        self.ask("Programs and Features", &Request::RemoveConnect, TIMEOUT)
            .await
    }

    /// Whether the synchronisation service runs.
    pub async fn service_runs(&self) -> Result<bool, HostError> {
        let name = SERVICE.to_string();
        let service: answers::Service = self.ask(SERVICE, &Request::Service { name }, TIMEOUT).await?;
        Ok(service.is_some_and(|s| s.state.as_str() == "running"))
    }

    /// Asks the service control manager.
    pub async fn control_service(&self, action: ServiceAction) -> Result<(), HostError> {
        let request = Request::ControlService {
            name: SERVICE.to_string(),
            action,
        };
        self.ask(SERVICE, &request, TIMEOUT).await
    }

    /// The synchronisation service, if it is installed.
    pub async fn service(&self) -> Result<answers::Service, HostError> {
        let name = SERVICE.to_string();
        self.ask(SERVICE, &Request::Service { name }, TIMEOUT).await
    }

    async fn powershell(&self, script: &str) -> Result<String, HostError> {
        let request = Request::PowerShell {
            script: script.to_string(),
        };
        let answer: answers::PowerShell = self.ask(script, &request, POWERSHELL_TIMEOUT).await?;
        if answer.exit_code == 0 {
            return Ok(answer.stdout);
        }
        Err(HostError::Os {
            what: script.to_string(),
            error: answer.stderr,
        })
    }

    async fn registry(&self, key: &str, name: &str) -> Result<Option<String>, HostError> {
        let request = Request::Registry {
            key: key.to_string(),
            name: name.to_string(),
        };
        let data: answers::Registry = self.ask("the registry", &request, TIMEOUT).await?;
        Ok(data.map(|d| d.text()))
    }
}

/// A machine of the lab, as an agent uses it.
#[derive(Debug, Clone)]
pub struct LabHost {
    client: HostClient,
    drives: Drives,
    staging_dir: String,
}

impl LabHost {
    /// The machine in a folder; `staging_dir` is where the agent keeps backups, as Windows names it.
    pub fn open(dir: &Path, staging_dir: &str) -> io::Result<LabHost> {
        Ok(LabHost {
            client: HostClient::new(dir),
            drives: MachineSpec::load(dir)?.drives(dir),
            staging_dir: staging_dir.to_string(),
        })
    }

    /// The client.
    pub fn client(&self) -> &HostClient {
        &self.client
    }

    async fn parameters(&self) -> Result<Option<ConnectParameters>, HostError> {
        let server = self.client.registry(KEY_PARAMETERS, "Server").await?;
        let instance = self.client.registry(KEY_PARAMETERS, "SQLInstance").await?;
        let database = self.client.registry(KEY_PARAMETERS, "DBName").await?;
        Ok(match (server, database) {
            (Some(server), Some(database)) => Some(ConnectParameters {
                server,
                instance: instance.unwrap_or_default(),
                database,
            }),
            _ => None,
        })
    }

    /// The last lines of an installer's log that say why.
    fn excerpt(&self, log: &str) -> Vec<String> {
        let Some(bytes) = self.drives.real_path(log).ok().and_then(|p| std::fs::read(p).ok()) else {
            return Vec::new();
        };
        msi_log::excerpt(&msi_log::text(&bytes))
    }

    async fn msiexec(&self, arguments: [&str; 6]) -> Result<MsiExit, HostError> {
        let log = arguments[5];
        let request = Request::Msiexec {
            arguments: arguments.map(str::to_string).to_vec(),
        };
        let code: i32 = self.client.ask("msiexec.exe", &request, MSI_TIMEOUT).await?;
        let failed = code != 0 && code != 3010;
        Ok(MsiExit {
            code,
            log: log.to_string(),
            excerpt: if failed { self.excerpt(log) } else { Vec::new() },
        })
    }

    /// The newest trace log of the wizard.
    fn trace(&self) -> Option<String> {
        let folder = self.drives.real_path(TRACE_DIR).ok()?;
        let mut logs: Vec<PathBuf> = std::fs::read_dir(folder)
            .ok()?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("trace-")))
            .collect();
        logs.sort();
        std::fs::read_to_string(logs.pop()?).ok()
    }
}

#[async_trait]
impl Host for LabHost {
    async fn facts(&self) -> Result<HostFacts, HostError> {
        let facts: MachineFacts = self.client.ask("the computer", &Request::Facts, TIMEOUT).await?;
        Ok(HostFacts {
            computer_name: facts.computer_name,
            fqdn: facts.fqdn,
            os: facts.os,
            os_version: facts.os_version,
            desktop_experience: Some(facts.desktop_experience),
            domain: facts.domain,
            boot_id: facts.boot_id,
            vm_generation: Some(facts.vm_generation),
            tls12: Some(facts.tls12),
            dotnet_release: Some(facts.dotnet_release),
            memory_mb: Some(facts.memory_mb),
            staging_dir: self.staging_dir.clone(),
            staging_free: self.free_space(&self.staging_dir).await.ok(),
        })
    }

    fn local_path(&self, path: &str) -> PathBuf {
        // A path on no drive leads to a file that does not exist, with its name in the error.
        self.drives.real_path(path).unwrap_or_else(|_| PathBuf::from(path))
    }

    fn join(&self, folder: &str, name: &str) -> String {
        format!("{}\\{name}", folder.trim_end_matches('\\'))
    }

    async fn free_space(&self, path: &str) -> Result<u64, HostError> {
        let request = Request::FreeSpace { path: path.to_string() };
        self.client.ask(path, &request, TIMEOUT).await
    }

    async fn secure_dir(&self, path: &str, accounts: &[String]) -> Result<(), HostError> {
        let request = Request::SecureDir {
            path: path.to_string(),
            accounts: accounts.to_vec(),
        };
        self.client.ask(path, &request, TIMEOUT).await
    }

    async fn connect_facts(&self) -> Result<ConnectFacts, HostError> {
        let products: answers::Products = self
            .client
            .ask("the list of products", &Request::Products, TIMEOUT)
            .await?;
        let name = SERVICE.to_string();
        let service: answers::Service = self.client.ask(SERVICE, &Request::Service { name }, TIMEOUT).await?;
        let engine = products.iter().find(|p| p.upgrade_code == UPGRADE_ENGINE);
        let version = engine.and_then(|p| p.version.parse().ok());
        // Without a running service, or when the module does not answer, PowerShell has nothing to say: a fact, no failure.
        let running = service.as_ref().is_some_and(|s| s.state.as_str() == "running");
        let scheduler = if running { self.scheduler().await.ok() } else { None };
        let auto_upgrade = if running { self.auto_upgrade().await } else { None };
        Ok(ConnectFacts {
            auto_upgrade,
            products: products
                .into_iter()
                .map(|p| ProductFacts {
                    name: p.name,
                    version: p.version,
                    product_code: p.product_code,
                })
                .collect(),
            service: service.map(|s| ServiceFacts {
                state: s.state.as_str().to_string(),
                start: s.start.as_str().to_string(),
                account: s.account,
            }),
            parameters: self.parameters().await?,
            scheduler,
            version,
            service_account_type: self.client.registry(KEY_COEXISTENCE, "ServiceAccountType").await?,
        })
    }

    async fn connectors(&self) -> Result<Vec<String>, HostError> {
        let script = "@(Get-ADSyncConnector | Select-Object Name, Identifier, ConnectorTypeName) | ConvertTo-Json";
        let text = self.client.powershell(script).await?;
        powershell_json::connectors(text.as_bytes()).map_err(|e| answer(script, &e.to_string()))
    }

    async fn set_sync_cycle(&self, enabled: bool) -> Result<(), HostError> {
        let script = format!("Set-ADSyncScheduler -SyncCycleEnabled ${enabled}");
        self.client.powershell(&script).await?;
        // The cmdlet says nothing; what it did is looked up.
        if self.scheduler().await?.sync_cycle_enabled == enabled {
            Ok(())
        } else {
            Err(answer(&script, "Get-ADSyncScheduler shows the old value"))
        }
    }

    async fn stop_sync_service(&self) -> Result<(), HostError> {
        let stopped = |s: answers::Service| s.is_none_or(|s| s.state.as_str() == "stopped");
        match self.client.control_service(ServiceAction::Stop).await {
            // It may have been stopped before.
            Err(_) if self.client.service().await.is_ok_and(stopped) => Ok(()),
            result => result,
        }
    }

    async fn start_sync_service(&self) -> Result<(), HostError> {
        self.client.control_service(ServiceAction::Start).await
    }

    async fn set_sync_service_start(&self, start: &str) -> Result<(), HostError> {
        let action = match start {
            "disabled" => ServiceAction::Disable,
            "automatic" => ServiceAction::Enable,
            _ => ServiceAction::Manual,
        };
        self.client.control_service(action).await
    }

    async fn account(&self, request: &AccountRequest) -> Result<AccountFacts, HostError> {
        let machine: MachineFacts = self.client.ask("the machine", &Request::Facts, TIMEOUT).await?;
        let asked = Request::ServiceAccount {
            account: request.account.clone(),
            spns: request.spns.clone(),
        };
        let answer: serde_json::Value = self.client.ask("the script service-account", &asked, TIMEOUT).await?;
        Ok(account::read(request, &machine.computer_name, &answer))
    }

    async fn pending_exports(&self) -> Result<ExportList, HostError> {
        let mut list = ExportList::default();
        for connector in self.connectors().await? {
            let asked = Request::CsExport {
                connector: connector.clone(),
            };
            let text: Result<String, HostError> = self.client.ask("csexport.exe", &asked, TIMEOUT * 5).await;
            let found = text
                .and_then(|text| export_xml::read(text.as_bytes()).map_err(|e| answer("csexport.exe", &e.to_string())));
            match found {
                Ok(found) => {
                    list.connectors.insert(connector, found);
                }
                Err(e) => list.unknown.push(Unknown {
                    fact: connector,
                    why: e.to_string(),
                }),
            }
        }
        Ok(list)
    }

    async fn signature_trusted(&self, path: &str) -> Result<Option<bool>, HostError> {
        let request = Request::SignatureTrusted { path: path.to_string() };
        self.client.ask(path, &request, TIMEOUT).await
    }

    async fn install_msi(&self, path: &str, log: &str) -> Result<MsiExit, HostError> {
        self.msiexec(["/i", path, "/quiet", "/norestart", "/l*v", log]).await
    }

    async fn uninstall_msi(&self, product_code: &str, log: &str) -> Result<MsiExit, HostError> {
        self.msiexec(["/x", product_code, "/quiet", "/norestart", "/l*v", log])
            .await
    }

    async fn wizard(&self) -> Result<WizardSight, HostError> {
        let processes: Vec<Process> = self
            .client
            .ask("running programs", &Request::Processes, TIMEOUT)
            .await?;
        let process = processes.iter().find(|p| p.name.eq_ignore_ascii_case(WIZARD_EXE));
        let mut sight = self.trace().map(|t| trace_log::read(&t)).unwrap_or_default();
        sight.running = process.is_some();
        if let Some(process) = process {
            sight.existing_database = Some(trace_log::has_switch(&process.command_line));
        }
        Ok(sight)
    }

    async fn reach(&self, host: &str, port: u16) -> Result<(), HostError> {
        let what = format!("TCP to {host},{port}");
        let refused = |error: String| HostError::Os {
            what: what.clone(),
            error,
        };
        // The names of contoso.lab are known to its machines only.
        let machine = MachineSpec::load(&self.client.dir).map_err(|e| refused(e.to_string()))?;
        let dns = Dns::load(&self.client.dir.join(&machine.dns)).map_err(|e| refused(e.to_string()))?;
        let address = dns
            .resolve(&machine.computer_name, host, &format!(",{port}"))
            .map_err(|e| refused(e.to_string()))?;
        let connected = TcpStream::connect(address).await;
        connected.map(|_| ()).map_err(|e| refused(e.to_string()))
    }
}

impl LabHost {
    /// `Get-ADSyncAutoUpgrade`; no answer is a fact, no failure.
    async fn auto_upgrade(&self) -> Option<String> {
        let text = self
            .client
            .powershell("Get-ADSyncAutoUpgrade | ConvertTo-Json")
            .await
            .ok()?;
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(value.get("AutoUpgradeState")?.as_str()?.to_string())
    }

    async fn scheduler(&self) -> Result<SchedulerFacts, HostError> {
        let script = "Get-ADSyncScheduler | Select-Object SyncCycleEnabled, StagingModeEnabled, SchedulerSuspended, \
                      SyncCycleInProgress, NextSyncCyclePolicyType | ConvertTo-Json";
        let text = self.client.powershell(script).await?;
        powershell_json::scheduler(text.as_bytes()).map_err(|e| answer(script, &e.to_string()))
    }
}

fn answer(what: &str, reason: &str) -> HostError {
    HostError::Answer {
        what: what.to_string(),
        reason: reason.to_string(),
    }
}
