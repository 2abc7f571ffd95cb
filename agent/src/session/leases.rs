//! Leases that this agent renews. Validity runs on the monotonic clock from before the request was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use syncferry_proto::{millis_of_duration, v1};
use syncferry_shared::SessionId;
use syncferry_shared::lease::Resource;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::controller::Controller;
use crate::journal::{Journal, JournalError, Record};
use crate::runner::LeaseBook;

/// How long before its end a lease is not counted on any more, as a part of its life.
const MARGIN_PARTS: u32 = 6;

/// The leases.
pub(crate) struct Leases {
    controller: Arc<dyn Controller>,
    journal: Journal,
    session: SessionId,
    book: LeaseBook,
    duties: Mutex<BTreeMap<(Resource, i64), AbortHandle>>,
}

impl Leases {
    /// No leases yet.
    pub(crate) fn new(controller: Arc<dyn Controller>, journal: Journal, session: SessionId, book: LeaseBook) -> Self {
        Self {
            controller,
            journal,
            session,
            book,
            duties: Mutex::new(BTreeMap::new()),
        }
    }

    /// Renews exactly these from now on.
    pub(crate) async fn take(&self, duties: &[v1::LeaseDuty]) -> Result<(), JournalError> {
        let wanted: BTreeMap<_, _> = duties
            .iter()
            .map(|d| ((Resource(d.resource.clone()), d.epoch), d))
            .collect();
        for (resource, epoch) in wanted.keys() {
            self.see(resource, *epoch).await?;
        }
        let mut known = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, task| {
            let keep = wanted.contains_key(key);
            if !keep {
                tracing::info!(resource = %key.0, epoch = key.1, "no longer renewing this lease");
                task.abort();
                self.book.forget(&key.0, key.1);
            }
            keep
        });
        for (key, duty) in wanted {
            known.entry(key.clone()).or_insert_with(|| self.begin(key, duty));
        }
        Ok(())
    }

    /// Stops renewing.
    pub(crate) fn stop(&self) {
        let mut known = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        for task in std::mem::take(&mut *known).into_values() {
            task.abort();
        }
    }

    async fn see(&self, resource: &Resource, epoch: i64) -> Result<(), JournalError> {
        let resource = resource.clone();
        let record = move |ledger: &crate::journal::Ledger| {
            let higher = ledger.epochs.get(&resource).is_none_or(|seen| epoch > *seen);
            higher.then_some(Record::Seen {
                resource: Some(resource),
                epoch,
                incarnation: ledger.incarnation,
            })
        };
        self.journal.append_with(record).await.map(|_| ())
    }

    fn begin(&self, (resource, epoch): (Resource, i64), duty: &v1::LeaseDuty) -> AbortHandle {
        tracing::info!(%resource, epoch, "renewing this lease");
        let renewal = Renewal {
            controller: Arc::clone(&self.controller),
            request: v1::RenewLeaseRequest {
                resource: resource.0.clone(),
                epoch,
                session_id: self.session.to_string(),
            },
            every: span(duty.renew_every.as_ref(), Duration::from_secs(20)),
            resource,
            book: self.book.clone(),
        };
        tokio::spawn(renewal.run()).abort_handle()
    }
}

fn span(duration: Option<&prost_types::Duration>, otherwise: Duration) -> Duration {
    let ms = duration.map(millis_of_duration).and_then(|ms| u64::try_from(ms).ok());
    ms.filter(|ms| *ms > 0).map_or(otherwise, Duration::from_millis)
}

struct Renewal {
    controller: Arc<dyn Controller>,
    request: v1::RenewLeaseRequest,
    resource: Resource,
    every: Duration,
    book: LeaseBook,
}

impl Renewal {
    async fn run(self) {
        let mut refused = false;
        loop {
            let sent = Instant::now();
            let answer = self.controller.renew_lease(self.request.clone()).await;
            let pause = match answer {
                Ok(r) if r.renewed => {
                    refused = false;
                    let valid = span(r.valid_for.as_ref(), Duration::ZERO);
                    self.good_until(sent + valid - valid / MARGIN_PARTS);
                    self.every
                }
                Ok(r) => {
                    self.good_until(sent);
                    if !std::mem::replace(&mut refused, true) {
                        tracing::error!(resource = %self.resource, epoch = self.request.epoch,
                            "the lease was not renewed: {}", r.reason);
                    }
                    self.every
                }
                // Nobody answered: try again soon, while there is time.
                Err(e) => {
                    tracing::debug!(resource = %self.resource, "the lease could not be renewed: {e}");
                    self.every / 4
                }
            };
            tokio::time::sleep_until(sent + pause).await;
        }
    }

    fn good_until(&self, until: Instant) {
        self.book.set(&self.resource, self.request.epoch, until);
    }
}
