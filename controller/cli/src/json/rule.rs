//! Rules, for scripts.

use serde::Serialize;
use syncferry_shared::rule::Rule;

/// Many rules.
#[derive(Debug, Serialize)]
pub struct Rules<'a> {
    /// The rules, by id.
    pub rules: Vec<&'a Rule>,
}
