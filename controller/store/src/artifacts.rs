//! Artifacts: backups and their manifests.

use async_trait::async_trait;
use serde_json::Value;
use syncferry_shared::{ArtifactId, HostId, MigrationId, Millis};

use crate::error::Result;

/// An artifact to be added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewArtifact {
    /// Its id.
    pub id: ArtifactId,
    /// The migration that made it.
    pub migration: MigrationId,
    /// The host that has the file.
    pub host: HostId,
    /// The manifest: a `shared::artifact::Manifest`.
    pub manifest: Value,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// The migration that made it.
    pub migration: MigrationId,
    /// The host that has the file.
    pub host: HostId,
    /// The manifest.
    pub manifest: Value,
    /// When it was added.
    pub created_at: Millis,
    /// When the file was deleted, if it was.
    pub deleted_at: Option<Millis>,
}

/// Artifacts.
#[async_trait]
pub trait Artifacts {
    /// Adds one. The very same one a second time changes nothing; another manifest under its id is a
    /// [`Cause::Conflict`](crate::Cause::Conflict).
    async fn add_artifact(&mut self, new: &NewArtifact) -> Result<Artifact>;
    /// Reads one.
    async fn artifact(&mut self, id: ArtifactId) -> Result<Option<Artifact>>;
    /// Those of a migration, oldest first.
    async fn artifacts_of(&mut self, migration: MigrationId) -> Result<Vec<Artifact>>;
    /// Its file was deleted. Idempotent.
    async fn mark_artifact_deleted(&mut self, id: ArtifactId) -> Result<()>;
}
