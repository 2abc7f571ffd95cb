//! Hashing a backup file: every chunk and the whole in one pass.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use syncferry_shared::artifact::CHUNK_SIZE;
use tokio_util::sync::CancellationToken;

use super::rate::Meter;
use crate::runner::ProgressSink;

/// What a file hashes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// Bytes.
    pub size: u64,
    /// Bytes per chunk.
    pub chunk_size: u64,
    /// BLAKE3 of each chunk, lower-case hexadecimal.
    pub chunks: Vec<String>,
    /// BLAKE3 of the whole file.
    pub root: String,
}

/// Why a file was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Hashes a file, telling how far it is.
pub async fn hash_file(
    path: PathBuf,
    message: &str,
    progress: Option<ProgressSink>,
    cancel: CancellationToken,
) -> Result<Hashed, HashError> {
    let message = message.to_string();
    let told = path.clone();
    tokio::task::spawn_blocking(move || hash_blocking(&path, CHUNK_SIZE, &message, progress, &cancel))
        .await
        .unwrap_or_else(|e| {
            let error = std::io::Error::other(e);
            Err(HashError::Io { path: told, error })
        })
}

pub(super) fn hash_blocking(
    path: &Path,
    chunk_size: u64,
    message: &str,
    progress: Option<ProgressSink>,
    cancel: &CancellationToken,
) -> Result<Hashed, HashError> {
    let failed = |error| HashError::Io {
        path: path.to_path_buf(),
        error,
    };
    let mut file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut meter = Meter::new(message, 0, total);
    let mut whole = blake3::Hasher::new();
    let mut hashed = Hashed {
        size: 0,
        chunk_size,
        chunks: Vec::new(),
        root: String::new(),
    };
    let mut buffer = vec![0; usize::try_from(chunk_size).unwrap_or(usize::MAX)];
    loop {
        if cancel.is_cancelled() {
            return Err(HashError::Cancelled);
        }
        let read = fill(&mut file, &mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        whole.update(&buffer[..read]);
        hashed.chunks.push(blake3::hash(&buffer[..read]).to_hex().to_string());
        hashed.size += read as u64;
        meter.add(read as u64);
        if let Some(progress) = &progress {
            progress.set(meter.progress());
        }
    }
    hashed.root = whole.finalize().to_hex().to_string();
    Ok(hashed)
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while at < buffer.len() {
        match file.read(&mut buffer[at..]) {
            Ok(0) => break,
            Ok(n) => at += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_root() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (size, chunks) in [(0_usize, 0), (1, 1), (10, 1), (11, 2), (20, 2), (25, 3)] {
            let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let h = hash_blocking(&path, 10, "x", None, &CancellationToken::new()).unwrap();
            assert_eq!((h.size, h.chunks.len()), (size as u64, chunks));
            assert_eq!(h.root, blake3::hash(&bytes).to_hex().to_string());
            if size == 25 {
                assert_eq!(h.chunks[2], blake3::hash(&bytes[20..]).to_hex().to_string());
            }
        }
    }
}
