//! The fence at SQL Server: what a run is told, what it would say, and what it read back afterwards. A state of a login is
//! never proof here: the proof is the permission to CONNECT inside the database, read back, and two looks at the sessions.
//!
//! Marks are extended properties of the database itself, so that they travel with a backup and with an availability group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;
use crate::ids::DatabaseId;
use crate::inventory::{DatabaseAddress, DatabaseFacts, SessionFacts};
use crate::spec::DatabaseIdentity;

/// Our id of the database.
pub const MARK_UID: &str = "syncferry.db_uid";
/// The newest epoch that was proven at the database.
pub const MARK_EPOCH: &str = "syncferry.epoch";
/// The Connect server that may use it, by its host id; absent or empty when nobody may.
pub const MARK_OWNER: &str = "syncferry.owner";
/// The newest nonce of a rendezvous.
pub const MARK_NONCE: &str = "syncferry.nonce";

/// The two looks at the sessions are at least this far apart.
pub const LOOKS_APART_MS: i64 = 2_000;

/// Denies a database to Connect servers, or opens it to one.
///
/// One transaction: applock, writable, `db_uid` equal or absent, epoch strictly newer (or equal with the same owner), marks
/// written, CONNECT denied to `deny` and granted to `grant`. After the COMMIT: KILL of sessions of denied logins, then two
/// looks [`LOOKS_APART_MS`] apart that show none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceDatabaseTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// The epoch to be written: that of the lease.
    pub epoch: i64,
    /// The Connect server that may use it from here on, by its host id; `None` for nobody.
    pub owner: Option<String>,
    /// Logins that lose CONNECT.
    pub deny: Vec<String>,
    /// The login that gets it.
    pub grant: Option<String>,
    /// BLAKE3 of the statements that the operator saw ([`FencePreview::digest`]). Other statements are not run.
    pub preview_digest: String,
}

/// Removes every mark and denial of ours, and proves the database clean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveMarksTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// Logins whose denial is taken back.
    pub allow: Vec<String>,
    /// BLAKE3 of the statements that the operator saw.
    pub preview_digest: String,
}

/// Writes a nonce into a database. Read through another way, it says whether both lead to one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeIdentityTask {
    /// The database.
    pub database: DatabaseIdentity,
    /// The nonce.
    pub nonce: String,
}

/// Reads what a database says of itself, through whatever way leads to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadIdentityTask {
    /// Where the agent is to look.
    pub database: DatabaseAddress,
}

/// What is to be previewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "kebab-case")]
pub enum FencePreviewRequest {
    /// A [`FenceDatabaseTask`].
    Fence {
        /// The database.
        database: DatabaseAddress,
        /// Our id for it.
        uid: DatabaseId,
        /// The epoch.
        epoch: i64,
        /// The server that may use it.
        owner: Option<String>,
        /// Logins that lose CONNECT.
        deny: Vec<String>,
        /// The login that gets it.
        grant: Option<String>,
    },
    /// A [`ProbeIdentityTask`] and the removal of its nonce.
    Nonce {
        /// The database.
        database: DatabaseAddress,
        /// Our id for it.
        uid: DatabaseId,
        /// The nonce.
        nonce: String,
    },
    /// A [`RemoveMarksTask`].
    RemoveMarks {
        /// The database.
        database: DatabaseAddress,
        /// Logins whose denial is taken back; those that the agent finds denied besides are in the preview.
        allow: Vec<String>,
    },
}

/// What a run would say, and what it would meet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FencePreview {
    /// The statements, in order, with the values in them.
    pub statements: Vec<PreviewStatement>,
    /// What each login is in the database.
    pub principals: Vec<PrincipalFacts>,
    /// Marks that are there.
    pub marks: BTreeMap<String, String>,
    /// What the agent's own login lacks for the run, for example `ALTER ANY USER`.
    pub lacks: Vec<String>,
    /// The edition of the guarantee: whether the database is in an availability group, read-only, or plain.
    pub updateability: Option<String>,
}

impl FencePreview {
    /// BLAKE3 over the statements, each preceded by its length.
    pub fn digest(&self) -> String {
        let mut h = blake3::Hasher::new();
        for s in &self.statements {
            h.update(&(s.text.len() as u64).to_le_bytes());
            h.update(s.text.as_bytes());
        }
        h.finalize().to_hex().to_string()
    }
}

/// A statement that would be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewStatement {
    /// What it is for, in a few words.
    pub purpose: String,
    /// The T-SQL.
    pub text: String,
}

/// What a login is in a database. What cannot be seen is unknown, and unknown is no reason to trust a denial.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrincipalFacts {
    /// The login.
    pub login: String,
    /// Whether the instance knows it.
    pub exists: Option<bool>,
    /// Its user in the database.
    pub user: Option<String>,
    /// Whether it owns the database: then it is dbo, and a denial does not bind it.
    pub is_owner: Option<bool>,
    /// Whether it is sysadmin: then nothing binds it.
    pub is_sysadmin: Option<bool>,
    /// Windows groups with access to the database that it is in.
    pub groups: Option<Vec<String>>,
    /// CONNECT in the database: `GRANT`, `DENY`, or nothing of its own.
    pub connect: Option<String>,
}

/// What a fence left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FenceReadBack {
    /// `ServerName` of the instance that was asked.
    pub server_name: String,
    /// `database_guid`.
    pub database_guid: Option<Uuid>,
    /// `Updateability` after everything: only the writable replica is a place to prove anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updateability: Option<String>,
    /// The marks after the COMMIT.
    pub marks: BTreeMap<String, String>,
    /// Every login of the task after the COMMIT.
    pub principals: Vec<PrincipalFacts>,
    /// Sessions that were ended, as they were seen.
    pub killed: Vec<SessionFacts>,
    /// The looks at the sessions afterwards, oldest first; the last two must show no denied login.
    pub looks: Vec<SessionLook>,
}

/// One look at the sessions of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionLook {
    /// When, by SQL Server's clock in UTC.
    pub at: Millis,
    /// Sessions on the database, and sessions of the task's logins anywhere on the instance.
    pub sessions: Vec<SessionFacts>,
}

/// What the removal of marks left: nothing, if it is proven.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MarksReadBack {
    /// `ServerName` of the instance that was asked.
    pub server_name: String,
    /// Marks that are still there.
    pub marks: BTreeMap<String, String>,
    /// Users that CONNECT is still denied to.
    pub denied: Vec<String>,
    /// Users whose denial was to be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// When, by SQL Server's clock in UTC.
    pub at: Millis,
}

impl FencePreviewRequest {
    /// The database that it is about.
    pub fn database(&self) -> &DatabaseAddress {
        match self {
            FencePreviewRequest::Fence { database, .. }
            | FencePreviewRequest::Nonce { database, .. }
            | FencePreviewRequest::RemoveMarks { database, .. } => database,
        }
    }
}

impl MarksReadBack {
    /// What of ours is still there. While there is anything, the database is not clean.
    pub fn ours_left(&self) -> Vec<String> {
        let marks = self.marks.keys().map(|name| format!("mark {name}"));
        let denied = self.denied.iter().filter(|user| self.was_to_be_allowed(user));
        marks
            .chain(denied.map(|user| format!("DENY CONNECT to {user}")))
            .collect()
    }
    /// Users whom somebody else denied the database: that is theirs, and stays.
    pub fn others_denied(&self) -> Vec<&str> {
        let others = self.denied.iter().filter(|user| !self.was_to_be_allowed(user));
        others.map(String::as_str).collect()
    }
    fn was_to_be_allowed(&self, user: &str) -> bool {
        self.allowed.iter().any(|a| a.eq_ignore_ascii_case(user))
    }
}

/// By what a database is told from another one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IdentityFacts {
    /// `ServerName`.
    pub server_name: String,
    /// `database_guid`.
    pub database_guid: Option<Uuid>,
    /// `family_guid`.
    pub family_guid: Option<Uuid>,
    /// `recovery_fork_guid`.
    pub recovery_fork_guid: Option<Uuid>,
    /// `group_id` of the availability group.
    pub group_id: Option<Uuid>,
    /// `group_database_id`.
    pub group_database_id: Option<Uuid>,
    /// `Updateability`.
    pub updateability: Option<String>,
    /// Our marks.
    pub marks: BTreeMap<String, String>,
}

impl From<&DatabaseFacts> for IdentityFacts {
    fn from(facts: &DatabaseFacts) -> Self {
        Self {
            server_name: facts.server_name.clone(),
            database_guid: facts.database_guid,
            family_guid: facts.family_guid,
            recovery_fork_guid: facts.recovery_fork_guid,
            group_id: facts.group_id,
            group_database_id: facts.group_database_id,
            updateability: facts.updateability.clone(),
            marks: facts.marks.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_where_a_statement_ends() {
        let of = |texts: &[&str]| {
            let statement = |t: &&str| PreviewStatement {
                purpose: "any".into(),
                text: t.to_string(),
            };
            let statements = texts.iter().map(statement).collect();
            FencePreview {
                statements,
                ..FencePreview::default()
            }
            .digest()
        };
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
    }
}
