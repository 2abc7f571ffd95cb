//! `docs/WALKTHROUGH.md` is a real run: this test runs the lab as README says, and compares what happened with what stands
//! there. `UPDATE_DOCS=1` writes the file anew.

use std::process::{Command, Stdio};

use syncferry_tests::transcript::Transcript;

const INTRODUCTION: &str = "# A whole run\n\n\
This is what `cargo lab move-to-full-sql` prints, from nothing to the evidence, when its output is no terminal (in a terminal,\n\
progress is shown as bars). A test made it and holds it against the code; ids, hashes and times are replaced by words.\n\n```text\n";

#[test]
fn the_walkthrough_is_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("lab");
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["move-to-full-sql", "--fast", "--io-mb-per-s", "0", "--dir"])
        .arg(&dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Transcript::page("WALKTHROUGH.md", INTRODUCTION).is_what_happens(&said, &dir);
}
