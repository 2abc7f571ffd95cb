//! The lease and the fence at SQL Server. No clocks: a lease may expire at any moment, messages and processes are as slow as
//! they like, agents crash, services do not, the controller's store is restored from a backup. The question: can two ADSync
//! services ever have sessions in the database at once?
//!
//! Rows change by `lease_rules` only. SQL Server's side is modelled: the epoch and the owner that it carries, whom it lets in.

use std::collections::BTreeSet;

use stateright::{Model, Property};
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, Resource};
use syncferry_shared::{HostId, Millis, SessionId};
use syncferry_store::Grant;
use syncferry_store::lease_rules;
use syncferry_store::meta::EPOCH_JUMP;
use uuid::Uuid;

/// Servers.
const SERVERS: usize = 2;
/// Nobody waits this long.
const NEVER: Millis = Millis(i64::MAX / 4);

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// None is.
    None,
    /// A lease that is not renewed becomes free.
    ExpiryFrees,
    /// A fence denies, and leaves open sessions alone.
    NoKill,
    /// A fence ends sessions first and denies later.
    KillBeforeDeny,
    /// SQL Server's side does not look at epochs.
    NoEpochCheck,
    /// It takes the same epoch from anybody; and a restore makes sure of no more than the newest epoch seen.
    EpochWithoutOwner,
    /// A restored store goes on as if nothing had happened.
    PlainRestore,
    /// One database has two rows.
    Alias,
    /// Two servers use one account.
    SharedAccount,
    /// A lease is given back while its service runs.
    ReleaseWithoutStop,
    /// A fence is believed without reading it back.
    EndFenceWithoutReadBack,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 10] = [
        Mutant::ExpiryFrees,
        Mutant::NoKill,
        Mutant::KillBeforeDeny,
        Mutant::NoEpochCheck,
        Mutant::EpochWithoutOwner,
        Mutant::PlainRestore,
        Mutant::Alias,
        Mutant::SharedAccount,
        Mutant::ReleaseWithoutStop,
        Mutant::EndFenceWithoutReadBack,
    ];
}

/// What of a lease's row matters without clocks and histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    state: LeaseState,
    epoch: i64,
    fenced: i64,
    holder: Option<usize>,
    /// Whether this epoch has a proof.
    proven: bool,
}

fn host(server: usize) -> HostId {
    HostId(Uuid::from_u128(1 + server as u128))
}

fn session(server: usize) -> SessionId {
    SessionId(Uuid::from_u128(100 + server as u128))
}

impl Row {
    const NEW: Row = Row {
        state: LeaseState::Free,
        epoch: 0,
        fenced: 0,
        holder: None,
        proven: true,
    };

    fn lease(self, row: usize) -> Lease {
        let held = self.holder.is_some();
        Lease {
            resource: Resource(format!("adsync-db:{row}")),
            kind: LeaseKind::Database,
            state: self.state,
            epoch: self.epoch,
            holder: self.holder.map(host),
            holder_session: self.holder.map(session),
            renewer: self.holder.map(host),
            granted_at: held.then_some(Millis(0)),
            expires_at: held.then_some(Millis(0)),
            handover_to: None,
            fenced_epoch: self.fenced,
            row_version: 0,
        }
    }

    /// The row after a change; a proof is for one epoch.
    fn after(self, lease: &Lease) -> Row {
        Row {
            state: lease.state,
            epoch: lease.epoch,
            fenced: lease.fenced_epoch,
            holder: (0..SERVERS).find(|s| lease.holder == Some(host(*s))),
            proven: self.proven && lease.epoch == self.epoch,
        }
    }
}

/// What is under way to SQL Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// Let a server in.
    Open(usize, i64),
    /// Let nobody in.
    Fence(i64),
    /// The second half of a fence that does things in the wrong order.
    DenyLate,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    rows: Vec<Row>,
    backup: Option<Vec<Row>>,
    restored: bool,
    /// The row and the epoch that an agent believes in.
    token: [Option<(usize, i64)>; SERVERS],
    /// A service that runs connects again and again, whatever becomes of its agent.
    service: [bool; SERVERS],
    allowed: [bool; SERVERS],
    connected: [bool; SERVERS],
    /// The marks on the database.
    epoch: i64,
    owner: Option<usize>,
    network: BTreeSet<Message>,
    crashes: u8,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A server is seated on a row.
    Acquire(usize, usize),
    /// Its agent asks SQL Server to let it in.
    SendOpen(usize),
    /// A message arrives.
    Deliver(Message),
    /// A message never arrives.
    Lose(Message),
    /// The service is started.
    Start(usize),
    /// It connects.
    Connect(usize),
    /// The lease is given back.
    Release(usize),
    /// Nobody renewed it in time.
    Expire(usize),
    /// The holder renews after all.
    Renew(usize),
    /// The lease is taken from its holder.
    BeginFence(usize),
    /// The fence is sent to SQL Server.
    SendFence(usize),
    /// The fence is believed.
    EndFence(usize),
    /// An agent dies; its service does not.
    Crash(usize),
    /// The controller's store is copied.
    Backup,
    /// The copy is put back.
    Restore,
}

/// The model.
#[derive(Debug, Clone, Copy)]
pub struct Leases {
    /// What is left out.
    pub mutant: Mutant,
    /// How many epochs are given out.
    pub epochs: i64,
}

impl Leases {
    /// Strictly newer, or the same epoch of the same owner: a repetition.
    fn takes(&self, w: &World, epoch: i64, owner: Option<usize>) -> bool {
        match self.mutant {
            Mutant::NoEpochCheck => true,
            Mutant::EpochWithoutOwner => epoch >= w.epoch,
            _ => epoch > w.epoch || (epoch == w.epoch && owner == w.owner),
        }
    }

    /// Above every token that the lost history may have given out.
    fn jump(&self) -> i64 {
        match self.mutant {
            Mutant::EpochWithoutOwner => 1,
            _ => EPOCH_JUMP,
        }
    }

    fn may_grow(&self, epoch: i64) -> bool {
        epoch % EPOCH_JUMP < self.epochs
    }

    fn deliver(&self, w: &mut World, message: Message) {
        match message {
            Message::Open(server, epoch) if self.takes(w, epoch, Some(server)) => {
                w.epoch = w.epoch.max(epoch);
                w.owner = Some(server);
                w.allowed[server] = true;
                if self.mutant == Mutant::SharedAccount {
                    w.allowed = [true; SERVERS];
                }
            }
            Message::Fence(epoch) if self.takes(w, epoch, None) => {
                w.epoch = w.epoch.max(epoch);
                w.owner = None;
                match self.mutant {
                    Mutant::NoKill => w.allowed = [false; SERVERS],
                    Mutant::KillBeforeDeny => {
                        w.connected = [false; SERVERS];
                        w.network.insert(Message::DenyLate);
                    }
                    _ => (w.allowed, w.connected) = ([false; SERVERS], [false; SERVERS]),
                }
            }
            Message::DenyLate => w.allowed = [false; SERVERS],
            Message::Open(..) | Message::Fence(_) => {}
        }
    }

    /// What is read back before a fence is believed.
    fn reads_back(&self, w: &World, row: Row) -> bool {
        let marked = w.epoch >= row.epoch;
        let (denied, gone) = (w.allowed == [false; SERVERS], w.connected == [false; SERVERS]);
        match self.mutant {
            Mutant::EndFenceWithoutReadBack => true,
            Mutant::NoKill => marked && denied,
            Mutant::KillBeforeDeny => marked && gone,
            _ => marked && w.owner.is_none() && denied && gone,
        }
    }

    fn release(&self, w: &mut World, server: usize) -> Option<()> {
        let (row, epoch) = w.token[server]?;
        let lease = w.rows[row].lease(row);
        let after = lease_rules::release(&lease, epoch, Some(session(server))).ok()?;
        if self.mutant != Mutant::ReleaseWithoutStop {
            w.service[server] = false;
            w.connected[server] = false;
        }
        w.rows[row] = w.rows[row].after(&after);
        w.rows[row].proven = true;
        w.token[server] = None;
        Some(())
    }

    fn acquire(&self, w: &mut World, server: usize, row: usize) -> Option<()> {
        let held = |r: &Row| {
            r.holder == Some(server) && matches!(r.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost)
        };
        let other = (0..w.rows.len()).find(|r| *r != row && held(&w.rows[*r]));
        let lease = w.rows[row].lease(row);
        let grant = Grant {
            resource: lease.resource.clone(),
            seen_epoch: lease.epoch,
            holder: host(server),
            session: session(server),
            renewer: host(server),
            ttl_ms: 1,
        };
        let other = other.map(|r| w.rows[r].lease(r).resource);
        let after = lease_rules::acquire(&lease, &grant, w.rows[row].proven, other, Millis(0)).ok()?;
        w.rows[row] = w.rows[row].after(&after);
        w.token[server] = Some((row, after.epoch));
        Some(())
    }

    fn restore(&self, w: &mut World) -> Option<()> {
        w.rows = w.backup.clone()?;
        w.restored = true;
        if self.mutant == Mutant::PlainRestore {
            return Some(());
        }
        for (n, row) in w.rows.iter_mut().enumerate() {
            let lease = row.lease(n);
            let voided = match lease.state {
                LeaseState::Quarantined => {
                    lease_rules::begin_fence(&lease, lease.epoch, Some(lease.epoch + self.jump() - 1))
                }
                _ => lease_rules::quarantine(&lease, lease.epoch, self.jump()),
            };
            *row = row.after(&voided.ok()?);
        }
        Some(())
    }
}

impl Model for Leases {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let rows = if self.mutant == Mutant::Alias { 2 } else { 1 };
        vec![World {
            rows: vec![Row::NEW; rows],
            backup: None,
            restored: false,
            token: [None; SERVERS],
            service: [false; SERVERS],
            allowed: [false; SERVERS],
            connected: [false; SERVERS],
            epoch: 0,
            owner: None,
            network: BTreeSet::new(),
            crashes: 0,
        }]
    }

    fn actions(&self, w: &World, steps: &mut Vec<Step>) {
        for (n, row) in w.rows.iter().enumerate() {
            match row.state {
                LeaseState::Free if self.may_grow(row.epoch) => {
                    let idle = (0..SERVERS).filter(|s| w.token[*s].is_none());
                    steps.extend(idle.map(|s| Step::Acquire(s, n)));
                }
                LeaseState::Held => steps.push(Step::Expire(n)),
                LeaseState::Lost | LeaseState::Quarantined if self.may_grow(row.epoch) => {
                    steps.push(Step::BeginFence(n));
                }
                LeaseState::Fencing => steps.extend([Step::SendFence(n), Step::EndFence(n)]),
                _ => {}
            }
        }
        for server in 0..SERVERS {
            if let Some((row, _)) = w.token[server] {
                steps.extend([Step::SendOpen(server), Step::Start(server), Step::Renew(server)]);
                if self.may_grow(w.rows[row].epoch) {
                    steps.push(Step::Release(server));
                }
                if w.crashes < 2 {
                    steps.push(Step::Crash(server));
                }
            }
            if w.service[server] && !w.connected[server] {
                steps.push(Step::Connect(server));
            }
        }
        steps.extend(w.network.iter().flat_map(|m| [Step::Deliver(*m), Step::Lose(*m)]));
        if w.backup.is_none() {
            steps.push(Step::Backup);
        } else if !w.restored {
            steps.push(Step::Restore);
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut w = before.clone();
        match step {
            Step::Acquire(server, row) => self.acquire(&mut w, server, row)?,
            Step::SendOpen(server) => {
                let (_, epoch) = w.token[server]?;
                w.network.insert(Message::Open(server, epoch));
            }
            Step::Deliver(message) => {
                w.network.remove(&message);
                self.deliver(&mut w, message);
            }
            Step::Lose(message) => drop(w.network.remove(&message)),
            Step::Start(server) => {
                if std::mem::replace(&mut w.service[server], true) {
                    return None;
                }
            }
            Step::Connect(server) => {
                if !w.allowed[server] {
                    return None;
                }
                w.connected[server] = true;
            }
            Step::Release(server) => self.release(&mut w, server)?,
            Step::Expire(row) => {
                let lost = lease_rules::expire(&w.rows[row].lease(row), 0, NEVER).ok()??;
                w.rows[row] = w.rows[row].after(&lost);
                if self.mutant == Mutant::ExpiryFrees {
                    w.rows[row] = Row {
                        state: LeaseState::Free,
                        holder: None,
                        proven: true,
                        ..w.rows[row]
                    };
                }
            }
            Step::Renew(server) => {
                let (row, epoch) = w.token[server]?;
                let lease = w.rows[row].lease(row);
                let renewed = lease_rules::renew(&lease, epoch, session(server), 1, Millis(0)).ok()?;
                w.rows[row] = w.rows[row].after(&renewed);
            }
            Step::BeginFence(row) => {
                let lease = w.rows[row].lease(row);
                let fencing = lease_rules::begin_fence(&lease, lease.epoch, Some(w.epoch)).ok()?;
                w.rows[row] = w.rows[row].after(&fencing);
            }
            Step::SendFence(row) => drop(w.network.insert(Message::Fence(w.rows[row].epoch))),
            Step::EndFence(row) => {
                let lease = w.rows[row].lease(row);
                let proven = self.reads_back(&w, w.rows[row]);
                let free = lease_rules::end_fence(&lease, lease.epoch, proven).ok()?;
                w.rows[row] = w.rows[row].after(&free);
                w.rows[row].proven = true;
            }
            Step::Crash(server) => {
                w.token[server] = None;
                w.crashes += 1;
            }
            Step::Backup => w.backup = Some(w.rows.clone()),
            Step::Restore => self.restore(&mut w)?,
        }
        Some(w).filter(|w| w != before)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one server in the database", |_, w: &World| {
                w.connected.iter().filter(|c| **c).count() <= 1
            }),
            Property::sometimes("a server works", |_, w: &World| w.connected[0]),
            Property::sometimes("another one works after a hand-over or a fence", |_, w: &World| {
                w.connected[1] && w.rows.iter().any(|r| r.epoch >= 3)
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search;

    fn epochs() -> i64 {
        std::env::var("SYNCFERRY_MODEL_EPOCHS").map_or(3, |e| e.parse().unwrap())
    }

    #[test]
    fn two_servers_are_never_in_one_database() {
        let found = search(Leases {
            mutant: Mutant::None,
            epochs: epochs(),
        });
        println!("lease: {} states, depth {}: safe", found.states, found.depth);
        assert_eq!(found.violated, None);
        assert!(found.unreachable.is_empty(), "{:?}", found.unreachable);
        assert!(
            found.states > 50_000,
            "only {} states: the model lost something",
            found.states
        );
    }

    #[test]
    fn every_mutant_is_found() {
        for mutant in Mutant::ALL {
            let found = search(Leases { mutant, epochs: 3 });
            let (_, way) = found
                .violated
                .unwrap_or_else(|| panic!("{mutant:?} was not found in {} states", found.states));
            println!(
                "{mutant:?}: found after {} states, {} steps: {}",
                found.states,
                way.len(),
                way.join(" > ")
            );
        }
    }
}
