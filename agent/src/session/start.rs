//! Which session this process lives in: the one in the journal, as long as the machine has neither rebooted nor been
//! reverted since. A new one begins otherwise, and the controller decides about leases and open attempts.

use syncferry_shared::SessionId;
use syncferry_shared::inventory::HostFacts;

use crate::journal::{Journal, JournalError, Ledger, Record};

/// The session for this process; `new_id` is used when one begins.
pub async fn open_session(journal: &Journal, facts: &HostFacts, new_id: SessionId) -> Result<SessionId, JournalError> {
    let (known, expected) = journal.read(|l| (same(l, facts), l.reboot_expected.clone()));
    if let Some(id) = known {
        return Ok(id);
    }
    let previous = journal.read(|l| l.session.as_ref().map(|s| (s.id, s.boot_id.clone())));
    match &previous {
        None => tracing::info!(session = %new_id, "first session of this journal"),
        Some((old, boot)) if expected.as_deref() == Some(boot) => {
            tracing::info!(session = %new_id, previous = %old, "new session after the reboot that was expected");
        }
        Some((old, _)) => {
            tracing::warn!(session = %new_id, previous = %old, "new session: the machine was rebooted or reverted");
        }
    }
    let record = Record::Session {
        session: new_id,
        boot_id: facts.boot_id.clone(),
        vm_generation: facts.vm_generation.clone(),
        previous: previous.map(|(id, _)| id),
    };
    journal.append(record).await?;
    Ok(new_id)
}

fn same(ledger: &Ledger, facts: &HostFacts) -> Option<SessionId> {
    let session = ledger.session.as_ref()?;
    (session.boot_id == facts.boot_id && session.vm_generation == facts.vm_generation).then_some(session.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncferry_shared::Millis;

    fn facts(boot: &str, generation: Option<&str>) -> HostFacts {
        HostFacts {
            boot_id: boot.into(),
            vm_generation: generation.map(str::to_string),
            ..HostFacts::default()
        }
    }

    fn id(n: u8) -> SessionId {
        SessionId::new(Millis(1), &[n; 10])
    }

    #[tokio::test]
    async fn a_session_survives_restarts_but_no_reboot_revert_or_lost_journal() {
        let dir = tempfile::tempdir().unwrap();
        let open = async |boot: &str, generation: Option<&str>, n: u8| {
            let (journal, _) = Journal::open(dir.path()).unwrap();
            open_session(&journal, &facts(boot, generation), id(n)).await.unwrap()
        };
        assert_eq!(open("a", Some("g"), 1).await, id(1));
        assert_eq!(open("a", Some("g"), 2).await, id(1), "a restart of the process");
        assert_eq!(open("b", Some("g"), 3).await, id(3), "a reboot");
        assert_eq!(open("b", Some("h"), 4).await, id(4), "a reverted machine");
        std::fs::remove_file(dir.path().join("journal")).unwrap();
        assert_eq!(open("b", Some("h"), 5).await, id(5), "a lost journal");
    }
}
