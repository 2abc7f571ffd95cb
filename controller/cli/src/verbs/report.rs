//! `report`, and `report verify`, which needs no controller.

use std::path::{Path, PathBuf};

use serde::Serialize;
use syncferry_proto::schema;
use syncferry_proto::v1::{Document, GetReportRequest, GetReportResponse};
use syncferry_shared::report::{BrokenReport, Report, Verified, html};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;

/// The evidence report of a migration
///
/// What was planned, what was done, what proves it, and the whole chain of events. The chain is checked first; a report
/// that does not hold is still written, with exit code 1.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  syncferry report 0242ac12 --html report.html
  syncferry report 0242ac12 --json report.json
  syncferry report 0242ac12 --json | jq .chain_head
  syncferry report verify report.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The migration, by id or the tail of it
    #[arg(required = true)]
    migration: Option<String>,
    /// With --json: write the report to this file instead of stdout
    #[arg(value_name = "JSON FILE")]
    json_file: Option<PathBuf>,
    /// Write it as one self-contained page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check a report: chain of hashes, plan, artifacts, and the seal over all of it; needs no controller
    Verify {
        /// The report, as JSON or as a page
        file: PathBuf,
    },
}

/// What `report verify` and `report` with files answer to scripts.
#[derive(Debug, Serialize)]
struct Checked {
    migration: String,
    state: &'static str,
    holds: bool,
    why_not: Option<String>,
    events: usize,
    chain_head: String,
    plan_digest: Option<String>,
    artifact_roots: Vec<String>,
    html: Option<PathBuf>,
    json: Option<PathBuf>,
}

impl Checked {
    fn of(report: &Report, check: &Result<Verified, BrokenReport>) -> Self {
        let good = check.as_ref().ok();
        Self {
            migration: report.migration.to_string(),
            state: report.state.as_str(),
            holds: good.is_some(),
            why_not: check.as_ref().err().map(ToString::to_string),
            events: report.events.len(),
            chain_head: report.chain_head.clone(),
            plan_digest: good.and_then(|v| v.plan_digest.clone()),
            artifact_roots: good.map(|v| v.roots.clone()).unwrap_or_default(),
            html: None,
            json: None,
        }
    }
}

pub(crate) async fn run(args: Args, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    match args {
        Args {
            verb: Some(Verb::Verify { file }),
            ..
        } => verify(&file, cx),
        Args {
            migration: Some(migration),
            json_file,
            html,
            ..
        } => fetch(migration, json_file, html, cx).await,
        // clap asks for the migration when there is no subcommand.
        Args { migration: None, .. } => Err(CliError::Usage("which migration?".to_string())),
    }
}

async fn fetch(
    migration: String,
    json_file: Option<PathBuf>,
    html_file: Option<PathBuf>,
    cx: &mut Context<'_, '_>,
) -> Result<Exit, CliError> {
    if json_file.is_some() && !cx.json() {
        return Err(CliError::Usage(
            "a file after the migration needs --json before it".to_string(),
        ));
    }
    let session = cx.session()?;
    let response = session
        .call(session.service().get_report(GetReportRequest { migration }))
        .await?;
    let (_, document) = read(&response)?;
    // The document as it came, so that fields which this command does not know count, too.
    let (report, check) = syncferry_shared::report::read(&document.json)
        .map_err(|e| CliError::Report(format!("the controller's report cannot be checked: {e}")))?;
    if let Some(path) = &html_file {
        // The controller's own page is as new as the report; an older command could not show all of it.
        let page = if response.html.is_empty() {
            html(&report)
        } else {
            response.html.clone()
        };
        write(path, page.as_bytes())?;
        cx.say(&format!("wrote {}\n", path.display()));
    }
    if let Some(path) = &json_file {
        write(path, &document.json)?;
        cx.say(&format!("wrote {}\n", path.display()));
    }
    if cx.json() && json_file.is_none() && html_file.is_none() {
        // As it came, so that nothing an older command does not know gets lost.
        cx.print(&format!("{}\n", String::from_utf8_lossy(&document.json)))?;
    } else {
        let value = Checked {
            html: html_file,
            json: json_file,
            ..Checked::of(&report, &check)
        };
        cx.answer(&value, |look| render::report(&report, &check, look))?;
    }
    Ok(ended(check, cx))
}

/// A report that does not hold is an error, but its document is on stdout already.
fn ended(check: Result<Verified, BrokenReport>, cx: &mut Context<'_, '_>) -> Exit {
    match check {
        Ok(_) => Exit::Ok,
        Err(e) => {
            let error = CliError::Report(e.to_string());
            let text = render::error(&error, &cx.look());
            cx.console.write_err(&text);
            error.exit()
        }
    }
}

fn read(response: &GetReportResponse) -> Result<(Report, &Document), CliError> {
    let document = response
        .report
        .as_ref()
        .ok_or(syncferry_proto::InvalidMessage::Missing("report"))?;
    Ok((document.read(schema::REPORT)?, document))
}

fn verify(file: &Path, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let failed = |source| CliError::File {
        verb: "read",
        path: file.to_path_buf(),
        source,
    };
    let bytes = std::fs::read(file).map_err(failed)?;
    let (report, check) = syncferry_shared::report::read(&bytes)
        .map_err(|e| CliError::Report(format!("{} cannot be checked: {e}", file.display())))?;
    cx.answer(&Checked::of(&report, &check), |look| {
        render::report(&report, &check, look)
    })?;
    Ok(ended(check, cx))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |source| CliError::File {
        verb: "write",
        path: path.to_path_buf(),
        source,
    };
    std::fs::write(path, bytes).map_err(failed)
}
