//! What we know of Microsoft Entra Connect on a host: its installer, without running it, and what its cmdlets answer.

pub mod account;
pub mod exit_code;
pub mod export_xml;
pub mod msi;
mod msi_lengths;
pub mod msi_log;
pub mod powershell_json;
pub mod script;
pub mod trace_log;

/// UpgradeCode of the wizard's product, the same for all versions. Source: Microsoft's page on upgrades that fail to install.
pub const UPGRADE_WIZARD: &str = "{D61EB959-F2D1-4170-BE64-4DC367F451EA}";
/// UpgradeCode of the engine's product. Source: as above.
pub const UPGRADE_ENGINE: &str = "{545334D7-13CD-4BAB-8DA1-2775FA8CF7C2}";
