//! The shipped binary: that it is what its library says, and its exit codes.

use std::path::Path;
use std::process::Command;

fn agent(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_syncferry-agent"))
        .args(args)
        .current_dir(dir)
        .env_remove("SYNCFERRY_AGENT_CONFIG")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout) + &text(&output.stderr),
    )
}

#[test]
fn exit_codes_say_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "controller = \"127.0.0.1:1\"\ndata_dir = {:?}\n",
        dir.path().join("data")
    );
    std::fs::write(dir.path().join("agent.toml"), config).unwrap();
    std::fs::write(dir.path().join("bad.toml"), "controler = \"x\"").unwrap();
    assert_eq!(agent(dir.path(), &["version"]).0, 0);
    let (code, text) = agent(dir.path(), &["config", "check"]);
    assert_eq!((code, text.as_str()), (0, "agent.toml is in order\n"));
    let (code, text) = agent(dir.path(), &["--config", "bad.toml", "config", "check"]);
    assert_eq!(code, 78);
    assert!(text.contains("controler"), "{text}");
    assert_eq!(agent(dir.path(), &["--config", "none.toml", "run"]).0, 78);
    assert_eq!(agent(dir.path(), &["fly"]).0, 2);
    let (code, text) = agent(dir.path(), &["run"]);
    assert_eq!(code, 3);
    assert!(text.contains("syncferry-agent enrol"), "{text}");
    let (code, text) = agent(dir.path(), &["enrol", "--token", "nonsense"]);
    assert_eq!(code, 5);
    assert!(text.contains("not an enrolment token"), "{text}");
}
