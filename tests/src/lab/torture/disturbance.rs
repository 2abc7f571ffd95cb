//! What is done to a run, and when: drawn from a seed, so that the same seed draws the same again. The moment is named by
//! what the run has reached (its n-th event, a job that runs, the gate) and some milliseconds more: runs differ in speed.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::lab::world::{HOSTS, NEW_SERVER, OLD_SERVER, SQL_HOST};

/// The events in the history of a run that nothing disturbs, about. A test holds it against a run.
pub const EVENTS: i64 = 63;
/// Jobs and the gate: after which event each begins, and for how many milliseconds it goes on, about.
const JOBS: [(&str, i64, u64); 8] = [
    ("verify-source", 6, 250),
    ("backup", 11, 1_800),
    ("restore", 24, 1_500),
    ("install", 39, 600),
    ("wizard", 42, 400),
    ("verify-server", 54, 200),
    ("verify-database", 53, 200),
    ("verify-old-server", 55, 200),
];
/// What comes on top of an event, at most.
const JITTER_MS: u64 = 120;
/// The longest pause before something that was killed is started again.
const PAUSE_MS: u64 = 2_500;
/// A cut of seconds.
const SHORT_CUT_MS: std::ops::Range<u64> = 300..3_000;
/// A cut that is longer than the fast lab's `silent_after_s`.
const LONG_CUT_MS: std::ops::Range<u64> = 7_500..10_000;
/// How often two things happen to one run.
const TWO: f64 = 0.15;

/// A kind of disturbance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing: what the others are held against
    Nothing,
    /// kill -9 of the controller
    KillController,
    /// SIGTERM to the controller
    StopController,
    /// kill -9 of the agent on the old server
    KillSourceAgent,
    /// kill -9 of the agent on the SQL host
    KillTargetAgent,
    /// kill -9 of the agent on the new server
    KillNewServerAgent,
    /// kill -9 of the old server's LocalDB
    KillSourceSql,
    /// kill -9 of the SQL host's SQL Server
    KillTargetSql,
    /// kill -9 of an agent, and its journal's last record is gone
    LoseRecord,
    /// kill -9 of an agent, and its journal's last record is torn
    TearRecord,
    /// kill -9 of an agent, and its whole journal is gone
    LoseJournal,
    /// An agent is cut off from the controller for seconds
    ShortCut,
    /// An agent is cut off from the controller until it is called silent, and longer
    LongCut,
    /// The operator cancels while the backup runs
    CancelBackup,
    /// The operator cancels while the restore runs
    CancelRestore,
    /// The operator cancels while the installer runs
    CancelInstall,
    /// The operator cancels while the person is due at the wizard
    CancelAtGate,
    /// The operator cancels while the result is verified
    CancelVerify,
}

impl Kind {
    /// All that disturb.
    pub fn all() -> Vec<Kind> {
        let all = Kind::value_variants().iter().copied();
        all.filter(|k| *k != Kind::Nothing).collect()
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|v| v.get_name().to_string()).unwrap_or_default()
    }

    fn is_cancel(self) -> bool {
        matches!(
            self,
            Kind::CancelBackup | Kind::CancelRestore | Kind::CancelInstall | Kind::CancelAtGate | Kind::CancelVerify
        )
    }

    /// The host whose agent it is about, where the kind says so.
    fn host(self) -> Option<&'static str> {
        match self {
            Kind::KillSourceAgent | Kind::KillSourceSql => Some(OLD_SERVER),
            Kind::KillTargetAgent | Kind::KillTargetSql => Some(SQL_HOST),
            Kind::KillNewServerAgent => Some(NEW_SERVER),
            _ => None,
        }
    }
}

/// When.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// After the migration's n-th event.
    Event(i64),
    /// After a job began.
    Job(String),
    /// After the gate opened.
    Gate,
}

impl Moment {
    /// Where in a run it is, about, in events; and how many milliseconds later it is still the same moment.
    fn place(&self) -> (i64, u64) {
        let job = match self {
            Moment::Event(n) => return (*n, JITTER_MS),
            Moment::Gate => "wizard",
            Moment::Job(name) => name.as_str(),
        };
        let known = JOBS.iter().find(|(name, ..)| *name == job);
        known.map_or((EVENTS, JITTER_MS), |(_, event, length)| (*event, *length))
    }
}

/// One thing that is done to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbance {
    /// What.
    pub kind: Kind,
    /// When.
    pub moment: Moment,
    /// How long after that.
    pub after_ms: u64,
    /// The host whose agent is meant, where one is.
    pub host: String,
    /// How long until it is started again, or until the wire is whole again.
    pub pause_ms: u64,
    /// Whether a cut is silent, instead of breaking connections.
    pub silent: bool,
}

impl Disturbance {
    /// How long after the moment.
    pub fn after(&self) -> Duration {
        Duration::from_millis(self.after_ms)
    }

    /// How long it lasts.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if self.kind.host().is_none() && !self.host.is_empty() {
            write!(f, " {}", self.host)?;
        }
        match &self.moment {
            Moment::Event(n) => write!(f, ", {} ms after event {n}", self.after_ms)?,
            Moment::Job(job) => write!(f, ", {} ms after {job} began", self.after_ms)?,
            Moment::Gate => write!(f, ", {} ms after the gate opened", self.after_ms)?,
        }
        match self.kind {
            Kind::ShortCut | Kind::LongCut if self.silent => write!(f, ", silent for {} ms", self.pause_ms),
            Kind::ShortCut | Kind::LongCut => write!(f, ", broken for {} ms", self.pause_ms),
            _ if self.pause_ms > 0 => write!(f, ", back after {} ms", self.pause_ms),
            _ => Ok(()),
        }
    }
}

/// What a seed does to a run: one thing of the given kinds, or sometimes, where there is a choice of kinds, two. Or `together`
/// all of them.
pub fn draw(seed: u64, kinds: &[Kind], together: bool) -> Vec<Disturbance> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut drawn: Vec<Disturbance> = if together {
        kinds.iter().map(|k| one(&mut dice, *k)).collect()
    } else {
        vec![one(&mut dice, pick(&mut dice_of(seed, 1), kinds))]
    };
    if !together && kinds.len() > 1 && dice.random_bool(TWO) {
        // What is undone for want of a journal is undone by hand, which the lab's operator does not do.
        let by_hand = |k: Kind| k == Kind::LoseJournal && drawn.iter().any(|d| d.kind.is_cancel());
        let others = kinds.iter().copied().filter(|k| !k.is_cancel() && !by_hand(*k));
        let others: Vec<Kind> = others.collect();
        if !others.is_empty() {
            let kind = pick(&mut dice_of(seed, 2), &others);
            drawn.push(one(&mut dice, kind));
        }
    }
    drawn.retain(|d| d.kind != Kind::Nothing);
    drawn.sort_by_key(|d| (d.moment.place().0, d.after_ms));
    drawn
}

/// Kinds have dice of their own: which moment a seed draws does not depend on how many kinds there are.
fn dice_of(seed: u64, which: u64) -> StdRng {
    StdRng::seed_from_u64(seed.rotate_left(32) ^ which)
}

fn pick<T: Copy>(dice: &mut StdRng, from: &[T]) -> T {
    from[dice.random_range(0..from.len())]
}

fn one(dice: &mut StdRng, kind: Kind) -> Disturbance {
    let any = pick(dice, &HOSTS);
    let host = kind.host().unwrap_or(any);
    let event = Moment::Event(dice.random_range(1..=EVENTS));
    // An agent that has nothing to do shows little when it dies.
    let own = Moment::Job(pick(dice, jobs_of(host)).to_string());
    let at_work = dice.random_bool(0.6);
    let job = |name: &str| Moment::Job(name.to_string());
    let moment = match kind {
        Kind::CancelBackup => job("backup"),
        Kind::CancelRestore => job("restore"),
        Kind::CancelInstall => job("install"),
        Kind::CancelVerify => job("verify-server"),
        Kind::CancelAtGate => Moment::Gate,
        Kind::KillController | Kind::StopController | Kind::Nothing => event,
        _ if at_work => own,
        _ => event,
    };
    let after_ms = dice.random_range(0..moment.place().1);
    let at_once = dice.random_bool(0.5);
    let pause = dice.random_range(0..PAUSE_MS);
    let pause_ms = match kind {
        Kind::ShortCut => dice.random_range(SHORT_CUT_MS),
        Kind::LongCut => dice.random_range(LONG_CUT_MS),
        _ if kind.is_cancel() || at_once => 0,
        _ => pause,
    };
    let about_an_agent = matches!(
        kind,
        Kind::LoseRecord | Kind::TearRecord | Kind::LoseJournal | Kind::ShortCut | Kind::LongCut
    );
    Disturbance {
        kind,
        moment,
        // A cancellation that comes after its job is another one.
        after_ms: if kind.is_cancel() { after_ms / 2 } else { after_ms },
        host: if about_an_agent || kind.host().is_some() {
            host.to_string()
        } else {
            String::new()
        },
        pause_ms,
        silent: dice.random_bool(0.5),
    }
}

/// The jobs that an agent or a SQL Server on a host works on.
fn jobs_of(host: &str) -> &'static [&'static str] {
    match host {
        OLD_SERVER => &["verify-source", "backup", "backup", "restore", "verify-old-server"],
        SQL_HOST => &["restore", "restore", "verify-database"],
        _ => &["install", "install", "verify-server"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_all_kinds_come() {
        let kinds = Kind::all();
        let mut seen = std::collections::BTreeSet::new();
        let mut two = 0;
        for seed in 0..400 {
            let drawn = draw(seed, &kinds, false);
            assert_eq!(drawn, draw(seed, &kinds, false));
            two += usize::from(drawn.len() == 2);
            seen.extend(drawn.iter().map(|d| d.kind));
        }
        assert_eq!(seen.len(), kinds.len());
        assert!((20..120).contains(&two), "{two} of 400 have two");
        let all = draw(7, &kinds, true);
        assert_eq!(all.len(), kinds.len());
        assert!(
            all.is_sorted_by_key(|d| d.moment.place().0),
            "they come one after the other"
        );
        assert!(draw(7, &[Kind::Nothing], false).is_empty());
    }

    #[test]
    fn the_words_say_what_when_and_how_long() {
        let cut = Disturbance {
            kind: Kind::LongCut,
            moment: Moment::Job("restore".into()),
            after_ms: 12,
            host: SQL_HOST.into(),
            pause_ms: 8_000,
            silent: true,
        };
        assert_eq!(
            cut.to_string(),
            "long-cut SQL01, 12 ms after restore began, silent for 8000 ms"
        );
        let kill = Disturbance {
            kind: Kind::KillSourceSql,
            moment: Moment::Event(9),
            pause_ms: 0,
            host: OLD_SERVER.into(),
            ..cut
        };
        assert_eq!(kill.to_string(), "kill-source-sql, 12 ms after event 9");
    }
}
