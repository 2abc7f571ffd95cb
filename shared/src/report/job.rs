//! A job in a report: its attempts and steps, how it ended, and a manifest without its chunks.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::artifact::{Counts, Manifest};
use crate::clock::Millis;
use crate::finding::{Evidence, Finding};
use crate::ids::{ArtifactId, JobId};
use crate::inventory::SessionFacts;
use crate::outcome::{Failure, Level, Outcome, Restored, SeenConnect};
use crate::spec::JobKind;
use crate::state::{AttemptState, JobState, StepState};

/// A job of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportJob {
    /// Its id.
    pub id: JobId,
    /// Its name within the plan.
    pub name: String,
    /// Its kind.
    pub kind: JobKind,
    /// The stage, from 1.
    pub stage: i32,
    /// The host, by name.
    pub host: String,
    /// Where it stands.
    pub state: JobState,
    /// Every try, oldest first.
    pub attempts: Vec<ReportAttempt>,
    /// The steps of the last try.
    pub steps: Vec<ReportStep>,
    /// When the first try began.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// What it brought about.
    pub outcome: Option<ReportOutcome>,
    /// Why it ended badly, the last time that it did.
    pub failure: Option<Failure>,
}

impl ReportJob {
    /// How long it took, in milliseconds.
    pub fn duration_ms(&self) -> Option<i64> {
        Some(self.ended_at?.since(self.started_at?))
    }
}

/// A try at a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAttempt {
    /// Which, from 1.
    pub attempt: i32,
    /// Where it stands.
    pub state: AttemptState,
    /// Whether it undid what an earlier one did.
    pub undo: bool,
    /// The lease epoch under which it worked.
    pub epoch: i64,
    /// The digest of the bytes that told the agent what to do.
    pub digest: String,
    /// When it was opened.
    pub opened_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
}

/// A step of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportStep {
    /// Its position, from 1.
    pub ordinal: i32,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// When it began.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
}

/// What a job brought about: an [`Outcome`] with the manifest's chunks left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReportOutcome {
    /// What a backup made.
    pub manifest: Option<ManifestSummary>,
    /// What was counted in a database.
    pub counts: Option<Counts>,
    /// What a restore made.
    pub restored: Option<Restored>,
    /// What Connect was seen with.
    pub connect: Option<SeenConnect>,
    /// Sessions that were seen on the database.
    pub sessions: Vec<SessionFacts>,
    /// The verification levels that were reached.
    pub levels: Vec<Level>,
    /// Notes and warnings from on the way.
    pub findings: Vec<Finding>,
    /// Facts worth keeping.
    pub evidence: Vec<Evidence>,
}

impl From<&Outcome> for ReportOutcome {
    fn from(o: &Outcome) -> Self {
        Self {
            manifest: o.manifest.as_ref().map(ManifestSummary::from),
            counts: o.counts.clone(),
            restored: o.restored.clone(),
            connect: o.connect.clone(),
            sessions: o.sessions.clone(),
            levels: o.levels.clone(),
            findings: o.findings.clone(),
            evidence: o.evidence.clone(),
        }
    }
}

/// By what a backup is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestSummary {
    /// The artifact.
    pub artifact: ArtifactId,
    /// Where the file was made.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// How many chunks were hashed.
    pub chunks: usize,
    /// BLAKE3 of the whole file.
    pub root: String,
    /// Digest of the whole manifest.
    pub digest: String,
    /// `BackupSetGUID`.
    pub backup_set_guid: Uuid,
    /// `FamilyGUID`.
    pub family_guid: Uuid,
    /// `DatabaseName`.
    pub database_name: String,
    /// `ServerName`.
    pub server_name: String,
    /// `LastLSN`.
    pub last_lsn: String,
    /// When the backup ended.
    pub taken_at: Millis,
}

impl From<&Manifest> for ManifestSummary {
    fn from(m: &Manifest) -> Self {
        Self {
            artifact: m.artifact,
            path: m.path.clone(),
            size: m.size,
            chunks: m.chunks.len(),
            root: m.root.clone(),
            digest: m.digest(),
            backup_set_guid: m.header.backup_set_guid,
            family_guid: m.header.family_guid,
            database_name: m.header.database_name.clone(),
            server_name: m.header.server_name.clone(),
            last_lsn: m.header.last_lsn.clone(),
            taken_at: m.taken_at,
        }
    }
}
