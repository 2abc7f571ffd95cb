//! How long it took others to take over, read from the logs of agents and controllers: from the death of a controller until each
//! agent that was attached to it was welcomed by another (or by the same one, started again), and until another did the duties
//! that it did.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::faults::{Done, Span};
use super::site::AgentTrace;

const WELCOMED: &str = "connected to the controller";
const DUTIES: &str = "this controller does the duties now";

/// Times, the shortest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort();
        Times(all)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which so many of a hundred were; `None` where there is none.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let last = self.0.len().checked_sub(1)?;
        self.0
            .get((self.0.len() * percent).div_ceil(100).saturating_sub(1).min(last))
            .copied()
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct TakeOvers {
    /// Agents that lost their controller by its death, where nothing else was wrong meanwhile.
    pub(super) agents: Times,
    /// Agents that were cut off as well, or PostgreSQL was away as well.
    pub(super) agents_in_trouble: Times,
    /// The duties, where nothing else was wrong meanwhile.
    pub(super) duties: Times,
    /// The duties, where PostgreSQL or the wire to it was away as well.
    pub(super) duties_in_trouble: Times,
}

/// An agent was welcomed by a controller, or a controller took the duties over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    at: OffsetDateTime,
    controller: usize,
}

/// Reads it all.
pub(super) fn measure(done: &Done, traces: &[AgentTrace], logs: &[std::path::PathBuf]) -> TakeOvers {
    let (mut clean, mut troubled) = (Vec::new(), Vec::new());
    for agent in traces {
        let lived = welcomes(&read(&agent.log), &agent.addresses);
        for (controller, at) in &done.kills {
            let Some(again) = taken_over(&lived, *controller, *at).filter(|m| m.at <= agent.until) else {
                continue;
            };
            let own = done
                .agents
                .iter()
                .filter(|(name, _)| *name == agent.name)
                .map(|(_, span)| span);
            let wrong = own.chain(&done.postgres).any(|s| overlaps(s, *at, again.at));
            let took = (again.at - *at).unsigned_abs();
            if wrong { &mut troubled } else { &mut clean }.push(took);
        }
    }
    let mut led: Vec<Moment> = Vec::new();
    for (controller, log) in logs.iter().enumerate() {
        led.extend(moments(&read(log), DUTIES).map(|(at, _)| Moment { at, controller }));
    }
    led.sort_by_key(|m| m.at);
    let (mut duties, mut duties_troubled) = (Vec::new(), Vec::new());
    for (controller, at) in &done.kills {
        if let Some(next) = taken_over(&led, *controller, *at) {
            let wrong = done
                .postgres
                .iter()
                .chain(&done.stores)
                .any(|s| overlaps(s, *at, next.at));
            let took = (next.at - *at).unsigned_abs();
            if wrong { &mut duties_troubled } else { &mut duties }.push(took);
        }
    }
    TakeOvers {
        agents: Times::of(clean),
        agents_in_trouble: Times::of(troubled),
        duties: Times::of(duties),
        duties_in_trouble: Times::of(duties_troubled),
    }
}

fn overlaps(span: &Span, from: OffsetDateTime, to: OffsetDateTime) -> bool {
    span.from < to && from < span.to
}

/// The next moment after a controller's death, if the last one before it was with that controller.
fn taken_over(moments: &[Moment], controller: usize, died: OffsetDateTime) -> Option<Moment> {
    let next = moments.iter().position(|m| m.at > died).unwrap_or(moments.len());
    let before = next.checked_sub(1).map(|n| moments[n])?;
    (before.controller == controller).then(|| moments.get(next).copied())?
}

/// When the agent was welcomed, and by which controller.
fn welcomes(log: &str, addresses: &[String]) -> Vec<Moment> {
    let with = |(at, line): (OffsetDateTime, &str)| {
        let address = line.split_once("controller=\"")?.1.split('"').next()?;
        let controller = addresses.iter().position(|a| a == address)?;
        Some(Moment { at, controller })
    };
    moments(log, WELCOMED).filter_map(with).collect()
}

/// The lines of a log with these words, and when they were written.
fn moments<'a>(log: &'a str, words: &'a str) -> impl Iterator<Item = (OffsetDateTime, &'a str)> {
    log.lines().filter(move |line| line.contains(words)).filter_map(|line| {
        let at = line.split_whitespace().next()?;
        Some((OffsetDateTime::parse(at, &Rfc3339).ok()?, line))
    })
}

fn read(log: &Path) -> String {
    // One that was never written says nothing.
    std::fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_take_over_is_from_a_death_to_the_next_welcome_of_those_who_were_there() {
        let log = "2027-01-15T08:00:01.000000Z  INFO syncferry_agent::session: connected to the controller controller=\"a:1\"\n\
                   2027-01-15T08:00:05.000000Z  WARN syncferry_agent::session: lost the controller controller=\"a:1\"\n\
                   2027-01-15T08:00:07.500000Z  INFO syncferry_agent::session: connected to the controller controller=\"b:1\"\n";
        let addresses = ["a:1".to_string(), "b:1".to_string()];
        let lived = welcomes(log, &addresses);
        assert_eq!(lived.len(), 2);
        let died = at(4);
        assert_eq!(died, OffsetDateTime::parse("2027-01-15T08:00:04Z", &Rfc3339).unwrap());
        let again = taken_over(&lived, 0, died).unwrap();
        assert_eq!(
            (again.controller, again.at - died),
            (1, time::Duration::milliseconds(3_500))
        );
        assert_eq!(taken_over(&lived, 1, died), None, "it was not attached to that one");
        assert_eq!(taken_over(&lived, 1, at(9)), None, "nobody has welcomed it yet");
        assert_eq!(taken_over(&lived, 0, at(0)), None, "it was nowhere yet");
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = Times::of((1..=20).rev().map(Duration::from_secs).collect());
        let seconds = |p| times.percentile(p).unwrap().as_secs();
        assert_eq!((seconds(50), seconds(95), seconds(100)), (10, 19, 20));
        assert_eq!(Times::default().percentile(50), None);
        let one = Times::of(vec![Duration::from_secs(3)]);
        assert_eq!(one.percentile(95), one.percentile(50));
    }

    #[test]
    fn what_went_wrong_in_between_is_told_apart() {
        let span = Span { from: at(5), to: at(9) };
        assert!(overlaps(&span, at(1), at(6)) && overlaps(&span, at(6), at(7)) && overlaps(&span, at(8), at(20)));
        assert!(!overlaps(&span, at(1), at(5)) && !overlaps(&span, at(9), at(12)));
    }
}
