//! The session: the agent's life on its connection to the controller.
//!
//! Hello first, then side by side: hints (which only say "pull"), pulls (on every hint, and on a timer, so that polling alone
//! works), heartbeats, lease renewals. When a call finds nobody, or the stream of hints ends, the session says hello again
//! after a spread pause, to the next controller where there are several. What runs goes on meanwhile; after the silence limit no destructive step begins.

mod attempts;
mod backoff;
mod hello;
mod inspections;
mod leases;
mod link;
mod logs;
pub mod offers;
mod pull;
mod remote;
mod start;
mod ticket_key;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use syncferry_proto::v1;
use syncferry_shared::SessionId;
use syncferry_shared::inventory::HostFacts;
use syncferry_shared::token::AttemptToken;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use inspections::Inspect;
pub use link::Link;
pub use remote::Remote;
pub use start::open_session;
pub use ticket_key::TicketKey;

use crate::controller::{CallError, Controller};
use crate::journal::{AttemptKey, AttemptLog, Journal, JournalError};
use crate::runner::{self, Deps};
use attempts::Attempts;
use backoff::Backoff;
use hello::Rhythm;
use inspections::Inspections;
use leases::Leases;
use watching::Watching;

/// What the agent says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Our version.
    pub version: String,
    /// What we can do.
    pub capabilities: Vec<String>,
    /// Where other agents fetch artifacts, or empty.
    pub transfer_address: String,
    /// Our id from enrolment; empty where nobody checks it.
    pub agent_id: String,
    /// The key that tickets are checked with.
    pub ticket_key: TicketKey,
    /// How fast a lost controller is looked for: first pause, longest pause.
    pub reconnect: (Duration, Duration),
}

/// The session.
pub struct Session {
    id: SessionId,
    journal: Journal,
    deps: Deps,
    about: About,
    link: Arc<Link>,
    attempts: Arc<Attempts>,
    leases: Leases,
    inspections: Arc<Inspections>,
    watching: Watching,
    /// Wakes the pull.
    pull: Notify,
    /// Whether hello was answered and nothing was lost since.
    connected: watch::Sender<bool>,
    /// Refusals that were logged.
    told: Mutex<BTreeSet<String>>,
    /// What looks at open attempts said, when, and at what.
    looks: Mutex<BTreeMap<AttemptKey, (Instant, AttemptLog, v1::OpenAttempt)>>,
}

/// A journal number on the wire.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl Session {
    /// A session on an open journal. `link` is also what jobs use, as `deps.env.controller`: any answer ends a silence.
    pub fn new(id: SessionId, deps: Deps, about: About, link: Arc<Link>, inspect: Arc<dyn Inspect>) -> Arc<Self> {
        let watched: Arc<dyn Controller> = link.clone();
        Arc::new(Self {
            id,
            journal: deps.journal.clone(),
            attempts: Attempts::new(deps.clone(), Arc::clone(&watched)),
            leases: Leases::new(Arc::clone(&watched), deps.journal.clone(), id, deps.env.leases.clone()),
            watching: Watching::new(Arc::clone(&inspect), Arc::clone(&watched), id),
            inspections: Inspections::new(inspect, watched),
            deps,
            about,
            link,
            pull: Notify::new(),
            connected: watch::Sender::new(false),
            told: Mutex::new(BTreeSet::new()),
            looks: Mutex::new(BTreeMap::new()),
        })
    }

    /// Lives until `shutdown`. Stopping is like a crash: nothing is undone, everything is in the journal.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), JournalError> {
        let sweeper = tokio::spawn(Arc::clone(&self).sweep());
        let result = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = self.attempts.broken.cancelled() => Err(JournalError::Broken),
            result = self.live() => result,
        };
        sweeper.abort();
        self.connected.send_replace(false);
        self.leases.stop();
        self.watching.stop();
        self.attempts.stop().await;
        result
    }

    /// Whether the controller answered and was not lost since.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    async fn live(&self) -> Result<(), JournalError> {
        let (first, most) = self.about.reconnect;
        let mut backoff = Backoff::new(first, most, rand::random::<f64>);
        let mut rhythm = Rhythm::default();
        loop {
            let hello = self.hello_once();
            // Silence is also measured while nobody answers.
            let answered = tokio::select! {
                answered = hello => answered?,
                never = self.watch_silence(rhythm) => match never {},
            };
            let pause = match answered {
                Ok(new) => {
                    rhythm = new;
                    backoff.reset();
                    self.link.settle();
                    self.attempts.pause(false);
                    self.connected.send_replace(true);
                    tracing::info!(controller = self.link.name(), "connected to the controller");
                    self.connected_life(rhythm).await?;
                    self.connected.send_replace(false);
                    tracing::warn!(controller = self.link.name(), "lost the controller; looking for it");
                    self.next_controller(&mut backoff)
                }
                Err(e) => {
                    tracing::warn!(controller = self.link.name(), "no hello from the controller: {e}");
                    // An answer ends a silence, but not every answer is a welcome: this one every other would give as well.
                    if !e.is_passing() {
                        self.attempts.pause(true);
                        backoff.pause()
                    } else {
                        self.next_controller(&mut backoff)
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                never = self.watch_silence(rhythm) => match never {},
            }
        }
    }

    /// Turns to the next controller. How long to wait before it is asked: pauses grow only when each of them was asked.
    fn next_controller(&self, backoff: &mut Backoff) -> Duration {
        match self.link.move_on() {
            true => backoff.pause(),
            false => backoff.shortest(),
        }
    }

    /// Until a call finds nobody or the stream of hints ends.
    async fn connected_life(&self, rhythm: Rhythm) -> Result<(), JournalError> {
        // What was lost before hello is history.
        let lost = async {
            loop {
                self.link.lost.notified().await;
                // One call may fail in passing; a heartbeat decides.
                if self.heartbeat_once().await.is_err_and(|e| e.is_passing()) {
                    return;
                }
            }
        };
        tokio::select! {
            () = lost => Ok(()),
            () = self.follow_hints(rhythm) => Ok(()),
            () = self.heartbeats(rhythm) => Ok(()),
            result = self.pulls(rhythm) => result,
            never = self.watch_silence(rhythm) => match never {},
        }
    }

    /// Reads hints. Where streams do not work, this waits and tries again: polling goes on.
    async fn follow_hints(&self, rhythm: Rhythm) {
        let request = v1::SessionRequest {
            session_id: self.id.to_string(),
        };
        loop {
            match self.link.hints(request.clone()).await {
                Ok(mut hints) => {
                    while let Some(hint) = hints.recv().await {
                        tracing::debug!(reason = ?hint.reason(), "hint");
                        self.pull.notify_one();
                    }
                    // An open stream that ends usually means that the controller restarted.
                    return;
                }
                Err(e) => tracing::debug!("no stream of hints ({e}); polling"),
            }
            tokio::time::sleep(rhythm.heartbeat * 2).await;
        }
    }

    async fn pulls(&self, rhythm: Rhythm) -> Result<(), JournalError> {
        loop {
            if let Err(e) = self.pull_once().await? {
                tracing::debug!("pull failed: {e}");
                // The controller restarted and wants a hello first, or does not let us in: either way, hello says it.
                if !e.is_passing() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = self.pull.notified() => {}
                () = self.attempts.ended.notified() => {}
                () = tokio::time::sleep(rhythm.heartbeat) => {}
            }
        }
    }

    async fn heartbeats(&self, rhythm: Rhythm) {
        let mut ticks = tokio::time::interval(rhythm.heartbeat);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.heartbeat_once().await {
                Ok(()) => {}
                Err(CallError::Denied(e)) => return tracing::error!("the controller does not let this agent in: {e}"),
                // Somebody else heard it too, and asks once more.
                Err(e) => tracing::debug!("heartbeat failed: {e}"),
            }
        }
    }

    async fn heartbeat_once(&self) -> Result<(), CallError> {
        let request = v1::HeartbeatRequest {
            session_id: self.id.to_string(),
            journal_seq: signed(self.journal.last_seq()),
            progress: self.attempts.progress(),
        };
        let answer = self.link.heartbeat(request).await?;
        for stale in &answer.stale {
            let Ok(token) = AttemptToken::try_from(stale) else {
                continue;
            };
            let key = AttemptKey::of(&token);
            if self
                .journal
                .attempt(key)
                .is_some_and(|a| a.token == token && a.is_open())
                && let Err(e) = self.attempts.abandon(key, "the controller calls it stale").await
            {
                tracing::error!("{e}");
                self.attempts.broken.cancel();
            }
        }
        if answer.pull {
            self.pull.notify_one();
        }
        Ok(())
    }

    /// Lets destructive steps wait when the controller has been silent for too long. Hello ends the pause.
    async fn watch_silence(&self, rhythm: Rhythm) -> std::convert::Infallible {
        loop {
            let silent = self.link.silent_for();
            if silent >= rhythm.silence && !self.attempts.is_paused() {
                tracing::warn!(
                    seconds = silent.as_secs(),
                    "the controller is silent: destructive steps wait until it answers"
                );
                self.attempts.pause(true);
            }
            tokio::time::sleep(rhythm.silence.saturating_sub(silent).max(Duration::from_millis(100))).await;
        }
    }

    /// Puts back what ended attempts left changed, and keeps the journal short.
    async fn sweep(self: Arc<Self>) {
        loop {
            for finding in runner::sweep(&self.journal, self.deps.env.host.as_ref()).await {
                tracing::error!(rule = %finding.rule, "{} {}", finding.title, finding.next_step);
            }
            match self.journal.compact().await {
                Ok(true) => tracing::info!("the journal was written anew"),
                Ok(false) => {}
                Err(e) => tracing::error!("the journal could not be written anew: {e}"),
            }
            tokio::time::sleep(Duration::from_secs(300)).await;
        }
    }

    async fn host_facts(&self) -> HostFacts {
        let env = &self.deps.env;
        let mut facts = env.host.facts().await.unwrap_or_else(|e| {
            tracing::error!("this machine's facts cannot be read: {e}");
            HostFacts::default()
        });
        facts.staging_dir = env.staging_dir.clone();
        facts.staging_free = env.host.free_space(&env.staging_dir).await.ok();
        facts
    }
}

#[cfg(test)]
mod tests;
