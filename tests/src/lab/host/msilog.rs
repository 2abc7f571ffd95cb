//! Verbose logs of `msiexec`, UTF-16 as Windows writes them.

use std::fmt::Write;

use time::OffsetDateTime;
use time::macros::format_description;

use super::products::Product;

/// What a log tells.
pub(crate) struct MsiLog {
    text: String,
}

impl MsiLog {
    /// Begins a log.
    pub(crate) fn begin(command_line: &str) -> MsiLog {
        let mut log = MsiLog { text: String::new() };
        log.line(&format!(
            "=== Verbose logging started: {}  Build type: SHIP UNICODE 5.00.10011.00  Calling process: C:\\Windows\\system32\\msiexec.exe ===",
            now()
        ));
        log.line(&format!(
            "MSI (c) (A4:7C) [{}]: Command Line: {command_line} CURRENTDIRECTORY=C:\\Windows\\system32 CLIENTUILEVEL=3",
            clock()
        ));
        log
    }

    /// A line.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push_str("\r\n");
    }

    /// An action with its return value: 1 is success, 3 is failure.
    pub(crate) fn action(&mut self, name: &str, value: u8) {
        let at = clock();
        self.line(&format!("Action start {at}: {name}."));
        self.line(&format!("Action ended {at}: {name}. Return value {value}."));
    }

    /// Properties of the package.
    pub(crate) fn product(&mut self, product: &Product) {
        for (name, value) in [
            ("ProductName", &product.name),
            ("ProductVersion", &product.version),
            ("ProductCode", &product.product_code),
            ("UpgradeCode", &product.upgrade_code),
            ("Manufacturer", &product.manufacturer),
        ] {
            self.line(&format!("Property(S): {name} = {value}"));
        }
    }

    /// Ends the log with a code, as UTF-16 with a byte order mark.
    pub(crate) fn end(mut self, name: &str, verb: &str, code: i32) -> Vec<u8> {
        let at = clock();
        let outcome = if code == 0 || code == 3010 {
            format!("{verb} completed successfully.")
        } else {
            format!("{verb} failed.")
        };
        let _ = write!(
            self.text,
            "MSI (s) (10:F4) [{at}]: Product: {name} -- {outcome}\r\n\r\n"
        );
        self.line(&format!("MSI (s) (10:F4) [{at}]: MainEngineThread is returning {code}"));
        self.line(&format!("=== Verbose logging stopped: {} ===", now()));
        let units = std::iter::once(0xFEFF).chain(self.text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    }
}

fn now() -> String {
    let format = format_description!("[month]/[day]/[year]  [hour]:[minute]:[second]");
    OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}

fn clock() -> String {
    let format = format_description!("[hour]:[minute]:[second]");
    OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}
