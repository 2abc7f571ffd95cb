//! A paper as text, and as one self-contained page that can be printed.

use super::{Block, Paper, RunbookStep};
use crate::report::html::markup::Html;
use crate::report::html::{HEAD, STYLE};

const PAPER_STYLE: &str = "pre { background: var(--wash); border: 1px solid var(--rule); border-radius: 4px; padding: .7rem .9rem; white-space: pre-wrap; overflow-wrap: anywhere; font: .82rem/1.5 var(--mono); margin: .4rem 0 .8rem; }
.step { border: 1px solid var(--rule); border-radius: 4px; padding: 1rem 1.2rem .8rem; margin: 1rem 0; break-inside: avoid; }
.step dl { font-size: .92rem; } .step .abort { color: var(--bad); }";

/// The text.
pub fn text(paper: &Paper) -> String {
    let mut out = format!(
        "{}\n{}\n\n{}\n",
        paper.title,
        "=".repeat(paper.title.chars().count()),
        paper.lead
    );
    for block in &paper.blocks {
        match block {
            Block::Heading { text } => out.push_str(&format!("\n{text}\n{}\n", "-".repeat(text.chars().count()))),
            Block::Text { text } => out.push_str(&format!("\n{}\n", wrap(text, ""))),
            Block::Code { text } => {
                out.push('\n');
                for line in text.lines() {
                    out.push_str(&format!("    {line}\n"));
                }
            }
            Block::List { items } => {
                out.push('\n');
                for item in items {
                    out.push_str(&format!("- {}\n", wrap(item, "  ")));
                }
            }
            Block::Table { head, rows } => {
                out.push('\n');
                for row in rows {
                    let mut cells = row.iter().zip(head);
                    if let Some((first, _)) = cells.next() {
                        out.push_str(&format!("- {first}\n"));
                    }
                    for (cell, name) in cells.filter(|(c, _)| !c.is_empty()) {
                        out.push_str(&format!("    {name}: {}\n", wrap(cell, "      ")));
                    }
                }
            }
            Block::Step(s) => out.push_str(&step_text(s)),
        }
    }
    out
}

fn step_text(s: &RunbookStep) -> String {
    let mut out = format!("\n[ ] {}. {}\n", s.number, s.title);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("    {name:<9} {}\n", wrap(value, "              ")));
        }
    };
    line("who", &s.owner);
    line("where", &s.host);
    line("takes", &s.duration);
    if !s.command.is_empty() {
        out.push_str("    type\n");
        for l in s.command.lines() {
            out.push_str(&format!("        {l}\n"));
        }
    }
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("    {name:<9} {}\n", wrap(value, "              ")));
        }
    };
    line("expected", &s.expected);
    line("stop if", &s.abort);
    out
}

/// Lines of at most 110 characters; the second and later ones are indented.
fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut width = indent.len();
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if width > indent.len() && width + 1 + len > 110 {
            out.push('\n');
            out.push_str(indent);
            width = indent.len();
        } else if width > indent.len() {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += len;
    }
    out
}

/// The page.
pub fn html(paper: &Paper) -> String {
    let head = Html::raw(HEAD)
        .then(Html::says("title", "", &paper.title))
        .then(Html::el("style", "", Html::raw(STYLE).then(Html::raw(PAPER_STYLE))));
    let header = Html::says("p", "kind", paper.kind.as_str())
        .then(Html::says("h1", "", &paper.title))
        .then(Html::says("p", "lead", &paper.lead));
    let mut body = Html::el("header", "", header);
    let mut section = Html::new();
    for block in &paper.blocks {
        if let Block::Heading { text } = block {
            if !section.is_empty() {
                body.push(Html::el("section", "", std::mem::take(&mut section)));
            }
            section.push(Html::says("h2", "", text));
        } else {
            section.push(piece(block));
        }
    }
    if !section.is_empty() {
        body.push(Html::el("section", "", section));
    }
    Html::raw("<!doctype html>\n<html lang=\"en\">")
        .then(Html::el("head", "", head))
        .then(Html::el("body", "", Html::el("main", "", body)))
        .then(Html::raw("</html>\n"))
        .into_string()
}

fn piece(block: &Block) -> Html {
    match block {
        Block::Heading { text } => Html::says("h2", "", text),
        Block::Text { text } => Html::says("p", "", text),
        Block::Code { text } => lines(text),
        Block::List { items } => Html::el("ul", "", items.iter().map(|i| Html::says("li", "", i)).collect()),
        Block::Table { head, rows } => {
            let head: Html = head.iter().map(|h| Html::says("th", "", h)).collect();
            let row = |cells: &Vec<String>| Html::el("tr", "", cells.iter().map(|c| Html::says("td", "", c)).collect());
            Html::el(
                "table",
                "",
                Html::el("thead", "", Html::el("tr", "", head)).then(Html::el(
                    "tbody",
                    "",
                    rows.iter().map(row).collect(),
                )),
            )
        }
        Block::Step(s) => step(s),
    }
}

/// Lines as they stand. A line break is the one thing that escaping would lose.
fn lines(text: &str) -> Html {
    let mut inner = Html::new();
    for (at, line) in text.lines().enumerate() {
        if at > 0 {
            inner.push(Html::raw("\n"));
        }
        inner.push(Html::text(line));
    }
    Html::el("pre", "", inner)
}

fn step(s: &RunbookStep) -> Html {
    let mut inner = Html::says("h3", "", format!("☐ {}. {}", s.number, s.title));
    let facts = [("Who", &s.owner), ("Where", &s.host), ("Takes", &s.duration)];
    let facts: Html = facts
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(n, v)| Html::says("dt", "", n).then(Html::says("dd", "", v)))
        .collect();
    inner.push(Html::el("dl", "", facts));
    if !s.command.is_empty() {
        inner.push(lines(&s.command));
    }
    let ends: Html = [("Expected", &s.expected, ""), ("Stop if", &s.abort, "abort")]
        .into_iter()
        .filter(|(_, v, _)| !v.is_empty())
        .map(|(n, v, class)| Html::says("dt", "", n).then(Html::says("dd", class, v)))
        .collect();
    inner.push(Html::el("dl", "", ends));
    Html::el("article", "step", inner)
}
