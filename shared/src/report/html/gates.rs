//! Gates: what a person was asked to do, who said that it was done, and what the agent then saw.

use super::markup::{Html, exact, pairs, table};
use super::words::{moment, state, took};
use crate::card::{Card, Field};
use crate::report::{Report, ReportGate};

/// What a reader must know first.
pub(super) const LEAD: &str =
    "A person's word is a claim; what the agent saw is the proof. The cards are those that were shown.";

/// All gates.
pub(super) fn gates(r: &Report) -> Html {
    r.gates.iter().map(gate).collect()
}

fn gate(g: &ReportGate) -> Html {
    let title = Html::text(&g.title).then(Html::says("small", "", format!("{} on {}", g.job, g.host)));
    let facts = pairs([
        ("Opened", Html::text(moment(g.opened_at))),
        ("Closed", Html::text(g.closed_at.map(moment).unwrap_or_default())),
        ("Waited", Html::text(took(Some(g.opened_at), g.closed_at))),
        (
            "Claimed by",
            Html::text(g.claimed_by.as_deref().unwrap_or("nobody: the agent saw it by itself")),
        ),
        (
            "The agent saw",
            Html::text(g.observation.as_deref().unwrap_or_default()),
        ),
    ]);
    let head = Html::el("h3", "", title.then(state(g.state.as_str())));
    Html::el("article", "gate", head.then(facts).then(cards(&g.cards)))
}

fn cards(cards: &[Card]) -> Html {
    if cards.is_empty() {
        return Html::new();
    }
    let row = |(number, card): (usize, &Card)| {
        let fields: Html = card.fields.iter().map(field).collect();
        let fields = if fields.is_empty() {
            fields
        } else {
            Html::el("ul", "", fields)
        };
        vec![
            Html::text(number.to_string()),
            Html::says("b", "", &card.page),
            Html::says("div", "", &card.instruction).then(fields),
        ]
    };
    table("cards", &["#", "Page", "What to do"], (1..).zip(cards).map(row))
}

fn field(f: &Field) -> Html {
    let value = if f.exact {
        exact(&f.value)
    } else {
        Html::says("em", "", &f.value)
    };
    Html::el("li", "", Html::text(format!("{}: ", f.label)).then(value))
}
