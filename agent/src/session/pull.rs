//! What a pull brings: offers to take, attempts to stop, leases to renew, what to watch, questions to answer, claims to check. All of it is
//! idempotent: the same answer twice changes nothing.

use syncferry_proto::v1;
use syncferry_shared::outcome::{ATTEMPT_NOT_KNOWN, Failure};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_shared::token::AttemptToken;
use syncferry_shared::{Finding, JobId};

use super::Session;
use super::offers::{self, Verdict};
use crate::controller::{Called, Controller as _};
use crate::journal::{AttemptKey, End, JournalError, Record, Report};
use crate::wire;

impl Session {
    /// Asks for everything, and does what is new in the answer.
    pub(super) async fn pull_once(&self) -> Result<Called<()>, JournalError> {
        let request = v1::PullRequest {
            session_id: self.id.to_string(),
        };
        let all = match self.link.pull(request).await {
            Ok(all) => all,
            Err(e) => return Ok(Err(e)),
        };
        self.leases.take(&all.leases).await?;
        self.inspections.take(all.inspections);
        self.watching.take(all.watch);
        for cancel in &all.cancels {
            self.cancel(cancel).await;
        }
        for offer in &all.offers {
            self.consider(offer).await?;
        }
        for claim in &all.claims {
            if let Ok(job) = claim.job_id.parse::<JobId>() {
                self.attempts.claim_gate(job);
            }
        }
        Ok(Ok(()))
    }

    async fn consider(&self, offer: &v1::Offer) -> Result<(), JournalError> {
        let judged = offers::read(offer).and_then(|o| {
            let verdict = self.journal.read(|l| offers::judge(l, &o))?;
            Ok((o, verdict))
        });
        let (offer, verdict) = match judged {
            Ok(judged) => judged,
            Err(refusal) => {
                self.refuse(offer, &refusal);
                return Ok(());
            }
        };
        let key = AttemptKey::of(&offer.token);
        match verdict {
            Verdict::Ended => self.attempts.deliver(key),
            Verdict::Again => self.accept(key).await?,
            Verdict::Take { supersedes } => {
                for old in supersedes {
                    let why = format!("attempt {} took its place", key.attempt);
                    self.attempts.abandon(old, &why).await?;
                }
                tracing::info!(attempt = %key, mode = ?offer.mode, "accepted an offer");
                if sabotage::on(Mutant::AcceptWithoutJournal) {
                    let request = v1::AcceptRequest {
                        token: Some((&offer.token).into()),
                        session_id: self.id.to_string(),
                        journal_seq: super::signed(self.journal.last_seq()),
                    };
                    let _ = self.link.accept(request).await;
                }
                self.journal.append(offer.accepted()).await?;
                self.accept(key).await?;
            }
        }
        Ok(())
    }

    /// Tells the controller that an attempt is written down, and begins when it agrees.
    pub(super) async fn accept(&self, key: AttemptKey) -> Result<(), JournalError> {
        let Some(attempt) = self.journal.attempt(key) else {
            return Ok(());
        };
        if attempt.confirmed && self.attempts.runs(key).is_some() {
            return Ok(());
        }
        let request = v1::AcceptRequest {
            token: Some((&attempt.token).into()),
            session_id: self.id.to_string(),
            journal_seq: super::signed(self.journal.last_seq()),
        };
        match self.link.accept(request).await {
            Ok(r) if r.accepted => {
                if !attempt.confirmed {
                    self.journal.append(Record::Confirmed { attempt: key }).await?;
                }
                self.attempts.start(key);
            }
            Ok(r) => {
                tracing::info!(attempt = %key, "the offer was withdrawn: {}", r.reason);
                self.attempts.abandon(key, &format!("withdrawn: {}", r.reason)).await?;
            }
            // The offer comes again with the next pull; it must not be begun before it is confirmed.
            Err(e) => tracing::warn!(attempt = %key, "the acceptance was not confirmed: {e}"),
        }
        Ok(())
    }

    async fn cancel(&self, token: &v1::AttemptToken) {
        let Ok(token) = AttemptToken::try_from(token) else {
            return;
        };
        let key = AttemptKey::of(&token);
        match self.journal.attempt(key) {
            Some(known) if known.token != token || known.abandoned.is_some() => {}
            Some(known) if known.end.is_some() => self.attempts.deliver(key),
            Some(_) => self.attempts.cancel(key),
            None => self.not_known(&token).await,
        }
    }

    /// Says that this journal has no record of what is to be cancelled. Only what was accepted is cancelled, and what was
    /// accepted is in the journal: so the journal was lost, and nobody here can say what is left.
    async fn not_known(&self, token: &AttemptToken) {
        let failure = Failure {
            step: String::new(),
            findings: vec![
                Finding::blocker(ATTEMPT_NOT_KNOWN, "this agent's journal has no record of the job that it is to cancel")
                    .saw("the agent's journal", "no record of the attempt")
                    .source("the agent's journal")
                    .next("The journal was lost or belongs to another machine. Look at the host for what the job may have left, put it back by hand as the plan's way back says, and cancel the migration again: your reason then stands for it."),
            ],
            undone: false,
        };
        let end = End::Unknown { failure };
        let request = v1::ReportRequest {
            token: Some(token.into()),
            number: 1,
            what: Some(wire::report(&Report::End { end })),
        };
        if let Err(e) = self.link.report(request).await {
            tracing::debug!(job = %token.job, "could not say that it is not known here: {e}");
        }
    }

    fn refuse(&self, offer: &v1::Offer, refusal: &offers::Refusal) {
        let name = offer
            .token
            .as_ref()
            .map(|t| format!("{} {}", t.job_id, t.attempt))
            .unwrap_or_default();
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.insert(format!("{name} {refusal}")) {
            tracing::error!(offer = %name, "an offer was refused: {refusal}");
        }
    }
}
