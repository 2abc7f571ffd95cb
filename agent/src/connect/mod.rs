//! What we know of Microsoft Entra Connect's installer, without running it.

pub mod exit_code;
pub mod msi;
