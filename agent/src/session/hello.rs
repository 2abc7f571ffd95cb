//! Hello: who is there, what is open, and what to do about it. Nothing that a process before this one began goes on without
//! the controller's order.

use std::sync::PoisonError;
use std::time::Duration;

use syncferry_proto::{millis_of_duration, schema, v1};
use syncferry_shared::token::AttemptToken;
use tokio::time::Instant;

use super::{Session, signed};
use crate::controller::{Called, Controller as _};
use crate::journal::{AttemptKey, AttemptLog, JournalError, Record};
use crate::runner;

/// How long the controller is given where it does not say.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// For how long a look at an attempt that nobody touches is good.
const LOOK_KEEPS: Duration = Duration::from_secs(60);

/// What the controller set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Between heartbeats, and between pulls that no hint asked for.
    pub(super) heartbeat: Duration,
    /// After how much silence destructive steps wait.
    pub(super) silence: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            silence: HEARTBEAT * 6,
        }
    }
}

impl Session {
    /// Says hello once, and follows the orders.
    pub(super) async fn hello_once(&self) -> Result<Called<Rhythm>, JournalError> {
        let request = self.introduction().await;
        let answer = match self.link.hello(request).await {
            Ok(answer) => answer,
            Err(e) => return Ok(Err(e)),
        };
        if !self.about.agent_id.is_empty() && answer.agent_id != self.about.agent_id {
            tracing::error!(
                ours = %self.about.agent_id, theirs = %answer.agent_id,
                "the controller takes this agent for another one; check the data directory"
            );
        }
        self.see_incarnation(answer.incarnation).await?;
        if let Ok(key) = self.about.ticket_key.set_from(&answer.ticket_key) {
            tracing::debug!(key, "tickets are checked with the controller's key");
        }
        for order in &answer.orders {
            self.follow(order).await?;
        }
        // Reports of attempts that ended in an earlier process, or that were not taken yet.
        let unreported: Vec<AttemptKey> = self.journal.read(|l| l.unreported().map(AttemptLog::key).collect());
        for key in unreported {
            self.attempts.deliver(key);
        }
        Ok(Ok(rhythm(&answer)))
    }

    async fn introduction(&self) -> v1::HelloRequest {
        let facts = self.host_facts().await;
        let (epochs, incarnation, open) = self.journal.read(|l| {
            let epochs = l.epochs.iter().map(|(r, e)| (r.0.clone(), *e)).collect();
            let open = l.attempts.values().filter(|a| !a.is_settled());
            let open: Vec<AttemptLog> = open.cloned().collect();
            (epochs, l.incarnation, open)
        });
        v1::HelloRequest {
            agent_version: self.about.version.clone(),
            capabilities: self.about.capabilities.clone(),
            session_id: self.id.to_string(),
            journal_seq: signed(self.journal.last_seq()),
            highest_epochs: epochs,
            highest_incarnation: incarnation,
            open_attempts: self.look_at(open).await,
            transfer_address: self.about.transfer_address.clone(),
            computer_name: facts.computer_name.clone(),
            host_facts: Some(v1::Document::of(schema::HOST_FACTS, &facts)),
        }
    }

    /// Looks at every attempt without an acknowledged end; what runs here is simply running. An attempt that waits because nobody could tell what
    /// happened is only presented when a look now says something: presenting it asks for an order to go on.
    async fn look_at(&self, open: Vec<AttemptLog>) -> Vec<v1::OpenAttempt> {
        let mut seen = Vec::with_capacity(open.len());
        for attempt in open {
            seen.push(match self.attempts.runs(attempt.key()) {
                Some(progress) => v1::OpenAttempt {
                    token: Some((&attempt.token).into()),
                    step: progress.step,
                    probe: v1::ProbeResult::InProgress.into(),
                    detail: progress.message,
                },
                None if attempt.end.is_some() => v1::OpenAttempt {
                    token: Some((&attempt.token).into()),
                    step: String::new(),
                    probe: v1::ProbeResult::Done.into(),
                    detail: "it ended, and its report is on its way".into(),
                },
                None => {
                    let looked = self.look_again(&attempt).await;
                    if attempt.parked && attempt.unacked.is_empty() && !is_clear(looked.probe()) {
                        continue;
                    }
                    looked
                }
            });
        }
        seen
    }

    /// A look at an attempt; not more often than needed, because looking may read a whole backup file, and hello is tried
    /// again and again while the controller is away.
    async fn look_again(&self, attempt: &AttemptLog) -> v1::OpenAttempt {
        let key = attempt.key();
        let known = self
            .looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some((when, of, looked)) = known
            && when.elapsed() < LOOK_KEEPS
            && of == *attempt
        {
            return looked;
        }
        let looked = runner::look(&self.deps, attempt).await;
        let entry = (Instant::now(), attempt.clone(), looked.clone());
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|k, _| {
            *k == key
                || self
                    .journal
                    .read(|l| l.attempts.get(k).is_some_and(AttemptLog::is_open))
        });
        looks.insert(key, entry);
        looked
    }

    async fn follow(&self, order: &v1::AttemptOrder) -> Result<(), JournalError> {
        let Some(Ok(token)) = order.token.as_ref().map(AttemptToken::try_from) else {
            return Ok(());
        };
        let key = AttemptKey::of(&token);
        let Some(attempt) = self.journal.attempt(key).filter(|a| a.token == token) else {
            return Ok(());
        };
        if attempt.is_settled() {
            return Ok(());
        }
        tracing::info!(attempt = %key, order = ?order.order(), "the controller's order");
        match order.order() {
            v1::Order::Unspecified => {}
            v1::Order::Abandon => self.attempts.abandon(key, "the controller said so").await?,
            _ if attempt.end.is_some() => self.attempts.deliver(key),
            v1::Order::Cancel => self.attempts.cancel(key),
            // The controller does not know yet that nobody can tell; it hears so first.
            v1::Order::Continue if attempt.parked && !attempt.unacked.is_empty() => self.attempts.deliver(key),
            v1::Order::Continue if attempt.confirmed => self.attempts.start(key),
            v1::Order::Continue => self.accept(key).await?,
        }
        Ok(())
    }

    async fn see_incarnation(&self, incarnation: i64) -> Result<(), JournalError> {
        let record = move |ledger: &crate::journal::Ledger| {
            (incarnation > ledger.incarnation).then_some(Record::Seen {
                resource: None,
                epoch: 0,
                incarnation,
            })
        };
        self.journal.append_with(record).await.map(|_| ())
    }
}

/// Whether a look at an attempt said something that can be acted upon.
fn is_clear(seen: v1::ProbeResult) -> bool {
    !matches!(
        seen,
        v1::ProbeResult::Unknown | v1::ProbeResult::Partial | v1::ProbeResult::Unspecified
    )
}

fn rhythm(answer: &v1::HelloResponse) -> Rhythm {
    let span = |d: Option<&prost_types::Duration>| {
        let ms = d.map(millis_of_duration).and_then(|ms| u64::try_from(ms).ok());
        ms.filter(|ms| *ms > 0).map(Duration::from_millis)
    };
    let heartbeat = span(answer.heartbeat_interval.as_ref()).unwrap_or(HEARTBEAT);
    Rhythm {
        heartbeat,
        silence: span(answer.silence_limit.as_ref()).unwrap_or(heartbeat * 6),
    }
}
