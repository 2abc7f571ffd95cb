//! The artifacts that this host has: their manifests, one file each. The backup files themselves are where SQL Server wrote
//! them.

use std::path::{Path, PathBuf};

use syncferry_proto::transport::private_file::{self, PrivateFileError};
use syncferry_shared::ArtifactId;
use syncferry_shared::artifact::Manifest;

/// The manifests.
#[derive(Debug, Clone)]
pub struct Artifacts {
    dir: PathBuf,
}

/// Why a manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Its contents.
    #[error("the manifest {path} cannot be read: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Artifacts {
    /// The manifests in the agent's data directory.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join("artifacts"),
        }
    }

    /// Keeps a manifest: from now on the artifact is handed out.
    pub fn put(&self, manifest: &Manifest) -> Result<(), ArtifactError> {
        let path = self.path(manifest.artifact);
        if !self.dir.exists() {
            private_file::create_directory(&self.dir)?;
        }
        let text = serde_json::to_string(manifest).map_err(|e| ArtifactError::Malformed {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        Ok(private_file::write(&path, &text)?)
    }

    /// A manifest, if this host has the artifact.
    pub fn get(&self, id: ArtifactId) -> Result<Option<Manifest>, ArtifactError> {
        let path = self.path(id);
        if !path.exists() {
            return Ok(None);
        }
        let text = private_file::read(&path)?;
        let malformed = |reason: String| ArtifactError::Malformed {
            path: path.clone(),
            reason,
        };
        let manifest: Manifest = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
        manifest.check().map_err(|e| malformed(e.to_string()))?;
        if manifest.artifact != id {
            return Err(malformed(format!("it is for artifact {}", manifest.artifact)));
        }
        Ok(Some(manifest))
    }

    /// Forgets an artifact. It is no error when it is not there.
    pub fn remove(&self, id: ArtifactId) -> Result<(), ArtifactError> {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ArtifactError::Malformed {
                path,
                reason: e.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn path(&self, id: ArtifactId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}
