//! Cards: what a person does at a gate, page by page, with the exact values.

use serde::{Deserialize, Serialize};

/// One page of the wizard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The page's title as the wizard shows it.
    pub page: String,
    /// What to do there.
    pub instruction: String,
    /// What to enter, field by field.
    pub fields: Vec<Field>,
}

/// One field of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The field's label.
    pub label: String,
    /// The exact value, or what kind of value a person must bring (never a secret).
    pub value: String,
    /// Whether the value can be copied as it stands.
    pub exact: bool,
}

impl Field {
    /// A value to copy.
    pub fn exact(label: &str, value: impl Into<String>) -> Self {
        Self {
            label: label.to_string(),
            value: value.into(),
            exact: true,
        }
    }
    /// Something that only the person has.
    pub fn yours(label: &str, value: impl Into<String>) -> Self {
        Self {
            label: label.to_string(),
            value: value.into(),
            exact: false,
        }
    }
}
