//! The chain of events: every one, with the hash that ties it to the one before.

use super::markup::{Html, code, table};
use super::words::moment;
use crate::event::Event;
use crate::report::{BrokenReport, Report, Verified};

/// What a reader must know first.
pub(super) const LEAD: &str = "Every event carries the hash of the one before it: nothing in the chain can be changed, left out or put in without \
     changing its head. Whoever can rewrite the whole file can make another chain, so compare the head with the controller's, or with \
     a copy that was kept elsewhere.";

/// The whole chain.
pub(super) fn chain(r: &Report, check: &Result<Verified, BrokenReport>) -> Html {
    if r.events.is_empty() {
        return Html::new();
    }
    let broken = match check {
        Ok(_) => Html::new(),
        Err(e) => Html::says("p", "broken", format!("This chain does not hold: {e}.")),
    };
    let head = Html::el("p", "headhash", Html::text("Head ").then(code(&r.chain_head)));
    let row = |e: &Event| {
        vec![
            Html::text(e.seq.to_string()),
            Html::text(moment(e.at)),
            Html::text(&e.kind),
            Html::text(&e.actor),
            code(&e.hash),
        ]
    };
    broken.then(head).then(table(
        "chain",
        &["#", "At", "Event", "By", "Hash"],
        r.events.iter().map(row),
    ))
}
