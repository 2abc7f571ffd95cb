//! Artifacts.

use serde_json::json;

use super::Bench;
use super::world::{id, world};
use crate::NewArtifact;

pub(super) async fn are_added_once(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let (migration, ..) = w.migration(tx.as_mut()).await;
    let new = NewArtifact {
        id: id!(ArtifactId),
        migration,
        host: w.sql,
        manifest: json!({ "root": "ab", "size": u64::MAX }),
    };
    let made = tx.add_artifact(&new).await.unwrap();
    assert_eq!(tx.add_artifact(&new).await.unwrap(), made, "a report that comes twice");
    let mut other = new.clone();
    other.manifest = json!({ "root": "cd" });
    assert!(tx.add_artifact(&other).await.unwrap_err().is_conflict());
    assert_eq!(tx.artifact(new.id).await.unwrap(), Some(made.clone()));
    assert_eq!(tx.artifacts_of(migration).await.unwrap(), vec![made]);
    tx.mark_artifact_deleted(new.id).await.unwrap();
    tx.mark_artifact_deleted(new.id).await.unwrap();
    assert_eq!(tx.artifact(new.id).await.unwrap().unwrap().deleted_at, Some(tx.now()));
    assert!(
        tx.mark_artifact_deleted(id!(ArtifactId))
            .await
            .unwrap_err()
            .is_missing()
    );
}
