//! A failed command: one sentence, the findings with their next steps, and what to do.

use super::{Look, Tone, findings, wrap};
use crate::error::CliError;

/// Why a command failed.
pub fn error(error: &CliError, look: &Look) -> String {
    let mut text = wrap(&error.to_string(), look.width, "error: ", "       ");
    if look.color {
        text = text.replacen("error:", &look.paint(Tone::Bad, "error:"), 1);
    }
    if !error.findings().is_empty() {
        text.push('\n');
        text.push_str(&findings(error.findings(), look));
    }
    if let Some(advice) = error.advice() {
        text.push('\n');
        text.push_str(&wrap(&advice, look.width, "  ", "  "));
    }
    text
}
