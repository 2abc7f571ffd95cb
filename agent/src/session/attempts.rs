//! The attempts that this process works on: which run, which are only being reported, and the handles that steer them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use syncferry_proto::v1;
use syncferry_shared::progress::Progress;
use syncferry_shared::token::AttemptToken;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::logs;
use crate::controller::Controller;
use crate::journal::{AttemptKey, Journal, JournalError, Record};
use crate::runner::{Controls, Delivered, Deps, Ended, deliver, run};

/// What runs.
pub(crate) struct Attempts {
    deps: Deps,
    controller: Arc<dyn Controller>,
    live: Mutex<BTreeMap<AttemptKey, Live>>,
    paused: watch::Sender<bool>,
    /// Told when an attempt ended: there may be more work.
    pub(crate) ended: Notify,
    /// Fires when the journal cannot be written any more: the agent must stop.
    pub(crate) broken: CancellationToken,
    tasks: TaskTracker,
}

struct Live {
    controls: Controls,
    token: AttemptToken,
    running: bool,
    delivering: bool,
}

impl Attempts {
    /// Nothing runs yet.
    pub(crate) fn new(deps: Deps, controller: Arc<dyn Controller>) -> Arc<Self> {
        Arc::new(Self {
            deps,
            controller,
            live: Mutex::new(BTreeMap::new()),
            paused: watch::Sender::new(false),
            ended: Notify::new(),
            broken: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    fn journal(&self) -> &Journal {
        &self.deps.journal
    }

    /// Begins or goes on with an open attempt, unless it runs already.
    pub(crate) fn start(self: &Arc<Self>, key: AttemptKey) {
        let Some(controls) = self.claim(key, |live| !std::mem::replace(&mut live.running, true)) else {
            return;
        };
        self.deliver(key);
        let me = Arc::clone(self);
        self.tasks.spawn(async move {
            let (log, lines) = mpsc::unbounded_channel();
            let base = me.journal().last_seq();
            let shipping = logs::ship(
                Arc::clone(&me.controller),
                me.token(key),
                base,
                lines,
                controls.abandon.clone(),
            );
            let running = run(&me.deps, key, controls.clone(), log);
            // The log's channel closes with the run, and what is left of it is shipped.
            let (ended, ()) = tokio::join!(running, shipping);
            if let Ended::Broken(e) = ended {
                me.give_out(key, &e);
            }
            me.settle(key, |live| live.running = false);
        });
    }

    /// Delivers an attempt's reports, unless that is being done already.
    pub(crate) fn deliver(self: &Arc<Self>, key: AttemptKey) {
        let Some(controls) = self.claim(key, |live| !std::mem::replace(&mut live.delivering, true)) else {
            return;
        };
        let me = Arc::clone(self);
        self.tasks.spawn(async move {
            let controller = Arc::clone(&me.controller);
            let delivered = deliver(me.journal().clone(), controller, key, controls, me.deps.env.pace).await;
            if let Delivered::Broken(e) = delivered {
                me.give_out(key, &e);
            }
            me.settle(key, |live| live.delivering = false);
            me.ended.notify_one();
        });
    }

    /// Asks an attempt to stop at the next safe point and to put everything back.
    pub(crate) fn cancel(self: &Arc<Self>, key: AttemptKey) {
        if let Some(controls) = self.claim(key, |_| true) {
            controls.cancel.cancel();
        }
        self.start(key);
    }

    /// Gives an attempt up: it stops at once, and nothing of it is touched again.
    pub(crate) async fn abandon(&self, key: AttemptKey, why: &str) -> Result<(), JournalError> {
        if let Some(live) = self.lock().get(&key) {
            live.controls.abandon.cancel();
        }
        let why = why.to_string();
        let record = move |ledger: &crate::journal::Ledger| {
            let attempt = ledger.attempts.get(&key)?;
            attempt
                .abandoned
                .is_none()
                .then_some(Record::Abandoned { attempt: key, why })
        };
        self.journal().append_with(record).await?;
        Ok(())
    }

    /// Tells an attempt that a person claims to be done at its gate.
    pub(crate) fn claim_gate(&self, job: syncferry_shared::JobId) {
        let live = self.lock();
        for (_, live) in live.iter().filter(|(k, l)| k.job == job && l.running) {
            live.controls.claims.notify_one();
        }
    }

    /// No destructive step begins while this is on.
    pub(crate) fn pause(&self, on: bool) {
        self.paused
            .send_if_modified(|paused| std::mem::replace(paused, on) != on);
    }

    /// Whether destructive steps wait.
    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Whether the attempt runs in this process.
    pub(crate) fn runs(&self, key: AttemptKey) -> Option<Progress> {
        let live = self.lock();
        let live = live.get(&key).filter(|l| l.running)?;
        Some(live.controls.progress.borrow().clone())
    }

    /// How far everything is that is open here.
    pub(crate) fn progress(&self) -> Vec<v1::AttemptProgress> {
        let open = self.journal().read(|l| {
            let open = l.open_attempts();
            open.map(|a| (a.key(), v1::AttemptToken::from(&a.token)))
                .collect::<Vec<_>>()
        });
        let waiting = || Progress {
            message: "waiting for the controller's order".into(),
            ..Progress::default()
        };
        let progress = |key| Some(v1::Progress::from(&self.runs(key).unwrap_or_else(waiting)));
        open.into_iter()
            .map(|(key, token)| v1::AttemptProgress {
                token: Some(token),
                progress: progress(key),
            })
            .collect()
    }

    /// Stops everything without touching anything, as a crash would, and waits until it stopped.
    pub(crate) async fn stop(&self) {
        for live in self.lock().values() {
            live.controls.abandon.cancel();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn give_out(&self, key: AttemptKey, error: &JournalError) {
        if !self.journal().is_fault(key, error) {
            tracing::info!(attempt = %key, "it was given up while it wrote: {error}");
            return;
        }
        tracing::error!("the agent stops: {error}");
        self.broken.cancel();
    }

    fn token(&self, key: AttemptKey) -> Option<AttemptToken> {
        self.lock().get(&key).map(|l| l.token.clone())
    }

    /// The handles of an attempt, made when there are none, if `take` wants them.
    fn claim(&self, key: AttemptKey, take: impl FnOnce(&mut Live) -> bool) -> Option<Controls> {
        if self.tasks.is_closed() {
            return None;
        }
        let attempt = self.journal().attempt(key)?;
        let mut all = self.lock();
        let live = all.entry(key).or_insert_with(|| Live {
            controls: Controls::new(self.paused.subscribe()),
            token: attempt.token,
            running: false,
            delivering: false,
        });
        take(live).then(|| live.controls.clone())
    }

    fn settle(&self, key: AttemptKey, change: impl FnOnce(&mut Live)) {
        let mut all = self.lock();
        if let Some(live) = all.get_mut(&key) {
            change(live);
            if !live.running && !live.delivering {
                all.remove(&key);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptKey, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
