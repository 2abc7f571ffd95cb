//! Stands where `msiexec.exe` would, for the ends that Wine's does not have: takes the agent's command line and nothing else,
//! writes a log as Windows does (UTF-16LE with a mark), and ends with the code that stands in `msiexec-shim.json` beside it.

use std::process::exit;

use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["/i" | "/x", what, "/quiet", "/norestart", "/l*v", log] = words[..] else {
        eprintln!("the shim knows the agent's command line only, not {words:?}");
        exit(1639);
    };
    let beside = std::env::current_exe().unwrap_or_default().with_file_name("msiexec-shim.json");
    let settings: Value = std::fs::read(&beside).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    let code = settings["exit"].as_i64().and_then(|c| i32::try_from(c).ok()).unwrap_or(0);
    let said = settings["says"].as_str().unwrap_or_default();
    let text = format!(
        "=== Verbose logging started ===\r\nMSI (c) (A0:B4): Package we're running from ==> {what}\r\n\
         Action ended 10:00:00: Noise. Return value 1.\r\n{said}\r\n\
         Action ended 10:00:01: INSTALL. R\u{fc}ckgabewert 3. Return value 3.\r\n\
         MSI (s) (A0:B4): MainEngineThread is returning {code}\r\n=== Verbose logging stopped ===\r\n"
    );
    let bytes: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    if std::fs::write(log, bytes).is_err() {
        exit(1622);
    }
    exit(code);
}
