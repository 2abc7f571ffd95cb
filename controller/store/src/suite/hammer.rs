//! The hammer: several servers fight for one lease at once: acquiring, acting, renewing, crashing, being fenced. Nobody
//! may act on a token older than the newest that was used, and the audit must find nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use serde_json::json;
use syncferry_shared::lease::{Lease, LeaseState, ProofKind, Resource};
use syncferry_shared::{HostId, SessionId};

use super::world::{add_host, by, session, two_people, world};
use super::{Bench, Time};
use crate::{Grant, HostRole, LeaseError, LeaseResult, NewProof, Store, Tx};

const TASKS: usize = 8;
const TTL: i64 = 40;

/// What came of it.
#[derive(Debug, Default)]
pub struct Score {
    /// Steps in all.
    pub steps: AtomicU64,
    /// Grants.
    pub grants: AtomicU64,
    /// Changes of the lease.
    pub changes: AtomicU64,
    /// Permits that were used.
    pub acts: AtomicU64,
    /// The newest token that was used.
    newest: AtomicI64,
}

struct Server {
    store: Arc<dyn Store>,
    time: Arc<dyn Time>,
    score: Arc<Score>,
    resource: Resource,
    host: HostId,
    session: SessionId,
    /// The epoch it believes it has.
    mine: Option<i64>,
}

/// Runs it: 8 servers, each that many steps. Panics when a token was used too late or the audit finds something.
pub async fn run(bench: &Bench, steps: usize) -> Arc<Score> {
    let w = world(&*bench.store).await;
    let mut tx = bench.store.begin("hammer.prepare").await.unwrap();
    let resource = w.free_lease(tx.as_mut()).await;
    let mut hosts = Vec::new();
    for _ in 0..TASKS {
        hosts.push(add_host(tx.as_mut(), w.site, HostRole::ConnectServer).await);
    }
    tx.commit().await.unwrap();
    let score = Arc::new(Score::default());
    let tasks: Vec<_> = hosts
        .into_iter()
        .map(|host| {
            let mut server = Server {
                store: bench.store.clone(),
                time: bench.time.clone(),
                score: score.clone(),
                resource: resource.clone(),
                host,
                session: session(),
                mine: None,
            };
            tokio::spawn(async move {
                for _ in 0..steps {
                    server.step().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut tx = bench.store.read("hammer.audit").await.unwrap();
    assert_eq!(tx.audit().await.unwrap(), vec![]);
    let lease = tx.lease(&resource).await.unwrap().unwrap();
    let history = tx.lease_history(&resource).await.unwrap();
    assert_eq!(history.len() as i64, lease.row_version + 1);
    assert_eq!(lease.row_version as u64, score.changes.load(SeqCst));
    score
}

/// Whether it was done. What the lease's state refuses is part of the game; what the store refuses is not.
fn done(result: LeaseResult<Lease>) -> bool {
    match result {
        Ok(_) => true,
        Err(LeaseError::Store(e)) => panic!("{e}"),
        Err(_) => false,
    }
}

fn proof(kind: ProofKind) -> NewProof {
    NewProof {
        kind,
        evidence: json!({}),
        actor: "agent:x".into(),
        second: None,
    }
}

impl Server {
    async fn step(&mut self) {
        self.score.steps.fetch_add(1, SeqCst);
        let dice = rand::random_range(0..100);
        match self.mine {
            Some(epoch) if dice < 55 => self.act(epoch).await,
            Some(_) if dice >= 92 => self.time.advance(4).await,
            Some(_) if dice >= 88 => self.crash(),
            Some(epoch) => self.hold(epoch, dice).await,
            None => self.compete(dice).await,
        }
    }

    /// Acts on its token, within the transaction that permits it: the resource must not have seen a newer one.
    async fn act(&mut self, epoch: i64) {
        let mut tx = self.store.begin("hammer.act").await.unwrap();
        if tx.authorize(&self.resource, epoch, Some(self.session), 0).await.is_ok() {
            let newest = self.score.newest.fetch_max(epoch, SeqCst);
            assert!(epoch >= newest, "token {epoch} was used after {newest}");
            self.score.acts.fetch_add(1, SeqCst);
        }
        tx.rollback().await.unwrap();
    }

    fn crash(&mut self) {
        self.mine = None;
        self.session = session();
    }

    async fn hold(&mut self, epoch: i64, dice: i32) {
        let mut tx = self.store.begin("hammer.hold").await.unwrap();
        let before = self.version(tx.as_mut()).await.row_version;
        let r = &self.resource;
        if dice < 75 {
            if !done(tx.renew_lease(r, epoch, self.session, TTL, &by()).await) {
                self.mine = None;
            }
        } else if dice < 80 {
            done(tx.request_handover(r, epoch, None, &by()).await);
        } else {
            let stopped = proof(ProofKind::HolderStopped);
            done(tx.release_lease(r, epoch, Some(self.session), &stopped, &by()).await);
            self.mine = None;
        }
        self.finish(tx, before).await;
    }

    /// What somebody without the lease does: takes it when it is free, and drives it towards that when it is not.
    async fn compete(&mut self, dice: i32) {
        let mut tx = self.store.begin("hammer.compete").await.unwrap();
        let lease = self.version(tx.as_mut()).await;
        let (before, epoch, r) = (lease.row_version, lease.epoch, &self.resource);
        match lease.state {
            LeaseState::Free => {
                let grant = Grant {
                    resource: r.clone(),
                    seen_epoch: epoch,
                    holder: self.host,
                    session: self.session,
                    renewer: self.host,
                    ttl_ms: TTL,
                };
                if done(tx.acquire_lease(&grant, &by()).await) {
                    self.mine = Some(epoch + 1);
                    self.score.grants.fetch_add(1, SeqCst);
                }
            }
            LeaseState::Held if dice < 2 => {
                two_people(tx.as_mut(), r, epoch).await;
                done(tx.break_glass(r, epoch, "operator:bob", &by()).await);
            }
            LeaseState::Held | LeaseState::Draining if dice < 50 => {
                tx.expire_leases(0, &by()).await.unwrap();
            }
            LeaseState::Held | LeaseState::Draining if dice < 51 => {
                done(tx.quarantine_lease(r, epoch, &by()).await);
            }
            LeaseState::Fencing if dice < 10 => {
                done(tx.quarantine_lease(r, epoch, &by()).await);
            }
            LeaseState::Fencing if dice < 25 => {
                two_people(tx.as_mut(), r, epoch).await;
                let word = NewProof {
                    second: Some("operator:bob".into()),
                    actor: "operator:ada".into(),
                    ..proof(ProofKind::OperatorAttested)
                };
                tx.add_proof(r, epoch, &word).await.unwrap();
                done(tx.end_fence(r, epoch, &by()).await);
            }
            LeaseState::Lost | LeaseState::Quarantined if dice < 30 => {
                done(tx.begin_fence(r, epoch, None, &by()).await);
            }
            LeaseState::Fencing => {
                tx.add_proof(r, epoch, &proof(ProofKind::SqlFenced)).await.unwrap();
                done(tx.end_fence(r, epoch, &by()).await);
            }
            _ => self.time.advance(1).await,
        }
        self.finish(tx, before).await;
    }

    async fn version(&self, tx: &mut dyn Tx) -> Lease {
        tx.lease(&self.resource).await.unwrap().unwrap()
    }

    /// Commits, and counts whether the lease changed; now and then gives everything up instead.
    async fn finish(&mut self, mut tx: Box<dyn Tx>, before: i64) {
        let changed = self.version(tx.as_mut()).await.row_version - before;
        if rand::random_range(0..20) == 0 {
            self.mine = None;
            drop(tx);
            return;
        }
        tx.commit().await.unwrap();
        self.score.changes.fetch_add(changed as u64, SeqCst);
    }
}
