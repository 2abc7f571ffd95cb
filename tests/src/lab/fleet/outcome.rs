//! What came out of a fleet: for people a table, for scripts JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::drive::Stop;
use super::takeover::{TakeOvers, Times};

/// How one site ended.
pub(super) struct Ended {
    pub(super) number: usize,
    pub(super) state: String,
    pub(super) seconds: f64,
    pub(super) migrations: usize,
    pub(super) stops: Vec<Stop>,
    pub(super) problems: Vec<String>,
}

/// All of it.
pub(super) struct Outcome {
    pub(super) seed: u64,
    pub(super) controllers: usize,
    pub(super) agents: usize,
    pub(super) seconds: f64,
    pub(super) sites: Vec<Ended>,
    pub(super) faults: BTreeMap<&'static str, u32>,
    pub(super) take_overs: TakeOvers,
    /// What does not hold of the whole.
    pub(super) problems: Vec<String>,
}

impl Outcome {
    /// Whether everything holds.
    pub(super) fn holds(&self) -> bool {
        self.problems.is_empty() && self.sites.iter().all(|s| s.problems.is_empty())
    }

    fn problems(&self) -> Vec<String> {
        let of_sites = self.sites.iter().flat_map(|s| {
            let name = |p: &String| format!("site {}: {p}", s.number);
            s.problems.iter().map(name).collect::<Vec<_>>()
        });
        of_sites.chain(self.problems.iter().cloned()).collect()
    }

    fn count(&self, is: impl Fn(&Ended) -> bool) -> usize {
        self.sites.iter().filter(|s| is(s)).count()
    }

    fn rows(&self) -> [(&'static str, &Times); 4] {
        let t = &self.take_overs;
        [
            ("agent attached again", &t.agents),
            ("the same, it or PostgreSQL was cut off too", &t.agents_in_trouble),
            ("duties done elsewhere", &t.duties),
            ("the same, PostgreSQL was away too", &t.duties_in_trouble),
        ]
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let mut line = |l: String| {
            let _ = writeln!(text, "{l}");
        };
        line(format!(
            "{} controllers, {} agents at a time, {} migrations, seed {}: {:.0} s",
            self.controllers,
            self.agents,
            self.sites.len(),
            self.seed,
            self.seconds
        ));
        line(String::new());
        line(format!("{:<52}{:>6}", "Migrations", "count"));
        let smooth = |s: &Ended| s.problems.is_empty() && s.stops.is_empty();
        let stopped = |s: &Ended| s.problems.is_empty() && !s.stops.is_empty();
        line(format!(
            "{:<52}{:>6}",
            "  same final state, without a stop",
            self.count(smooth)
        ));
        line(format!(
            "{:<52}{:>6}",
            "  same final state, after an explained stop",
            self.count(stopped)
        ));
        line(format!(
            "{:<52}{:>6}",
            "  failures",
            self.count(|s| !s.problems.is_empty())
        ));
        line(String::new());
        line(format!("{:<52}{:>6}", "Fault", "times"));
        for (kind, count) in &self.faults {
            line(format!("  {kind:<50}{count:>6}"));
        }
        line(String::new());
        let head = "From a controller's death until";
        line(format!(
            "{head:<52}{:>6}{:>8}{:>8}{:>8}",
            "times", "p50 s", "p95 s", "max s"
        ));
        for (what, times) in self.rows() {
            let of = |p| {
                times
                    .percentile(p)
                    .map_or("-".to_string(), |d| format!("{:.1}", d.as_secs_f64()))
            };
            line(format!(
                "  {what:<50}{:>6}{:>8}{:>8}{:>8}",
                times.count(),
                of(50),
                of(95),
                of(100)
            ));
        }
        for problem in self.problems() {
            line(format!("\nFAILURE  {problem}"));
        }
        text
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        let site = |s: &Ended| {
            json!({
                "number": s.number, "state": s.state, "seconds": s.seconds, "migrations": s.migrations,
                "stops": s.stops, "problems": s.problems,
            })
        };
        let row = |(what, times): (&str, &Times)| {
            let of = |p| times.percentile(p).map(|d| d.as_secs_f64());
            json!({ "until": what, "times": times.count(), "p50_s": of(50), "p95_s": of(95), "max_s": of(100) })
        };
        json!({
            "seed": self.seed, "controllers": self.controllers, "agents": self.agents, "seconds": self.seconds,
            "sites": self.sites.iter().map(site).collect::<Vec<_>>(), "faults": self.faults,
            "take_overs": self.rows().map(row), "problems": self.problems(),
        })
    }
}
