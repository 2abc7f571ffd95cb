//! The seal of a report: one hash over everything else in it, so that any change is found, also where the chain of events says
//! nothing. And the page that carries its own report, so that a page can be checked as well.
//!
//! Whoever can rewrite a whole report can also seal it anew: what binds it to the controller is the head of the chain.

use serde_json::Value;

use super::{BrokenReport, Report, Verified, html};

const FIELD: &str = "seal";
const OPEN: &str = "<template id=\"report\">";
const CLOSE: &str = "</template>";

/// The hash over a report's document, without its seal: BLAKE3 of the compact JSON with keys in order.
pub fn seal_of(document: &Value) -> String {
    let mut bare = document.clone();
    if let Value::Object(fields) = &mut bare {
        fields.remove(FIELD);
    }
    crate::token::digest(bare.to_string().as_bytes())
}

impl Report {
    /// The same, sealed.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.seal = String::new();
        // Plain data with text keys: it can always be written.
        self.seal = serde_json::to_value(&self).map(|v| seal_of(&v)).unwrap_or_default();
        self
    }
}

/// Why a file cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableReport {
    /// It is no JSON, or not the JSON of a report.
    #[error("it is not a report: {0}")]
    Json(#[from] serde_json::Error),
    /// A page without a report in it.
    #[error("the page carries no report: it was made by an older version, or the report was taken out")]
    NoReport,
}

/// Reads a report from a file, JSON or page, and checks all of it.
pub fn read(bytes: &[u8]) -> Result<(Report, Result<Verified, BrokenReport>), UnreadableReport> {
    let text = String::from_utf8_lossy(bytes);
    let is_page = text.trim_start().starts_with('<');
    let json = if is_page {
        carried(&text).ok_or(UnreadableReport::NoReport)?
    } else {
        text.into_owned()
    };
    let document: Value = serde_json::from_str(&json)?;
    let report: Report = serde_json::from_value(document.clone())?;
    // The seal covers the document as it came: fields of a newer version count, too.
    let check = report.verify_as(&document).and_then(|verified| {
        let page_fits = !is_page || html(&report).as_bytes() == bytes;
        if page_fits {
            Ok(verified)
        } else {
            Err(BrokenReport::Page(report.syncferry_version.clone()))
        }
    });
    Ok((report, check))
}

/// The element of a page that carries the report. Everything but letters, digits and JSON's own signs is written as an escape of
/// JSON, so that nothing in it is ever markup.
pub(crate) fn carrier(report: &Report) -> String {
    let json = serde_json::to_string(report).unwrap_or_default();
    let mut out = String::with_capacity(json.len() * 2);
    out.push_str(OPEN);
    let mut units = [0u16; 2];
    for c in json.chars() {
        match c {
            '"' => out.push_str("&quot;"),
            '{' | '}' | '[' | ']' | ':' | ',' | '.' | '_' | '-' | '+' | '\\' => out.push(c),
            c if c.is_ascii_alphanumeric() => out.push(c),
            c => c
                .encode_utf16(&mut units)
                .iter()
                .for_each(|u| out.push_str(&format!("\\u{u:04x}"))),
        }
    }
    out.push_str(CLOSE);
    out
}

fn carried(page: &str) -> Option<String> {
    let (_, rest) = page.split_once(OPEN)?;
    let (inner, _) = rest.split_once(CLOSE)?;
    Some(inner.replace("&quot;", "\""))
}
