//! Locks: application locks, tables and parts of a catalogue that a transaction has changed. Who waits for whom is
//! known, so that a cycle is answered with 1205 instead of a hang.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::types::Cancel;

/// What can be locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// A table: database, object.
    Table(i32, i32),
    /// A part of a database's catalogue.
    Part(i32, Part),
    /// `sp_getapplock`: database, principal, name (compared bytewise).
    App(i32, String, String),
}

/// Parts of a catalogue that a transaction changes as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The list of tables and procedures.
    Schema,
    /// Users, roles and permissions.
    Principals,
    /// Extended properties.
    Properties,
}

/// Lock modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// IS.
    IntentShared,
    /// S.
    Shared,
    /// U.
    Update,
    /// IX.
    IntentExclusive,
    /// X.
    Exclusive,
}

impl Mode {
    /// As `sp_getapplock` names it.
    pub(super) fn from_name(name: &str) -> Option<Mode> {
        Some(match name.to_ascii_lowercase().as_str() {
            "shared" => Mode::Shared,
            "update" => Mode::Update,
            "exclusive" => Mode::Exclusive,
            "intentshared" => Mode::IntentShared,
            "intentexclusive" => Mode::IntentExclusive,
            _ => return None,
        })
    }

    /// As `sys.dm_tran_locks` names it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Mode::IntentShared => "IS",
            Mode::Shared => "S",
            Mode::Update => "U",
            Mode::IntentExclusive => "IX",
            Mode::Exclusive => "X",
        }
    }

    /// As `APPLOCK_MODE` names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mode::IntentShared => "IntentShared",
            Mode::Shared => "Shared",
            Mode::Update => "Update",
            Mode::IntentExclusive => "IntentExclusive",
            Mode::Exclusive => "Exclusive",
        }
    }

    fn compatible(self, other: Mode) -> bool {
        use Mode::{Exclusive, IntentExclusive, IntentShared, Shared, Update};
        match (self, other) {
            (Exclusive, _) | (_, Exclusive) => false,
            (IntentShared, _) | (_, IntentShared) => true,
            (Shared, Shared | Update) | (Update, Shared) | (IntentExclusive, IntentExclusive) => true,
            _ => false,
        }
    }

    fn strength(self) -> u8 {
        match self {
            Mode::IntentShared => 0,
            Mode::Shared => 1,
            Mode::IntentExclusive => 2,
            Mode::Update => 3,
            Mode::Exclusive => 4,
        }
    }
}

/// Who holds a lock: the session until it releases or ends, or its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// `@LockOwner = 'Session'`.
    Session,
    /// `@LockOwner = 'Transaction'`.
    Transaction,
}

/// A held lock, for `sys.dm_tran_locks`.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// What.
    pub resource: Resource,
    /// Whose.
    pub session: u16,
    /// Session or transaction.
    pub owner: Owner,
    /// How.
    pub mode: Mode,
    /// How often.
    pub count: u32,
    /// GRANT or WAIT.
    pub granted: bool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// At once.
    Granted,
    /// After waiting.
    GrantedAfterWait,
    /// -1.
    Timeout,
    /// -2.
    Cancelled,
    /// -3.
    Deadlock,
}

#[cfg(test)]
impl Outcome {
    /// Whether the lock is held now.
    pub(super) fn granted(self) -> bool {
        matches!(self, Outcome::Granted | Outcome::GrantedAfterWait)
    }
}

#[derive(Debug, Default)]
struct State {
    held: Vec<Held>,
}

/// All locks of the instance.
#[derive(Debug, Default)]
pub(super) struct Locks {
    state: Mutex<State>,
    changed: Notify,
}

/// A request for a lock.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// By whom.
    pub session: u16,
    /// For what.
    pub resource: Resource,
    /// How.
    pub mode: Mode,
    /// For whom.
    pub owner: Owner,
    /// None waits for ever.
    pub timeout: Option<Duration>,
}

impl State {
    fn blockers(&self, session: u16, resource: &Resource, mode: Mode) -> Vec<u16> {
        let same = self
            .held
            .iter()
            .filter(|h| h.granted && h.session != session && h.resource == *resource);
        same.filter(|h| !h.mode.compatible(mode)).map(|h| h.session).collect()
    }

    fn grant(&mut self, request: &Request) {
        let own = self.held.iter_mut().find(|h| {
            h.granted && h.session == request.session && h.resource == request.resource && h.owner == request.owner
        });
        match own {
            Some(held) => {
                held.count += 1;
                if request.mode.strength() > held.mode.strength() {
                    held.mode = request.mode;
                }
            }
            None => self.held.push(request.held(true)),
        }
    }

    /// Whether `from` waits, over any number of others, for itself.
    fn in_cycle(&self, from: u16) -> bool {
        let mut seen = Vec::new();
        let mut open = vec![from];
        while let Some(session) = open.pop() {
            let waits = self.held.iter().filter(|h| !h.granted && h.session == session);
            for wait in waits {
                for blocker in self.blockers(session, &wait.resource, wait.mode) {
                    if blocker == from {
                        return true;
                    }
                    if !seen.contains(&blocker) {
                        seen.push(blocker);
                        open.push(blocker);
                    }
                }
            }
        }
        false
    }
}

impl Request {
    fn held(&self, granted: bool) -> Held {
        Held {
            resource: self.resource.clone(),
            session: self.session,
            owner: self.owner,
            mode: self.mode,
            count: 1,
            granted,
        }
    }
}

impl Locks {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes a lock, waiting for it if need be.
    pub(super) async fn acquire(&self, request: Request, cancel: &Cancel) -> Outcome {
        let deadline = request.timeout.map(|t| Instant::now() + t);
        {
            let mut state = self.state();
            if state
                .blockers(request.session, &request.resource, request.mode)
                .is_empty()
            {
                state.grant(&request);
                return Outcome::Granted;
            }
            if request.timeout == Some(Duration::ZERO) {
                return Outcome::Timeout;
            }
            state.held.push(request.held(false));
            if state.in_cycle(request.session) {
                Self::stop_waiting(&mut state, request.session);
                return Outcome::Deadlock;
            }
        }
        let outcome = self.wait(&request, deadline, cancel).await;
        Self::stop_waiting(&mut self.state(), request.session);
        self.changed.notify_waiters();
        outcome
    }

    async fn wait(&self, request: &Request, deadline: Option<Instant>, cancel: &Cancel) -> Outcome {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a release between look and wait is not missed.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state
                    .blockers(request.session, &request.resource, request.mode)
                    .is_empty()
                {
                    state.grant(request);
                    return Outcome::GrantedAfterWait;
                }
            }
            if cancel.is_cancelled() {
                return Outcome::Cancelled;
            }
            let now = Instant::now();
            if deadline.is_some_and(|d| d <= now) {
                return Outcome::Timeout;
            }
            // Cancel is a flag without a wake-up: look at it often.
            let next = deadline.map_or(now + Duration::from_millis(20), |d| {
                d.min(now + Duration::from_millis(20))
            });
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    fn stop_waiting(state: &mut State, session: u16) {
        state.held.retain(|h| h.granted || h.session != session);
    }

    /// Gives a lock back once. False when it was not held.
    pub(super) fn release(&self, session: u16, resource: &Resource, owner: Owner) -> bool {
        let mut state = self.state();
        let at = state
            .held
            .iter()
            .position(|h| h.granted && h.session == session && h.resource == *resource && h.owner == owner);
        let Some(at) = at else { return false };
        state.held[at].count -= 1;
        if state.held[at].count == 0 {
            state.held.remove(at);
        }
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// A transaction ended.
    pub(super) fn release_transaction(&self, session: u16) {
        self.release_where(|h| h.session == session && h.owner == Owner::Transaction);
    }

    /// A session ended, or was reset.
    pub(super) fn release_session(&self, session: u16) {
        self.release_where(|h| h.session == session);
    }

    fn release_where(&self, gone: impl Fn(&Held) -> bool) {
        self.state().held.retain(|h| !gone(h));
        self.changed.notify_waiters();
    }

    /// Everything held and waited for.
    pub(super) fn list(&self) -> Vec<Held> {
        self.state().held.clone()
    }

    /// Whether a session waits, and for whom.
    pub(super) fn blocked_by(&self, session: u16) -> Option<u16> {
        let state = self.state();
        let wait = state.held.iter().find(|h| !h.granted && h.session == session)?;
        state.blockers(session, &wait.resource, wait.mode).first().copied()
    }

    /// Whether a lock of this mode would be granted at once (`APPLOCK_TEST`).
    pub(super) fn would_grant(&self, session: u16, resource: &Resource, mode: Mode) -> bool {
        self.state().blockers(session, resource, mode).is_empty()
    }

    /// The mode a session holds (`APPLOCK_MODE`).
    pub(super) fn mode(&self, session: u16, resource: &Resource, owner: Owner) -> Option<Mode> {
        let state = self.state();
        state
            .held
            .iter()
            .find(|h| h.granted && h.session == session && h.resource == *resource && h.owner == owner)
            .map(|h| h.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn request(session: u16, name: &str, timeout: Option<u64>) -> Request {
        Request {
            session,
            resource: Resource::App(1, "dbo".into(), name.into()),
            mode: Mode::Exclusive,
            owner: Owner::Session,
            timeout: timeout.map(Duration::from_millis),
        }
    }

    #[tokio::test]
    async fn the_second_waits_until_the_first_releases() {
        let locks = Arc::new(Locks::default());
        let cancel = Cancel::default();
        assert_eq!(
            locks.acquire(request(51, "a", Some(0)), &cancel).await,
            Outcome::Granted
        );
        assert_eq!(
            locks.acquire(request(52, "a", Some(0)), &cancel).await,
            Outcome::Timeout
        );
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.acquire(request(52, "a", None), &Cancel::default()).await }
        });
        while locks.blocked_by(52).is_none() {
            tokio::task::yield_now().await;
        }
        assert!(locks.release(51, &Resource::App(1, "dbo".into(), "a".into()), Owner::Session));
        assert_eq!(waiting.await.unwrap(), Outcome::GrantedAfterWait);
    }

    #[tokio::test]
    async fn a_cycle_has_a_victim() {
        let locks = Arc::new(Locks::default());
        let cancel = Cancel::default();
        assert!(locks.acquire(request(51, "a", None), &cancel).await.granted());
        assert!(locks.acquire(request(52, "b", None), &cancel).await.granted());
        let first = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.acquire(request(51, "b", None), &Cancel::default()).await }
        });
        while locks.blocked_by(51).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(locks.acquire(request(52, "a", None), &cancel).await, Outcome::Deadlock);
        locks.release_session(52);
        assert_eq!(first.await.unwrap(), Outcome::GrantedAfterWait);
    }

    #[tokio::test]
    async fn locks_are_counted() {
        let locks = Locks::default();
        let cancel = Cancel::default();
        let resource = Resource::App(1, "dbo".into(), "a".into());
        for _ in 0..2 {
            assert!(locks.acquire(request(51, "a", None), &cancel).await.granted());
        }
        assert!(locks.release(51, &resource, Owner::Session));
        assert!(!locks.would_grant(52, &resource, Mode::Shared));
        assert!(locks.release(51, &resource, Owner::Session));
        assert!(!locks.release(51, &resource, Owner::Session));
    }
}
