//! Artifacts, on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use syncferry_shared::{ArtifactId, MigrationId};
use syncferry_store::{Artifact, Artifacts, Cause, NewArtifact, Result};

use crate::row::{Columns as _, Read};
use crate::tx::PgTx;

fn read(row: &PgRow) -> Read<Artifact> {
    Ok(Artifact {
        id: row.parsed("artifact_id")?,
        migration: row.parsed("migration_id")?,
        host: row.parsed("host_id")?,
        manifest: row.json("manifest")?,
        created_at: row.at("created_at")?,
        deleted_at: row.opt_at("deleted_at")?,
    })
}

#[async_trait]
impl Artifacts for PgTx {
    async fn add_artifact(&mut self, new: &NewArtifact) -> Result<Artifact> {
        let query = sqlx::query(
            "INSERT INTO artifact(artifact_id, migration_id, host_id, manifest, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (artifact_id) DO NOTHING",
        )
        .bind(new.id.to_string())
        .bind(new.migration.to_string())
        .bind(new.host.to_string())
        .bind(new.manifest.to_string())
        .bind(self.now.0);
        self.exec(query).await?;
        match self.artifact(new.id).await? {
            Some(a) if a.manifest == new.manifest && a.migration == new.migration && a.host == new.host => Ok(a),
            _ => Err(self.fail(Cause::Conflict(format!("artifact {}", new.id)))),
        }
    }

    async fn artifact(&mut self, id: ArtifactId) -> Result<Option<Artifact>> {
        let query = sqlx::query("SELECT * FROM artifact WHERE artifact_id = $1");
        self.find(query.bind(id.to_string()), read).await
    }

    async fn artifacts_of(&mut self, migration: MigrationId) -> Result<Vec<Artifact>> {
        let query = sqlx::query("SELECT * FROM artifact WHERE migration_id = $1 ORDER BY created_at, artifact_id");
        self.list(query.bind(migration.to_string()), read).await
    }

    async fn mark_artifact_deleted(&mut self, id: ArtifactId) -> Result<()> {
        let query = sqlx::query("UPDATE artifact SET deleted_at = COALESCE(deleted_at, $2) WHERE artifact_id = $1");
        match self.exec(query.bind(id.to_string()).bind(self.now.0)).await? {
            1 => Ok(()),
            _ => Err(self.fail(Cause::Missing(format!("artifact {id}")))),
        }
    }
}
