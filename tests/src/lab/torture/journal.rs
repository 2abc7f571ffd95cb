//! What a power loss does to an agent's journal: its last record is gone, or only a part of it is there. The format is that
//! of `docs/ARCHITECTURE.md`; it is read here once more, so that a mistake in the agent's reader does not hide itself.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

const HEADER: &[u8] = b"syncferry journal 1\n";
const MARK: &[u8] = b"SFJ1";
/// Mark, length, sequence number, checksum.
const FRAME_HEAD: usize = 20;

/// The last record of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends, which is the end of the file.
    pub(super) end: usize,
    /// Its type, for people: `effect`, `report` …
    pub(super) what: String,
}

/// The last whole record; `None` in a journal without any.
pub(super) fn last(bytes: &[u8]) -> Option<Last> {
    let mut at = HEADER.len();
    let mut last = None;
    while let Some(frame) = bytes.get(at..).filter(|f| f.len() >= FRAME_HEAD && f.starts_with(MARK)) {
        let length = u32::from_le_bytes(frame[4..8].try_into().ok()?) as usize;
        let Some(payload) = frame.get(FRAME_HEAD..FRAME_HEAD + length) else {
            break;
        };
        let record: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_string();
        last = Some(Last {
            start: at,
            end: at + FRAME_HEAD + length,
            what: [text("type"), text("step")].join(" ").trim().to_string(),
        });
        at += FRAME_HEAD + length;
    }
    last
}

/// Cuts the last record of the journal in a data directory: all of it, or all but a part (a share of it from 0 to 1).
/// Answers with what it was.
pub(super) fn cut(data_dir: &Path, keep: Option<f64>) -> io::Result<Option<String>> {
    let path = data_dir.join("journal");
    let bytes = fs::read(&path)?;
    let Some(last) = last(&bytes) else { return Ok(None) };
    let length = last.end - last.start;
    let kept = match keep {
        // At least a byte stays, and at least one is gone.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a record is small and not negative"
        )]
        Some(share) => ((length as f64 * share) as usize).clamp(1, length - 1),
        None => 0,
    };
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len((last.start + kept) as u64)?;
    Ok(Some(last.what))
}

#[cfg(test)]
mod tests {
    use syncferry_agent::journal::{Journal, Record};
    use syncferry_shared::{Millis, SessionId};

    use super::*;

    async fn written(dir: &Path) {
        let (journal, _) = Journal::open(dir).unwrap();
        for n in [1, 2] {
            let record = Record::Session {
                session: SessionId::new(Millis(1), &[n; 10]),
                boot_id: format!("boot {n}"),
                vm_generation: None,
                previous: None,
            };
            journal.append(record).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_agent_reads_what_is_left() {
        for (keep, torn) in [(None, false), (Some(0.5), true)] {
            let dir = tempfile::tempdir().unwrap();
            written(dir.path()).await;
            assert_eq!(cut(dir.path(), keep).unwrap().as_deref(), Some("session"));
            let (journal, cut_off) = Journal::open(dir.path()).unwrap();
            assert_eq!(cut_off > 0, torn);
            assert_eq!(journal.last_seq(), 1);
            assert_eq!(journal.read(|l| l.session.clone().unwrap().boot_id), "boot 1");
        }
    }

    #[tokio::test]
    async fn a_journal_without_records_stays() {
        let dir = tempfile::tempdir().unwrap();
        drop(Journal::open(dir.path()).unwrap());
        assert_eq!(cut(dir.path(), None).unwrap(), None);
    }
}
