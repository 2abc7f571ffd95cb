//! Stands where `powershell.exe` would: takes the same command line, finds the cmdlet in the script, and answers as the frame
//! of the agent's scripts does. Where its answers come from stands beside it, in `powershell-shim.json`:
//!
//! - `{"lab": "Z:\\…\\hosts\\SYNC02"}`: the lab's machine is asked, which plays ADSync;
//! - `{"cmdlets": {"Get-ADSyncScheduler": {…}}, "service-account": {…}}`: answers as they stand there;
//! - `{"fault": "silent|exit|hang|noise|half|error|missing|other-run"}`: what goes wrong with all of them.
//!
//! What a script does besides one cmdlet is not run: the scripts themselves are proven on Windows only.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::exit;

use serde_json::{Value, json};

const CMDLETS: &[&str] = &[
    "Set-ADSyncScheduler",
    "Get-ADSyncScheduler",
    "Get-ADSyncConnectorRunStatus",
    "Get-ADSyncConnectorStatistics",
    "Get-ADSyncSchedulerConnectorOverride",
    "Get-ADSyncRunProfileResult",
    "Get-ADSyncConnector",
    "Get-ADSyncGlobalSettings",
    "Get-ADSyncDatabaseConfiguration",
    "Get-ADSyncRule",
    "Get-ADSyncAutoUpgrade",
    "Get-ADSyncAADCompanyFeature",
    "Get-ADSyncExportDeletionThreshold",
    "Get-ADSyncEntraConnectorCredential",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(encoded) = arguments.iter().position(|a| a == "-EncodedCommand").and_then(|at| arguments.get(at + 1)) else {
        eprintln!("the shim knows -EncodedCommand only");
        exit(64);
    };
    for demanded in ["-NoProfile", "-NonInteractive"] {
        if !arguments.iter().any(|a| a == demanded) {
            eprintln!("{demanded} is missing");
            exit(64);
        }
    }
    let script = decoded(encoded);
    let run = between(&script, "syncferry-begin ", "'").unwrap_or_default().to_string();
    let beside = std::env::current_exe().unwrap_or_default().with_file_name("powershell-shim.json");
    let settings: Value = std::fs::read(&beside).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    // A comment of a script may name a cmdlet as well.
    let code: String = script.lines().filter(|l| !l.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let cmdlet = CMDLETS.iter().filter_map(|c| Some((code.find(c)?, *c))).min().map(|(_, c)| c);
    match settings["fault"].as_str() {
        Some("silent") => return,
        Some("exit") => exit(1),
        Some("hang") => {
            // With a child, so that ending only this process leaves one behind.
            let child = std::process::Command::new("ping").args(["-n", "600", "127.0.0.1"]).stdout(std::process::Stdio::null()).spawn();
            let id = child.as_ref().map_or(0, std::process::Child::id);
            let _ = std::fs::write(beside.with_file_name("powershell-shim.child"), id.to_string());
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        Some("half") => return println!("syncferry-begin {run}\r\n{{\"A\":"),
        Some("noise") => println!("WARNUNG: Das Modul \u{e4}ndert sich.\r\n[1,2,3]\r\n"),
        Some("other-run") => return say("0000", "end", &json!({})),
        Some("missing") => {
            return failed(&run, "The specified module 'ADSync' was not loaded because no valid module file was found in any module directory.", "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand");
        }
        Some("error") => return failed(&run, "Der Zugriff wurde verweigert.", "AccessDenied,Get"),
        _ => {}
    }
    if code.contains("NetQueryServiceAccount") {
        let answer = match settings["lab"].as_str() {
            Some(lab) => service_account(Path::new(lab), &code),
            None => Ok(settings["service-account"].clone()),
        };
        return match answer {
            Ok(answer) => end(&run, &answer),
            Err(message) => failed(&run, &message, "LabRefused"),
        };
    }
    let Some(cmdlet) = cmdlet else {
        return end(&run, &json!({"Version": "5.1.20348.1", "Edition": "Desktop", "LanguageMode": "FullLanguage", "Is64Bit": true}));
    };
    let answer = match settings["lab"].as_str() {
        Some(lab) => ask(Path::new(lab), cmdlet, &code),
        None => Ok(settings["cmdlets"][cmdlet].clone()),
    };
    match answer {
        Ok(Value::Null) if cmdlet.starts_with("Get") => failed(&run, &format!("{cmdlet} is not recognized"), "CommandNotFoundException"),
        Ok(answer) => end(&run, &answer),
        Err(message) => failed(&run, &message, "LabRefused"),
    }
}

/// Asks the lab's machine; a switch of the scheduler is looked up afterwards, as the script does.
fn ask(lab: &Path, cmdlet: &str, code: &str) -> Result<Value, String> {
    let call = |script: &str| -> Result<Value, String> {
        let answer = exchange(lab, &json!({"ask": "power-shell", "script": script}))?;
        if answer["exit_code"] != 0 {
            return Err(answer["stderr"].as_str().unwrap_or_default().to_string());
        }
        match answer["stdout"].as_str().unwrap_or_default() {
            "" => Ok(Value::Null),
            text => serde_json::from_str(text).map_err(|e| e.to_string()),
        }
    };
    if cmdlet != "Set-ADSyncScheduler" {
        return call(cmdlet);
    }
    let enabled = between(code, "-SyncCycleEnabled ", "\n").unwrap_or_default().trim();
    call(&format!("Set-ADSyncScheduler -SyncCycleEnabled {enabled}"))?;
    let now = call("Get-ADSyncScheduler")?;
    Ok(json!({"SyncCycleEnabled": now["SyncCycleEnabled"]}))
}

/// Asks the lab's machine what it sees of a service account: the script has the account, and names of SQL Server, in base 64.
fn service_account(lab: &Path, code: &str) -> Result<Value, String> {
    let values: Vec<String> = code.split("FromBase64String('").skip(1).filter_map(|v| v.split('\'').next()).map(decoded).collect();
    let [account, spns] = values.as_slice() else {
        return Err("the script has no account".to_string());
    };
    let spns: Vec<&str> = spns.lines().collect();
    exchange(lab, &json!({"ask": "service-account", "account": account, "spns": spns}))
}

fn exchange(lab: &Path, request: &Value) -> Result<Value, String> {
    let told = |e: &dyn std::fmt::Display| format!("the lab's machine does not answer: {e}");
    let port = std::fs::read_to_string(lab.join("port")).map_err(|e| told(&e))?;
    let port: u16 = port.trim().parse().map_err(|e| told(&e))?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| told(&e))?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(|e| told(&e))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(|e| told(&e))?;
    let answer: Value = serde_json::from_str(&line).map_err(|e| told(&e))?;
    match answer.get("error") {
        Some(error) => Err(error.as_str().unwrap_or_default().to_string()),
        None => Ok(answer["ok"].clone()),
    }
}

fn end(run: &str, answer: &Value) {
    say(run, "end", answer);
}

fn failed(run: &str, message: &str, id: &str) {
    say(run, "failed", &json!({"message": message, "kind": "System.Exception", "id": id}));
    exit(70);
}

fn say(run: &str, end: &str, answer: &Value) {
    print!("syncferry-begin {run}\r\n{answer}\r\nsyncferry-{end} {run}\r\n");
    let _ = std::io::stdout().flush();
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split(to).next()
}

fn decoded(encoded: &str) -> String {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in encoded.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0_u32, |bits, c| bits << 6 | u32::from(digit(*c))) << (6 * (4 - four.len()));
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    let units: Vec<u16> = bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
    String::from_utf16_lossy(&units)
}
