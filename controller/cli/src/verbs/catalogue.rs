//! `catalogue`: the versions of Connect and of SQL Server that rules judge by. `check` needs no controller.

use std::path::{Path, PathBuf};

use serde::Serialize;
use syncferry_proto::millis;
use syncferry_proto::v1::{self, GetCatalogueRequest, ImportCatalogueRequest};
use syncferry_shared::Millis;
use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::token::digest;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;

/// After so many days a plan warns.
const GOOD_FOR_DAYS: i64 = 90;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// The catalogue that the controller judges by
    Show {
        /// Its whole text, as it can be imported
        #[arg(long)]
        text: bool,
    },
    /// Read a catalogue from a file and say what is in it; needs no controller
    Check {
        /// The catalogue, in TOML
        file: PathBuf,
    },
    /// Give the controller a newer catalogue; plans that are made from now on use it
    Import {
        /// The catalogue, in TOML
        file: PathBuf,
    },
}

/// What is said of a catalogue.
#[derive(Debug, Serialize)]
pub(crate) struct Described {
    signed_off: String,
    age_days: Option<i64>,
    stale: bool,
    digest: String,
    origin: String,
    imported_by: Option<String>,
    imported_at: Option<String>,
    oldest_that_syncs: String,
    newest: Option<String>,
    versions: usize,
    blocked: Vec<String>,
    sql: Vec<String>,
    wizard: Vec<String>,
}

fn describe(c: &Catalogue, text: &str, now: Millis) -> Described {
    let age = Millis::of_date(&c.signed_off).map(|at| now.since(at).div_euclid(Millis::DAY));
    let blocked = c.versions.iter().filter(|v| v.blocked_for_existing_database.is_some());
    Described {
        signed_off: c.signed_off.clone(),
        age_days: age,
        stale: age.is_none_or(|a| a > GOOD_FOR_DAYS),
        digest: digest(text.as_bytes()),
        origin: "file".to_string(),
        imported_by: None,
        imported_at: None,
        oldest_that_syncs: c.oldest_that_syncs.to_string(),
        newest: c.newest().map(|v| v.version.to_string()),
        versions: c.versions.len(),
        blocked: blocked.map(|v| v.version.to_string()).collect(),
        sql: c
            .sql
            .iter()
            .map(|s| format!("{} ({:?})", s.name, s.support).to_lowercase())
            .collect(),
        wizard: c
            .newest()
            .map(|newest| c.pages(newest.version).into_iter().map(|p| p.title).collect())
            .unwrap_or_default(),
    }
}

fn of_message(m: &v1::Catalogue, now: Millis) -> Result<Described, CliError> {
    let catalogue = parse(&m.text)?;
    Ok(Described {
        origin: m.origin.clone(),
        imported_by: (!m.imported_by.is_empty()).then(|| m.imported_by.clone()),
        imported_at: m.imported_at.as_ref().map(|t| millis(t).rfc3339()),
        ..describe(&catalogue, &m.text, now)
    })
}

fn parse(text: &str) -> Result<Catalogue, CliError> {
    Catalogue::parse(text).map_err(|e| CliError::Usage(e.to_string()))
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|source| CliError::File {
        verb: "read",
        path: file.to_path_buf(),
        source,
    })
}

fn text(d: &Described) -> String {
    let age = match d.age_days {
        Some(days) if d.stale => format!(" ({days} days ago: plans warn)"),
        Some(days) => format!(" ({days} days ago)"),
        None => String::new(),
    };
    let mut out = format!(
        "Version catalogue, signed off on {}{age}\n",
        render::clean(&d.signed_off)
    );
    let by = match (&d.imported_by, &d.imported_at) {
        (Some(by), Some(at)) => format!("imported by {by} at {at}"),
        _ if d.origin == "configured" => "from the controller's configuration".to_string(),
        _ if d.origin == "release" => "the one of the controller's release".to_string(),
        _ => d.origin.clone(),
    };
    let lines = [
        ("from", by),
        ("digest", d.digest.clone()),
        (
            "versions",
            format!(
                "{}, the newest to install is {}",
                d.versions,
                d.newest.as_deref().unwrap_or("none")
            ),
        ),
        ("synchronise", format!("{} and newer", d.oldest_that_syncs)),
        ("blocked", d.blocked.join(", ")),
        ("SQL Server", d.sql.join(", ")),
        ("wizard", d.wizard.join(" > ")),
    ];
    for (label, value) in lines {
        out.push_str(&format!("  {label:<12} {}\n", render::clean(&value)));
    }
    out
}

pub(crate) async fn run(verb: Verb, cx: &mut Context<'_, '_>) -> Result<Exit, CliError> {
    let now = cx.look().now;
    match verb {
        Verb::Check { file } => {
            let body = read(&file)?;
            let described = describe(&parse(&body)?, &body, now);
            cx.answer(&described, |_| text(&described))?;
        }
        Verb::Show { text: whole } => {
            let session = cx.session()?;
            let m = session
                .call(session.service().get_catalogue(GetCatalogueRequest {}))
                .await?;
            if whole {
                cx.print(&m.text)?;
            } else {
                let described = of_message(&m, now)?;
                cx.answer(&described, |_| text(&described))?;
            }
        }
        Verb::Import { file } => {
            let body = read(&file)?;
            // What cannot be read here would be refused there.
            parse(&body)?;
            let session = cx.session()?;
            let request = ImportCatalogueRequest { text: body };
            let m = session.call(session.service().import_catalogue(request)).await?;
            let described = of_message(&m, now)?;
            cx.answer(&described, |_| text(&described))?;
        }
    }
    Ok(Exit::Ok)
}
