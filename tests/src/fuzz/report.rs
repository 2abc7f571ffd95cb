//! The evidence report: `syncferry report verify` takes any file.

use syncferry_shared::report::{Report, html};

/// Reads a report, checks it and makes its page.
pub fn read(bytes: &[u8]) -> bool {
    let Some(report) = super::json::<Report>(bytes) else {
        return false;
    };
    let page = html(&report);
    assert!(page.ends_with("</html>\n") && !page.contains("<script"));
    match report.verify() {
        Ok(verified) => verified.head == report.chain_head,
        Err(_) => false,
    }
}

/// The sample report.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![super::sample("").to_string().into_bytes()]
}
