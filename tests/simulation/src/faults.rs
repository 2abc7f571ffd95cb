//! The faults of a seed: drawn before it begins, done between two ticks, ended by themselves.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncferry_controller::recovery::{self, Behind};
use syncferry_shared::sabotage::{self, Mutant};
use syncferry_store::{Store as _, Way};
use syncferry_store_memory::Backup;
use turmoil::Sim;

use crate::determinism;
use crate::network::CONTROLLER;
use crate::world::{Request, SQL, World, lock};

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Cut(usize),
    /// The agent hears and cannot speak, or the other way round.
    OneWay(usize, bool),
    /// Everything on the way is held, and arrives at the end.
    Delay(usize),
    Crash(usize),
    CrashController,
    Pause(usize),
    Reboot(usize),
    /// The last record of the journal is torn by a power loss.
    Tear(usize),
    /// The machine is put back to an earlier moment; true: it notices by its generation.
    Revert(usize, bool),
    SqlCut(usize),
    SqlSlow(usize),
    /// The next transaction runs so much later, although its agent gave it up; or its machine lost its power meanwhile.
    SqlHeld(usize, i64, bool),
    /// The power is lost at the so-manieth write from now.
    PowerLoss(usize, i64),
    /// So many calls of an agent come twice, the second time so much later at most: behind others, and behind a new attempt.
    Twice(usize, u32, i64),
    ClockStep(Option<usize>, i64),
    ClockRate(Option<usize>, i64),
    RefuseCommits(u32),
    LoseAnswers(u32),
    RestoreStore,
    /// What a fault began is over.
    End(Box<Fault>),
    /// A copy is taken.
    BackupStore,
    BackupMachine(usize),
}

impl Fault {
    fn name(&self) -> &'static str {
        match self {
            Fault::Cut(_) => "cut",
            Fault::OneWay(..) => "one-way cut",
            Fault::Delay(_) => "delay",
            Fault::Crash(_) => "agent crash",
            Fault::CrashController => "controller crash",
            Fault::Pause(_) => "pause",
            Fault::Reboot(_) => "reboot",
            Fault::Tear(_) => "torn record",
            Fault::Revert(..) => "machine reverted",
            Fault::SqlCut(_) => "SQL cut",
            Fault::SqlSlow(_) => "SQL slow",
            Fault::SqlHeld(..) => "transaction held",
            Fault::PowerLoss(..) => "power lost at a write",
            Fault::Twice(..) => "calls twice and late",
            Fault::ClockStep(..) => "clock step",
            Fault::ClockRate(..) => "clock rate",
            Fault::RefuseCommits(_) => "commit refused",
            Fault::LoseAnswers(_) => "commit's answer lost",
            Fault::RestoreStore => "store restored",
            Fault::End(_) | Fault::BackupStore | Fault::BackupMachine(_) => "",
        }
    }
}

/// The plan and what is under way.
pub(crate) struct Faults {
    due: BTreeMap<(i64, usize), Fault>,
    backup: Option<Backup>,
    down: Vec<bool>,
    controller_down: bool,
    /// When the controller ended by itself.
    ended_at: Option<i64>,
}

impl Faults {
    /// Draws a plan. Its moments count from when the world is ready.
    pub(crate) fn draw(seed: u64, seconds: u64, calm: bool) -> Self {
        let mut r = StdRng::seed_from_u64(seed ^ 0xFA017);
        let mut due = BTreeMap::new();
        let end = if calm {
            0
        } else {
            i64::try_from(seconds * 1000).unwrap_or(i64::MAX)
        };
        let mut put = |at: i64, fault: Fault| {
            let n = due.len();
            due.insert((at, n), fault);
        };
        let mut at = 0;
        // Some seeds are stormy and some are nearly quiet.
        let pace = [6_000, 12_000, 20_000, 40_000][r.random_range(0..4)];
        loop {
            at += r.random_range(pace / 4..pace * 2);
            if at >= end {
                break;
            }
            // Most faults pass soon; some outlast a lease.
            let long = r.random_range(0..100) < 45;
            let lasts = if long {
                r.random_range(25_000..70_000)
            } else {
                r.random_range(300..9_000)
            };
            let agent = r.random_range(0..3);
            let whose = if r.random_range(0..2) == 0 { None } else { Some(agent) };
            let fault = match r.random_range(0..100) {
                0..12 => Fault::Cut(agent),
                12..20 => Fault::OneWay(agent, r.random_range(0..2) == 0),
                20..28 => Fault::Delay(agent),
                28..34 => Fault::Crash(agent),
                34..40 => Fault::PowerLoss(agent, r.random_range(1..24)),
                40..50 => Fault::CrashController,
                50..57 => Fault::Pause(agent),
                57..60 => Fault::SqlHeld(0, r.random_range(5_000..170_000), r.random_range(0..2) == 0),
                60..63 => Fault::Reboot(agent),
                63..67 => Fault::Tear(agent),
                67..71 => Fault::Revert(agent, r.random_range(0..2) == 0),
                71..77 => Fault::SqlCut(0),
                77..82 => Fault::SqlSlow(0),
                82..86 => Fault::ClockStep(whose, r.random_range(-3_600_000..3_600_000)),
                86..89 => Fault::ClockRate(whose, r.random_range(-200..200)),
                89..92 => Fault::RefuseCommits(r.random_range(1..6)),
                92..96 => Fault::LoseAnswers(r.random_range(1..4)),
                _ => Fault::RestoreStore,
            };
            match &fault {
                Fault::RestoreStore => put((at - r.random_range(5_000..60_000)).max(1), Fault::BackupStore),
                Fault::Revert(agent, _) => {
                    put(
                        (at - r.random_range(2_000..60_000)).max(1),
                        Fault::BackupMachine(*agent),
                    );
                }
                _ => {}
            }
            put(at, fault.clone());
            put((at + lasts).min(end), Fault::End(Box::new(fault)));
        }
        // In every fourth seed both Connect servers' agents are away for long, one after the other: leases are lost, and people
        // fence at SQL Server. Few seeds come to that by chance.
        if seed % 4 == 1 && end > 0 {
            for (n, agent) in [(0, 1), (1, 2)] {
                let at = 4_000 + n * 70_000 + r.random_range(0..6_000);
                for (at, fault) in [
                    (at, Fault::Cut(agent)),
                    (at + 62_000, Fault::End(Box::new(Fault::Cut(agent)))),
                ] {
                    let n = due.len();
                    due.insert((at.min(end), n), fault);
                }
            }
            // In half of those a fence's transaction is on its way for so long that the next fence is done before it arrives.
            if seed % 8 == 1 {
                let held = Fault::SqlHeld(0, r.random_range(50_000..110_000), r.random_range(0..2) == 0);
                let n = due.len();
                due.insert((1_000, n), held);
            }
        }
        // In every third seed calls come twice. Drawn by itself, so that the other seeds keep their futures.
        if seed % 3 == 2 && end > 0 {
            let mut r = StdRng::seed_from_u64(seed ^ 0x07_1CE);
            for _ in 0..r.random_range(2..6) {
                let twice = Fault::Twice(r.random_range(0..3), r.random_range(2..15), r.random_range(500..60_000));
                let n = due.len();
                due.insert((r.random_range(0..end), n), twice);
            }
        }
        Self {
            due,
            backup: None,
            down: vec![false; 3],
            controller_down: false,
            ended_at: None,
        }
    }

    /// Does what is due; `ms` since the world was ready.
    pub(crate) fn tick(&mut self, sim: &mut Sim<'_>, world: &World, ms: i64) -> anyhow::Result<()> {
        for request in std::mem::take(&mut *lock(&world.requests)) {
            let (Request::Restart(agent) | Request::PowerLoss(agent)) = request;
            if !self.down[agent] {
                sim.crash(world.slots[agent].node);
                match request {
                    Request::Restart(_) => sim.bounce(world.slots[agent].node),
                    Request::PowerLoss(_) => {
                        world.say(format!("{} lost its power at a write", world.slots[agent].host));
                        world.count("powers lost at a write");
                        self.down[agent] = true;
                        world.slots[agent].boot.fetch_add(1, Ordering::SeqCst);
                        let back = ms + 300 + world.below(8_000);
                        self.due
                            .insert((back, usize::MAX - agent), Fault::End(Box::new(Fault::Crash(agent))));
                    }
                }
            }
        }
        // A controller that ended, because its store was away, is started again as a service manager does.
        if !self.controller_down && !sim.is_host_running(CONTROLLER) {
            let since = *self.ended_at.get_or_insert(ms);
            if ms - since >= 2_000 {
                self.ended_at = None;
                sim.bounce(CONTROLLER);
            }
        }
        while let Some(entry) = self.due.first_entry().filter(|e| e.key().0 <= ms) {
            let fault = entry.remove();
            if !fault.name().is_empty() {
                world.say(format!("FAULT {fault:?}"));
                world.count(&format!("fault: {}", fault.name()));
            }
            self.act(sim, world, fault)?;
        }
        Ok(())
    }

    fn act(&mut self, sim: &mut Sim<'_>, world: &World, fault: Fault) -> anyhow::Result<()> {
        let node = |agent: usize| world.slots[agent].node;
        let until = |ms: i64| determinism::now() + ms;
        match fault {
            Fault::Cut(a) => sim.partition(node(a), CONTROLLER),
            Fault::OneWay(a, true) => sim.partition_oneway(node(a), CONTROLLER),
            Fault::OneWay(a, false) => sim.partition_oneway(CONTROLLER, node(a)),
            Fault::Delay(a) => sim.hold(node(a), CONTROLLER),
            Fault::Crash(a) | Fault::Reboot(a) | Fault::Tear(a) | Fault::Revert(a, _) => {
                if !std::mem::replace(&mut self.down[a], true) {
                    sim.crash(node(a));
                }
                self.disk(world, a, &fault)?;
            }
            Fault::CrashController => self.stop_controller(sim),
            Fault::Pause(a) => {
                world.slots[a].paused_until.store(until(3_600_000), Ordering::SeqCst);
                sim.hold(node(a), CONTROLLER);
            }
            Fault::SqlCut(a) => world.slots[a].sql_cut.store(true, Ordering::SeqCst),
            Fault::SqlSlow(a) => world.slots[a].sql_ms.store(8_000, Ordering::SeqCst),
            Fault::SqlHeld(a, ms, power) => *lock(&world.slots[a].sql_held) = Some((ms, power)),
            Fault::PowerLoss(a, n) => world.slots[a].power_loss_in.store(n, Ordering::SeqCst),
            Fault::Twice(a, n, ms) => *lock(&world.slots[a].twice) = (n, ms),
            Fault::ClockStep(None, ms) => {
                world.store_clock.step(ms);
                world.clock_far_off.fetch_or(ms.abs() > 240_000, Ordering::SeqCst);
            }
            Fault::ClockStep(Some(a), ms) => world.slots[a].clock.step(ms),
            Fault::ClockRate(None, rate) => world.store_clock.rate(rate),
            Fault::ClockRate(Some(a), rate) => world.slots[a].clock.rate(rate),
            Fault::RefuseCommits(n) => world.weather.refuse.store(n, Ordering::SeqCst),
            Fault::LoseAnswers(n) => world.weather.lose.store(n, Ordering::SeqCst),
            Fault::BackupStore => self.backup = Some(world.store.backup()),
            Fault::BackupMachine(a) => {
                *lock(&world.slots[a].backup) = std::fs::read(world.slots[a].dir.join("journal")).ok();
            }
            Fault::RestoreStore => {
                self.stop_controller(sim);
                if let Some(backup) = &self.backup {
                    world.store.put_back(backup.clone());
                    world.restores.fetch_add(1, Ordering::SeqCst);
                    restored(world)?;
                }
            }
            Fault::End(fault) => self.end(sim, world, &fault),
        }
        Ok(())
    }

    /// What is on the disk when the machine is up again.
    fn disk(&self, world: &World, agent: usize, fault: &Fault) -> anyhow::Result<()> {
        let slot = &world.slots[agent];
        let journal = slot.dir.join("journal");
        match fault {
            Fault::Reboot(_) => drop(slot.boot.fetch_add(1, Ordering::SeqCst)),
            Fault::Tear(_) => {
                // Half a record that was being written: what it speaks of had not begun.
                if let Ok(mut bytes) = std::fs::read(&journal) {
                    bytes.extend_from_slice(b"SFJ1\x40\0\0\0\x01");
                    std::fs::write(&journal, bytes)?;
                }
            }
            Fault::Revert(_, noticed) => {
                if let Some(bytes) = lock(&slot.backup).take() {
                    std::fs::write(&journal, bytes)?;
                    slot.reverted.store(true, Ordering::SeqCst);
                    if *noticed {
                        slot.generation.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stop_controller(&mut self, sim: &mut Sim<'_>) {
        if !std::mem::replace(&mut self.controller_down, true) {
            sim.crash(CONTROLLER);
        }
    }

    fn end(&mut self, sim: &mut Sim<'_>, world: &World, fault: &Fault) {
        let node = |agent: usize| world.slots[agent].node;
        match fault {
            Fault::Cut(a) | Fault::OneWay(a, _) => sim.repair(node(*a), CONTROLLER),
            Fault::Delay(a) => sim.release(node(*a), CONTROLLER),
            Fault::Pause(a) => {
                world.slots[*a].paused_until.store(0, Ordering::SeqCst);
                sim.release(node(*a), CONTROLLER);
            }
            Fault::Crash(a) | Fault::Reboot(a) | Fault::Tear(a) | Fault::Revert(a, _)
                if std::mem::take(&mut self.down[*a]) =>
            {
                sim.bounce(node(*a));
            }
            Fault::CrashController | Fault::RestoreStore if std::mem::take(&mut self.controller_down) => {
                sim.bounce(CONTROLLER);
            }
            Fault::SqlCut(a) => world.slots[*a]
                .sql_cut
                .store(world.stranded.load(Ordering::SeqCst), Ordering::SeqCst),
            Fault::SqlSlow(a) => world.slots[*a].sql_ms.store(10, Ordering::SeqCst),
            Fault::ClockRate(None, _) => world.store_clock.rate(0),
            Fault::ClockRate(Some(a), _) => world.slots[*a].clock.rate(0),
            Fault::RefuseCommits(_) => world.weather.refuse.store(0, Ordering::SeqCst),
            Fault::LoseAnswers(_) => world.weather.lose.store(0, Ordering::SeqCst),
            _ => {}
        }
    }

    /// Ends everything that is under way.
    pub(crate) fn heal(&mut self, sim: &mut Sim<'_>, world: &World) {
        for a in 0..world.slots.len() {
            world.slots[a].power_loss_in.store(0, Ordering::SeqCst);
            *lock(&world.slots[a].sql_held) = None;
            *lock(&world.slots[a].twice) = (0, 0);
            for fault in [
                Fault::Pause(a),
                Fault::Cut(a),
                Fault::Delay(a),
                Fault::Crash(a),
                Fault::SqlCut(a),
                Fault::SqlSlow(a),
            ] {
                self.end(sim, world, &fault);
            }
        }
        if world.stranded.load(Ordering::SeqCst) {
            world.slots[SQL].sql_cut.store(true, Ordering::SeqCst);
        }
        self.end(sim, world, &Fault::CrashController);
        self.end(sim, world, &Fault::RefuseCommits(0));
        self.end(sim, world, &Fault::LoseAnswers(0));
    }
}

/// What an operator does with a store that was put back, before any controller has it open: every token is void.
fn restored(world: &World) -> anyhow::Result<()> {
    if sabotage::on(Mutant::PlainRestore) {
        return Ok(());
    }
    // Nothing in it waits for anything but the moment that a commit takes.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let (refuse, lose) = (
        world.weather.refuse.swap(0, Ordering::SeqCst),
        world.weather.lose.swap(0, Ordering::SeqCst),
    );
    let done = runtime.block_on(async {
        let mut tx = world.store.begin("store.restored").await?;
        let behind = Behind {
            way: Way::Restore,
            highest: syncferry_store::Highest::default(),
            found: vec!["the operator restored a backup".to_string()],
        };
        recovery::begin(&mut *tx, &behind).await?;
        anyhow::Ok(tx.commit().await?)
    });
    world.weather.refuse.store(refuse, Ordering::SeqCst);
    world.weather.lose.store(lose, Ordering::SeqCst);
    done
}
