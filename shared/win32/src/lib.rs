//! The Windows API that Syncferry uses, as safe functions. All unsafe code of the product is here, a file for each subject,
//! and nothing else is: what the answers mean is decided by those who ask. Empty on other systems.
#![cfg(windows)]

pub mod access;
pub mod event_log;
pub mod installer;
pub mod job;
pub mod machine;
pub mod process;
pub mod secret;
pub mod service_config;
pub mod signature;
mod wide;
