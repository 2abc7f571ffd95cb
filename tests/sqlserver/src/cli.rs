//! The process entry: opens an instance, listens, says where, and serves until it is told to stop.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::engine::Instance;
use crate::server::serve;
use crate::tds::Identity;
use crate::tds::backend::Backend;

/// The file in the instance's folder that names the port while the server listens.
pub const PORT_FILE: &str = "port";

/// What the server process is told.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// The instance's folder.
    #[arg(long, value_name = "FOLDER")]
    pub dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// Opens the instance in `args.dir` and serves it until the process is told to stop.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let instance = Instance::open(&args.dir)?;
    run_instance(instance, &args).await
}

/// Listens and serves `instance` until Ctrl-C or a termination signal.
///
/// The bound port is written to `<dir>/port` once connections are accepted, and the file goes when the server does.
pub async fn run_instance<B: Backend>(instance: B, args: &ServeArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        if let Err(error) = stop_signal().await {
            tracing::error!(%error, "cannot wait for signals");
        }
        stopping.cancel();
    });
    // The certificate is there before the port is known: a client that checks it may read it at once.
    Identity::open(&instance.folder(), &instance.server_name()).context("cannot make the certificate")?;
    let port_file = args.dir.join(PORT_FILE);
    write_atomically(&port_file, &address.port().to_string()).context("cannot write the port file")?;
    tracing::info!(%address, "listening");
    // Whoever started us may have closed its end; the port file says the same.
    writeln!(io::stdout(), "listening on {address}").ok();
    let served = serve(instance, listener, shutdown).await;
    fs::remove_file(&port_file).ok();
    served.context("the server stopped")
}

/// Readers see no file or a whole one.
fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, path)
}

#[cfg(unix)]
async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
