//! Gates and their cards: what a person does, page by page, with the exact values.

use syncferry_proto::v1::Gate;
use syncferry_proto::{millis, schema};
use syncferry_shared::card::{Card, Field};

use super::table::{dim, pairs, plain, state};
use super::{Look, Table, Tone, ago, at, clean, short, wrap};

/// A table of gates.
pub fn gates(gates: &[Gate], look: &Look) -> String {
    if gates.is_empty() {
        return "No gate waits for a person.\n".to_string();
    }
    let mut table = Table::new(&["ID", "MIGRATION", "HOST", "STATE", "OPENED", "TITLE"]);
    for g in gates {
        let opened = g
            .opened_at
            .as_ref()
            .map(|t| ago(millis(t), look.now))
            .unwrap_or_default();
        table.row([
            dim(short(&g.id)),
            dim(short(&g.migration_id)),
            plain(&g.host),
            state(&g.state),
            plain(opened),
            plain(&g.title),
        ]);
    }
    table.render(look, "")
}

/// One gate with its cards.
pub fn gate(g: &Gate, look: &Look) -> String {
    let mut text = format!("{} {}\n", look.heading("Gate:"), look.heading(&clean(&g.title)));
    text.push_str(&pairs(
        look,
        "  ",
        &[
            ("id", clean(&g.id)),
            ("migration", short(&g.migration_id)),
            ("on host", clean(&g.host)),
            ("state", look.state(&g.state)),
            ("opened", at(g.opened_at.as_ref(), look)),
            ("said to be done by", clean(&g.claimed_by)),
            ("the agent sees", clean(&g.observation)),
        ],
    ));
    text.push('\n');
    text.push_str(&cards(&read_cards(g), look));
    if g.state == "open" {
        text.push_str(&next(g));
    }
    text
}

/// What `watch` prints when a gate opens.
pub fn gate_opened(g: &Gate, look: &Look) -> String {
    let title = format!("A person must act on {}: {}", clean(&g.host), clean(&g.title));
    format!(
        "\n{}\n\n{}{}\n",
        look.paint(Tone::Warn, &title),
        cards(&read_cards(g), look),
        next(g)
    )
}

/// What `gate complete` prints.
pub fn claimed(g: &Gate, look: &Look) -> String {
    if g.state == "proven" {
        return format!("Gate {} is proven: {}\n", short(&g.id), clean(&g.observation));
    }
    format!(
        "Gate {} is {}. The agent on {} looks now; what it sees completes the gate.\n  syncferry watch {}\n",
        short(&g.id),
        look.state(&g.state),
        clean(&g.host),
        short(&g.migration_id),
    )
}

fn next(g: &Gate) -> String {
    format!(
        "When it is done (the agent also looks by itself):\n  syncferry gate complete {}\n",
        short(&g.id)
    )
}

fn read_cards(g: &Gate) -> Vec<Card> {
    g.cards
        .as_ref()
        .and_then(|d| d.read(schema::CARDS).ok())
        .unwrap_or_default()
}

/// The cards, one per page.
pub fn cards(cards: &[Card], look: &Look) -> String {
    let mut text = String::new();
    for (number, card) in (1..).zip(cards) {
        let page = format!("{number}/{}", cards.len());
        text.push_str(&format!(
            "  {}  {}\n",
            look.paint(Tone::Dim, &page),
            look.heading(&clean(&card.page))
        ));
        text.push_str(&wrap(&card.instruction, look.width, "       ", "       "));
        text.push_str(&fields(&card.fields, look));
        text.push('\n');
    }
    text
}

/// The fields of a card. An exact value is never wrapped: it will be copied.
fn fields(fields: &[Field], look: &Look) -> String {
    let width = fields.iter().map(|f| f.label.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for f in fields {
        let (label, value) = (clean(&f.label), clean(&f.value));
        let padding = " ".repeat(width.saturating_sub(label.chars().count()));
        let label = look.paint(Tone::Dim, &label);
        if f.exact {
            text.push_str(&format!(
                "         {label}{padding}  {}\n",
                look.paint(Tone::Bold, &value)
            ));
        } else {
            text.push_str(&format!("         {label}{padding}  ({value})\n"));
        }
    }
    text
}
