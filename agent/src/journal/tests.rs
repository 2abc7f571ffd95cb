//! Tests of the journal: power loss, damage, compaction, two agents.

use proptest::prelude::*;
use serde_json::json;
use syncferry_shared::finding::Evidence;
use syncferry_shared::lease::Resource;
use syncferry_shared::outcome::{Failure, Outcome};
use syncferry_shared::state::StepState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{JobId, Millis, SessionId};

use super::file::{HEADER, read};
use super::record::frame;
use super::*;

fn job(n: u8) -> JobId {
    JobId::new(Millis(1_700_000_000_000 + i64::from(n)), &[n; 10])
}

fn key(n: u8) -> AttemptKey {
    AttemptKey {
        job: job(n),
        attempt: 1,
    }
}

fn accepted(n: u8) -> Record {
    Record::Accepted {
        token: AttemptToken {
            job: job(n),
            attempt: 1,
            epoch: i64::from(n) + 1,
            incarnation: 1,
            digest: "d".repeat(64),
        },
        resource: Resource(format!("adsync-db:{n}")),
        spec: "{\"täsk\":1}".into(),
        mode: Mode::Do,
    }
}

fn report(n: u8, number: i64) -> Record {
    Record::Report {
        attempt: key(n),
        number,
        report: Report::Step {
            ordinal: 1,
            total: 2,
            name: "a".into(),
            state: StepState::Running,
            evidence: vec![Evidence {
                looked_at: "x".into(),
                found: "y".into(),
            }],
        },
    }
}

fn failure() -> Failure {
    Failure {
        step: "a".into(),
        findings: Vec::new(),
        undone: false,
    }
}

/// A story that uses every kind of record.
fn story() -> Vec<Record> {
    let (a, b) = (key(1), key(2));
    let step = || "backup".to_string();
    vec![
        Record::Session {
            session: SessionId::new(Millis(1), &[1; 10]),
            boot_id: "boot".into(),
            vm_generation: Some("gen".into()),
            previous: None,
        },
        Record::Seen {
            resource: Some(Resource("r".into())),
            epoch: 7,
            incarnation: 2,
        },
        accepted(1),
        Record::Confirmed { attempt: a },
        Record::Resumed { attempt: a },
        report(1, 1),
        Record::Hold {
            attempt: a,
            what: "sync-cycle-enabled".into(),
            old: json!(true),
        },
        Record::Intent {
            attempt: a,
            step: step(),
            before: json!({"path": "D:\\x.bak"}),
        },
        Record::Effect {
            attempt: a,
            step: step(),
            evidence: json!({"guid": "…"}),
            found: false,
        },
        Record::Acked { attempt: a, number: 1 },
        report(1, 2),
        Record::Undoing {
            attempt: a,
            unwind: Unwind::Failed { failure: failure() },
        },
        Record::Undone {
            attempt: a,
            of: 1,
            step: step(),
        },
        Record::Released {
            attempt: a,
            what: "sync-cycle-enabled".into(),
        },
        Record::Done {
            attempt: a,
            number: 3,
            end: End::Failed { failure: failure() },
        },
        Record::Acked { attempt: a, number: 3 },
        accepted(2),
        Record::Parked {
            attempt: b,
            number: 1,
            failure: failure(),
        },
        Record::Resumed { attempt: b },
        Record::RebootExpected { boot_id: "boot".into() },
        Record::Done {
            attempt: b,
            number: 2,
            end: End::Succeeded {
                outcome: Box::new(Outcome::default()),
            },
        },
        Record::Acked { attempt: b, number: 2 },
        accepted(3),
        Record::Abandoned {
            attempt: key(3),
            why: "stale".into(),
        },
    ]
}

/// The bytes of a journal, and where each record ends.
fn bytes_of(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = HEADER.to_vec();
    let mut ends = vec![bytes.len()];
    for (record, seq) in records.iter().zip(1..) {
        bytes.extend(frame(seq, record).unwrap());
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn ledger_of(records: &[Record]) -> Ledger {
    let mut ledger = Ledger::default();
    for record in records {
        ledger.check(record).unwrap();
        ledger.apply(record.clone()).unwrap();
    }
    ledger
}

#[tokio::test]
async fn what_was_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let story = story();
    {
        let (journal, torn) = Journal::open(dir.path()).unwrap();
        assert_eq!(torn, 0);
        for (record, seq) in story.iter().zip(1..) {
            assert_eq!(journal.append(record.clone()).await, Ok(seq));
        }
    }
    let (journal, torn) = Journal::open(dir.path()).unwrap();
    assert_eq!((torn, journal.last_seq()), (0, story.len() as u64));
    assert_eq!(journal.read(Ledger::clone), ledger_of(&story));
}

#[test]
fn a_write_that_a_power_loss_tore_is_cut_off() {
    let story = story();
    let (bytes, ends) = bytes_of(&story);
    for length in 0..=bytes.len() {
        let read = read(&bytes[..length]).unwrap();
        let whole = ends.iter().filter(|e| **e <= length).count().saturating_sub(1);
        assert_eq!(read.last_seq, whole as u64, "cut at {length}");
        assert_eq!(read.ledger, ledger_of(&story[..whole]), "cut at {length}");
        assert_eq!(read.good + read.torn, length as u64);
    }
}

#[tokio::test]
async fn a_torn_journal_goes_on_with_the_next_number() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, ends) = bytes_of(&story()[..3]);
    std::fs::write(dir.path().join("journal"), &bytes[..ends[3] - 5]).unwrap();
    let (journal, torn) = Journal::open(dir.path()).unwrap();
    assert!(torn > 0);
    assert_eq!(journal.append(accepted(1)).await, Ok(3));
    drop(journal);
    let (journal, torn) = Journal::open(dir.path()).unwrap();
    assert_eq!((torn, journal.last_seq()), (0, 3));
}

#[test]
fn damage_in_the_middle_is_refused() {
    let (mut bytes, ends) = bytes_of(&story());
    bytes[ends[2] + 30] ^= 1;
    let e = read(&bytes).unwrap_err();
    assert_eq!(
        e,
        JournalError::Damaged {
            offset: ends[2] as u64,
            last_seq: 2
        }
    );
    insta::assert_snapshot!(read(b"something else, and quite long").unwrap_err(), @"the file 'journal' in the data directory is not a journal of this version; look whose it is, and do not delete it before the controller knows that this agent's memory is lost");
}

#[test]
fn a_missing_record_is_refused() {
    let story = story();
    let mut bytes = HEADER.to_vec();
    bytes.extend(frame(1, &story[0]).unwrap());
    bytes.extend(frame(3, &story[1]).unwrap());
    assert!(matches!(
        read(&bytes),
        Err(JournalError::Sequence {
            expected: 2,
            found: 3,
            ..
        })
    ));
}

#[tokio::test]
async fn what_cannot_follow_is_refused_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    let stray = Record::Confirmed { attempt: key(1) };
    assert!(matches!(journal.append(stray).await, Err(JournalError::Refused(_))));
    assert_eq!(journal.last_seq(), 0);
    journal.append(accepted(1)).await.unwrap();
    assert!(journal.append(accepted(1)).await.is_err(), "accepted twice");
    assert!(journal.append(report(1, 2)).await.is_err(), "a gap in the numbers");
}

#[tokio::test]
async fn two_agents_never_share_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    assert_eq!(Journal::open(dir.path()).err(), Some(JournalError::InUse));
    drop(journal);
    Journal::open(dir.path()).unwrap();
}

#[tokio::test]
async fn compaction_keeps_the_meaning_and_never_reuses_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    for record in story() {
        journal.append(record).await.unwrap();
    }
    let mut before = journal.read(Ledger::clone);
    let seq = journal.last_seq();
    assert!(journal.compact_above(0).await.unwrap());
    assert!(journal.last_seq() > seq);
    let after = journal.read(Ledger::clone);
    // Numbers of ended attempts are history.
    for attempt in before.attempts.values_mut() {
        let same = after.attempts[&attempt.key()].next_number;
        attempt.next_number = same;
    }
    assert_eq!(after, before);
    let last = journal.append(accepted(9)).await.unwrap();
    drop(journal);
    let (journal, _) = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.last_seq(), last);
    assert!(journal.read(|l| l.attempts.contains_key(&key(9))));
    assert!(!journal.compact_above(0).await.unwrap(), "something is open");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..4_000), headed in any::<bool>()) {
        let mut all = if headed { HEADER.to_vec() } else { Vec::new() };
        all.extend(bytes);
        let _ = read(&all);
    }

    #[test]
    fn a_flipped_bit_never_makes_a_record_that_was_not_written(at in any::<prop::sample::Index>(), bit in 0..8_u8, many in 1..4_usize) {
        let story = story();
        let (mut bytes, _) = bytes_of(&story);
        for n in 0..many {
            let at = (at.index(bytes.len()) + n * 7) % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        // Refused, or a prefix of what was written: nothing else.
        if let Ok(read) = read(&bytes) {
            let whole = usize::try_from(read.last_seq).unwrap();
            prop_assert_eq!(read.ledger, ledger_of(&story[..whole]));
        }
    }

    #[test]
    fn a_torn_tail_full_of_zeros_or_rubbish_is_cut(keep in 1..24_usize, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let story = story();
        let (bytes, ends) = bytes_of(&story);
        let mut torn = bytes[..ends[keep.min(story.len())]].to_vec();
        torn.extend(tail);
        let read = read(&torn).unwrap();
        prop_assert_eq!(read.ledger, ledger_of(&story[..keep.min(story.len())]));
    }
}

#[tokio::test]
async fn a_record_of_an_attempt_that_was_given_up_meanwhile_is_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(accepted(1)).await.unwrap();
    journal.append(accepted(2)).await.unwrap();
    let why = "another took its place".to_string();
    journal
        .append(Record::Abandoned { attempt: key(1), why })
        .await
        .unwrap();
    let late = journal.append(Record::Resumed { attempt: key(1) }).await.unwrap_err();
    assert!(!journal.is_fault(key(1), &late), "{late}");
    // Of one that is open, it is a contradiction; and a disk that refuses is a fault whatever became of the attempt.
    assert!(journal.is_fault(key(2), &late));
    assert!(journal.is_fault(key(1), &JournalError::Broken));
}
