//! An artifact: a backup and its manifest. Every later step proves again that it holds this very set: family GUID, backup
//! set GUID and the root hash, never a path alone.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;
use crate::connect_version::ConnectVersion;
use crate::ids::{ArtifactId, HostId, MigrationId};

/// The size of a transfer chunk: 4 MiB.
pub const CHUNK_SIZE: u64 = 4 << 20;

/// What is known of one backup file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The artifact.
    pub artifact: ArtifactId,
    /// The migration that made it.
    pub migration: MigrationId,
    /// The host that has the file.
    pub host: HostId,
    /// Where the file is, as SQL Server on that host names it.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Bytes per chunk; the last one may be shorter.
    pub chunk_size: u64,
    /// BLAKE3 of each chunk, lower-case hexadecimal.
    pub chunks: Vec<String>,
    /// BLAKE3 of the whole file.
    pub root: String,
    /// What the backup's header says.
    pub header: SetHeader,
    /// When the backup ended, by the source's clock, in UTC.
    pub taken_at: Millis,
}

impl Manifest {
    /// The manifest's own digest, which travels with the job that restores it.
    pub fn digest(&self) -> String {
        // Serialising plain strings and integers cannot fail.
        crate::token::digest(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether the numbers in it fit together. A manifest comes from another host: it is checked before use.
    pub fn check(&self) -> Result<(), InvalidManifest> {
        if self.chunk_size == 0 || self.chunk_size > (64 << 20) {
            return Err(InvalidManifest::ChunkSize(self.chunk_size));
        }
        let expected = self.size.div_ceil(self.chunk_size);
        if expected != self.chunks.len() as u64 {
            return Err(InvalidManifest::ChunkCount {
                expected,
                found: self.chunks.len(),
            });
        }
        let hex = |h: &String| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit());
        match self.chunks.iter().chain([&self.root]).find(|h| !hex(h)) {
            Some(bad) => Err(InvalidManifest::Hash(bad.chars().take(80).collect())),
            None => Ok(()),
        }
    }
}

/// Why a manifest is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// The chunk size is zero or absurd.
    #[error("the manifest's chunk size of {0} bytes is not between 1 byte and 64 MiB")]
    ChunkSize(u64),
    /// Size and number of chunks contradict each other.
    #[error("the manifest names {found} chunks where its size needs {expected}")]
    ChunkCount {
        /// By size.
        expected: u64,
        /// In the list.
        found: usize,
    },
    /// A hash is no hash.
    #[error("'{0}' in the manifest is not a BLAKE3 hash")]
    Hash(String),
}

/// What RESTORE HEADERONLY says of the one set on the medium, as far as we bind to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetHeader {
    /// `BackupSetGUID`.
    pub backup_set_guid: Uuid,
    /// `FamilyGUID`: the database's lineage, kept by every restore.
    pub family_guid: Uuid,
    /// `BindingID`: the database's own GUID.
    pub binding_id: Uuid,
    /// `DatabaseName`.
    pub database_name: String,
    /// `ServerName`.
    pub server_name: String,
    /// `SoftwareVersionMajor`.
    pub software_major: i32,
    /// `DatabaseVersion`: the internal version, 904 for SQL Server 2019.
    pub database_version: i32,
    /// `BackupDescription`: ours carries the migration and the epoch.
    pub description: String,
    /// `FirstLSN`.
    pub first_lsn: String,
    /// `LastLSN`.
    pub last_lsn: String,
    /// `CheckpointLSN`.
    pub checkpoint_lsn: String,
    /// `Collation`.
    pub collation: String,
    /// `BackupSize`.
    pub backup_size: u64,
    /// The files, from RESTORE FILELISTONLY.
    pub files: Vec<SetFile>,
}

/// A row of RESTORE FILELISTONLY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetFile {
    /// `LogicalName`.
    pub logical_name: String,
    /// `PhysicalName` on the source.
    pub physical_name: String,
    /// `Type`: D, L, F or S.
    pub kind: String,
    /// `Size`: what RESTORE will allocate.
    pub size: u64,
}

/// What was counted in an ADSync database, to compare before and after.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Rows per table, `schema.table` in order. Tables that hold history are left out.
    pub rows: std::collections::BTreeMap<String, i64>,
    /// Names of the connectors.
    pub connectors: Vec<String>,
    /// Synchronisation rules.
    pub rules: Option<i64>,
    /// Pending exports per connector.
    pub pending_exports: std::collections::BTreeMap<String, i64>,
    /// Connect version last used, if known.
    pub connect_version: Option<ConnectVersion>,
    /// Digest over every table's columns.
    pub schema_digest: String,
}
