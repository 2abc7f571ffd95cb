//! The papers of a plan: flags of every `plan` verb, for a plan that is being made as well as for one that was made before.

use std::path::PathBuf;

use syncferry_proto::schema;
use syncferry_proto::v1::GetPaperRequest;
use syncferry_shared::papers::{Paper, PaperKind};

use crate::context::Context;
use crate::error::CliError;
use crate::session::Session;
use crate::{json, render};

/// Which papers are wanted instead of the plan.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Papers, instead of the plan")]
pub(crate) struct Papers {
    /// What to request beforehand from DBA, AD, Entra and firewall teams: exact grants and a port matrix
    #[arg(long, global = true)]
    permissions: bool,
    /// Every step with its owner, command, expected output, duration and abort point: to be followed without Syncferry
    #[arg(long, global = true)]
    runbook: bool,
    /// The text of a change: what, why, risk, way back, alerts to expect
    #[arg(long, global = true)]
    ticket: bool,
    /// How long it takes, and what that rests on
    #[arg(long, global = true)]
    estimate: bool,
    /// Write the one paper that is asked for as an HTML page into this file
    #[arg(long, global = true, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Papers {
    fn wanted(&self) -> Vec<PaperKind> {
        [
            (self.permissions, PaperKind::Permissions),
            (self.runbook, PaperKind::Runbook),
            (self.ticket, PaperKind::Ticket),
            (self.estimate, PaperKind::Estimate),
        ]
        .into_iter()
        .filter_map(|(wanted, kind)| wanted.then_some(kind))
        .collect()
    }

    /// Refuses what makes no sense, before anything is asked.
    pub(super) fn check(&self) -> Result<(), CliError> {
        match (&self.html, self.wanted().len()) {
            (Some(_), n) if n != 1 => Err(CliError::Usage(
                "--html needs exactly one of --permissions, --runbook, --ticket, --estimate".to_string(),
            )),
            _ => Ok(()),
        }
    }

    /// Gives the papers; `false` when none is wanted.
    pub(super) async fn give(
        &self,
        session: &Session,
        migration: &str,
        cx: &mut Context<'_, '_>,
    ) -> Result<bool, CliError> {
        let wanted = self.wanted();
        let mut papers: Vec<Paper> = Vec::new();
        for kind in &wanted {
            let request = GetPaperRequest {
                migration: migration.to_string(),
                paper: kind.as_str().to_string(),
            };
            let response = session.call(session.service().get_paper(request)).await?;
            let document = response
                .paper
                .as_ref()
                .ok_or(syncferry_proto::InvalidMessage::Missing("paper"))?;
            papers.push(document.read(schema::PAPER)?);
            if let Some(path) = &self.html {
                std::fs::write(path, response.html.as_bytes()).map_err(|source| CliError::File {
                    verb: "write",
                    path: path.clone(),
                    source,
                })?;
                cx.say(&format!("wrote {}\n", path.display()));
            } else if !cx.json() {
                let lines: Vec<String> = response.text.lines().map(render::clean).collect();
                cx.print(&(lines.join("\n") + "\n"))?;
            }
        }
        if cx.json() && !wanted.is_empty() {
            cx.emit(&json::Papers { papers: &papers })?;
        }
        Ok(!wanted.is_empty())
    }
}
