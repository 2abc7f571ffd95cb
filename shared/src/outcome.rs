//! What a job brought about: the agent's word at the end of an attempt, with its evidence.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::artifact::{Counts, Manifest};
use crate::clock::Millis;
use crate::fence::{FenceReadBack, IdentityFacts, MarksReadBack};
use crate::finding::Finding;
use crate::inventory::{ConnectParameters, ServiceFacts, SessionFacts};

/// The result of a job that ended well.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What a backup made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
    /// What was counted in a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// What a restore made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// What Connect was seen with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<SeenConnect>,
    /// What a fence left, read back from SQL Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<FenceReadBack>,
    /// What the removal of marks left, read back from SQL Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<MarksReadBack>,
    /// What a nonce was written into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed: Option<IdentityFacts>,
    /// How a server that was stopped was seen afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedServer>,
    /// What a database says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adsync: Option<crate::inventory::AdsyncFacts>,
    /// How long a rehearsed recovery took, and how much would be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drilled>,
    /// Sessions that were seen on the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionFacts>,
    /// The verification levels that were reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Level>,
    /// Notes and warnings from on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Facts worth keeping, in order: what, and what it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<crate::finding::Evidence>,
    /// The pending exports by attribute, where they were listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exports: Option<crate::exports::ExportList>,
}

impl Outcome {
    /// Adds a fact worth keeping.
    pub fn saw(&mut self, looked_at: impl Into<String>, found: impl ToString) {
        self.evidence.push(crate::finding::Evidence {
            looked_at: looked_at.into(),
            found: found.to_string(),
        });
    }
    /// Records that a verification level was reached.
    pub fn reached(&mut self, level: Level) {
        if !self.levels.contains(&level) {
            self.levels.push(level);
        }
    }
}

/// How much is proven about a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// SQL Server's own page and stream checksums.
    L0,
    /// Chunk and file hashes on both ends.
    L1,
    /// RESTORE VERIFYONLY WITH CHECKSUM on the target.
    L2,
    /// Restored, and CHECKDB is clean.
    L3,
    /// Row counts, schema and lineage equal the source's.
    L4,
    /// Connect opens it, in staging mode.
    L5,
}

impl Level {
    /// All of them, the least first.
    pub const ALL: &'static [Level] = &[Level::L0, Level::L1, Level::L2, Level::L3, Level::L4, Level::L5];

    /// What it proves, in short.
    pub fn proves(self) -> &'static str {
        match self {
            Level::L0 => "SQL Server's own checksums",
            Level::L1 => "hashes on both ends",
            Level::L2 => "RESTORE VERIFYONLY on the target",
            Level::L3 => "restored, and CHECKDB is clean",
            Level::L4 => "content equals the source's",
            Level::L5 => "Connect opens it, in staging mode",
        }
    }
}

/// How far a migration is proven, against how far it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelStanding {
    /// The level below which it does not succeed.
    pub needed: Level,
    /// The highest level that a job reached.
    pub reached: Option<Level>,
}

impl LevelStanding {
    /// Where jobs with these levels stand.
    pub fn of(needed: Level, levels: impl IntoIterator<Item = Level>) -> Self {
        Self {
            needed,
            reached: levels.into_iter().max(),
        }
    }
    /// Whether it is enough.
    pub fn suffices(self) -> bool {
        self.reached.is_some_and(|r| r >= self.needed)
    }
    /// For people: `L4 of L5`.
    pub fn shown(self) -> String {
        match self.reached {
            Some(r) if r >= self.needed => format!("{r:?}, as needed"),
            Some(r) => format!("{r:?}; {:?} is needed: {}", self.needed, self.needed.proves()),
            None => format!("none yet; {:?} is needed: {}", self.needed, self.needed.proves()),
        }
    }
}

/// A restored database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// `ServerName`.
    pub server_name: String,
    /// Its name.
    pub database: String,
    /// Its new `database_guid`.
    pub database_guid: Uuid,
    /// Its `family_guid`, the source's.
    pub family_guid: Uuid,
    /// Its `recovery_fork_guid`.
    pub recovery_fork_guid: Option<Uuid>,
    /// Its `service_broker_guid`.
    pub service_broker_guid: Option<Uuid>,
}

/// What a rehearsed recovery came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    /// From the order to a database that is restored, checked and counted, in milliseconds: the part of the recovery time that
    /// the database takes. A person at the wizard comes on top.
    pub rto_ms: i64,
    /// From the newest synchronisation in the copy to the moment at which the drill began, in milliseconds: what a recovery from
    /// this backup would have to find again.
    pub rpo_ms: Option<i64>,
    /// Where that moment was found.
    pub rpo_from: Option<String>,
    /// How long the fetch took.
    pub fetch_ms: i64,
    /// How long RESTORE took.
    pub restore_ms: i64,
    /// How long DBCC CHECKDB took.
    pub check_ms: i64,
}

/// What Connect was seen with on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenConnect {
    /// The registry's parameters.
    pub parameters: ConnectParameters,
    /// The service's account.
    pub service_account: String,
    /// The version.
    pub version: String,
    /// Staging mode.
    pub staging_mode: bool,
}

/// How the agent on a server's own host saw that it gave up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedServer {
    /// The service, stopped and disabled; `None` where Connect is not there any more.
    pub service: Option<ServiceFacts>,
    /// Which database the server is configured for.
    pub parameters: Option<ConnectParameters>,
    /// When, by the host's clock.
    pub at: Millis,
}

impl StoppedServer {
    /// Whether it can neither run nor start by itself.
    pub fn is_out(&self) -> bool {
        self.service
            .as_ref()
            .is_none_or(|s| s.state.eq_ignore_ascii_case("stopped") && s.start.eq_ignore_ascii_case("disabled"))
    }
}

/// Why a job ended badly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The step in which it ended.
    pub step: String,
    /// What was found: at least one finding, each with its next step.
    pub findings: Vec<Finding>,
    /// Whether everything that the job changed was put back.
    pub undone: bool,
}

impl Failure {
    /// Whether the agent says that its journal knows nothing of what it was to take back: it touched nothing, and only a person
    /// can say what is left on the host.
    pub fn nothing_known(&self) -> bool {
        let rules = [ATTEMPT_NOT_KNOWN, UNDO_NOTHING_KNOWN];
        self.findings.iter().any(|f| rules.contains(&f.rule.as_str()))
    }
}

/// The rule of an agent that is to cancel an attempt of which its journal has no record.
pub const ATTEMPT_NOT_KNOWN: &str = "attempt-not-known";
/// The rule of an agent that is to undo a job of which its journal has no record.
pub const UNDO_NOTHING_KNOWN: &str = "undo-nothing-known";
