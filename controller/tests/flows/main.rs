//! The controller from outside: an operator and hand-played agents over the real transport, against `app::run` in this
//! process. Nothing waits for a time to pass; everything waits for something to hold.

mod support;

mod access;
mod alarms;
mod applying;
mod cancelling;
mod command_line;
mod enrolment;
mod evidence;
mod fencing;
mod fleet;
mod hostile;
mod lease_verbs;
mod leases;
mod moving;
mod reports;
mod restarting;
#[cfg(unix)]
mod restoring;
#[cfg(unix)]
mod sharing;
mod silence;
#[cfg(unix)]
mod store_trouble;
#[cfg(unix)]
mod storeops;
