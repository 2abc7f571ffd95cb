//! The listener and its connections. What they say is `tds`' business.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::tds::backend::Backend;
use crate::tds::{Identity, Listener, serve_connection};

/// How long connections may take to end when the server stops.
const STOPPING: Duration = Duration::from_secs(35);

/// Serves clients of `instance` until `shutdown`, then ends their sessions and stops the instance.
///
/// The instance's certificate is made on first use and kept in its folder.
pub async fn serve<B: Backend>(instance: B, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let identity = Identity::open(&instance.folder(), &instance.server_name())?;
    let shared = Arc::new(Listener {
        backend: instance,
        identity,
        shutdown: shutdown.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    // Answers are small and must be seen at once.
                    tcp.set_nodelay(true).ok();
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move { serve_connection(tcp, peer, &shared).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file descriptors, most likely: trying again at once would only spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => report(ended),
        }
    }
    drop(listener);
    let ending = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(STOPPING, ending).await.is_err() {
        tracing::warn!("connections did not end in time and were dropped");
    }
    connections.shutdown().await;
    shared.backend.shutdown().await;
    Ok(())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}
