//! Fetching an artifact: in several streams, each chunk checked before it counts, resumable at any point, and the whole read
//! again from the disk before it gets its name.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use syncferry_proto::transport::{Dial, ExpectedPeer, Identity, Profile, connect, explain};
use syncferry_proto::v1::transfer_client::TransferClient;
use syncferry_proto::{schema, v1};
use syncferry_shared::artifact::Manifest;
use syncferry_shared::{AgentId, ArtifactId};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::error::TransferError;
use super::manifest::{HashError, hash_blocking};
use super::partial::Partial;
use super::rate::Meter;
use super::server::MOST_CHUNKS;
use crate::runner::ProgressSink;

/// How many streams run at once.
const STREAMS: usize = 4;
/// Chunks that one call fetches.
const PER_CALL: u32 = 8;
const _: () = assert!(PER_CALL <= MOST_CHUNKS);
/// How often a chunk is fetched whose hash is wrong.
const CHUNK_TRIES: u32 = 3;
/// How often in a row calls may fail without a single chunk arriving.
const FAILURES: u32 = 8;
/// How often the whole is repaired after the last look.
const REPAIRS: u32 = 3;
/// How long a stream may be silent.
const STALL: Duration = Duration::from_secs(60);

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The artifact.
    pub artifact: ArtifactId,
    /// The digest of its manifest.
    pub manifest_digest: String,
    /// Its size.
    pub size: u64,
    /// Its root hash.
    pub root: String,
    /// Where it goes, on this machine.
    pub destination: PathBuf,
}

/// A ticket, and where it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its text.
    pub text: String,
    /// The agent that has the artifact.
    pub source: AgentId,
    /// Where that agent answers.
    pub address: String,
}

/// Gets tickets: they are short-lived, and a long transfer needs several.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// A fresh one.
    async fn ticket(&self) -> Result<Ticket, TransferError>;
}

/// As whom this agent fetches.
#[derive(Debug, Clone)]
pub struct DialAs {
    /// Our certificate.
    pub identity: Identity,
    /// The authority, PEM.
    pub ca_pem: String,
}

/// Fetches an artifact, or goes on where an earlier try stopped, and returns its manifest.
pub async fn fetch(
    wanted: &Wanted,
    tickets: Arc<dyn Tickets>,
    dial: &DialAs,
    progress: Option<ProgressSink>,
    cancel: CancellationToken,
) -> Result<Manifest, TransferError> {
    let source = Arc::new(Source::open(tickets, dial.clone()).await?);
    let manifest = Arc::new(source.manifest(wanted).await?);
    if wanted.destination.exists() {
        // An earlier try finished, and its end was not written down.
        check_whole(&wanted.destination, &manifest, progress.clone(), &cancel)
            .await?
            .into_result(&wanted.destination)?;
        return Ok(Arc::unwrap_or_clone(manifest));
    }
    let partial = {
        let (destination, manifest) = (wanted.destination.clone(), Arc::clone(&manifest));
        blocking(&wanted.destination, move || Partial::open(&destination, &manifest)).await?
    };
    let fetching = Arc::new(Fetching {
        manifest: Arc::clone(&manifest),
        partial,
        source,
        queue: Mutex::new(VecDeque::new()),
        tries: Mutex::new(BTreeMap::new()),
        meter: Mutex::new(Meter::new("transfer", 0, manifest.size)),
        failures: Mutex::new(0),
        progress,
        cancel,
    });
    for repair in 0..=REPAIRS {
        Arc::clone(&fetching).fill().await?;
        let (me, path) = (Arc::clone(&fetching), fetching.partial.path.clone());
        blocking(&path, move || me.partial.sync()).await?;
        let whole = check_whole(&path, &manifest, fetching.progress.clone(), &fetching.cancel).await?;
        match whole {
            Whole::Right => break,
            Whole::Wrong(chunks) if repair < REPAIRS && !chunks.is_empty() => {
                tracing::warn!(
                    ?chunks,
                    "chunks on the disk are not what was written; fetching them again"
                );
                for chunk in chunks {
                    fetching
                        .partial
                        .forget(chunk)
                        .map_err(|e| TransferError::disk(&path, e))?;
                }
            }
            wrong => return wrong.into_result(&path).map(|()| Arc::unwrap_or_clone(manifest)),
        }
    }
    let destination = wanted.destination.clone();
    // Every stream has ended, so nobody else holds it.
    let Ok(fetching) = Arc::try_unwrap(fetching) else {
        return Err(TransferError::Unreachable("a stream is still running".into()));
    };
    blocking(&wanted.destination, move || fetching.partial.finish(&destination)).await?;
    Ok(Arc::unwrap_or_clone(manifest))
}

/// What reading everything again said.
enum Whole {
    Right,
    /// Chunks that are wrong; none when only the root is.
    Wrong(Vec<u32>),
}

impl Whole {
    fn into_result(self, path: &Path) -> Result<(), TransferError> {
        match self {
            Whole::Right => Ok(()),
            Whole::Wrong(chunks) => Err(TransferError::Whole {
                path: path.to_path_buf(),
                chunks,
            }),
        }
    }
}

async fn check_whole(
    path: &Path,
    manifest: &Arc<Manifest>,
    progress: Option<ProgressSink>,
    cancel: &CancellationToken,
) -> Result<Whole, TransferError> {
    let (file, chunk_size, cancel) = (path.to_path_buf(), manifest.chunk_size, cancel.clone());
    let hashed = tokio::task::spawn_blocking(move || {
        hash_blocking(&file, chunk_size, "reading the file again", progress, &cancel)
    });
    let hashed = match hashed.await {
        Ok(Ok(hashed)) => hashed,
        Ok(Err(HashError::Cancelled)) => return Err(TransferError::Cancelled),
        Ok(Err(HashError::Io { error, .. })) => return Err(TransferError::disk(path, error)),
        Err(e) => return Err(TransferError::disk(path, std::io::Error::other(e))),
    };
    if hashed.root == manifest.root && hashed.size == manifest.size {
        return Ok(Whole::Right);
    }
    let pairs = (0..).zip(hashed.chunks.iter().zip(&manifest.chunks));
    Ok(Whole::Wrong(
        pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect(),
    ))
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, TransferError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(std::io::Error::other(e)))
        .map_err(|e| TransferError::disk(path, e))
}

/// The agent that has the artifact, and the ticket for it.
struct Source {
    tickets: Arc<dyn Tickets>,
    ticket: RwLock<Ticket>,
    client: TransferClient<Channel>,
}

impl Source {
    async fn open(tickets: Arc<dyn Tickets>, dial: DialAs) -> Result<Self, TransferError> {
        let ticket = tickets.ticket().await?;
        let channel = connect(Dial {
            endpoint: ticket.address.clone(),
            ca_pem: dial.ca_pem,
            identity: Some(dial.identity),
            expected: ExpectedPeer::Agent(ticket.source),
            profile: Profile::Bulk,
        })
        .map_err(|e| TransferError::Refused(e.to_string()))?;
        let client = TransferClient::new(channel).max_decoding_message_size(Profile::Bulk.max_message_bytes());
        Ok(Self {
            tickets,
            ticket: RwLock::new(ticket),
            client,
        })
    }

    async fn manifest(&self, wanted: &Wanted) -> Result<Manifest, TransferError> {
        let mut failures = 0;
        let manifest = loop {
            let ticket = self.ticket.read().await.text.clone();
            let request = v1::GetManifestRequest { ticket };
            match self.client.clone().get_manifest(request).await {
                Ok(answer) => break answer.into_inner().manifest,
                Err(status) => {
                    failures += 1;
                    self.after(&status, failures).await?;
                }
            }
        };
        let document = manifest.ok_or_else(|| TransferError::Manifest("it is missing".into()))?;
        let manifest: Manifest = document
            .read(schema::MANIFEST)
            .map_err(|e| TransferError::Manifest(e.to_string()))?;
        manifest.check().map_err(|e| TransferError::Manifest(e.to_string()))?;
        let same = manifest.artifact == wanted.artifact
            && manifest.size == wanted.size
            && manifest.root == wanted.root
            && manifest.digest() == wanted.manifest_digest;
        if same {
            Ok(manifest)
        } else {
            Err(TransferError::Manifest(
                "it is not the one that the job was made for".into(),
            ))
        }
    }

    /// What to do after a failed call: wait, or get another ticket, or give up.
    async fn after(&self, status: &Status, failures: u32) -> Result<(), TransferError> {
        let text = explain(status);
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated if failures < 3 => {
                *self.ticket.write().await = self.tickets.ticket().await?;
            }
            Code::PermissionDenied | Code::Unauthenticated | Code::NotFound | Code::OutOfRange | Code::DataLoss => {
                return Err(TransferError::Refused(text));
            }
            _ if failures >= FAILURES => return Err(TransferError::Unreachable(text)),
            _ => tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(failures.min(6))).await,
        }
        Ok(())
    }
}

struct Fetching {
    manifest: Arc<Manifest>,
    partial: Partial,
    source: Arc<Source>,
    /// Runs of missing chunks: first, count.
    queue: Mutex<VecDeque<(u32, u32)>>,
    tries: Mutex<BTreeMap<u32, u32>>,
    meter: Mutex<Meter>,
    /// Calls in a row that brought nothing.
    failures: Mutex<u32>,
    progress: Option<ProgressSink>,
    cancel: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fetching {
    /// Fetches everything that is missing.
    async fn fill(self: Arc<Self>) -> Result<(), TransferError> {
        loop {
            let missing = self.partial.missing();
            if missing.is_empty() {
                return Ok(());
            }
            let lacking: u64 = missing.iter().map(|i| self.length(*i)).sum();
            *locked(&self.meter) = Meter::new("transfer", self.manifest.size - lacking, self.manifest.size);
            *locked(&self.queue) = runs(&missing);
            let mut streams = JoinSet::new();
            for _ in 0..STREAMS {
                streams.spawn(Arc::clone(&self).stream());
            }
            // The first error ends the others: dropping the set stops them.
            while let Some(ended) = streams.join_next().await {
                ended.unwrap_or_else(|e| Err(TransferError::Unreachable(e.to_string())))?;
            }
        }
    }

    async fn stream(self: Arc<Self>) -> Result<(), TransferError> {
        loop {
            let Some((first, count)) = locked(&self.queue).pop_front() else {
                return Ok(());
            };
            let called = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(TransferError::Cancelled),
                called = self.call(first, count) => called,
            };
            match called {
                Ok(()) => *locked(&self.failures) = 0,
                Err(Call::Fatal(e)) => return Err(e),
                Err(Call::Failed(status, got)) => {
                    // What did arrive is there; the rest is asked for again.
                    locked(&self.queue).push_front((first + got, count - got));
                    let failures = {
                        let mut failures = locked(&self.failures);
                        *failures = if got > 0 { 1 } else { *failures + 1 };
                        *failures
                    };
                    tracing::debug!(first, count, got, failures, "a stream of chunks broke: {status}");
                    self.source.after(&status, failures).await?;
                }
            }
        }
    }

    /// One call.
    async fn call(self: &Arc<Self>, first: u32, count: u32) -> Result<(), Call> {
        let ticket = self.source.ticket.read().await.text.clone();
        let request = v1::GetChunksRequest { ticket, first, count };
        let mut got = 0;
        let failed = |status, got| Call::Failed(Box::new(status), got);
        let stalled = || Status::deadline_exceeded("nothing arrived for a minute");
        let opened = tokio::time::timeout(STALL, self.source.client.clone().get_chunks(request)).await;
        let opened = opened.map_err(|_| failed(stalled(), got))?;
        let mut stream = opened.map_err(|s| failed(s, got))?.into_inner();
        for index in first..first + count {
            let length = usize::try_from(self.length(index)).unwrap_or(usize::MAX);
            let mut bytes: Vec<u8> = Vec::with_capacity(length);
            while bytes.len() < length {
                let next = tokio::time::timeout(STALL, stream.message()).await;
                let next = next.map_err(|_| failed(stalled(), got))?.map_err(|s| failed(s, got))?;
                let piece = next.ok_or_else(|| failed(Status::aborted("the stream ended early"), got))?;
                if piece.index != index
                    || piece.offset as usize != bytes.len()
                    || piece.data.is_empty()
                    || bytes.len() + piece.data.len() > length
                {
                    return Err(failed(Status::aborted("pieces came out of order"), got));
                }
                bytes.extend_from_slice(&piece.data);
            }
            self.take(index, bytes).await?;
            got += 1;
        }
        Ok(())
    }

    /// Checks a chunk and keeps it. A wrong one stays missing, and is fetched again.
    async fn take(self: &Arc<Self>, index: u32, bytes: Vec<u8>) -> Result<(), Call> {
        let length = bytes.len() as u64;
        let me = Arc::clone(self);
        let kept = blocking(&self.partial.path, move || {
            let right = blake3::hash(&bytes).to_hex().as_str() == me.manifest.chunks[index as usize];
            if right {
                me.partial
                    .put(index, u64::from(index) * me.manifest.chunk_size, &bytes)?;
            }
            Ok(right)
        });
        if kept.await.map_err(Call::Fatal)? {
            let mut meter = locked(&self.meter);
            meter.add(length);
            if let Some(progress) = &self.progress {
                progress.set(meter.progress());
            }
            return Ok(());
        }
        let tries = {
            let mut tries = locked(&self.tries);
            let tries = tries.entry(index).or_insert(0);
            *tries += 1;
            *tries
        };
        tracing::warn!(chunk = index, tries, "a chunk arrived damaged");
        if tries >= CHUNK_TRIES {
            return Err(Call::Fatal(TransferError::Chunk { index, tries }));
        }
        Ok(())
    }

    fn length(&self, index: u32) -> u64 {
        let begin = u64::from(index) * self.manifest.chunk_size;
        self.manifest.chunk_size.min(self.manifest.size - begin)
    }
}

enum Call {
    Fatal(TransferError),
    /// The call broke after so many chunks.
    Failed(Box<Status>, u32),
}

/// Missing chunks as runs for single calls.
fn runs(missing: &[u32]) -> VecDeque<(u32, u32)> {
    let mut runs: VecDeque<(u32, u32)> = VecDeque::new();
    for index in missing {
        match runs.back_mut() {
            Some((first, count)) if *first + *count == *index && *count < PER_CALL => *count += 1,
            _ => runs.push_back((*index, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_chunks_become_calls() {
        assert_eq!(runs(&[0, 1, 2, 5, 7, 8]), [(0, 3), (5, 1), (7, 2)]);
        let many: Vec<u32> = (0..20).collect();
        assert_eq!(runs(&many), [(0, 8), (8, 8), (16, 4)]);
        assert!(runs(&[]).is_empty());
    }
}
