//! The attempt's token: who may report what. A report with another token updates nothing.

use serde::{Deserialize, Serialize};

use crate::ids::JobId;

/// `(job, attempt, lease epoch, store incarnation, digest of the job's bytes)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptToken {
    /// The job.
    pub job: JobId,
    /// Which try, from 1.
    pub attempt: i32,
    /// The lease epoch under which the attempt was opened.
    pub epoch: i64,
    /// The incarnation of the controller's store: grows when the store is restored.
    pub incarnation: i64,
    /// BLAKE3 of the job's bytes, lower-case hexadecimal.
    pub digest: String,
}

/// The digest of a job's bytes. It is over the bytes as they travel, because an encoding made twice need not be equal.
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
