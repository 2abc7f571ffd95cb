//! The protocols as models: every order of messages, crashes and silences within the bounds is tried. What a change makes of a
//! lease, an attempt or a job comes from the product's own pure rules; only what surrounds them is modelled here.
//!
//! Beside each model stand its mutants: a rule left out. A model that finds nothing wrong with them proves nothing.

pub mod attempt;
pub mod lease;

use stateright::{Checker, Model};

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searched {
    /// Different states.
    pub states: usize,
    /// The longest way from the beginning.
    pub depth: usize,
    /// The property that does not hold, and the way to where it does not.
    pub violated: Option<(&'static str, Vec<String>)>,
    /// What should be reachable and is not.
    pub unreachable: Vec<&'static str>,
}

/// Searches a model in full.
pub fn search<M>(model: M) -> Searched
where
    M: Model + Send + Sync + 'static,
    M::State: std::hash::Hash + Send + Sync + Clone + std::fmt::Debug + PartialEq,
    M::Action: std::fmt::Debug + PartialEq + Clone + Send + Sync,
{
    let properties: Vec<(&'static str, bool)> = model
        .properties()
        .iter()
        .map(|p| (p.name, matches!(p.expectation, stateright::Expectation::Sometimes)))
        .collect();
    let checker = model.checker().spawn_bfs().join();
    let mut violated = None;
    let mut unreachable = Vec::new();
    for (name, sometimes) in properties {
        match (checker.discovery(name), sometimes) {
            (None, true) => unreachable.push(name),
            (Some(path), false) => {
                let way = path.into_actions().iter().map(|a| format!("{a:?}")).collect();
                violated = Some((name, way));
            }
            _ => {}
        }
    }
    Searched {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        violated,
        unreachable,
    }
}
