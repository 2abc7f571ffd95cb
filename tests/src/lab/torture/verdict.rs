//! What came of a run: `verdict.json` in its folder.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disturbance::Disturbance;

const FILE: &str = "verdict.json";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// As a run that nothing disturbed.
    Same,
    /// It stopped with a reason and a next step, and everything was in order after that.
    Explained,
    /// Neither.
    Failure,
}

impl Ending {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Same => "same final state",
            Ending::Explained => "explained stop",
            Ending::Failure => "FAILURE",
        }
    }
}

/// A stop on the way, and what the operator did about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The migration's state.
    pub state: String,
    /// What is said about it: findings with their next steps, or what is waited for.
    pub said: Vec<String>,
    /// What the operator did.
    pub did: String,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// What was done to it.
    pub disturbances: Vec<Disturbance>,
    /// What really happened then, in words.
    pub happened: Vec<String>,
    /// How it ended.
    pub ending: Ending,
    /// The migration's last state.
    pub state: String,
    /// The stops on the way.
    pub stops: Vec<Stop>,
    /// What does not hold.
    pub problems: Vec<String>,
    /// From the plan's request to the end.
    pub seconds: f64,
    /// Events in the migration's history.
    pub events: i64,
}

impl Verdict {
    /// Writes it into the run's folder.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        std::fs::write(dir.join(FILE), serde_json::to_vec_pretty(self)?)
    }

    /// Reads it from the run's folder.
    pub fn load(dir: &Path) -> io::Result<Verdict> {
        Ok(serde_json::from_slice(&std::fs::read(dir.join(FILE))?)?)
    }

    /// One that a run did not live to write.
    pub fn missing(seed: u64, disturbances: Vec<Disturbance>, why: String, seconds: f64) -> Verdict {
        Verdict {
            seed,
            disturbances,
            happened: vec![],
            ending: Ending::Failure,
            state: String::new(),
            stops: vec![],
            problems: vec![why],
            seconds,
            events: 0,
        }
    }
}
