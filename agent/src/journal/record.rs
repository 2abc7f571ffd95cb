//! The records of the journal, and how one is framed in the file. What the records mean together is `replay.rs`'s business.
//!
//! A frame is `SFJ1`, the payload's length (u32), the sequence number (u64), a CRC32 over both and the payload (u32), all
//! little-endian, and the payload: one record as JSON, so that a person with `strings` can read a journal in an emergency.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use syncferry_shared::card::Card;
use syncferry_shared::finding::Evidence;
use syncferry_shared::lease::Resource;
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::state::StepState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{JobId, SessionId};

/// How every frame begins.
pub(crate) const MARK: [u8; 4] = *b"SFJ1";
/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEAD: usize = 20;
/// The longest payload: the manifest of a very large backup fits several times.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

/// Which attempt a record is about. The whole token stands once, in [`Record::Accepted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The job.
    pub job: JobId,
    /// Which try, from 1.
    pub attempt: i32,
}

impl AttemptKey {
    /// The key of a token.
    pub fn of(token: &AttemptToken) -> Self {
        Self {
            job: token.job,
            attempt: token.attempt,
        }
    }
}

impl std::fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "job {} attempt {}", self.job.short(), self.attempt)
    }
}

/// Whether a job is done or undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Do it.
    Do,
    /// Undo what earlier attempts of it did.
    Undo,
}

/// Why an attempt goes backwards. It stands in the journal, so that a restart goes on backwards as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "lowercase")]
pub enum Unwind {
    /// A step failed.
    Failed {
        /// What is reported when everything is put back.
        failure: Failure,
    },
    /// The controller asked for it.
    Cancelled {
        /// The step before which the attempt stopped.
        step: String,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum End {
    /// Well.
    Succeeded {
        /// What it brought about.
        outcome: Box<Outcome>,
    },
    /// Badly.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Stopped and put back.
    Cancelled {
        /// Where, and whether everything was put back.
        failure: Failure,
    },
    /// The agent cannot tell what happened, and touched nothing more.
    Unknown {
        /// What it saw.
        failure: Failure,
    },
    /// What earlier attempts did is undone.
    Undone {
        /// What was undone.
        outcome: Box<Outcome>,
    },
}

/// What is seen at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// Nothing yet.
    Waiting,
    /// A person is at it.
    InProgress,
    /// It is done as it should be.
    Proven,
    /// It was done, and not as it should be.
    Contradicted,
}

/// What the controller is told about an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "lowercase")]
pub enum Report {
    /// A step changed.
    Step {
        /// Its position in the job, from 1.
        ordinal: i32,
        /// How many steps the job has.
        total: i32,
        /// Its name.
        name: String,
        /// Its state.
        state: StepState,
        /// What was looked at and what it said.
        evidence: Vec<Evidence>,
    },
    /// The job waits for a person, or saw what the person did.
    Gate {
        /// What is seen.
        sight: Sight,
        /// In a sentence, for people.
        observation: String,
        /// The gate's title, with the first report of it.
        title: Option<String>,
        /// The cards, with the first report of it.
        cards: Vec<Card>,
    },
    /// The attempt ended.
    End {
        /// How.
        end: End,
    },
}

/// One entry of the journal. It is on the disk before what it speaks of is done (`Intent`, `Hold`, `RebootExpected`), or
/// before it is told to anybody (`Accepted`, `Report`, `Done`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// A new session: at the first start, after a reboot and after a virtual machine was reverted.
    Session {
        /// Its id: the holder's session of leases.
        session: SessionId,
        /// The machine's boot.
        boot_id: String,
        /// The virtual machine's generation.
        vm_generation: Option<String>,
        /// The session before.
        previous: Option<SessionId>,
    },
    /// A lease epoch or a store incarnation higher than any before.
    Seen {
        /// The leased resource, absent when only the incarnation is meant.
        resource: Option<Resource>,
        /// Its epoch.
        epoch: i64,
        /// The incarnation of the controller's store.
        incarnation: i64,
    },
    /// An offer is taken. Written before the controller is told.
    Accepted {
        /// The attempt's token.
        token: AttemptToken,
        /// The lease under which it works.
        resource: Resource,
        /// The specification, byte for byte: it is UTF-8, and the token's digest is over it.
        spec: String,
        /// Whether it is to be done or undone.
        mode: Mode,
    },
    /// The controller confirmed the acceptance: the agent may act.
    Confirmed {
        /// Which.
        attempt: AttemptKey,
    },
    /// A process took the attempt up (the first one, or one after a restart).
    Resumed {
        /// Which.
        attempt: AttemptKey,
    },
    /// A step is about to act.
    Intent {
        /// Which.
        attempt: AttemptKey,
        /// The step.
        step: String,
        /// What a later probe needs to recognise this very act: a log path, a backup set's name.
        before: Value,
    },
    /// What the step should bring about holds.
    Effect {
        /// Which.
        attempt: AttemptKey,
        /// The step.
        step: String,
        /// What it gives to later steps, and to its undoing.
        evidence: Value,
        /// Whether it was found so, and not brought about by an attempt of this job: then it is not ours to undo.
        found: bool,
    },
    /// The attempt goes backwards from here on.
    Undoing {
        /// Which.
        attempt: AttemptKey,
        /// Why.
        unwind: Unwind,
    },
    /// A step is undone.
    Undone {
        /// The attempt that undid it.
        attempt: AttemptKey,
        /// The attempt that had done it.
        of: i32,
        /// The step.
        step: String,
    },
    /// Something on a live server is about to be changed and must be put back.
    Hold {
        /// Which.
        attempt: AttemptKey,
        /// What, for example `sync-cycle-enabled`.
        what: String,
        /// Its value before anybody of ours changed it.
        old: Value,
    },
    /// It is put back.
    Released {
        /// The attempt whose hold it was.
        attempt: AttemptKey,
        /// What.
        what: String,
    },
    /// Something is to be told. Written before it is sent.
    Report {
        /// Which.
        attempt: AttemptKey,
        /// From 1, without gaps.
        number: i64,
        /// What.
        report: Report,
    },
    /// The attempt ended. It is its own last report.
    Done {
        /// Which.
        attempt: AttemptKey,
        /// The report's number.
        number: i64,
        /// How.
        end: End,
    },
    /// The agent cannot tell what happened, says so, and waits for an order. The attempt stays open. It is its own report.
    Parked {
        /// Which.
        attempt: AttemptKey,
        /// The report's number.
        number: i64,
        /// What was seen.
        failure: Failure,
    },
    /// The controller has this report and all before it.
    Acked {
        /// Which.
        attempt: AttemptKey,
        /// The report's number.
        number: i64,
    },
    /// The attempt is not this agent's any more. Nothing of it is touched again.
    Abandoned {
        /// Which.
        attempt: AttemptKey,
        /// Why.
        why: String,
    },
    /// A reboot is about to happen because a step needs it.
    RebootExpected {
        /// The boot that ends.
        boot_id: String,
    },
}

/// A record as bytes. `None` when it is longer than a reader would take.
pub(crate) fn frame(seq: u64, record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    let payload = serde_json::to_vec(record)?;
    // What cannot be read again must not be written: JSON nested too deeply, for example.
    serde_json::from_slice::<Record>(&payload)?;
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|l| *l as usize <= MAX_PAYLOAD)
        .ok_or_else(|| serde::ser::Error::custom(format!("{} bytes are too many for a record", payload.len())))?;
    let mut bytes = Vec::with_capacity(FRAME_HEAD + payload.len());
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&checksum(length, seq, &payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// The frame at the beginning of `bytes`: its sequence number, payload and length. `None` when there is no whole one.
pub(crate) fn unframe(bytes: &[u8]) -> Option<(u64, &[u8], usize)> {
    let head = bytes.get(..FRAME_HEAD)?;
    if head[..4] != MARK {
        return None;
    }
    let length = u32::from_le_bytes(head[4..8].try_into().ok()?);
    let seq = u64::from_le_bytes(head[8..16].try_into().ok()?);
    let crc = u32::from_le_bytes(head[16..20].try_into().ok()?);
    if length as usize > MAX_PAYLOAD {
        return None;
    }
    let end = FRAME_HEAD + length as usize;
    let payload = bytes.get(FRAME_HEAD..end)?;
    (checksum(length, seq, payload) == crc).then_some((seq, payload, end))
}

fn checksum(length: u32, seq: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
