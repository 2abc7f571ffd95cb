//! The host's process: opens the machine of a folder, starts what starts with it, listens, answers.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::layout::{WIZARD_DIR, WIZARD_EXE};
use super::machine::MachineSpec;
use super::protocol::{MachineFacts, PORT_FILE, Process, Request, Response};
use super::{Host, account, csexport, engine, files, msiexec, person, powershell, wizard};
use crate::lab::msi;

/// The longest question. Nobody sends more than a script.
const LINE_LIMIT: u64 = 1 << 20;

/// What the host's process is told.
#[derive(Debug, Clone, clap::Args)]
pub struct HostArgs {
    /// The host's folder.
    #[arg(long, value_name = "FOLDER")]
    pub dir: PathBuf,
}

/// Runs the host of a folder until `stopping`. The port is in `<dir>/port` while it listens.
pub async fn run(dir: &Path, stopping: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("cannot listen on 127.0.0.1")?;
    let host = Host::open(dir, stopping.clone()).context("cannot open the host's folder")?;
    apply_quotas(&host);
    engine::start_automatic(&host).await;
    let port_file = dir.join(PORT_FILE);
    files::write(&port_file, listener.local_addr()?.port().to_string().as_bytes())?;
    tracing::info!(computer = host.machine().computer_name, "the host is up");
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let host = host.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve(&host, stream).await {
                            tracing::debug!(%error, "a connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
    // A file that is gone already is as good.
    let _ = std::fs::remove_file(port_file);
    if let Some(engine) = host.engine().await.take() {
        engine.stop().await;
    }
    Ok(())
}

async fn serve(host: &Host, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(tokio::io::AsyncReadExt::take(read, LINE_LIMIT)).lines();
    while let Some(line) = lines.next_line().await? {
        let response = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let host = host.clone();
                // A task of its own: what a client began goes on when the client is gone, as on a real machine.
                let work = tokio::spawn(async move { answer(&host, request).await });
                work.await
                    .unwrap_or_else(|e| Response::Error(format!("the host failed: {e}")))
            }
            Err(error) => Response::Error(format!("not a question: {error}")),
        };
        let mut text = serde_json::to_vec(&response)?;
        text.push(b'\n');
        write.write_all(&text).await?;
        lines.get_mut().get_mut().set_limit(LINE_LIMIT);
    }
    Ok(())
}

async fn answer(host: &Host, request: Request) -> Response {
    match request {
        Request::Facts => ok(&facts(&host.machine())),
        Request::Registry { key, name } => ok(&host.look(|s| s.registry.get(&key, &name).cloned())),
        Request::Products => ok(&host.look(|s| s.products.clone())),
        Request::Service { name } => ok(&host.look(|s| s.service(&name).cloned())),
        Request::ControlService { name, action } => result(engine::control(host, &name, action).await),
        Request::ServiceAccount { account, spns } => ok(&account::answer(host, &account, &spns)),
        Request::CsExport { connector } => result(csexport::run(host, &connector).await),
        Request::PowerShell { script } => ok(&powershell::run(host, &script).await),
        Request::Msiexec { arguments } => result(msiexec::run(host, &arguments).await),
        Request::SignatureTrusted { path } => match host.drives().real_path(&path) {
            Ok(file) => result(msi::signature_trusted(&file)),
            Err(error) => Response::Error(error.to_string()),
        },
        Request::Processes => ok(&processes(host).await),
        Request::SecureDir { path, accounts } => result(secure_dir(host, &path, &accounts)),
        Request::FreeSpace { path } => {
            apply_quotas(host);
            result(host.drives().volume(&path).map(|v| v.free_bytes))
        }
        Request::StartWizard { arguments } => result(wizard::start(host, &arguments).await),
        Request::Wizard => ok(&wizard::view(host).await),
        Request::Enter { field, value } => result(wizard::enter(host, &field, &value).await),
        Request::Press { button } => result(wizard::press(host, &button).await),
        Request::SetStagingMode { on } => result(person::staging_mode(host, on).await),
        Request::RemoveConnect => result(person::remove_connect(host).await),
        Request::CloseWizard => {
            wizard::close(host).await;
            ok(&())
        }
        Request::Reboot => result(host.reboot().await),
    }
}

fn ok<T: Serialize>(value: &T) -> Response {
    match serde_json::to_value(value) {
        Ok(value) => Response::Ok(value),
        Err(error) => Response::Error(error.to_string()),
    }
}

fn result<T: Serialize, E: std::fmt::Display>(result: Result<T, E>) -> Response {
    match result {
        Ok(value) => Response::Ok(serde_json::to_value(value).unwrap_or(Value::Null)),
        Err(error) => Response::Error(error.to_string()),
    }
}

fn facts(machine: &MachineSpec) -> MachineFacts {
    MachineFacts {
        computer_name: machine.computer_name.clone(),
        fqdn: machine.fqdn(),
        os: machine.os.clone(),
        os_version: machine.os_version.clone(),
        desktop_experience: machine.desktop_experience,
        domain: machine.domain.clone(),
        boot_id: machine.boot_id.clone(),
        vm_generation: machine.vm_generation.clone(),
        tls12: machine.tls12,
        dotnet_release: machine.dotnet_release,
        memory_mb: machine.memory_mb,
    }
}

async fn processes(host: &Host) -> Vec<Process> {
    let wizard = host.wizard().await;
    wizard
        .iter()
        .map(|w| Process {
            name: WIZARD_EXE.to_string(),
            command_line: format!("\"{WIZARD_DIR}\\{WIZARD_EXE}\" {}", w.arguments()),
        })
        .collect()
}

fn secure_dir(host: &Host, path: &str, accounts: &[String]) -> Result<(), syncferry_sqlserver::storage::OsError> {
    let drives = host.drives();
    if !drives.info(path).is_directory {
        drives.create_dir(path)?;
    }
    let mut allowed = vec![r"BUILTIN\Administrators", r"NT AUTHORITY\SYSTEM"];
    allowed.extend(accounts.iter().map(String::as_str));
    drives.set_acl(path, &allowed, &allowed)
}

/// The fault plan's sizes of drives, where SQL Server sees them too.
fn apply_quotas(host: &Host) {
    for (drive, bytes) in host.faults().drive_bytes {
        if let Err(error) = host.drives().set_total_bytes(&format!("{drive}\\"), Some(bytes)) {
            tracing::warn!(drive, %error, "the drive's size was not set");
        }
    }
}
