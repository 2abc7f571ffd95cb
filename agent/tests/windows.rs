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
/// There is one Windows, with one PowerShell and one Windows Installer: one test at a time.
static WINDOWS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

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

#[tokio::test]
async fn powershell_is_believed_only_when_it_says_so_itself() {
    let _alone = WINDOWS.lock().await;
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

#[tokio::test]
async fn windows_installer_installs_upgrades_refuses_and_removes() {
    let _alone = WINDOWS.lock().await;
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
    // Wine's log does not say why; the shim's does, below.
    assert_eq!(install("connect.msi").await.0, 1603, "older than what is there");
    assert_eq!(install("blocked.msi").await.0, 1603);
    assert_eq!(install("reboot.msi").await.0, 3010);
    let code = Native.connect_facts().await.unwrap().products[0].product_code.clone();
    assert_eq!(Native.uninstall_msi(&code, &log("un.log")).await.unwrap().code, 0);
    assert_eq!(Native.uninstall_msi(&code, &log("un2.log")).await.unwrap().code, 1605);
    assert_eq!(versions().await, Vec::<String>::new());
    // Windows says 1620 here; Wine says 1627. Neither is a success.
    assert_ne!(install("garbage.msi").await.0, 0);

    // The ends that Wine's msiexec does not have, by a program in its place.
    let _shim = Instead::of(r"C:\windows\system32\msiexec.exe", &packages.join("msiexec.exe"));
    for code in [1602, 1618, 1619, 1620, 1639, 1641, 0] {
        let said = json!({"exit": code, "says": format!("Produkt: f\u{fc}r {code} -- der Grund")});
        std::fs::write(r"C:\windows\system32\msiexec-shim.json", said.to_string()).unwrap();
        let exit = Native
            .install_msi(&path("connect.msi"), &log("shim.log"))
            .await
            .unwrap();
        assert_eq!(exit.code, code);
        let known = syncferry_agent::connect::exit_code::explain(code).unwrap();
        assert_eq!(exit.excerpt.is_empty(), known.verdict.is_done(), "{code}");
        if !known.verdict.is_done() {
            let why = format!("f\u{fc}r {code} -- der Grund");
            assert!(
                exit.excerpt.iter().any(|l| l.contains(&why)),
                "{code}: {:?}",
                exit.excerpt
            );
        }
    }
}

/// Another program in the place of one of Windows' own, until this goes.
struct Instead {
    place: PathBuf,
    kept: PathBuf,
}

impl Instead {
    fn of(place: &str, program: &std::path::Path) -> Instead {
        let place = PathBuf::from(place);
        let kept = place.with_extension("kept");
        std::fs::rename(&place, &kept).unwrap();
        std::fs::copy(program, &place).unwrap();
        Instead { place, kept }
    }
}

impl Drop for Instead {
    fn drop(&mut self) {
        std::fs::remove_file(&self.place).unwrap();
        std::fs::rename(&self.kept, &self.place).unwrap();
    }
}

/// The service ADSync is a program that does nothing, but starts and stops as services do; what the agent does to it is real.
#[tokio::test]
async fn the_synchronisation_service_is_stopped_disabled_and_put_back() {
    let _alone = WINDOWS.lock().await;
    use windows_service::service::{ServiceAccess, ServiceErrorControl, ServiceInfo, ServiceStartType, ServiceType};
    use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

    let Some(packages) = packages() else { return };
    assert!(Native.stop_sync_service().await.is_err(), "there is none yet");
    assert_eq!(Native.connect_facts().await.unwrap().service, None);
    let manager = ServiceManager::local_computer(
        None::<&str>,
        ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE,
    )
    .unwrap();
    let info = ServiceInfo {
        name: "ADSync".into(),
        display_name: "Microsoft Azure AD Sync".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: packages.join("miiserver.exe"),
        launch_arguments: Vec::new(),
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let created = manager.create_service(&info, ServiceAccess::DELETE).unwrap();
    let seen = async || {
        let service = Native.connect_facts().await.unwrap().service.unwrap();
        assert_eq!(service.account, "LocalSystem");
        (service.state, service.start)
    };
    let is = |state: &str, start: &str| (state.to_string(), start.to_string());

    assert_eq!(seen().await, is("stopped", "automatic"));
    Native.start_sync_service().await.unwrap();
    assert_eq!(seen().await, is("running", "automatic"));
    Native.start_sync_service().await.unwrap();
    // The fence: never again first, then no more. It returns when the service has stopped, not when it was told to.
    Native.set_sync_service_start("disabled").await.unwrap();
    assert_eq!(seen().await, is("running", "disabled"));
    let began = Instant::now();
    Native.stop_sync_service().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(400), "it takes 700 ms to stop");
    assert_eq!(seen().await, is("stopped", "disabled"));
    Native.stop_sync_service().await.unwrap();
    let e = Native.start_sync_service().await.unwrap_err();
    assert!(matches!(e, HostError::Os { .. }), "disabled means disabled: {e}");
    assert_eq!(seen().await, is("stopped", "disabled"));
    // The way back.
    Native.set_sync_service_start("manual").await.unwrap();
    assert_eq!(seen().await, is("stopped", "manual"));
    Native.set_sync_service_start("automatic").await.unwrap();
    Native.start_sync_service().await.unwrap();
    assert_eq!(seen().await, is("running", "automatic"));
    assert!(Native.set_sync_service_start("sometimes").await.is_err());
    Native.stop_sync_service().await.unwrap();
    created.delete().unwrap();
}

#[test]
fn the_agent_is_a_service_that_says_why_it_does_not_run() {
    let _alone = WINDOWS.blocking_lock();
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
    let _alone = WINDOWS.blocking_lock();
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
