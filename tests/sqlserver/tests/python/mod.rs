//! A Python with pinned packages from PyPI: programs that nobody here wrote. Made once per set of pins, and kept under the
//! target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Python with `requirements`, under `base` (`CARGO_TARGET_TMPDIR`). Without Python or PyPI it is `None`, and says so;
/// with `SYNCFERRY_REQUIRE_STRANGERS=1` that is a failure, as in CI.
pub(crate) fn with(requirements: &Path, base: &Path) -> Option<PathBuf> {
    let python = made(requirements, base);
    if python.is_none() {
        let required = std::env::var("SYNCFERRY_REQUIRE_STRANGERS").is_ok_and(|v| !matches!(v.as_str(), "" | "0"));
        assert!(!required, "no Python, or PyPI is out of reach");
        eprintln!("SKIPPED: no Python, or PyPI is out of reach");
    }
    python
}

fn made(requirements: &Path, base: &Path) -> Option<PathBuf> {
    let pinned = fs::read(requirements).unwrap();
    let environment = base.join(format!("python-{:08x}", crc32fast::hash(&pinned)));
    let python = environment.join("bin").join("python");
    // Tests run at the same time, perhaps in several processes.
    fs::create_dir_all(base).unwrap();
    let lock = File::create(base.join("python.lock")).unwrap();
    lock.lock().unwrap();
    let ready = environment.join("ready");
    if !ready.exists() {
        fs::remove_dir_all(&environment).ok();
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let mut install = Command::new(&python);
        install
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements);
        succeeds(&mut install)?;
        fs::write(ready, "").unwrap();
    }
    Some(python)
}

fn succeeds(command: &mut Command) -> Option<()> {
    let status = command.stdin(Stdio::null()).status();
    status.is_ok_and(|status| status.success()).then_some(())
}
