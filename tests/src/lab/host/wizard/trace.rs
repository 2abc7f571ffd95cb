//! The wizard's trace log, `C:\ProgramData\AADConnect\trace-YYYYMMDD-HHMMSS.log`, in the shape that public excerpts show:
//! `[HH:MM:SS.mmm] [ tid] [INFO ] message`.

use std::fs::{self, File};
use std::io::{self, Write};

use syncferry_sqlserver::storage::Drives;
use time::OffsetDateTime;
use time::macros::format_description;

use super::super::layout::TRACE_DIR;
use super::page::Page;

/// An open log.
pub struct Trace {
    file: Option<File>,
}

impl Trace {
    /// Starts a log.
    pub fn create(drives: &Drives, version: &str, arguments: &str) -> io::Result<Trace> {
        let os = |e: syncferry_sqlserver::storage::OsError| io::Error::other(format!("{TRACE_DIR}: {e}"));
        drives.create_dir(TRACE_DIR).map_err(os)?;
        let format = format_description!("[year][month][day]-[hour][minute][second]");
        let stamp = OffsetDateTime::now_utc().format(&format).map_err(io::Error::other)?;
        let folder = drives.real_path(TRACE_DIR).map_err(os)?;
        // Two wizards within a second would share a name; the second one gets a later name, which also sorts later.
        let names = (0..).map(|n| {
            folder.join(if n == 0 {
                format!("trace-{stamp}.log")
            } else {
                // An underscore stands behind the dot of `.log`.
                format!("trace-{stamp}_{n:03}.log")
            })
        });
        let path = names
            .take(1000)
            .find(|p| !p.exists())
            .unwrap_or_else(|| folder.join("trace.log"));
        let mut trace = Trace {
            file: Some(fs::OpenOptions::new().create(true).append(true).open(path)?),
        };
        trace.info("Starting the wizard.");
        trace.info(&format!("Application Version: {version}"));
        trace.info(&format!("Command line arguments: {arguments}"));
        trace.info("Page transition from \"\" [] to \"Welcome\" [WelcomePageViewModel]");
        Ok(trace)
    }

    /// A log that goes nowhere, for tests of the pages.
    pub fn none() -> Trace {
        Trace { file: None }
    }

    /// A page after another.
    pub fn transition(&mut self, from: Page, to: Page) {
        self.info(&format!(
            "Page transition from \"{}\" [{}] to \"{}\" [{}]",
            from.title(),
            from.view_model(),
            to.title(),
            to.view_model()
        ));
    }

    /// An ordinary line.
    pub fn info(&mut self, message: &str) {
        self.line("INFO ", message);
    }

    /// An error.
    pub fn error(&mut self, message: &str) {
        self.line("ERROR", message);
    }

    fn line(&mut self, level: &str, message: &str) {
        let Some(file) = &mut self.file else { return };
        let format = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
        let at = OffsetDateTime::now_utc().format(&format).unwrap_or_default();
        // One line per entry: readers go by lines.
        let message = message.replace(['\r', '\n'], " ");
        if let Err(error) = writeln!(file, "[{at}] [{:>3}] [{level}] {message}", 1) {
            tracing::warn!(%error, "the wizard's trace log was not written");
        }
    }
}
