//! `syncferry-agent selftest`: what no build machine can prove, done on a real one. It looks only, unless it is allowed to try
//! a folder and a secret of its own; it never touches Connect, a service or a database. The report is to be sent back.

use std::path::{Path, PathBuf};

use serde::Serialize;
use syncferry_shared::clock::{Clock as _, Millis};

use crate::clocks::SystemClocks;
use crate::doctor;
use crate::host::Host;
use crate::os::Native;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The configuration.
    pub config: PathBuf,
    /// An installer to read and to ask Windows about.
    pub installer: Option<String>,
    /// Whether things of its own may be made in the temporary folder, and taken away again.
    pub write: bool,
}

/// What one step showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Which.
    pub name: String,
    /// Whether it did what it should; `None` where there is no right answer, only a fact to report.
    pub passed: Option<bool>,
    /// What was seen.
    pub saw: serde_json::Value,
    /// How long it took.
    pub millis: u64,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its shape.
    pub schema_version: u32,
    /// The agent's version.
    pub version: &'static str,
    /// By the host's clock.
    pub taken_at: Millis,
    /// Whether it was allowed to write.
    pub wrote: bool,
    /// Everything that `doctor` says.
    pub doctor: doctor::Report,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Report {
    /// Whether a step did not do what it should.
    pub fn has_failed(&self) -> bool {
        self.steps.iter().any(|s| s.passed == Some(false))
    }
}

struct Steps(Vec<Step>);

impl Steps {
    async fn fact<T: Serialize, E: std::fmt::Display>(
        &mut self,
        name: &str,
        asked: impl Future<Output = Result<T, E>>,
    ) {
        let began = std::time::Instant::now();
        let (passed, saw) = match asked.await {
            Ok(value) => (None, serde_json::to_value(value).unwrap_or_default()),
            Err(e) => (Some(false), e.to_string().into()),
        };
        self.0.push(Step {
            name: name.to_string(),
            passed,
            saw,
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }

    async fn proof(&mut self, name: &str, tried: impl Future<Output = Result<String, String>>) {
        let began = std::time::Instant::now();
        let (passed, saw) = match tried.await {
            Ok(saw) => (true, saw),
            Err(saw) => (false, saw),
        };
        self.0.push(Step {
            name: name.to_string(),
            passed: Some(passed),
            saw: saw.into(),
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}

/// Does the steps.
pub async fn run(ask: &Ask) -> Report {
    let mut steps = Steps(Vec::new());
    steps.fact("machine", Native.facts()).await;
    steps.fact("Connect", Native.connect_facts()).await;
    if let Some(path) = &ask.installer {
        let local = Native.local_path(path);
        let named = path.clone();
        steps
            .fact("installer", async move {
                let read = tokio::task::spawn_blocking(move || crate::connect::msi::read(&named, &local)).await;
                read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
            })
            .await;
        steps
            .fact("installer's signature", Native.signature_trusted(path))
            .await;
    }
    if ask.write {
        let dir = std::env::temp_dir().join(format!("syncferry-selftest-{:08x}", rand::random::<u32>()));
        steps.proof("a private folder", private_folder(&dir)).await;
        steps.proof("a secret at rest", secret(&dir)).await;
        if let Err(e) = std::fs::remove_dir_all(&dir) {
            tracing::warn!("{} stays: {e}", dir.display());
        }
    }
    #[cfg(windows)]
    windows(&mut steps).await;
    Report {
        schema_version: 1,
        version: env!("CARGO_PKG_VERSION"),
        taken_at: SystemClocks.now(),
        wrote: ask.write,
        doctor: doctor::look(&ask.config).await,
        steps: steps.0,
    }
}

async fn private_folder(dir: &Path) -> Result<String, String> {
    let path = dir.to_string_lossy().into_owned();
    Native.secure_dir(&path, &[]).await.map_err(|e| e.to_string())?;
    syncferry_proto::transport::private_file::check_directory(dir).map_err(|e| e.to_string())?;
    std::fs::write(dir.join("x"), "x").map_err(|e| format!("it keeps even us out: {e}"))?;
    Ok("made, closed to others, open to us".to_string())
}

async fn secret(dir: &Path) -> Result<String, String> {
    use syncferry_proto::transport::private_file;
    let path = dir.join("secret.pem");
    private_file::write(&path, "a secret of the self-test").map_err(|e| e.to_string())?;
    let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
    if cfg!(windows) && bytes.windows(6).any(|w| w == b"secret") {
        return Err("it lies there in the clear".to_string());
    }
    match private_file::read(&path) {
        Ok(text) if text == "a secret of the self-test" => Ok("comes back as it was".to_string()),
        Ok(_) => Err("something else comes back".to_string()),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(windows)]
async fn windows(steps: &mut Steps) {
    use crate::connect::script;
    let limit = std::time::Duration::from_secs(120);
    // One script asks about an account: this one is on every Windows.
    let account = crate::connect::account::quoted(r"NT AUTHORITY\SYSTEM");
    let values = [("ACCOUNT", account.as_str()), ("SPNS", "")];
    for each in script::ALL.iter().filter(|s| **s != script::SET_SYNC_CYCLE) {
        steps
            .fact(
                &format!("script {}", each.name),
                crate::os::run_script(*each, &values, limit),
            )
            .await;
    }
    steps.fact("LocalDB", async { crate::os::local_databases() }).await;
    steps
        .fact("the wizard", async { Native.wizard().await.map(|w| format!("{w:?}")) })
        .await;
    steps
        .proof("this program's command line", async {
            let line = syncferry_win32::process::command_line(std::process::id()).map_err(|e| e.to_string())?;
            if line.contains("selftest") { Ok(line) } else { Err(line) }
        })
        .await;
    steps
        .fact("virtual machine's generation", async {
            Ok::<_, String>(syncferry_win32::machine::vm_generation().map(|g| format!("{g:032x}")))
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looking_makes_nothing_and_writing_takes_its_own_away() {
        let before = ours();
        let ask = Ask {
            config: "/nowhere/agent.toml".into(),
            ..Ask::default()
        };
        let report = run(&ask).await;
        assert!(report.steps.iter().any(|s| s.name == "machine" && s.passed.is_none()));
        let report = run(&Ask { write: true, ..ask }).await;
        // Wine maps access lists to mode bits.
        let private = std::env::var_os("SYNCFERRY_UNDER_WINE").is_none();
        for name in ["a private folder", "a secret at rest"]
            .into_iter()
            .skip(usize::from(!private))
        {
            let step = report.steps.iter().find(|s| s.name == name).unwrap();
            assert_eq!(step.passed, Some(true), "{step:?}");
        }
        assert_eq!(ours(), before);
    }

    fn ours() -> usize {
        let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
        entries
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with("syncferry-selftest-"))
            .count()
    }
}
