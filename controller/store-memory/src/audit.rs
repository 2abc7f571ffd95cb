//! The audit, in memory: the questions of the other engines' queries, asked of the maps.

use std::collections::BTreeSet;

use async_trait::async_trait;
use syncferry_shared::Millis;
use syncferry_shared::event::verify_chain;
use syncferry_shared::lease::{Lease, LeaseEvent, LeaseState, ProofKind, Resource};
use syncferry_store::{Attempt, Audit, AuditFinding, LeaseChange, Result};

use crate::tx::MemoryTx;

#[async_trait]
impl Audit for MemoryTx {
    async fn audit(&mut self) -> Result<Vec<AuditFinding>> {
        let mut findings = Vec::new();
        for lease in self.data.leases.values() {
            let history = self.data.history.get(&lease.resource).map_or(&[][..], Vec::as_slice);
            self.audit_lease(lease, history, &mut findings);
        }
        let mut holders = BTreeSet::new();
        for lease in self.data.leases.values().filter(|l| is_occupied(l)) {
            if !holders.insert((lease.holder, lease.kind.as_str())) {
                tell(
                    &mut findings,
                    "one-holder",
                    &lease.resource.0,
                    "its holder holds another of its kind",
                );
            }
        }
        for proof in self.data.proofs.values().flatten() {
            let both = (Some(proof.actor.as_str()), proof.second.as_deref());
            if proof.kind == ProofKind::OperatorAttested && !self.word_at(&proof.resource, proof.at, both) {
                tell(
                    &mut findings,
                    "I12",
                    &proof.resource.0,
                    "the word of two people was not given in its time",
                );
            }
        }
        for (job, attempts) in self.data.attempts.iter() {
            if attempts.iter().filter(|a| Attempt::is_open(a)).count() > 1 {
                tell(
                    &mut findings,
                    "one-attempt",
                    &job.to_string(),
                    "several attempts are open",
                );
            }
        }
        for ((kind, id), events) in self.data.events.iter() {
            if let Err(broken) = verify_chain(events) {
                tell(&mut findings, "chain", &format!("{kind} {id}"), &broken.to_string());
            }
        }
        Ok(findings)
    }
}

impl MemoryTx {
    /// Whether these two people, or this one and another, gave their word at that instant.
    fn word_at(&self, resource: &Resource, at: Millis, (first, second): (Option<&str>, Option<&str>)) -> bool {
        self.data.attestations.values().any(|a| {
            a.resource == *resource
                && a.confirmed_at == Some(at)
                && at <= a.valid_until
                && first == Some(a.first.as_str())
                && a.second
                    .as_deref()
                    .is_some_and(|s| s != a.first && second.is_none_or(|w| w == s))
        })
    }

    fn audit_lease(&self, lease: &Lease, history: &[LeaseChange], findings: &mut Vec<AuditFinding>) {
        let mut told = |invariant, found: String| tell(findings, invariant, &lease.resource.0, &found);
        let mut granted = BTreeSet::new();
        for (n, change) in history.iter().enumerate() {
            let number = change.row_version;
            let needs_proof = match change.event {
                Some(LeaseEvent::Acquire) => Some(change.epoch - 1),
                Some(LeaseEvent::Release | LeaseEvent::EndFence) => Some(change.epoch),
                _ => None,
            };
            if needs_proof.is_some_and(|epoch| !self.has_proof(&lease.resource, epoch)) {
                told("I3", format!("change {number} has no proof"));
            }
            let first = (Some(change.actor.as_str()), None);
            if change.event == Some(LeaseEvent::BreakGlass) && !self.word_at(&lease.resource, change.at, first) {
                told(
                    "I12",
                    format!("change {number} broke the glass without the word of two people"),
                );
            }
            if change.event == Some(LeaseEvent::Acquire) && !granted.insert(change.epoch) {
                told("I6", format!("epoch {} was granted twice", change.epoch));
            }
            if (change.from, change.to) == (LeaseState::Lost, LeaseState::Free) {
                told("I8", format!("change {number} went from lost to free"));
            }
            let allowed = |(f, _, t): &(LeaseState, LeaseEvent, LeaseState)| (*f, *t) == (change.from, change.to);
            if n > 0 && !LeaseState::TABLE.iter().any(allowed) {
                told(
                    "transition",
                    format!("change {number} went from {} to {}", change.from, change.to),
                );
            }
            let Some(before) = n.checked_sub(1).map(|b| &history[b]) else {
                continue;
            };
            if change.epoch < before.epoch {
                told(
                    "I4",
                    format!("change {number} has epoch {} after {}", change.epoch, before.epoch),
                );
            }
            if number != before.row_version + 1 || change.from != before.to {
                told("I5", format!("change {number} does not follow from the one before"));
            }
        }
        let end = history.last().map(|c| (c.row_version, c.to, c.epoch));
        if end != Some((lease.row_version, lease.state, lease.epoch)) {
            told("I5", "the row is not where its history ends".into());
        }
        if lease.fenced_epoch > lease.epoch {
            told("I4", "its proven epoch is above its epoch".into());
        }
    }
}

fn is_occupied(lease: &Lease) -> bool {
    matches!(lease.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost)
}

fn tell(findings: &mut Vec<AuditFinding>, invariant: &'static str, subject: &str, found: &str) {
    findings.push(AuditFinding {
        invariant,
        subject: subject.to_string(),
        found: found.to_string(),
    });
}
