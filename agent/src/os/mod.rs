//! The real machines. Both files have the same names in them.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{Native, stop_signal};
#[cfg(windows)]
pub use windows::{Native, local_databases, make_private, run_script, service_facts, stop_signal};
