//! The journal: what was accepted, what is about to be done, what was done, what must be put back and what the controller
//! has not acknowledged. Every record is on the disk before the agent acts on it, so a crash at any point loses nothing:
//! whoever opens the journal again knows what to look at.

mod file;
mod record;
mod replay;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

pub(crate) use file::sync_dir;
pub use record::{AttemptKey, End, Mode, Record, Report, Sight, Unwind};
pub use replay::{AttemptLog, Contradiction, HoldLog, Ledger, SessionLog, StepLog};

use file::JournalFile;

/// A quiet journal is written anew when it is longer than this.
const COMPACT_ABOVE: u64 = 1 << 20;

/// Why the journal cannot be opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("another agent uses this data directory; stop it, or give this one a directory of its own")]
    InUse,
    /// The file is something else.
    #[error(
        "the file 'journal' in the data directory is not a journal of this version; look whose it is, and do not delete it before the controller knows that this agent's memory is lost"
    )]
    NotAJournal,
    /// A record in the middle is damaged, and whole ones follow.
    #[error(
        "the journal is damaged at byte {offset}, after record {last_seq}, and whole records follow: that is no power loss. Keep the file, check the disk, and restore it or move it away; without it the agent starts a new session and the controller asks what to do with its open work"
    )]
    Damaged {
        /// Where.
        offset: u64,
        /// The last record before it.
        last_seq: u64,
    },
    /// A record has another number than the next.
    #[error(
        "the journal has record {found} at byte {offset} where {expected} was due: records are missing. Keep the file and restore it or move it away"
    )]
    Sequence {
        /// Where.
        offset: u64,
        /// The next number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// A whole record cannot be understood.
    #[error(
        "record {seq} of the journal cannot be understood ({reason}); was it written by a newer agent? Install that version again"
    )]
    Unreadable {
        /// Which.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// A record cannot follow the ones before it.
    #[error("record {seq} of the journal contradicts the ones before it: {contradiction}")]
    Contradiction {
        /// Which.
        seq: u64,
        /// How.
        contradiction: Contradiction,
    },
    /// The caller wanted to write what cannot follow.
    #[error("refused to write to the journal: {0}")]
    Refused(Contradiction),
    /// A record cannot be written as it is.
    #[error("a record cannot be written: {reason}")]
    Unwritable {
        /// Why.
        reason: String,
    },
    /// The disk refused.
    #[error("cannot {what} the journal: {reason}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The disk refused before.
    #[error("the journal cannot be written any more since the disk refused; check the disk and restart the agent")]
    Broken,
}

/// What the bytes of a journal say.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// What the records mean together.
    pub ledger: Ledger,
    /// The number of the last record, 0 without one.
    pub last_seq: u64,
    /// Bytes at the end that are no whole record: a write that a power loss tore.
    pub torn: u64,
}

/// Reads a journal from its bytes, without opening, locking or changing a file.
pub fn examine(bytes: &[u8]) -> Result<Examined, JournalError> {
    let read = file::read(bytes)?;
    Ok(Examined {
        ledger: read.ledger,
        last_seq: read.last_seq,
        torn: read.torn,
    })
}

/// The bytes of a journal with these records, numbered from 1.
pub fn written(records: &[Record]) -> Result<Vec<u8>, JournalError> {
    let mut bytes = file::HEADER.to_vec();
    for (record, seq) in records.iter().zip(1..) {
        let framed = record::frame(seq, record).map_err(|e| JournalError::Unwritable { reason: e.to_string() })?;
        bytes.extend(framed);
    }
    Ok(bytes)
}

/// The open journal. Cheap to clone: every clone is the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// A disk that takes its time: asked right before and right after each record is written. On a real one nobody waits here,
/// because the thread that writes does.
#[async_trait::async_trait]
pub trait Disk: Send + Sync + 'static {
    /// A record is about to be written.
    async fn before(&self);
    /// It is on the disk, and nobody knows yet.
    async fn after(&self);
}

struct Shared {
    /// A simulated disk; then records are written by whoever appends, and no thread takes part.
    disk: Option<Arc<dyn Disk>>,
    /// Taken first, and for as long as a write takes.
    file: Mutex<JournalFile>,
    /// Taken second, and briefly: readers never wait for a disk.
    ledger: RwLock<Ledger>,
    last_seq: watch::Sender<u64>,
    /// Told right before and right after each record is written: where tests let a crash happen.
    #[cfg(test)]
    pub(crate) hook: Mutex<Option<Hook>>,
}

/// A test's look at a record: its number, and whether it is on the disk.
#[cfg(test)]
pub(crate) type Hook = Box<dyn FnMut(u64, bool) + Send>;

impl Journal {
    /// Opens the journal in `dir`, or makes one. Bytes of a torn last record are cut off; their number is the second value.
    pub fn open(dir: &Path) -> Result<(Self, u64), JournalError> {
        Self::opened(dir, None)
    }

    /// As [`Journal::open`], on a simulated disk.
    pub fn open_on(dir: &Path, disk: Arc<dyn Disk>) -> Result<(Self, u64), JournalError> {
        Self::opened(dir, Some(disk))
    }

    fn opened(dir: &Path, disk: Option<Arc<dyn Disk>>) -> Result<(Self, u64), JournalError> {
        let (file, read) = JournalFile::open(dir)?;
        let shared = Shared {
            disk,
            file: Mutex::new(file),
            ledger: RwLock::new(read.ledger),
            last_seq: watch::Sender::new(read.last_seq),
            #[cfg(test)]
            hook: Mutex::new(None),
        };
        let journal = Self {
            shared: Arc::new(shared),
        };
        Ok((journal, read.torn))
    }

    /// Writes a record; when this returns, it is on the disk. A record that cannot follow is refused.
    pub async fn append(&self, record: Record) -> Result<u64, JournalError> {
        self.append_with(|_| Some(record)).await.map(|seq| seq.unwrap_or(0))
    }

    /// Writes the record that `make` derives from the ledger, or none. No other record comes between.
    pub async fn append_with(
        &self,
        make: impl FnOnce(&Ledger) -> Option<Record> + Send + 'static,
    ) -> Result<Option<u64>, JournalError> {
        let shared = Arc::clone(&self.shared);
        if let Some(disk) = &self.shared.disk {
            disk.before().await;
            let written = shared.append(make);
            disk.after().await;
            return written;
        }
        tokio::task::spawn_blocking(move || shared.append(make))
            .await
            .unwrap_or(Err(JournalError::Broken))
    }

    /// Looks at the ledger.
    pub fn read<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        look(&self.shared.ledger.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An attempt, as it is now.
    pub fn attempt(&self, key: AttemptKey) -> Option<AttemptLog> {
        self.read(|l| l.attempts.get(&key).cloned())
    }

    /// Whether an error that an attempt met here means that nothing can be relied on any more. An attempt may be given up while
    /// its own next record is on the way: that record is refused, and nothing is wrong.
    pub fn is_fault(&self, key: AttemptKey, error: &JournalError) -> bool {
        let given_up = self.attempt(key).is_none_or(|a| a.abandoned.is_some());
        !(given_up && matches!(error, JournalError::Refused(_)))
    }

    /// The number of the last record.
    pub fn last_seq(&self) -> u64 {
        *self.shared.last_seq.borrow()
    }

    /// Changes with every record.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.last_seq.subscribe()
    }

    /// Writes the file anew, without what nobody needs any more, when it is long and nothing is open.
    pub async fn compact(&self) -> Result<bool, JournalError> {
        self.compact_above(COMPACT_ABOVE).await
    }

    pub(crate) async fn compact_above(&self, bytes: u64) -> Result<bool, JournalError> {
        let shared = Arc::clone(&self.shared);
        if self.shared.disk.is_some() {
            return shared.compact(bytes);
        }
        tokio::task::spawn_blocking(move || shared.compact(bytes))
            .await
            .unwrap_or(Err(JournalError::Broken))
    }
}

#[cfg(test)]
impl Journal {
    /// Looks at every record from now on.
    pub(crate) fn watch(&self, hook: impl FnMut(u64, bool) + Send + 'static) {
        *self.shared.hook.lock().unwrap() = Some(Box::new(hook));
    }
}

impl Shared {
    #[cfg(test)]
    fn tell(&self, seq: u64, written: bool) {
        if let Some(hook) = self.hook.lock().unwrap().as_mut() {
            hook(seq, written);
        }
    }

    fn append(&self, make: impl FnOnce(&Ledger) -> Option<Record>) -> Result<Option<u64>, JournalError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let record = {
            let ledger = self.ledger.read().unwrap_or_else(PoisonError::into_inner);
            let Some(record) = make(&ledger) else { return Ok(None) };
            ledger.check(&record).map_err(JournalError::Refused)?;
            record
        };
        #[cfg(test)]
        self.tell(file.last_seq() + 1, false);
        let seq = file.append(&record)?;
        #[cfg(test)]
        self.tell(seq, true);
        let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        ledger.apply(record).map_err(JournalError::Refused)?;
        drop(ledger);
        self.last_seq.send_replace(seq);
        Ok(Some(seq))
    }

    fn compact(&self, above: u64) -> Result<bool, JournalError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.length() <= above {
            return Ok(false);
        }
        let mut ledger = self.ledger.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !ledger.is_quiet() {
            return Ok(false);
        }
        ledger.prune();
        let records = ledger.records();
        file.rewrite(&records)?;
        let mut compacted = Ledger::default();
        for record in records {
            compacted.apply(record).map_err(JournalError::Refused)?;
        }
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = compacted;
        self.last_seq.send_replace(file.last_seq());
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
