//! What can be seen of the wizard: its process, how it was started, its newest trace log.

use std::path::{Path, PathBuf};

use syncferry_win32::process;

use super::refused;
use crate::connect::trace_log;
use crate::host::{HostError, WizardSight};

const WIZARD: &str = "AzureADConnect.exe";
/// A trace log has a few megabytes; the newest pages are at its end.
const TAIL: u64 = 4 << 20;

pub(super) fn sight() -> Result<WizardSight, HostError> {
    let processes = process::processes().map_err(refused("running programs"))?;
    let wizard = processes.iter().find(|p| p.name.eq_ignore_ascii_case(WIZARD));
    let mut sight = newest_trace().map(|log| trace_log::read(&log)).unwrap_or_default();
    sight.running = wizard.is_some();
    // The command line is better than the log, where it may be read.
    if let Some(line) = wizard.and_then(|p| process::command_line(p.id).ok()) {
        sight.existing_database = Some(trace_log::has_switch(&line));
    }
    Ok(sight)
}

/// The newest trace log's end. Without one there is no hint, and that is no error.
fn newest_trace() -> Option<String> {
    let data = std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into());
    let mut logs: Vec<PathBuf> = std::fs::read_dir(Path::new(&data).join("AADConnect"))
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_ascii_lowercase();
            name.starts_with("trace-") && name.ends_with(".log")
        })
        .collect();
    // The name has date and time, so the last name is the newest.
    logs.sort();
    tail(&logs.pop()?).ok()
}

fn tail(path: &Path) -> std::io::Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(crate::connect::msi_log::text(&bytes))
}
