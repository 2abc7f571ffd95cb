//! Handing artifacts out: for an agent's certificate and a ticket of the controller that names this agent, that agent and
//! the artifact.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use syncferry_proto::transport::{Identity, Limits, Profile, listen, require_agent, ticket};
use syncferry_proto::v1::transfer_server::{Transfer, TransferServer};
use syncferry_proto::{schema, v1};
use syncferry_shared::AgentId;
use syncferry_shared::artifact::Manifest;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::artifacts::Artifacts;
use crate::clocks::Clocks;
use crate::host::Host;
use crate::session::TicketKey;

/// A chunk travels in pieces of this size.
pub(crate) const PIECE: usize = 256 << 10;
/// How many chunks one call may ask for.
pub(crate) const MOST_CHUNKS: u32 = 64;
/// How many calls read from the disk at once.
const READERS: usize = 8;

/// What the server needs.
#[derive(Clone)]
pub struct Counter {
    /// Who we are.
    pub agent: AgentId,
    /// The controller's key.
    pub ticket_key: TicketKey,
    /// What we have.
    pub artifacts: Artifacts,
    /// Where the files are.
    pub host: Arc<dyn Host>,
    /// The time, for tickets.
    pub clocks: Arc<dyn Clocks>,
}

struct Service {
    counter: Counter,
    readers: Arc<Semaphore>,
}

/// Serves until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    identity: &Identity,
    ca_pem: &str,
    counter: Counter,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let incoming = listen(listener, identity, ca_pem, Limits::default())?;
    let service = Service {
        counter,
        readers: Arc::new(Semaphore::new(READERS)),
    };
    let most = Profile::Bulk.max_message_bytes();
    let service = TransferServer::new(service)
        .max_decoding_message_size(most)
        .max_encoding_message_size(most);
    Profile::Bulk
        .server()
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await?;
    Ok(())
}

impl Service {
    /// The manifest that the caller may have.
    fn admit<T>(&self, request: &Request<T>, ticket: &str) -> Result<Manifest, Status> {
        let caller = require_agent(request)?;
        let counter = &self.counter;
        let key = counter.ticket_key.get();
        let key = key.ok_or_else(|| Status::unavailable("this agent has not heard from its controller yet"))?;
        let refused = |e: ticket::TicketError| {
            tracing::warn!(%caller, "a ticket was refused: {e}");
            Status::permission_denied(e.to_string())
        };
        let claims = ticket::verify(ticket, &key, counter.clocks.now()).map_err(refused)?;
        claims.check(claims.artifact, counter.agent, caller).map_err(refused)?;
        let manifest = counter.artifacts.get(claims.artifact);
        let manifest = manifest.map_err(|e| Status::data_loss(e.to_string()))?;
        manifest.ok_or_else(|| Status::not_found(format!("this host does not have artifact {}", claims.artifact)))
    }
}

#[tonic::async_trait]
impl Transfer for Service {
    async fn get_manifest(
        &self,
        request: Request<v1::GetManifestRequest>,
    ) -> Result<Response<v1::GetManifestResponse>, Status> {
        let manifest = self.admit(&request, &request.get_ref().ticket)?;
        Ok(Response::new(v1::GetManifestResponse {
            manifest: Some(v1::Document::of(schema::MANIFEST, &manifest)),
        }))
    }

    type GetChunksStream = ReceiverStream<Result<v1::Chunk, Status>>;

    async fn get_chunks(
        &self,
        request: Request<v1::GetChunksRequest>,
    ) -> Result<Response<Self::GetChunksStream>, Status> {
        let manifest = self.admit(&request, &request.get_ref().ticket)?;
        let v1::GetChunksRequest { first, count, .. } = request.into_inner();
        let end = first
            .checked_add(count)
            .filter(|end| *end as usize <= manifest.chunks.len());
        let end = end
            .filter(|_| (1..=MOST_CHUNKS).contains(&count))
            .ok_or_else(|| Status::out_of_range(format!("chunks {first}+{count} of {}", manifest.chunks.len())))?;
        let reader = Reader {
            path: self.counter.host.local_path(&manifest.path),
            manifest,
        };
        let (send, receive) = mpsc::channel(8);
        let readers = Arc::clone(&self.readers);
        tokio::spawn(async move {
            // Nobody closes the semaphore.
            let _turn = readers.acquire_owned().await;
            // Ends early when the caller hangs up.
            let sent = tokio::task::spawn_blocking(move || reader.send(first..end, &send)).await;
            if let Err(e) = sent {
                tracing::error!("reading an artifact failed: {e}");
            }
        });
        Ok(Response::new(ReceiverStream::new(receive)))
    }
}

struct Reader {
    path: PathBuf,
    manifest: Manifest,
}

impl Reader {
    fn send(&self, chunks: std::ops::Range<u32>, to: &mpsc::Sender<Result<v1::Chunk, Status>>) {
        if let Err(status) = self.try_send(chunks, to) {
            // The caller may have gone meanwhile.
            let _ = to.blocking_send(Err(status));
        }
    }

    fn try_send(
        &self,
        chunks: std::ops::Range<u32>,
        to: &mpsc::Sender<Result<v1::Chunk, Status>>,
    ) -> Result<(), Status> {
        let failed = |e: std::io::Error| Status::data_loss(format!("the backup file cannot be read: {e}"));
        let mut file = File::open(&self.path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if size != self.manifest.size {
            let was = self.manifest.size;
            return Err(Status::data_loss(format!(
                "the backup file has {size} bytes where its manifest says {was}"
            )));
        }
        let mut piece = vec![0; PIECE];
        for index in chunks {
            let begin = u64::from(index) * self.manifest.chunk_size;
            let length = self.manifest.chunk_size.min(size - begin);
            file.seek(SeekFrom::Start(begin)).map_err(failed)?;
            let mut offset = 0_u64;
            while offset < length {
                let now = usize::try_from(length - offset).unwrap_or(usize::MAX).min(PIECE);
                file.read_exact(&mut piece[..now]).map_err(failed)?;
                let chunk = v1::Chunk {
                    index,
                    offset: u32::try_from(offset).unwrap_or(u32::MAX),
                    data: piece[..now].to_vec(),
                };
                if to.blocking_send(Ok(chunk)).is_err() {
                    return Ok(());
                }
                offset += now as u64;
            }
        }
        Ok(())
    }
}
