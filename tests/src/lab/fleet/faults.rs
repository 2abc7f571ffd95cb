//! What is done to the fleet: three hands, each with its own dice from the seed. One kills controllers, one kills PostgreSQL, one
//! cuts wires: of agents, and between controllers and PostgreSQL.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex as Blocking, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::controllers::Controllers;
use super::site::Exposed;
use super::{FleetArgs, say};
use crate::lab::proxy::Wire;

/// The shortest cut, in seconds.
const SHORTEST_CUT_S: f64 = 1.0;
/// A controller's wire to PostgreSQL is cut for no longer than this, in seconds.
const LONGEST_STORE_CUT_S: f64 = 30.0;
/// How long something that was killed stays away, in seconds.
const AWAY_S: std::ops::Range<f64> = 0.0..5.0;

/// A span of time in which something was away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: OffsetDateTime,
    pub(super) to: OffsetDateTime,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// How often, by kind.
    pub(super) counts: BTreeMap<&'static str, u32>,
    /// When which controller was killed, counted from 0.
    pub(super) kills: Vec<(usize, OffsetDateTime)>,
    /// While PostgreSQL was away.
    pub(super) postgres: Vec<Span>,
    /// While a controller was cut off from PostgreSQL.
    pub(super) stores: Vec<Span>,
    /// While an agent, by the name of its host, was cut off from one controller or all.
    pub(super) agents: Vec<(String, Span)>,
}

/// Everything that hands have at hand.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) controllers: Arc<Controllers>,
    pub(super) exposed: Exposed,
    pub(super) done: Arc<Blocking<Done>>,
    /// Cancelled when it is enough.
    pub(super) enough: CancellationToken,
    pub(super) args: FleetArgs,
}

impl Hands {
    /// Does things until it is enough; then everything is whole again.
    pub(super) async fn work(self, seed: u64) -> anyhow::Result<()> {
        let dice = |n: u64| StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(n));
        tokio::try_join!(
            self.kill_controllers(dice(1)),
            self.kill_postgres(dice(2)),
            self.cut_agents(dice(3)),
            self.cut_stores(dice(4)),
            self.revive(),
        )?;
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut Done)) {
        note(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn count(&self, kind: &'static str) {
        self.note(|d| *d.counts.entry(kind).or_default() += 1);
    }

    /// Waits; `false` when it is enough.
    async fn pause(&self, seconds: f64) -> bool {
        tokio::select! {
            () = self.enough.cancelled() => false,
            () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => true,
        }
    }

    async fn kill_controllers(&self, mut dice: StdRng) -> anyhow::Result<()> {
        while self.pause(self.args.kill_every_s * dice.random_range(0.3..1.0)).await {
            let which = dice.random_range(0..self.controllers.members.len());
            let member = &self.controllers.members[which];
            let at = OffsetDateTime::now_utc();
            if member.kill().await.is_err() {
                // It has just ended by itself and is not up again yet.
                continue;
            }
            self.note(|d| d.kills.push((which, at)));
            self.count("kill -9 of a controller");
            say(&format!("controller-{} is killed", which + 1));
            self.pause(dice.random_range(AWAY_S) * 0.6).await;
            let in_vain = member.start().await?;
            if in_vain > 0 {
                say(&format!("controller-{} came up at try {}", which + 1, in_vain + 1));
            }
        }
        Ok(())
    }

    /// What ended by itself is started again, as a service manager would.
    async fn revive(&self) -> anyhow::Result<()> {
        while self.pause(1.0).await {
            for member in &self.controllers.members {
                if member.revive().await? {
                    self.count("a controller ended by itself");
                }
            }
        }
        Ok(())
    }

    async fn kill_postgres(&self, mut dice: StdRng) -> anyhow::Result<()> {
        while self
            .pause(self.args.postgres_every_s * dice.random_range(0.6..1.4))
            .await
        {
            let from = OffsetDateTime::now_utc();
            self.controllers.kill_postgres().await?;
            self.count("kill -9 of PostgreSQL");
            say("PostgreSQL is killed");
            self.pause(dice.random_range(AWAY_S)).await;
            self.controllers.restart_postgres().await;
            say("PostgreSQL is up again");
            let to = OffsetDateTime::now_utc();
            self.note(|d| d.postgres.push(Span { from, to }));
        }
        Ok(())
    }

    /// Short ones are likelier: the logarithm is drawn.
    fn length(dice: &mut StdRng, longest: f64) -> f64 {
        let range = SHORTEST_CUT_S.ln()..longest.max(SHORTEST_CUT_S * 1.1).ln();
        dice.random_range(range).exp()
    }

    async fn cut_agents(&self, mut dice: StdRng) -> anyhow::Result<()> {
        let mut cuts = JoinSet::new();
        while self.pause(self.args.cut_every_s * dice.random_range(0.5..1.5)).await {
            while cuts.try_join_next().is_some() {}
            let (site, agent, wire) = (dice.random::<u32>(), dice.random::<u32>(), dice.random::<u32>());
            let all = dice.random_bool(0.6);
            let how = if dice.random_bool(0.5) {
                Wire::Silent
            } else {
                Wire::Broken
            };
            let seconds = Self::length(&mut dice, self.args.longest_cut_s);
            let exposed = self.exposed.lock().await;
            let Some(site) = pick(&exposed, site).cloned() else {
                continue;
            };
            drop(exposed);
            let hosts: Vec<&'static str> = site.agents.keys().copied().collect();
            let Some(host) = pick(&hosts, agent).copied() else {
                continue;
            };
            if site.spared.is_cancelled() || site.agents[host].busy.swap(true, Ordering::SeqCst) {
                continue;
            }
            site.cuts.send_modify(|n| *n += 1);
            self.count(match (all, seconds < 10.0) {
                (true, true) => "cut of an agent from all controllers, 1 to 10 s",
                (true, false) => "cut of an agent from all controllers, longer",
                (false, true) => "cut of an agent from one controller, 1 to 10 s",
                (false, false) => "cut of an agent from one controller, longer",
            });
            let me = self.clone();
            cuts.spawn(async move {
                let agent = &site.agents[host];
                let one = usize::try_from(wire).unwrap_or_default() % agent.to.len();
                let cut = |wire: Wire| {
                    let which = agent.to.iter().enumerate();
                    which.filter(|(n, _)| all || *n == one).for_each(|(_, w)| w.set(wire));
                };
                let from = OffsetDateTime::now_utc();
                cut(how);
                tokio::select! {
                    _ = me.pause(seconds) => {}
                    () = site.spared.cancelled() => {}
                }
                cut(Wire::Whole);
                let to = OffsetDateTime::now_utc();
                me.note(|d| d.agents.push((site.names.host(host), Span { from, to })));
                agent.busy.store(false, Ordering::SeqCst);
                site.cuts.send_modify(|n| *n -= 1);
            });
        }
        while cuts.join_next().await.is_some() {}
        Ok(())
    }

    async fn cut_stores(&self, mut dice: StdRng) -> anyhow::Result<()> {
        let longest = LONGEST_STORE_CUT_S.min(self.args.longest_cut_s);
        while self.pause(self.args.cut_every_s * dice.random_range(1.5..4.0)).await {
            let which = dice.random_range(0..self.controllers.members.len());
            let wire = &self.controllers.members[which].store;
            let how = if dice.random_bool(0.5) {
                Wire::Silent
            } else {
                Wire::Broken
            };
            let seconds = Self::length(&mut dice, longest);
            self.count("cut of a controller from PostgreSQL");
            let from = OffsetDateTime::now_utc();
            wire.set(how);
            self.pause(seconds).await;
            wire.set(Wire::Whole);
            let to = OffsetDateTime::now_utc();
            self.note(|d| d.stores.push(Span { from, to }));
        }
        Ok(())
    }
}

fn pick<T>(all: &[T], drawn: u32) -> Option<&T> {
    let drawn = usize::try_from(drawn).unwrap_or_default();
    all.get(drawn.checked_rem(all.len())?)
}
