//! The watch: one loop that looks as often as the controller asks and tells it what was seen. A report that does not arrive is
//! not sent again; the next look says what holds then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use syncferry_proto::{millis_of_duration, schema, v1};
use syncferry_shared::SessionId;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::inspections::Inspect;
use crate::controller::Controller;

/// How often, where the controller does not say.
const EVERY: Duration = Duration::from_secs(15);
/// How long a look may take: an instance that does not answer must not silence the rest for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// What is being watched.
pub(crate) struct Watching {
    inspect: Arc<dyn Inspect>,
    controller: Arc<dyn Controller>,
    session: SessionId,
    running: Mutex<Option<(v1::WatchDuty, AbortHandle)>>,
}

impl Watching {
    /// Nothing yet.
    pub(crate) fn new(inspect: Arc<dyn Inspect>, controller: Arc<dyn Controller>, session: SessionId) -> Self {
        Self {
            inspect,
            controller,
            session,
            running: Mutex::new(None),
        }
    }

    /// Watches exactly this from now on.
    pub(crate) fn take(&self, duty: Option<v1::WatchDuty>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().map(|(duty, _)| duty) == duty.as_ref() {
            return;
        }
        if let Some((_, task)) = running.take() {
            task.abort();
        }
        *running = duty.map(|duty| {
            tracing::info!(databases = duty.databases.len(), connect = duty.connect, "watching");
            let watch = Watch {
                inspect: Arc::clone(&self.inspect),
                controller: Arc::clone(&self.controller),
                session: self.session,
                duty: duty.clone(),
            };
            (duty, tokio::spawn(watch.run()).abort_handle())
        });
    }

    /// Watches nothing any more.
    pub(crate) fn stop(&self) {
        self.take(None);
    }
}

struct Watch {
    inspect: Arc<dyn Inspect>,
    controller: Arc<dyn Controller>,
    session: SessionId,
    duty: v1::WatchDuty,
}

impl Watch {
    async fn run(self) {
        let asked = self.duty.every.as_ref().map(millis_of_duration);
        let asked = asked.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
        let every = asked.map_or(EVERY, Duration::from_millis);
        loop {
            let began = Instant::now();
            match tokio::time::timeout(LIMIT, self.inspect.watch(&self.duty)).await {
                Ok(report) => {
                    let request = v1::ReportWatchRequest {
                        session_id: self.session.to_string(),
                        report: Some(v1::Document::of(schema::WATCH, &report)),
                    };
                    if let Err(e) = self.controller.report_watch(request).await {
                        tracing::debug!("what was watched was not taken: {e}");
                    }
                }
                Err(_) => tracing::warn!("watching took longer than {} s; looking again", LIMIT.as_secs()),
            }
            tokio::time::sleep_until(began + every).await;
        }
    }
}
