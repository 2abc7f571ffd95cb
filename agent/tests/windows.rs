//! The agent on Windows: Windows Installer, services, Windows PowerShell. Runs under Wine by `tests/windows/run test`, which
//! puts the packages there and a shim where PowerShell would be; on a real Windows, only what needs neither.
#![cfg(windows)]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use syncferry_agent::connect::script;
use syncferry_agent::host::{Host, HostError};
use syncferry_agent::os::{Native, run_script};

const SHELL: &str = r"C:\windows\system32\WindowsPowerShell\v1.0";
const LIMIT: Duration = Duration::from_secs(20);

/// Where the packages are, under Wine.
fn packages() -> Option<PathBuf> {
    std::env::var_os("SYNCFERRY_WINDOWS_PACKAGES").map(PathBuf::from)
}

fn shim(settings: &serde_json::Value) {
    std::fs::write(format!(r"{SHELL}\powershell-shim.json"), settings.to_string()).unwrap();
}

fn agent(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_syncferry-agent"))
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// One test, because there is one PowerShell.
#[tokio::test]
async fn powershell_is_believed_only_when_it_says_so_itself() {
    if packages().is_none() {
        return;
    }
    let scheduler = json!({"SyncCycleEnabled": true, "StagingModeEnabled": false, "SchedulerSuspended": false,
        "SyncCycleInProgress": false, "NextSyncCyclePolicyType": "Delta"});
    let cmdlets = json!({"Get-ADSyncScheduler": scheduler, "Get-ADSyncConnector": [{"Name": "contoso.lab"}, {"Name": "contoso.onmicrosoft.com - AAD"}]});
    shim(&json!({"cmdlets": cmdlets}));
    let said = run_script(script::SCHEDULER, &[], LIMIT).await.unwrap();
    assert_eq!(said["StagingModeEnabled"], false);
    assert_eq!(
        Native.connectors().await.unwrap(),
        ["contoso.lab", "contoso.onmicrosoft.com - AAD"]
    );

    // What is printed besides, in whatever language, changes nothing.
    shim(&json!({"cmdlets": cmdlets, "fault": "noise"}));
    assert_eq!(
        run_script(script::SCHEDULER, &[], LIMIT).await.unwrap()["SyncCycleEnabled"],
        true
    );

    for (fault, part) in [
        ("silent", "without an answer"),
        ("exit", "ended with 1 and without an answer"),
        ("half", "without an answer"),
        ("other-run", "without an answer"),
        ("error", "Der Zugriff wurde verweigert. (AccessDenied,Get)"),
        ("missing", "Modules_ModuleNotFound"),
    ] {
        shim(&json!({"cmdlets": cmdlets, "fault": fault}));
        let e = run_script(script::SCHEDULER, &[], LIMIT).await.unwrap_err().to_string();
        assert!(e.contains(part), "{fault}: {e}");
    }
    // A cmdlet that is not there.
    shim(&json!({"cmdlets": {}}));
    let e = run_script(script::CONNECTORS, &[], LIMIT).await.unwrap_err();
    assert!(matches!(e, HostError::Os { .. }), "{e}");

    // One that hangs ends in time, and its child with it.
    shim(&json!({"fault": "hang"}));
    let began = Instant::now();
    let e = run_script(script::SCHEDULER, &[], Duration::from_secs(3))
        .await
        .unwrap_err();
    assert!(matches!(e, HostError::Timeout { .. }), "{e}");
    assert!(began.elapsed() < Duration::from_secs(30));
    let child: u32 = std::fs::read_to_string(format!(r"{SHELL}\powershell-shim.child"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let gone = || {
        !syncferry_win32::process::processes()
            .unwrap()
            .iter()
            .any(|p| p.id == child)
    };
    while !gone() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the child {child} is still there"
        );
        std::thread::yield_now();
    }
    std::fs::remove_file(format!(r"{SHELL}\powershell-shim.json")).unwrap();
}

/// One test, because there is one Windows Installer.
#[tokio::test]
async fn windows_installer_installs_upgrades_refuses_and_removes() {
    let Some(packages) = packages() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| packages.join(name).to_string_lossy().replace('/', r"\");
    let log = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let install = async |name: &str| {
        let exit = Native.install_msi(&path(name), &log(name)).await.unwrap();
        (exit.code, exit.excerpt)
    };
    let versions = async || -> Vec<String> {
        Native
            .connect_facts()
            .await
            .unwrap()
            .products
            .into_iter()
            .map(|p| p.version)
            .collect()
    };
    assert_eq!(versions().await, Vec::<String>::new());
    assert_eq!(install("connect.msi").await.0, 0);
    let facts = Native.connect_facts().await.unwrap();
    assert_eq!(facts.products[0].name, "Microsoft Azure AD Connect");
    assert_eq!(facts.products[0].version, "2.6.91.0");
    assert_eq!(facts.version, None, "the engine comes with the wizard, later");
    assert_eq!(install("same-code.msi").await.0, 1638);
    assert_eq!(install("newer.msi").await.0, 0);
    assert_eq!(versions().await, ["2.6.92.0"]);
    let (code, excerpt) = install("connect.msi").await;
    assert_eq!(code, 1603, "older than what is there");
    assert!(!excerpt.is_empty());
    assert_eq!(install("blocked.msi").await.0, 1603);
    assert_eq!(install("reboot.msi").await.0, 3010);
    let code = Native.connect_facts().await.unwrap().products[0].product_code.clone();
    assert_eq!(Native.uninstall_msi(&code, &log("un.log")).await.unwrap().code, 0);
    assert_eq!(Native.uninstall_msi(&code, &log("un2.log")).await.unwrap().code, 1605);
    assert_eq!(versions().await, Vec::<String>::new());
    // Windows says 1620 here; Wine says 1627. Neither is a success.
    assert_ne!(install("garbage.msi").await.0, 0);
}

#[test]
fn the_agent_is_a_service_that_says_why_it_does_not_run() {
    if packages().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agent.toml");
    let folder = |name: &str| dir.path().join(name).to_string_lossy().replace('\\', "/");
    std::fs::write(
        &config,
        format!(
            "controller = \"127.0.0.1:9\"\ndata_dir = \"{}\"\nstaging_dir = \"{}\"\n",
            folder("data"),
            folder("staging")
        ),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let (code, text) = agent(&["--config", config, "status"]);
    assert_eq!(code, 1);
    assert!(text.contains("not installed"), "{text}");
    let (code, text) = agent(&["--config", config, "install", "--no-start"]);
    assert_eq!(code, 0, "{text}");
    let (_, text) = agent(&["--config", config, "status"]);
    assert!(
        text.starts_with("stopped; starts: automatic; runs as LocalSystem"),
        "{text}"
    );
    let (code, text) = agent(&["--config", config, "install"]);
    assert_eq!(code, 1);
    assert!(text.contains("is there already (stopped)"), "{text}");
    let (code, text) = agent(&["uninstall"]);
    assert_eq!(code, 0, "{text}");
    // Started without an enrolment it stops, and whoever installed it is told so.
    let (code, text) = agent(&["--config", config, "install"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("was started and is stopped"), "{text}");
    let (code, text) = agent(&["uninstall"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = agent(&["uninstall"]);
    assert_eq!(code, 1);
    assert!(text.contains("there is no service SyncferryAgent"), "{text}");
}

#[test]
fn doctor_and_selftest_answer() {
    let (code, text) = agent(&["--config", r"C:\nowhere\agent.toml", "doctor"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("BAD      configuration"), "{text}");
    let (_, text) = agent(&["--config", r"C:\nowhere\agent.toml", "selftest", "--write"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let step = |name: &str| {
        report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["name"] == name)
            .cloned()
            .unwrap()
    };
    assert_eq!(step("a secret at rest")["passed"], true);
    assert!(step("machine")["saw"]["computer_name"].is_string());
}
