//! A checklist: what matters first, what is open with what to do.

use syncferry_shared::aftercare::{Checklist, Item, ItemState};
use syncferry_shared::compare::Comparison;

use super::{Look, Tone, clean, moment, wrap};

/// The whole list, and what is left.
pub fn checklist(list: &Checklist, look: &Look) -> String {
    let id = list.migration.short();
    let title = format!("After-care of migration {id} · {}", clean(&list.new_server));
    let mut text = format!("{}\n", look.heading(&title));
    for item in &list.items {
        text.push_str(&one(item, look));
    }
    let open: Vec<&str> = list.open_that_matter().map(|i| i.id.as_str()).collect();
    text.push('\n');
    if open.is_empty() {
        let said = "Nothing that matters is open.";
        text.push_str(&format!("{}\n", look.paint(Tone::Good, said)));
        return text;
    }
    let said = format!(
        "{} of the items that matter {} open: the server must not leave staging mode.",
        open.len(),
        if open.len() == 1 { "is" } else { "are" }
    );
    text.push_str(&format!("{}\n", look.paint(Tone::Warn, &said)));
    text.push_str(&format!("  syncferry checklist show {id} --look\n"));
    text.push_str(&format!("  syncferry checklist attest {id} {} --reason '…'\n", open[0]));
    text
}

fn one(i: &Item, look: &Look) -> String {
    let (mark, tone) = match i.state {
        ItemState::Proven => ("✓ proven", Tone::Good),
        ItemState::Attested => ("✓ attested", Tone::Good),
        ItemState::Contradicted => ("✗ contradicted", Tone::Bad),
        ItemState::Open if i.matters => ("○ open", Tone::Warn),
        ItemState::Open => ("○ open", Tone::Dim),
    };
    let matters = if i.matters { ", matters" } else { "" };
    let mut text = format!("\n{}  {}{matters}\n", look.paint(tone, mark), clean(&i.id));
    text.push_str(&wrap(&clean(&i.title), look.width, "    ", "    "));
    if let (Some(by), Some(at)) = (&i.by, i.at) {
        let said = i
            .evidence
            .as_deref()
            .map(|e| format!(": {}", clean(e)))
            .unwrap_or_default();
        let until = i.until.map(|u| format!(", until {}", moment(u))).unwrap_or_default();
        let line = format!("{}, {}{until}{said}", clean(by), moment(at));
        text.push_str(&wrap(&line, look.width, "    ", "    "));
    }
    if !i.state.is_done() {
        text.push_str(&wrap(&clean(&i.why), look.width, "    why   ", "          "));
        text.push_str(&wrap(&clean(&i.how), look.width, "    next  ", "          "));
    }
    text
}

/// The diff, line by line.
pub fn comparison(c: &Comparison, look: &Look) -> String {
    let mut text = String::new();
    for line in c.text().lines() {
        let tone = match line.as_bytes().first() {
            Some(b'-') => Some(Tone::Bad),
            Some(b'+') => Some(Tone::Good),
            Some(b'?') => Some(Tone::Warn),
            _ => None,
        };
        let line = clean(line);
        match tone {
            Some(tone) => text.push_str(&look.paint(tone, &line)),
            None if line.starts_with("@@") => text.push_str(&look.heading(&line)),
            None => text.push_str(&line),
        }
        text.push('\n');
    }
    text
}
