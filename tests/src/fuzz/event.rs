//! Events and their chain.

use syncferry_shared::event::{Event, verify_chain};

/// Reads a list of events, or one, and checks the chain.
pub fn read(bytes: &[u8]) -> bool {
    let events = super::json::<Vec<Event>>(bytes);
    let Some(events) = events.or_else(|| super::json::<Event>(bytes).map(|e| vec![e])) else {
        return false;
    };
    if verify_chain(&events).is_err() {
        return false;
    }
    // A chain that holds does not hold without its first event, or with another actor.
    if events.len() > 1 {
        assert!(verify_chain(&events[1..]).is_err());
    }
    if let Some(first) = events.first() {
        let mut changed = first.clone();
        changed.actor.push('x');
        assert!(verify_chain(&[changed]).is_err());
    }
    true
}

/// The sample report's chain, and its first event alone.
pub fn seeds() -> Vec<Vec<u8>> {
    ["/events", "/events/0"]
        .map(|at| super::sample(at).to_string().into_bytes())
        .to_vec()
}
