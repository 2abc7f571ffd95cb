//! Installed products, as `MsiEnumProducts` and the Uninstall keys show them.

use serde::{Deserialize, Serialize};

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// `ProductName`.
    pub name: String,
    /// `ProductVersion`.
    pub version: String,
    /// `ProductCode`, upper case with braces.
    pub product_code: String,
    /// `UpgradeCode`, upper case with braces.
    pub upgrade_code: String,
    /// `Manufacturer`.
    pub manufacturer: String,
}

impl Product {
    /// The version as numbers, for comparison.
    pub fn version_numbers(&self) -> Vec<u64> {
        version_numbers(&self.version)
    }
}

/// A version as numbers; what is no number is 0.
pub(crate) fn version_numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|p| p.trim().parse().unwrap_or(0)).collect()
}

/// A GUID as Windows Installer writes it.
pub(crate) fn braced(guid: &str) -> String {
    format!("{{{}}}", guid.trim_matches(['{', '}']).to_ascii_uppercase())
}
