//! One job, its attempts and its agent. Messages come late, twice, in any order or never; the agent crashes between any two
//! steps and has what its journal has; the controller calls it silent, and a person orders the job again. The questions: does
//! the controller ever believe in an acceptance that its agent has no record of, and does a report of an attempt that is not
//! the current one ever count?
//!
//! Job and attempt change by the product's own tables only.

use std::collections::BTreeSet;

use stateright::{Model, Property};
use syncferry_shared::state::{AttemptEvent, AttemptState, JobEvent, JobState};

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// None is.
    None,
    /// The agent tells the controller before it writes down.
    AcceptWithoutJournal,
    /// A report counts for the job whatever attempt it is of.
    ReportWithoutTokenCheck,
}

/// What is under way. Nothing is ever taken away: everything may come again and late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// An attempt is offered.
    Offer(usize),
    /// It is taken.
    Accept(usize),
    /// The taking counts.
    Confirmed(usize),
    /// It ended, well or not.
    End(usize, bool),
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    job: JobState,
    /// From 0.
    attempts: Vec<AttemptState>,
    /// The agent's journal: what it accepted, and how that ended.
    accepted: BTreeSet<usize>,
    ended: BTreeSet<(usize, bool)>,
    /// What the agent's process works on.
    running: Option<usize>,
    /// How often the effect was brought about, and whether it is there.
    acts: u8,
    there: bool,
    crashes: u8,
    network: BTreeSet<Message>,
    /// A report of an attempt that is not the current one changed the job.
    misled: bool,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The controller offers the job.
    Offer,
    /// A message arrives.
    Deliver(Message),
    /// The agent looks, and acts where nothing is there yet.
    Act,
    /// The attempt ends.
    Finish(bool),
    /// The agent sends the end again.
    Resend(usize, bool),
    /// The agent's process dies.
    Crash,
    /// It is back, and the controller lets it go on where the attempt is still current.
    Hello(usize),
    /// The controller calls the agent silent.
    Silent,
    /// A person orders the job again.
    Retry,
}

/// The model.
#[derive(Debug, Clone, Copy)]
pub struct Attempts {
    /// What is left out.
    pub mutant: Mutant,
    /// How many attempts there are at most.
    pub most: usize,
}

impl Attempts {
    fn deliver(&self, w: &mut World, message: Message) -> Option<()> {
        match message {
            Message::Offer(n) => {
                // Never one that is older than what is known.
                if w.accepted.iter().any(|a| *a > n) || w.ended.iter().any(|(a, _)| *a >= n) {
                    return None;
                }
                if self.mutant != Mutant::AcceptWithoutJournal {
                    w.accepted.insert(n);
                    w.running = w.running.filter(|r| *r == n);
                }
                w.network.insert(Message::Accept(n));
            }
            Message::Accept(n) => {
                if w.attempts[n] == AttemptState::Offered {
                    w.attempts[n] = w.attempts[n].next(AttemptEvent::Accept).ok()?;
                    w.job = w.job.next(JobEvent::Accept).ok()?;
                }
                if w.attempts[n] == AttemptState::Accepted {
                    w.network.insert(Message::Confirmed(n));
                }
            }
            Message::Confirmed(n) => {
                if w.ended.iter().any(|(a, _)| *a >= n) || w.accepted.iter().any(|a| *a > n) {
                    return None;
                }
                if self.mutant == Mutant::AcceptWithoutJournal {
                    w.accepted.insert(n);
                }
                if !w.accepted.contains(&n) {
                    return None;
                }
                w.running = Some(n);
            }
            Message::End(n, well) => self.report(w, n, well)?,
        }
        Some(())
    }

    fn report(&self, w: &mut World, n: usize, well: bool) -> Option<()> {
        let newest = w.attempts.len() - 1;
        let counts = match self.mutant {
            Mutant::ReportWithoutTokenCheck => newest,
            _ => n,
        };
        let state = w.attempts[counts];
        if !matches!(state, AttemptState::Accepted | AttemptState::Unknown) {
            return None;
        }
        let (event, of_job) = if well {
            (AttemptEvent::Succeed, JobEvent::Succeed)
        } else {
            (AttemptEvent::Fail, JobEvent::Fail)
        };
        w.attempts[counts] = state.next(event).ok()?;
        w.job = w.job.next(of_job).ok()?;
        w.misled |= n != newest;
        Some(())
    }
}

impl Model for Attempts {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            job: JobState::Ready,
            attempts: vec![],
            accepted: BTreeSet::new(),
            ended: BTreeSet::new(),
            running: None,
            acts: 0,
            there: false,
            crashes: 0,
            network: BTreeSet::new(),
            misled: false,
        }]
    }

    fn actions(&self, w: &World, steps: &mut Vec<Step>) {
        if w.job == JobState::Ready && w.attempts.len() < self.most {
            steps.push(Step::Offer);
        }
        steps.extend(w.network.iter().map(|m| Step::Deliver(*m)));
        if w.running.is_some() {
            steps.extend([Step::Act, Step::Finish(true), Step::Finish(false)]);
        }
        steps.extend(w.ended.iter().map(|(n, well)| Step::Resend(*n, *well)));
        if w.crashes < 2 {
            steps.push(Step::Crash);
        }
        steps.extend(w.accepted.iter().map(|n| Step::Hello(*n)));
        steps.extend([Step::Silent, Step::Retry]);
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut w = before.clone();
        let newest = w.attempts.len().checked_sub(1);
        match step {
            Step::Offer => {
                w.job = w.job.next(JobEvent::Offer).ok()?;
                w.attempts.push(AttemptState::Offered);
                w.network.insert(Message::Offer(w.attempts.len() - 1));
            }
            Step::Deliver(message) => self.deliver(&mut w, message)?,
            Step::Act => {
                // It looks first.
                if w.there {
                    return None;
                }
                w.acts += 1;
                w.there = true;
            }
            Step::Finish(well) => {
                // A failure puts back what was done.
                if well && !w.there {
                    return None;
                }
                w.there = well;
                w.ended.insert((w.running.take()?, well));
                w.acts = if well { w.acts } else { 0 };
            }
            Step::Resend(n, well) => drop(w.network.insert(Message::End(n, well))),
            Step::Crash => {
                w.running = None;
                w.crashes += 1;
            }
            Step::Hello(n) => {
                let open = !w.ended.iter().any(|(a, _)| *a == n);
                if !open || w.running.is_some() || w.accepted.iter().any(|a| *a > n) {
                    return None;
                }
                match w.attempts[n] {
                    AttemptState::Accepted => {}
                    AttemptState::Unknown => {
                        w.attempts[n] = w.attempts[n].next(AttemptEvent::Resume).ok()?;
                        w.job = w.job.next(JobEvent::Resume).ok()?;
                    }
                    _ => return None,
                }
                w.running = Some(n);
            }
            Step::Silent => {
                let n = newest.filter(|n| w.attempts[*n] == AttemptState::Accepted)?;
                w.attempts[n] = w.attempts[n].next(AttemptEvent::LoseSight).ok()?;
                w.job = w.job.next(JobEvent::LoseSight).ok()?;
            }
            Step::Retry => {
                let n = newest?;
                w.job = w.job.next(JobEvent::Retry).ok()?;
                if w.attempts[n] == AttemptState::Unknown {
                    w.attempts[n] = w.attempts[n].next(AttemptEvent::Supersede).ok()?;
                }
            }
        }
        Some(w).filter(|w| w != before)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what counts as accepted is in the agent's journal", |_, w: &World| {
                let accepted = |(_, a): &(usize, &AttemptState)| **a == AttemptState::Accepted;
                w.crashes == 0 || w.running.is_some() || {
                    let mut all = w.attempts.iter().enumerate().filter(accepted);
                    all.all(|(n, _)| w.accepted.contains(&n))
                }
            }),
            Property::always("only the current attempt's report counts", |_, w: &World| !w.misled),
            Property::always("nothing is done twice", |_, w: &World| w.acts <= 1),
            Property::sometimes("the job succeeds", |_, w: &World| w.job == JobState::Succeeded),
            Property::sometimes("a later attempt succeeds", |_, w: &World| {
                w.attempts.get(1) == Some(&AttemptState::Succeeded)
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search;

    #[test]
    fn an_acceptance_is_written_down_and_only_the_current_report_counts() {
        let found = search(Attempts {
            mutant: Mutant::None,
            most: 3,
        });
        println!("attempt: {} states, depth {}: safe", found.states, found.depth);
        assert_eq!(found.violated, None);
        assert!(found.unreachable.is_empty(), "{:?}", found.unreachable);
        assert!(
            found.states > 150,
            "only {} states: the model lost something",
            found.states
        );
    }

    #[test]
    fn every_mutant_is_found() {
        for mutant in [Mutant::AcceptWithoutJournal, Mutant::ReportWithoutTokenCheck] {
            let found = search(Attempts { mutant, most: 3 });
            let (rule, way) = found.violated.unwrap_or_else(|| panic!("{mutant:?} was not found"));
            println!("{mutant:?}: '{rule}' after {} steps: {}", way.len(), way.join(" > "));
        }
    }
}
