//! The binary itself: it starts, its exit codes arrive, and Ctrl-C ends it without ending anything else.

use std::process::{Command, Output};

use syncferry_proto::v1::Migration;

use crate::fake::{Controller, World};
use crate::samples::*;

fn syncferry(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncferry"))
        .args(args)
        .env_remove("SYNCFERRY_CREDENTIALS")
        .output()
        .unwrap()
}

#[test]
fn starts_and_ends_with_its_codes() {
    let version = syncferry(&["version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        concat!("syncferry ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(syncferry(&["--help"]).status.code(), Some(0));
    let usage = syncferry(&["frobnicate"]);
    assert_eq!((usage.status.code(), usage.stdout.len()), (Some(2), 0));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_command_and_nothing_else() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    // The hosts never answer, so that the command waits.
    let waiting = Migration {
        waiting_for: "SQL01".into(),
        ..migration("inspecting")
    };
    let c = Controller::start(World {
        migrations: [waiting].into(),
        ..World::default()
    })
    .await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_syncferry"))
        .arg("--credentials")
        .arg(&c.credentials)
        .args(crate::verbs::PLAN)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // Once it waits, it also listens for the signal.
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.contains("waiting for"), "{first}");
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest.push_str(&line);
    }
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert!(
        rest.contains("error: interrupted") && rest.contains("goes on planning"),
        "{rest}"
    );
}
