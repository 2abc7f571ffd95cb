//! What we know of Microsoft Entra Connect on a host: its installer, without running it, and what its cmdlets answer.

pub mod exit_code;
pub mod msi;
mod msi_lengths;
pub mod powershell_json;
