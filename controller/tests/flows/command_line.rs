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

#[test]
fn the_store_is_backed_up_verified_restored_and_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = path("controller.toml");
    let text = format!("data_dir = {:?}\nlog = \"off\"\n", folder.path().join("data"));
    std::fs::write(&config, text).unwrap();
    let ask = |words: &[&str]| run(&[words, &["--config", &config]].concat());
    let backup = path("one.backup");
    // There is nothing yet.
    assert_code(ask(&["backup", "--to", &backup]), 1);
    assert_code(ask(&["verify"]), 1);
    assert_code(ask(&["audit"]), 0);
    assert_code(ask(&["verify"]), 0);
    assert_code(ask(&["verify", "--json"]), 0);
    assert_code(ask(&["backup"]), 2);
    assert_code(ask(&["backup", "--to", &backup]), 0);
    assert_code(ask(&["backup", "--to", &backup]), 1);
    // A backup is checked where it is kept, without a configuration.
    assert_code(run(&["verify", &backup, "--config", &path("missing.toml")]), 0);
    let bad = path("bad.backup");
    std::fs::write(&bad, &std::fs::read(&backup).unwrap()[1..]).unwrap();
    assert_code(run(&["verify", &bad]), 1);
    assert_code(ask(&["recover"]), 0);
    assert_code(ask(&["restore", "--from", &backup]), 1);
    assert_code(ask(&["restore", "--from", &bad, "--replace"]), 1);
    assert_code(ask(&["restore", "--from", &backup, "--replace"]), 0);
    assert_code(ask(&["recover", "--json"]), 0);
    assert_code(ask(&["operator", "list"]), 0);
    let brought = std::fs::read_to_string(folder.path().join("data/controller.from-backup.toml")).unwrap();
    assert_eq!(brought, std::fs::read_to_string(&config).unwrap());
    assert_code(ask(&["migrate-store", "--to", "mysql://x"]), 1);
    assert_code(ask(&["migrate-store", "--to", "sqlite:store.db"]), 1);
    assert_code(ask(&["migrate-store", "--to", "sqlite:other.db"]), 0);
    // It was moved: nobody works on it any more.
    assert_code(ask(&["operator", "list"]), 1);
    assert_code(ask(&["migrate-store", "--to", "sqlite:other.db"]), 1);
    std::fs::write(&config, format!("{brought}store = \"sqlite:other.db\"\n")).unwrap();
    assert_code(ask(&["operator", "list"]), 0);
    assert_code(ask(&["verify"]), 0);
}
