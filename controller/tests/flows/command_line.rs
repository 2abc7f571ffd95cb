//! The controller's own command line, as a process would call it: what it says wrong is an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use syncferry_controller::cli::main_with;

fn run(args: &[&str]) -> ExitCode {
    let args = std::iter::once("syncferry-controller").chain(args.iter().copied());
    main_with(args.map(OsString::from))
}

/// `ExitCode` has no `==`.
fn assert_code(found: ExitCode, expected: u8) {
    assert_eq!(format!("{found:?}"), format!("{:?}", ExitCode::from(expected)));
}

#[test]
fn exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        path(name)
    };
    assert_code(run(&["--help"]), 0);
    assert_code(run(&["--version"]), 0);
    assert_code(run(&[]), 2);
    assert_code(run(&["dance"]), 2);
    assert_code(run(&["config", "check", "--config", &path("missing.toml")]), 78);
    assert_code(
        run(&["config", "check", "--config", &write("typo.toml", "lisen = 1")]),
        78,
    );
    let odd = write("odd.toml", "[leases]\nttl_s = 5\nmargin_s = 10\n");
    assert_code(run(&["config", "check", "--config", &odd]), 78);
    assert_code(run(&["config", "check", "--config", &write("empty.toml", "")]), 0);
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/samples/controller.toml");
    assert_code(run(&["config", "check", "--config", sample]), 0);
}

#[test]
fn a_fresh_store_passes_the_audit_and_a_port_in_use_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = folder.path().join("controller.toml");
    let text = format!(
        "data_dir = {:?}\nlisten = \"{}\"\nlog = \"off\"\n",
        folder.path().join("data"),
        taken.local_addr().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    assert_code(run(&["run", "--config", &config]), 1);
    assert!(!folder.path().join("data/address").exists());
    assert_code(run(&["audit", "--config", &config]), 0);
}
