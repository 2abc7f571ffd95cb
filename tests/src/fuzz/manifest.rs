//! A manifest: it comes from another agent, and decides what is fetched and believed.

use syncferry_shared::artifact::{Manifest, SetHeader};
use syncferry_shared::{ArtifactId, HostId, MigrationId, Millis};
use uuid::Uuid;

/// Reads a manifest and checks it.
pub fn read(bytes: &[u8]) -> bool {
    let Some(manifest) = super::json::<Manifest>(bytes) else {
        return false;
    };
    assert_eq!(manifest.digest(), manifest.clone().digest());
    if manifest.check().is_err() {
        return false;
    }
    // What passes can be worked with: every chunk lies inside the file, and together they are the file.
    let chunks = manifest.chunks.len() as u64;
    assert!(manifest.chunk_size > 0 && chunks.saturating_mul(manifest.chunk_size) >= manifest.size);
    assert!(chunks == 0 || (chunks - 1) * manifest.chunk_size < manifest.size);
    true
}

/// Manifests of an empty file, of one chunk, of three.
pub fn seeds() -> Vec<Vec<u8>> {
    let manifest = |size: u64, chunks: usize| Manifest {
        artifact: ArtifactId(Uuid::from_u128(1)),
        migration: MigrationId(Uuid::from_u128(2)),
        host: HostId(Uuid::from_u128(3)),
        path: r"D:\stage\x.bak".into(),
        size,
        chunk_size: 4 << 20,
        chunks: vec!["0a".repeat(32); chunks],
        root: "0b".repeat(32),
        header: SetHeader {
            backup_set_guid: Uuid::from_u128(4),
            family_guid: Uuid::from_u128(5),
            binding_id: Uuid::from_u128(6),
            database_name: "ADSync".into(),
            server_name: "SQL01".into(),
            software_major: 15,
            database_version: 904,
            description: String::new(),
            first_lsn: "37000000012300001".into(),
            last_lsn: "37000000012400001".into(),
            checkpoint_lsn: "37000000012300001".into(),
            collation: "SQL_Latin1_General_CP1_CI_AS".into(),
            backup_size: size,
            files: Vec::new(),
        },
        taken_at: Millis(1_795_338_843_000),
    };
    let all = [manifest(0, 0), manifest(77, 1), manifest((8 << 20) + 1, 3)];
    all.iter().filter_map(|m| serde_json::to_vec(m).ok()).collect()
}
