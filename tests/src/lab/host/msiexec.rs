//! `msiexec /i` and `/x`: reads real `.msi` files, keeps the list of products, writes verbose logs, ends with Windows
//! Installer's codes. What a package's custom actions would do is not done.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Host;
use super::breakdown::{At, Breakdown};
use super::faults::Faults;
use super::layout::{KEY_WIZARD, UPGRADE_WIZARD, WIZARD_DIR, WIZARD_EXE};
use super::msilog::MsiLog;
use super::products::{Product, braced};
use crate::lab::msi::read_product;

const SUCCESS: i32 = 0;
const FAILURE: i32 = 1603;
const UNKNOWN_PRODUCT: i32 = 1605;
const BUSY: i32 = 1618;
const OPEN_FAILED: i32 = 1619;
const INVALID_PACKAGE: i32 = 1620;
const LOG_FAILED: i32 = 1622;
const OTHER_VERSION: i32 = 1638;
const BAD_COMMAND_LINE: i32 = 1639;
const REBOOT_REQUIRED: i32 = 3010;

/// A command line, read.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    verb: Verb,
    log: Option<String>,
    line: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Verb {
    Install(String),
    Remove(String),
}

/// Runs it and returns the exit code.
pub(crate) async fn run(host: &Host, arguments: &[String]) -> io::Result<i32> {
    let Some(command) = parse(arguments) else {
        return Ok(BAD_COMMAND_LINE);
    };
    let log_path = match &command.log {
        Some(log) => match log_file(host, log) {
            Some(path) => Some(path),
            None => return Ok(LOG_FAILED),
        },
        None => None,
    };
    let mut log = MsiLog::begin(&command.line);
    let (name, verb, code) = match &command.verb {
        Verb::Install(path) => {
            let (name, code) = install(host, path, &mut log).await?;
            (name, "Installation", code)
        }
        Verb::Remove(code) => {
            let (name, code) = remove(host, code, &mut log).await?;
            (name, "Removal", code)
        }
    };
    if let Some(path) = log_path {
        super::files::write(&path, &log.end(&name, verb, code))?;
    }
    Ok(code)
}

async fn install(host: &Host, path: &str, log: &mut MsiLog) -> io::Result<(String, i32)> {
    let Some(_one_at_a_time) = host.begin_msi() else {
        log.line("Another installation is already in progress.");
        return Ok((path.to_string(), BUSY));
    };
    let file = match host.drives().real_path(path) {
        Ok(file) if file.is_file() => file,
        _ => {
            log.line(&format!("Note: 1: 2203 2: {path} 3: -2147287038"));
            return Ok((path.to_string(), OPEN_FAILED));
        }
    };
    let product = match read_product(&file) {
        Ok(product) => product,
        Err(error) => {
            log.line(&format!("Note: 1: 2203 2: {path} 3: -2147286960 ({error})"));
            return Ok((path.to_string(), INVALID_PACKAGE));
        }
    };
    log.product(&product);
    let name = product.name.clone();
    let code = install_product(host, product, log).await?;
    host.count(|e| match code {
        SUCCESS | REBOOT_REQUIRED => e.msi_installs += 1,
        _ => e.msi_failures += 1,
    });
    Ok((name, code))
}

async fn install_product(host: &Host, product: Product, log: &mut MsiLog) -> io::Result<i32> {
    let installed = host.look(|s| s.products.clone());
    if installed.iter().any(|p| p.product_code == product.product_code) {
        log.line("Another version of this product is already installed.");
        return Ok(OTHER_VERSION);
    }
    let same_line = installed.iter().find(|p| p.upgrade_code == product.upgrade_code);
    if same_line.is_some_and(|old| old.version_numbers() > product.version_numbers()) {
        log.line("A newer version of Microsoft Azure AD Connect is already installed.");
        log.action("LaunchConditions", 3);
        return Ok(FAILURE);
    }
    log.action("FindRelatedProducts", 1);
    log.action("CostFinalize", 1);
    tokio::time::sleep(Duration::from_millis(host.machine().pace.msi_ms)).await;
    if let Some(b) = host.faults().broken_down()
        && let At::Msi(code) = b.at
    {
        return Ok(break_down(b, code, log));
    }
    let fault = Faults::take_msi_exit(host.dir())?;
    if let Some(code) = fault.filter(|c| *c != REBOOT_REQUIRED) {
        log.line("CustomAction DetectStoreServer returned actual error code 1603 (note this may not be 100% accurate if translation happened inside sandbox)");
        log.action("DetectStoreServer", 3);
        log.action("INSTALL", 3);
        return Ok(code);
    }
    log.action("InstallFiles", 1);
    if let Err(error) = lay_down(host) {
        log.line(&format!(
            "Error 1304. Error writing to file: {WIZARD_DIR}\\{WIZARD_EXE}. {error}"
        ));
        log.action("InstallFiles", 3);
        return Ok(FAILURE);
    }
    log.action("WriteRegistryValues", 1);
    log.action("RegisterProduct", 1);
    host.change(|s| {
        if product.upgrade_code == UPGRADE_WIZARD {
            s.registry
                .set(KEY_WIZARD, "InstallationPath", format!("{WIZARD_DIR}\\").as_str());
            s.registry
                .set(KEY_WIZARD, "WizardPath", format!("{WIZARD_DIR}\\{WIZARD_EXE}").as_str());
            s.registry.set(KEY_WIZARD, "AuditEventLogging", 1);
        }
        s.products.retain(|p| p.upgrade_code != product.upgrade_code);
        s.products.push(product);
    })?;
    log.action("INSTALL", 1);
    Ok(fault.unwrap_or(SUCCESS))
}

/// What Windows Installer writes from the action that failed to the end.
fn break_down(b: &Breakdown, code: i32, log: &mut MsiLog) -> i32 {
    log.action("AppSearch", 1);
    log.action("ValidateProductID", 1);
    log.line("MSI (s) (10:F4): Doing action: InstallExecute");
    for line in b.lines {
        log.line(&format!("MSI (s) (10!A8): {line}"));
    }
    log.line("MSI (s) (10:F4): User policy value 'DisableRollback' is 0");
    log.action("InstallExecute", 3);
    log.line("MSI (s) (10:F4): Executing op: End(Checksum=0,ProgressTotalHDWord=0,ProgressTotalLDWord=0)");
    log.action("Rollback", 1);
    log.action("INSTALL", 3);
    code
}

/// The wizard's folder.
fn lay_down(host: &Host) -> io::Result<()> {
    let drives = host.drives();
    let os = |e: syncferry_sqlserver::storage::OsError| io::Error::other(e.to_string());
    drives.create_dir(&format!("{WIZARD_DIR}\\SetupFiles")).map_err(os)?;
    for file in [
        WIZARD_EXE,
        r"SetupFiles\Synchronization Service.msi",
        r"AzureADConnect.exe.config",
    ] {
        let path = drives.real_path(&format!("{WIZARD_DIR}\\{file}")).map_err(os)?;
        std::fs::write(path, b"MZ of the lab: nothing to run\r\n")?;
    }
    Ok(())
}

async fn remove(host: &Host, code: &str, log: &mut MsiLog) -> io::Result<(String, i32)> {
    let Some(_one_at_a_time) = host.begin_msi() else {
        log.line("Another installation is already in progress.");
        return Ok((code.to_string(), BUSY));
    };
    let code = braced(code);
    let Some(product) = host.look(|s| s.products.iter().find(|p| p.product_code == code).cloned()) else {
        log.line("This action is only valid for products that are currently installed.");
        return Ok((code, UNKNOWN_PRODUCT));
    };
    tokio::time::sleep(Duration::from_millis(host.machine().pace.msi_ms)).await;
    log.product(&product);
    log.action("RemoveFiles", 1);
    if product.upgrade_code == UPGRADE_WIZARD
        && let Ok(folder) = host.drives().real_path(WIZARD_DIR)
    {
        // Somebody may have deleted it already.
        let _ = std::fs::remove_dir_all(folder);
    }
    host.change(|s| {
        s.products.retain(|p| p.product_code != product.product_code);
        if product.upgrade_code == UPGRADE_WIZARD {
            s.registry.delete_tree(KEY_WIZARD);
        }
        s.effects.msi_uninstalls += 1;
    })?;
    Ok((product.name, SUCCESS))
}

fn log_file(host: &Host, log: &str) -> Option<PathBuf> {
    let path = host.drives().real_path(log).ok()?;
    path.parent()?.is_dir().then_some(path)
}

fn parse(arguments: &[String]) -> Option<Command> {
    let mut verb = None;
    let mut log = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "/i" => verb = Some(Verb::Install(words.next()?.clone())),
            "/x" => verb = Some(Verb::Remove(words.next()?.clone())),
            "/quiet" | "/qn" | "/norestart" | "/passive" => {}
            l if l.starts_with("/l") => log = Some(words.next()?.clone()),
            // Properties: NAME=value.
            l if l.contains('=') && !l.starts_with('/') => {}
            _ => return None,
        }
    }
    Some(Command {
        verb: verb?,
        log,
        line: arguments.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read_as_windows_installer_reads_them() {
        let words = |line: &str| line.split(' ').map(str::to_string).collect::<Vec<_>>();
        let command = parse(&words(r"/i D:\a.msi /quiet /norestart /l*v D:\a.log")).unwrap();
        assert_eq!(command.verb, Verb::Install(r"D:\a.msi".into()));
        assert_eq!(command.log.as_deref(), Some(r"D:\a.log"));
        assert!(parse(&words("/i")).is_none());
        assert!(parse(&words("/quiet")).is_none());
        assert!(parse(&words("/x {A} /nonsense")).is_none());
    }
}
