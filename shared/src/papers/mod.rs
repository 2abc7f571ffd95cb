//! Papers for the day: what to request beforehand, the runbook, the change ticket, the estimate. Made of a plan and of what agents
//! found, so that a person could do all of it without Syncferry. Pure; each renders to text and to one self-contained HTML page.

mod estimate;
mod input;
mod page;
mod permissions;
mod runbook;
mod sql;
mod ticket;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use estimate::{Basis, Estimate, Line, Rates, estimate};
pub use input::{PaperHost, PaperInput};
pub use page::{html, text};

/// The name of this shape.
pub const SCHEMA: &str = "syncferry.paper.v1";

/// Which paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperKind {
    /// What to request beforehand, team by team.
    Permissions,
    /// Every step, so that a person could take it.
    Runbook,
    /// The text of a change.
    Ticket,
    /// How long it takes.
    Estimate,
}

impl PaperKind {
    /// All of them.
    pub const ALL: &'static [PaperKind] = &[
        PaperKind::Permissions,
        PaperKind::Runbook,
        PaperKind::Ticket,
        PaperKind::Estimate,
    ];
    /// Its name in the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            PaperKind::Permissions => "permissions",
            PaperKind::Runbook => "runbook",
            PaperKind::Ticket => "ticket",
            PaperKind::Estimate => "estimate",
        }
    }
    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.as_str() == text)
    }
}

/// A paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paper {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which.
    pub kind: PaperKind,
    /// Its title.
    pub title: String,
    /// What it is for, in a sentence.
    pub lead: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A piece of a paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "kebab-case")]
pub enum Block {
    /// The beginning of a section.
    Heading {
        /// Its text.
        text: String,
    },
    /// A paragraph.
    Text {
        /// Its text.
        text: String,
    },
    /// Lines to copy as they stand.
    Code {
        /// The lines.
        text: String,
    },
    /// Points.
    List {
        /// Each of them.
        items: Vec<String>,
    },
    /// A table.
    Table {
        /// The headings.
        head: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
    },
    /// A step of a runbook.
    Step(Box<RunbookStep>),
}

/// A step that a person can take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookStep {
    /// Its number, from 1.
    pub number: usize,
    /// What it is.
    pub title: String,
    /// Which team does it.
    pub owner: String,
    /// On which machine.
    pub host: String,
    /// What to type, exactly; empty where there is only something to look at or to click.
    pub command: String,
    /// What must come out.
    pub expected: String,
    /// How long it takes.
    pub duration: String,
    /// When to stop, and what to do then.
    pub abort: String,
}

fn heading(text: impl Into<String>) -> Block {
    Block::Heading { text: text.into() }
}
fn para(text: impl Into<String>) -> Block {
    Block::Text { text: text.into() }
}
fn code(text: impl Into<String>) -> Block {
    Block::Code { text: text.into() }
}
fn list(items: Vec<String>) -> Block {
    Block::List { items }
}
fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> Block {
    Block::Table {
        head: head.map(str::to_string).to_vec(),
        rows: rows.into_iter().map(|r| r.to_vec()).collect(),
    }
}

/// Makes a paper.
pub fn paper(kind: PaperKind, input: &PaperInput) -> Paper {
    let (title, lead, blocks) = match kind {
        PaperKind::Permissions => permissions::paper(input),
        PaperKind::Runbook => runbook::paper(input),
        PaperKind::Ticket => ticket::paper(input),
        PaperKind::Estimate => estimate::paper(input),
    };
    Paper {
        schema: SCHEMA.to_string(),
        kind,
        title,
        lead,
        blocks,
    }
}
