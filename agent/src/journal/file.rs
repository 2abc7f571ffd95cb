//! The journal's file: opened by one process only, read to its last whole record, appended to with every record on the
//! disk before the caller goes on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::JournalError;
use super::record::{FRAME_HEAD, MARK, Record, frame, unframe};
use super::replay::Ledger;

/// How the file begins.
pub(crate) const HEADER: &[u8] = b"syncferry journal 1\n";

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// What the records mean.
    pub(crate) ledger: Ledger,
    /// The number of the last record, 0 without one.
    pub(crate) last_seq: u64,
    /// Bytes up to the end of the last whole record.
    pub(crate) good: u64,
    /// Bytes after it: a write that a power loss tore.
    pub(crate) torn: u64,
}

/// Reads the bytes of a journal. Pure.
pub(crate) fn read(bytes: &[u8]) -> Result<Read, JournalError> {
    let mut read = Read::default();
    if bytes.len() < HEADER.len() && HEADER.starts_with(bytes) {
        // Not even the header was written: a new file, or one that was torn as it was made.
        read.torn = bytes.len() as u64;
        return Ok(read);
    }
    if !bytes.starts_with(HEADER) {
        return Err(JournalError::NotAJournal);
    }
    let mut at = HEADER.len();
    while at < bytes.len() {
        let Some((seq, payload, length)) = unframe(&bytes[at..]) else {
            // Only the last write can be torn. A whole record behind the damage means that something else happened.
            return match whole_frame_after(&bytes[at..]) {
                Some(_) => Err(JournalError::Damaged {
                    offset: at as u64,
                    last_seq: read.last_seq,
                }),
                None => {
                    read.good = at as u64;
                    read.torn = (bytes.len() - at) as u64;
                    Ok(read)
                }
            };
        };
        if read.last_seq != 0 && seq != read.last_seq + 1 || seq == 0 {
            return Err(JournalError::Sequence {
                offset: at as u64,
                expected: read.last_seq + 1,
                found: seq,
            });
        }
        let record: Record = serde_json::from_slice(payload).map_err(|e| JournalError::Unreadable {
            seq,
            reason: e.to_string(),
        })?;
        read.ledger
            .apply(record)
            .map_err(|contradiction| JournalError::Contradiction { seq, contradiction })?;
        read.last_seq = seq;
        at += length;
    }
    read.good = at as u64;
    Ok(read)
}

fn whole_frame_after(bytes: &[u8]) -> Option<usize> {
    (1..bytes.len().saturating_sub(FRAME_HEAD))
        .filter(|at| bytes[*at..].starts_with(&MARK))
        .find(|at| unframe(&bytes[*at..]).is_some())
}

/// The open file.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    file: File,
    length: u64,
    last_seq: u64,
    /// Set when the disk refused: what is on it is not known any more, so nothing is written or done any more.
    broken: bool,
    /// Held as long as this process lives.
    _lock: File,
}

/// How often the lock is tried again, and after how long.
const LOCK_TRIES: u32 = 20;
const LOCK_AGAIN: std::time::Duration = std::time::Duration::from_millis(25);

impl JournalFile {
    /// Opens the journal in `dir`, makes it when there is none, and cuts a torn last record off.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Read), JournalError> {
        let io = |what: &'static str| {
            move |e: std::io::Error| JournalError::Io {
                what,
                reason: e.to_string(),
            }
        };
        let lock = options()
            .open(dir.join("journal.lock"))
            .map_err(io("open the lock of"))?;
        let mut tries = 0..LOCK_TRIES;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                // A program that this very process starts holds all of its files for a moment, ours of a moment ago too.
                Err(TryLockError::WouldBlock) if tries.next().is_some() => std::thread::sleep(LOCK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(JournalError::InUse),
                Err(TryLockError::Error(e)) => return Err(io("lock")(e)),
            }
        }
        let path = dir.join("journal");
        let mut file = options().open(&path).map_err(io("open"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let mut read = read(&bytes)?;
        if read.good < HEADER.len() as u64 {
            file.set_len(0).map_err(io("cut"))?;
            file.rewind().map_err(io("rewind"))?;
            file.write_all(HEADER).map_err(io("begin"))?;
            read.good = HEADER.len() as u64;
        } else if read.torn > 0 {
            file.set_len(read.good).map_err(io("cut"))?;
        }
        file.seek(SeekFrom::Start(read.good)).map_err(io("seek in"))?;
        file.sync_all().map_err(io("sync"))?;
        sync_dir(dir).map_err(io("sync the folder of"))?;
        let journal = Self {
            path,
            file,
            length: read.good,
            last_seq: read.last_seq,
            broken: false,
            _lock: lock,
        };
        Ok((journal, read))
    }

    /// The number of the last record.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Bytes in the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes a record and returns its number when it is on the disk.
    pub(crate) fn append(&mut self, record: &Record) -> Result<u64, JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let seq = self.last_seq + 1;
        let bytes = frame(seq, record).map_err(|e| JournalError::Unwritable { reason: e.to_string() })?;
        if let Err(e) = self.file.write_all(&bytes) {
            // A half record must not stay in the middle. A full disk lets a file be cut; anything else ends the journal.
            self.broken = self.cut().is_err();
            return Err(JournalError::Io {
                what: "write to",
                reason: e.to_string(),
            });
        }
        if let Err(e) = self.file.sync_data() {
            // After a failed sync nobody knows what is on the disk, and a second sync may lie.
            self.broken = true;
            return Err(JournalError::Io {
                what: "sync",
                reason: e.to_string(),
            });
        }
        self.length += bytes.len() as u64;
        self.last_seq = seq;
        Ok(seq)
    }

    /// Writes the file anew with these records only, which get new numbers: a number never comes twice.
    pub(crate) fn rewrite(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let io = |what: &'static str| {
            move |e: std::io::Error| JournalError::Io {
                what,
                reason: e.to_string(),
            }
        };
        let mut bytes = HEADER.to_vec();
        let mut seq = self.last_seq;
        for record in records {
            seq += 1;
            let framed = frame(seq, record).map_err(|e| JournalError::Unwritable { reason: e.to_string() })?;
            bytes.extend_from_slice(&framed);
        }
        let new = self.path.with_extension("new");
        let mut file = options().truncate(true).open(&new).map_err(io("open a new"))?;
        file.write_all(&bytes).map_err(io("write a new"))?;
        file.sync_all().map_err(io("sync a new"))?;
        // Closes the old file: not every Windows replaces one that is open.
        self.file = file;
        if let Err(e) = std::fs::rename(&new, &self.path) {
            self.broken = self.take_up_again().is_err();
            return Err(io("replace")(e));
        }
        self.length = bytes.len() as u64;
        self.last_seq = seq;
        let synced = self.path.parent().map_or(Ok(()), sync_dir);
        self.broken = synced.is_err();
        synced.map_err(io("sync the folder of"))
    }

    /// Goes on with the file that could not be replaced.
    fn take_up_again(&mut self) -> std::io::Result<()> {
        let mut file = options().open(&self.path)?;
        file.seek(SeekFrom::Start(self.length))?;
        self.file = file;
        Ok(())
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.sync_all()
    }
}

/// Read and write, made when missing, for this account only.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a rename or a new file in `dir` durable. Windows does that with the file itself.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}
