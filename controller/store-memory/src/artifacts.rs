//! Artifacts, in memory.

use async_trait::async_trait;
use syncferry_shared::{ArtifactId, MigrationId};
use syncferry_store::{Artifact, Artifacts, Cause, NewArtifact, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Artifacts for MemoryTx {
    async fn add_artifact(&mut self, new: &NewArtifact) -> Result<Artifact> {
        self.needs_migration(new.migration)?;
        self.needs_host(new.host)?;
        if let Some(there) = self.data.artifacts.get(&new.id) {
            let same = there.manifest == new.manifest && there.migration == new.migration && there.host == new.host;
            return match same {
                true => Ok(there.clone()),
                false => Err(self.fail(Cause::Conflict(format!("artifact {}", new.id)))),
            };
        }
        let artifact = Artifact {
            id: new.id,
            migration: new.migration,
            host: new.host,
            manifest: new.manifest.clone(),
            created_at: self.now,
            deleted_at: None,
        };
        self.put(|d| &mut d.artifacts, new.id, artifact.clone())?;
        Ok(artifact)
    }

    async fn artifact(&mut self, id: ArtifactId) -> Result<Option<Artifact>> {
        Ok(self.data.artifacts.get(&id).cloned())
    }

    async fn artifacts_of(&mut self, migration: MigrationId) -> Result<Vec<Artifact>> {
        let of_it = self.data.artifacts.values().filter(|a| a.migration == migration);
        let mut found: Vec<Artifact> = of_it.cloned().collect();
        found.sort_by_key(|a| (a.created_at, a.id));
        Ok(found)
    }

    async fn mark_artifact_deleted(&mut self, id: ArtifactId) -> Result<()> {
        let now = self.now;
        let artifact = self.row(|d| &mut d.artifacts, &id, || format!("artifact {id}"))?;
        artifact.deleted_at.get_or_insert(now);
        Ok(())
    }
}
