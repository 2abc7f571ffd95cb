//! Any sequence of lease changes, against a model that fits on a page. The model knows the protocol's rules in its own
//! words; it shares nothing with `lease_rules` and nothing with an engine.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use syncferry_shared::lease::{Lease, LeaseState, ProofKind, Resource};
use syncferry_shared::{HostId, Millis, SessionId};

use super::Bench;
use super::world::{by, session, word, world};
use crate::{By, Grant, LeaseResult, NewAttestation, NewProof, Tx};

const TTL: i64 = 100;
const GRACE: i64 = 20;
/// How long a first word is good for.
const VALID: i64 = 60;
const PEOPLE: [&str; 3] = ["operator:ada", "operator:bob", "operator:eve"];

/// One thing that somebody tries. `lag`: how many epochs the caller is behind (or ahead, when negative).
#[derive(Debug, Clone)]
enum Try {
    Acquire {
        lease: usize,
        server: usize,
        lag: i64,
    },
    Renew {
        lease: usize,
        server: usize,
        lag: i64,
    },
    Adopt {
        lease: usize,
        server: usize,
        lag: i64,
    },
    Handover {
        lease: usize,
        lag: i64,
    },
    Release {
        lease: usize,
        server: usize,
        lag: i64,
    },
    BeginFence {
        lease: usize,
        lag: i64,
    },
    /// A first word, by one of three people.
    Word {
        lease: usize,
        person: usize,
        lag: i64,
    },
    /// A second word, and what follows from both: the glass is broken, or the fence is proven.
    Confirm {
        lease: usize,
        person: usize,
    },
    Prove {
        lease: usize,
        lag: i64,
    },
    EndFence {
        lease: usize,
        lag: i64,
    },
    Quarantine {
        lease: usize,
        lag: i64,
    },
    Authorize {
        lease: usize,
        server: usize,
        lag: i64,
    },
    Wait {
        ms: i64,
    },
    Expire,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let lag = || prop_oneof![8 => Just(0i64), 1 => Just(1), 1 => Just(-1)];
    let (l, s) = (|| 0..2usize, || 0..3usize);
    let one = prop_oneof![
        4 => (l(), s(), lag()).prop_map(|(lease, server, lag)| Try::Acquire { lease, server, lag }),
        3 => (l(), s(), lag()).prop_map(|(lease, server, lag)| Try::Renew { lease, server, lag }),
        1 => (l(), s(), lag()).prop_map(|(lease, server, lag)| Try::Adopt { lease, server, lag }),
        1 => (l(), lag()).prop_map(|(lease, lag)| Try::Handover { lease, lag }),
        2 => (l(), s(), lag()).prop_map(|(lease, server, lag)| Try::Release { lease, server, lag }),
        2 => (l(), lag()).prop_map(|(lease, lag)| Try::BeginFence { lease, lag }),
        2 => (l(), s(), lag()).prop_map(|(lease, person, lag)| Try::Word { lease, person, lag }),
        2 => (l(), s()).prop_map(|(lease, person)| Try::Confirm { lease, person }),
        2 => (l(), lag()).prop_map(|(lease, lag)| Try::Prove { lease, lag }),
        2 => (l(), lag()).prop_map(|(lease, lag)| Try::EndFence { lease, lag }),
        1 => (l(), lag()).prop_map(|(lease, lag)| Try::Quarantine { lease, lag }),
        3 => (l(), s(), lag()).prop_map(|(lease, server, lag)| Try::Authorize { lease, server, lag }),
        // In tens, as the durations are, so that the limits themselves are hit often.
        3 => (1..15i64).prop_map(|tens| Try::Wait { ms: tens * 10 }),
        3 => Just(Try::Expire),
    ];
    prop::collection::vec(one, 1..60)
}

/// A lease as the model has it: what matters, and nothing else.
#[derive(Debug, Clone, Default)]
struct Model {
    state: State,
    epoch: i64,
    holder: Option<usize>,
    session: Option<usize>,
    expires: i64,
    proven: bool,
    word: Option<Word>,
}

/// A first word: about which epoch, whose, until when.
#[derive(Debug, Clone, Copy)]
struct Word {
    epoch: i64,
    person: usize,
    until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum State {
    #[default]
    Free,
    Held,
    Draining,
    Lost,
    Fencing,
    Doubtful,
}
use State::{Doubtful, Draining, Fencing, Free, Held, Lost};

impl Model {
    fn alive(&self) -> bool {
        matches!(self.state, Held | Draining)
    }
    fn occupies(&self, server: usize) -> bool {
        self.holder == Some(server) && matches!(self.state, Held | Draining | Lost)
    }
    fn go(&mut self, state: State, epoch: i64, proven: bool) -> bool {
        (self.state, self.epoch, self.proven) = (state, epoch, proven);
        true
    }
}

/// What the model makes of a try: whether it is accepted.
fn model_try(models: &mut [Model; 2], now: i64, t: &Try) -> bool {
    match *t {
        Try::Wait { .. } => true,
        Try::Expire => {
            for m in models.iter_mut().filter(|m| m.alive() && m.expires + GRACE < now) {
                m.state = Lost;
            }
            true
        }
        Try::Acquire { lease, server, lag } => {
            let busy = models.iter().any(|m| m.occupies(server));
            let m = &mut models[lease];
            if m.state != Free || lag != 0 || !m.proven || busy {
                return false;
            }
            (m.holder, m.session, m.expires) = (Some(server), Some(server), now + TTL);
            m.go(Held, m.epoch + 1, false)
        }
        Try::Renew { lease, server, lag } => {
            let m = &mut models[lease];
            if lag != 0 || m.session != Some(server) || !matches!(m.state, Held | Draining | Lost) {
                return false;
            }
            m.state = if m.state == Lost { Held } else { m.state };
            m.expires = m.expires.max(now + TTL);
            true
        }
        Try::Adopt { lease, server, lag } => {
            let m = &mut models[lease];
            if lag != 0 || !matches!(m.state, Held | Draining | Lost) {
                return false;
            }
            m.state = if m.state == Lost { Held } else { m.state };
            (m.session, m.expires) = (Some(server), now + TTL);
            true
        }
        Try::Handover { lease, lag } => {
            let m = &mut models[lease];
            lag == 0 && m.state == Held && m.go(Draining, m.epoch, false)
        }
        Try::Release { lease, server, lag } => {
            let m = &mut models[lease];
            if lag != 0 || m.session != Some(server) || !m.alive() {
                return false;
            }
            (m.holder, m.session) = (None, None);
            m.go(Free, m.epoch + 1, true)
        }
        Try::BeginFence { lease, lag } => {
            let m = &mut models[lease];
            lag == 0 && matches!(m.state, Lost | Doubtful) && m.go(Fencing, m.epoch + 1, false)
        }
        Try::Word { lease, person, lag } => {
            let m = &mut models[lease];
            let in_the_way = m.word.is_some_and(|w| w.person != person && now <= w.until);
            if lag != 0 || m.state == Free || in_the_way {
                return false;
            }
            let (epoch, until) = (m.epoch, now + VALID);
            m.word = Some(Word { epoch, person, until });
            true
        }
        Try::Confirm { lease, person } => {
            let m = &mut models[lease];
            let good = |w: Word| w.person != person && now <= w.until && w.epoch == m.epoch;
            if m.state == Free || !m.word.is_some_and(good) {
                return false;
            }
            m.word = None;
            match m.state {
                Fencing => m.go(Fencing, m.epoch, true),
                Doubtful => true,
                _ => m.go(Fencing, m.epoch + 1, false),
            }
        }
        Try::Prove { lease, lag } => {
            let m = &mut models[lease];
            lag == 0 && m.state == Fencing && m.go(Fencing, m.epoch, true)
        }
        Try::EndFence { lease, lag } => {
            let m = &mut models[lease];
            if lag != 0 || m.state != Fencing || !m.proven {
                return false;
            }
            (m.holder, m.session) = (None, None);
            m.go(Free, m.epoch, true)
        }
        Try::Quarantine { lease, lag } => {
            let m = &mut models[lease];
            lag == 0 && m.state != Doubtful && m.go(Doubtful, m.epoch, m.proven)
        }
        Try::Authorize { lease, server, lag } => {
            let m = &models[lease];
            lag == 0 && m.session == Some(server) && m.alive() && m.expires > now
        }
    }
}

/// The servers and leases of one sequence.
struct Stage {
    leases: [Resource; 2],
    servers: [(HostId, SessionId); 3],
}

/// What the store makes of a try: whether it is accepted.
async fn store_try(tx: &mut dyn Tx, stage: &Stage, models: &[Model; 2], t: &Try) -> bool {
    let r = |lease: usize| &stage.leases[lease];
    let epoch = |lease: usize, lag: i64| models[lease].epoch - lag;
    let proof = || NewProof {
        kind: ProofKind::HolderStopped,
        evidence: json!({}),
        actor: "agent:x".into(),
        second: None,
    };
    fn ok<T: std::fmt::Debug>(result: LeaseResult<T>) -> bool {
        result.is_ok()
    }
    match *t {
        Try::Wait { .. } => true,
        Try::Expire => ok(tx.expire_leases(GRACE, &by()).await),
        Try::Acquire { lease, server, lag } => {
            let (holder, session) = stage.servers[server];
            let grant = Grant {
                resource: r(lease).clone(),
                seen_epoch: epoch(lease, lag),
                holder,
                session,
                renewer: holder,
                ttl_ms: TTL,
            };
            ok(tx.acquire_lease(&grant, &by()).await)
        }
        Try::Renew { lease, server, lag } => {
            let s = stage.servers[server].1;
            ok(tx.renew_lease(r(lease), epoch(lease, lag), s, TTL, &by()).await)
        }
        Try::Adopt { lease, server, lag } => {
            let (host, s) = stage.servers[server];
            ok(tx.adopt_lease(r(lease), epoch(lease, lag), s, host, TTL, &by()).await)
        }
        Try::Handover { lease, lag } => ok(tx.request_handover(r(lease), epoch(lease, lag), None, &by()).await),
        Try::Release { lease, server, lag } => {
            let s = Some(stage.servers[server].1);
            ok(tx.release_lease(r(lease), epoch(lease, lag), s, &proof(), &by()).await)
        }
        Try::BeginFence { lease, lag } => ok(tx.begin_fence(r(lease), epoch(lease, lag), None, &by()).await),
        Try::Word { lease, person, lag } => {
            let given = NewAttestation {
                valid_ms: VALID,
                ..word(r(lease), epoch(lease, lag), PEOPLE[person])
            };
            ok(tx.add_attestation(&given).await)
        }
        Try::Confirm { lease, person } => confirm(tx, r(lease), &models[lease], PEOPLE[person]).await,
        Try::Prove { lease, lag } => ok(tx.add_proof(r(lease), epoch(lease, lag), &proof()).await),
        Try::EndFence { lease, lag } => ok(tx.end_fence(r(lease), epoch(lease, lag), &by()).await),
        Try::Quarantine { lease, lag } => ok(tx.quarantine_lease(r(lease), epoch(lease, lag), &by()).await),
        Try::Authorize { lease, server, lag } => {
            let s = Some(stage.servers[server].1);
            ok(tx.authorize(r(lease), epoch(lease, lag), s, 0).await)
        }
    }
}

/// A second word and what follows from it. What the store does not refuse at the second word, it must not refuse later.
async fn confirm(tx: &mut dyn Tx, r: &Resource, model: &Model, second: &str) -> bool {
    let Some(waiting) = tx.waiting_attestation(r).await.unwrap() else {
        return false;
    };
    if model.state == Free {
        // The epoch it is about is over, or nobody holds it.
        return tx.confirm_attestation(waiting.id, second).await.is_ok();
    }
    let Ok(both) = tx.confirm_attestation(waiting.id, second).await else {
        return false;
    };
    let first = By::new(both.first.clone());
    match model.state {
        Fencing => {
            let proof = NewProof {
                kind: ProofKind::OperatorAttested,
                evidence: json!({}),
                actor: both.first,
                second: Some(second.into()),
            };
            tx.add_proof(r, model.epoch, &proof).await.unwrap();
        }
        Doubtful => {}
        _ => drop(tx.break_glass(r, model.epoch, second, &first).await.unwrap()),
    }
    true
}

/// Plays one sequence on both, on leases of its own, and compares after every try.
async fn play(bench: &Bench, tries: &[Try]) {
    let (w, v) = (world(&*bench.store).await, world(&*bench.store).await);
    let mut tx = bench.store.begin("property.prepare").await.unwrap();
    let leases = [w.free_lease(tx.as_mut()).await, w.free_lease(tx.as_mut()).await];
    tx.commit().await.unwrap();
    let stage = Stage {
        leases,
        servers: [(w.new, session()), (w.old, session()), (v.new, session())],
    };
    let mut models = [(); 2].map(|()| Model {
        proven: true,
        ..Model::default()
    });
    for (n, t) in tries.iter().enumerate() {
        if let Try::Wait { ms } = t {
            bench.time.advance(*ms).await;
        }
        let mut tx = bench.store.begin("property.try").await.unwrap();
        let now = tx.now();
        let before = models.clone();
        let accepted = store_try(tx.as_mut(), &stage, &before, t).await;
        let expected = model_try(&mut models, now.0, t);
        assert_eq!(accepted, expected, "try {n} {t:?} on {before:?} at {now:?}");
        for (resource, model) in stage.leases.iter().zip(&models) {
            let lease = tx.lease(resource).await.unwrap().unwrap();
            compare(&lease, model, &stage);
        }
        tx.commit().await.unwrap();
    }
}

fn compare(lease: &Lease, model: &Model, stage: &Stage) {
    let state = match lease.state {
        LeaseState::Free => Free,
        LeaseState::Held => Held,
        LeaseState::Draining => Draining,
        LeaseState::Lost => Lost,
        LeaseState::Fencing => Fencing,
        LeaseState::Quarantined => Doubtful,
    };
    assert_eq!((state, lease.epoch), (model.state, model.epoch), "{lease:?}");
    assert_eq!(lease.holder, model.holder.map(|s| stage.servers[s].0), "{lease:?}");
    assert_eq!(
        lease.holder_session,
        model.session.map(|s| stage.servers[s].1),
        "{lease:?}"
    );
    if model.alive() {
        assert_eq!(lease.expires_at, Some(Millis(model.expires)), "{lease:?}");
    }
}

/// Plays `cases` sequences on one store, and audits it at the end. Makes its own runtime: call it from a plain test.
pub fn leases<F, Fut>(make: F, cases: u32)
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Bench>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bench = runtime.block_on(make());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&tries(), |tries| {
        runtime.block_on(play(&bench, &tries));
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
    runtime.block_on(async {
        let mut tx = bench.store.read("property.audit").await.unwrap();
        assert_eq!(tx.audit().await.unwrap(), vec![]);
    });
}
