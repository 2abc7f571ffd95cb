//! Attestations, in memory. The rules are the shared ones; the guards are those of the other engines' triggers.

use std::sync::Arc;

use async_trait::async_trait;
use syncferry_shared::AttestationId;
use syncferry_shared::lease::Resource;
use syncferry_store::attestations::MOST_VALID_MS;
use syncferry_store::{
    Attestation, AttestationState, Attestations, Cause, LeaseResult, NewAttestation, Result, lease_rules,
};

use crate::tx::MemoryTx;

#[async_trait]
impl Attestations for MemoryTx {
    async fn add_attestation(&mut self, new: &NewAttestation) -> LeaseResult<Attestation> {
        let lease = self.known_lease(&new.resource)?;
        let waiting = self.waiting_attestation(&new.resource).await?;
        lease_rules::first_word(&lease, new.epoch, &new.first, waiting.as_ref(), self.now)?;
        if !(0..=MOST_VALID_MS).contains(&new.valid_ms) {
            let why = "a word is good for a quarter of an hour at most";
            return Err(self.fail(Cause::Guard(why.into())).into());
        }
        if [&new.server, &new.reason, &new.ticket]
            .iter()
            .any(|t| t.trim().is_empty())
        {
            let why = "a word names the server, the reason and the ticket";
            return Err(self.fail(Cause::Guard(why.into())).into());
        }
        let row = Attestation {
            id: new.id,
            resource: new.resource.clone(),
            epoch: new.epoch,
            purpose: new.purpose,
            server: new.server.clone(),
            reason: new.reason.clone(),
            ticket: new.ticket.clone(),
            first: new.first.clone(),
            second: None,
            state: AttestationState::Waiting,
            given_at: self.now,
            valid_until: self.now.plus(new.valid_ms),
            confirmed_at: None,
        };
        let all = Arc::make_mut(&mut self.change()?.attestations);
        if let Some(waiting) = waiting.and_then(|w| all.get_mut(&w.id)) {
            waiting.state = AttestationState::Lapsed;
        }
        all.insert(new.id, row.clone());
        Ok(row)
    }

    async fn waiting_attestation(&mut self, resource: &Resource) -> Result<Option<Attestation>> {
        let waits = |a: &&Attestation| a.resource == *resource && a.state == AttestationState::Waiting;
        Ok(self.data.attestations.values().find(waits).cloned())
    }

    async fn confirm_attestation(&mut self, id: AttestationId, second: &str) -> LeaseResult<Attestation> {
        let found = self.data.attestations.get(&id).cloned();
        let found = found.ok_or_else(|| self.missing(format!("attestation {id}")))?;
        let lease = self.known_lease(&found.resource)?;
        lease_rules::second_word(&lease, &found, second, self.now)?;
        let confirmed = Attestation {
            second: Some(second.to_string()),
            state: AttestationState::Confirmed,
            confirmed_at: Some(self.now),
            ..found
        };
        self.put(|d| &mut d.attestations, id, confirmed.clone())?;
        Ok(confirmed)
    }

    async fn attestations(&mut self, resource: &Resource) -> Result<Vec<Attestation>> {
        let of_it = self.data.attestations.values().filter(|a| a.resource == *resource);
        let mut found: Vec<Attestation> = of_it.cloned().collect();
        found.sort_by_key(|a| (a.given_at, a.id));
        Ok(found)
    }
}

impl MemoryTx {
    /// Whether two people gave their word in this very transaction: this first one, and this second one or any.
    pub(crate) fn word_was_given(
        &self,
        resource: &Resource,
        first: &str,
        second: Option<&str>,
        epoch: Option<i64>,
    ) -> bool {
        self.data.attestations.values().any(|a| {
            a.resource == *resource
                && a.state == AttestationState::Confirmed
                && a.confirmed_at == Some(self.now)
                && a.first == first
                && second.is_none_or(|s| a.second.as_deref() == Some(s))
                && epoch.is_none_or(|e| a.epoch == e)
        })
    }
}
