//! `csexport.exe`, which comes with Connect: what a connector would export, written to a file of ours and read from it. The file names
//! people: it lies in a folder that only administrators may open, and is gone afterwards whatever happens.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use syncferry_shared::exports::ExportList;
use syncferry_shared::sync_config::Unknown;
use syncferry_win32::job::Job;
use tokio::process::Command;

use super::{folders, refused, registry};
use crate::connect::export_xml;
use crate::host::HostError;

const KEY_ENGINE: &str = r"SOFTWARE\Microsoft\AD Sync";
/// How long one connector may take.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// More than this is not read: what is told of it would say nothing to a person.
const LARGEST: u64 = 512 << 20;
/// CREATE_NO_WINDOW.
const NO_WINDOW: u32 = 0x0800_0000;
/// What folders of ours begin with.
const PREFIX: &str = "syncferry-exports-";

/// A folder of ours that is gone with this.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            tracing::error!("{} with pending exports could not be deleted: {e}", self.0.display());
        }
    }
}

/// Lists every connector. One that cannot be listed is unknown, with the reason.
pub(super) async fn list(connectors: &[String]) -> Result<ExportList, HostError> {
    let location = registry::text(KEY_ENGINE, "Location")?.ok_or_else(|| HostError::Answer {
        what: KEY_ENGINE.to_string(),
        reason: "it has no Location".to_string(),
    })?;
    let program = Path::new(&location).join(r"Bin\csexport.exe");
    forget_former();
    let folder = std::env::temp_dir().join(format!("{PREFIX}{:032x}", rand::random::<u128>()));
    std::fs::create_dir(&folder).map_err(refused(format!("making {}", folder.display())))?;
    let folder = Folder(folder);
    folders::make_private(&folder.0, &[])?;
    let mut list = ExportList::default();
    for (n, connector) in connectors.iter().enumerate() {
        match one(&program, connector, &folder.0.join(format!("{n}.xml"))).await {
            Ok(found) => {
                list.connectors.insert(connector.clone(), found);
            }
            Err(e) => list.unknown.push(Unknown {
                fact: connector.clone(),
                why: e.to_string(),
            }),
        }
    }
    Ok(list)
}

/// An agent that was ended in the middle left its folder. There is one list at a time: all of them are old.
fn forget_former() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_string_lossy().starts_with(PREFIX)) {
        drop(Folder(entry.path()));
    }
}

async fn one(
    program: &Path,
    connector: &str,
    file: &Path,
) -> Result<std::collections::BTreeMap<String, syncferry_shared::exports::OperationExports>, HostError> {
    let what = || format!("csexport.exe for {connector}");
    let job = Job::new().map_err(refused(what()))?;
    let mut child = Command::new(program)
        .arg(connector)
        .arg(file)
        .arg("/f:x")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .creation_flags(NO_WINDOW)
        .kill_on_drop(true)
        .spawn()
        .map_err(refused(what()))?;
    if let Some(process) = child.id() {
        // It may have ended already.
        let _ = job.take(process);
    }
    let status = tokio::time::timeout(LIMIT, child.wait())
        .await
        .map_err(|_| HostError::Timeout {
            what: what(),
            seconds: LIMIT.as_secs(),
        })?;
    let status = status.map_err(refused(what()))?;
    let answer = |reason: String| HostError::Answer { what: what(), reason };
    if !status.success() {
        return Err(answer(format!("it ended with {status}")));
    }
    let size = std::fs::metadata(file).map_err(refused(what()))?.len();
    if size > LARGEST {
        return Err(answer(format!("it wrote {size} bytes, more than is read")));
    }
    let bytes = tokio::fs::read(file).await.map_err(refused(what()))?;
    export_xml::read(&bytes).map_err(|e| answer(e.to_string()))
}
