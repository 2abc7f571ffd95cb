//! Windows PowerShell 5.1, by its absolute path, with the script on its command line: no file that somebody could change, no
//! search path, no profile. It and all that it starts end with us, or when it takes too long.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use syncferry_win32::job::Job;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::{refused, system_program};
use crate::connect::script::{self, Script};
use crate::host::HostError;

/// More than any answer that we ask for.
const LONGEST: u64 = 8 << 20;
/// CREATE_NO_WINDOW.
const NO_WINDOW: u32 = 0x0800_0000;

/// Runs a script and returns its answer.
pub async fn run(script: Script, values: &[(&str, &str)], limit: Duration) -> Result<Value, HostError> {
    let what = format!("the script {}", script.name);
    let run = format!("{:032x}", rand::random::<u128>());
    let program = system_program(r"WindowsPowerShell\v1.0\powershell.exe");
    let job = Job::new().map_err(refused(what.clone()))?;
    let mut child = Command::new(&program)
        .args(["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"])
        .args(["-OutputFormat", "Text", "-EncodedCommand"])
        .arg(script::encoded(&script.framed(&run, values)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .creation_flags(NO_WINDOW)
        .kill_on_drop(true)
        .spawn()
        .map_err(refused(format!("starting {}", program.display())))?;
    if let Some(process) = child.id() {
        // It may have ended already; then there is nothing to hold together.
        let _ = job.take(process);
    }
    let mut stdout = Vec::new();
    let output = child.stdout.take();
    let ended = async {
        if let Some(output) = output {
            output.take(LONGEST).read_to_end(&mut stdout).await?;
        }
        child.wait().await
    };
    let status = match tokio::time::timeout(limit, ended).await {
        Ok(status) => status.map_err(refused(what.clone()))?,
        Err(_) => {
            // Its children too; what cannot be ended now ends with the job's handle below.
            let _ = job.end();
            return Err(HostError::Timeout {
                what,
                seconds: limit.as_secs(),
            });
        }
    };
    let exit_code = status.code().unwrap_or(-1);
    script::answer(&run, exit_code, &stdout).map_err(|e| match e {
        script::ScriptError::Failed { .. } => HostError::Os {
            what,
            error: e.to_string(),
        },
        other => HostError::Answer {
            what,
            reason: other.to_string(),
        },
    })
}
