//! `gate list|show|complete`.

use syncferry_proto::v1::{CompleteGateRequest, Gate, ListGatesRequest};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::{json, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Gates that wait for a person
    List {
        /// Only of this migration
        #[arg(long)]
        migration: Option<String>,
        /// Closed ones of the migration, too
        #[arg(long, requires = "migration")]
        all: bool,
    },
    /// One gate with its cards: what to enter, page by page
    Show {
        /// Its id or the tail of it
        gate: String,
        /// Its migration; needed for a gate that is closed
        #[arg(long)]
        migration: Option<String>,
    },
    /// Say that it is done; the agent looks, and only what it sees completes the gate
    #[command(after_help = "\
Example:
  syncferry gate complete 0242ac12 --remark 'done by Ada on the console'")]
    Complete {
        /// Its id or the tail of it
        gate: String,
        /// A remark for the audit trail
        #[arg(long, default_value = "", hide_default_value = true)]
        remark: String,
    },
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let session = cx.session()?;
    match verb {
        Verb::List { migration, all } => {
            let gates = list(&session, migration.unwrap_or_default(), !all).await?;
            let value = json::Gates {
                gates: gates.iter().map(json::Gate::from).collect(),
            };
            cx.answer(&value, |look| render::gates(&gates, look))?;
        }
        Verb::Show { gate, migration } => {
            let gate = find(list(&session, migration.unwrap_or_default(), false).await?, &gate)?;
            cx.answer(&json::Gate::from(&gate), |look| render::gate(&gate, look))?;
        }
        Verb::Complete { gate, remark } => {
            let request = CompleteGateRequest { gate, remark };
            let gate = session.call(session.service().complete_gate(request)).await?;
            cx.answer(&json::Gate::from(&gate), |look| render::claimed(&gate, look))?;
        }
    }
    Ok(Exit::Ok)
}

async fn list(session: &Session, migration: String, open_only: bool) -> Result<Vec<Gate>, CliError> {
    let request = ListGatesRequest { migration, open_only };
    Ok(session.call(session.service().list_gates(request)).await?.gates)
}

/// The one gate with this id or tail.
fn find(gates: Vec<Gate>, text: &str) -> Result<Gate, CliError> {
    let digits = |text: &str| text.replace('-', "").to_ascii_lowercase();
    let tail = digits(text);
    let mut found: Vec<Gate> = gates
        .into_iter()
        .filter(|g| tail.len() >= 4 && digits(&g.id).ends_with(&tail))
        .collect();
    match (found.pop(), found.len()) {
        (Some(gate), 0) => Ok(gate),
        (Some(_), n) => Err(CliError::Usage(format!(
            "'{text}' fits {} gates; use the whole id",
            n + 1
        ))),
        (None, _) => Err(CliError::NotFound(format!(
            "there is no gate '{text}'; `syncferry gate list` shows those that wait, --migration finds closed ones"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_found_by_its_tail() {
        let gate = |id: &str| Gate {
            id: id.to_string(),
            ..Gate::default()
        };
        let gates = || {
            vec![
                gate("01932c5e-7d3a-7c1b-9f3e-0242ac120002"),
                gate("01932c5e-7d3a-7c1b-9f3e-1242ac120002"),
            ]
        };
        assert!(find(gates(), "0242AC120002").is_ok());
        assert!(matches!(find(gates(), "ac120002"), Err(CliError::Usage(_))));
        assert!(matches!(find(gates(), "002"), Err(CliError::NotFound(_))));
    }
}
