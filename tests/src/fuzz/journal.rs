//! The agent's journal: written by the agent, damaged by whatever happens to a disk.

use syncferry_agent::journal::{AttemptKey, End, Mode, Record, Report, examine, written};
use syncferry_shared::lease::Resource;
use syncferry_shared::outcome::Outcome;
use syncferry_shared::state::StepState;
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{JobId, Millis, SessionId};

/// Reads a journal.
pub fn read(bytes: &[u8]) -> bool {
    let Ok(found) = examine(bytes) else {
        return false;
    };
    let torn = usize::try_from(found.torn).expect("no longer than the bytes");
    // Without its torn end it says the same.
    let whole = examine(&bytes[..bytes.len() - torn]).expect("what was whole stays whole");
    assert_eq!((whole.last_seq, whole.torn), (found.last_seq, 0));
    assert_eq!(whole.ledger, found.ledger);
    found.last_seq > 0
}

/// A journal with one attempt from its acceptance to its end.
pub fn seeds() -> Vec<Vec<u8>> {
    let job = JobId::new(Millis(1_700_000_000_000), &[1; 10]);
    let attempt = AttemptKey { job, attempt: 1 };
    let records = [
        Record::Session {
            session: SessionId::new(Millis(1), &[2; 10]),
            boot_id: "boot".into(),
            vm_generation: None,
            previous: None,
        },
        Record::Accepted {
            token: AttemptToken {
                job,
                attempt: 1,
                epoch: 2,
                incarnation: 1,
                digest: "d".repeat(64),
            },
            resource: Resource("adsync-db:1".into()),
            spec: "{}".into(),
            mode: Mode::Do,
        },
        Record::Confirmed { attempt },
        Record::Report {
            attempt,
            number: 1,
            report: Report::Step {
                ordinal: 1,
                total: 1,
                name: "a".into(),
                state: StepState::Running,
                evidence: Vec::new(),
            },
        },
        Record::Hold {
            attempt,
            what: "sync-cycle-enabled".into(),
            old: true.into(),
        },
        Record::Released {
            attempt,
            what: "sync-cycle-enabled".into(),
        },
        Record::Done {
            attempt,
            number: 2,
            end: End::Succeeded {
                outcome: Box::new(Outcome::default()),
            },
        },
    ];
    (1..=records.len())
        .filter_map(|n| written(&records[..n]).ok())
        .collect()
}
