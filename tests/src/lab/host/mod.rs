//! The Windows/Connect host stand-in: one process that holds one machine's state on disk and answers on loopback.
//! It knows nothing of Syncferry: it is a machine on which somebody runs an agent.
//!
//! - [`machine`], [`registry`], [`services`], [`products`]: what the machine is and what is on it
//! - [`msiexec`], [`powershell`], [`wizard`], [`engine`]: what runs on it
//! - [`faults`], [`effects`]: what a test can make go wrong, and what it can count afterwards
//! - [`protocol`], [`server`]: how it is asked
//!
//! Names and values are those that public documents and tools show for Connect. What nobody published (titles of some
//! pages' view models, texts of some log lines) is the lab's own and marked where it stands.
//!
//! What it is not:
//! - no Kerberos: Windows accounts log in to the SQL Server stand-in by name, with one password for all
//! - no registry but Connect's, no services but ADSync, no custom actions of installers, no event log
//! - a synchronisation cycle writes its history and changes no object; nothing is exported to anywhere
//! - the wizard knows the two paths that matter, express and existing database, and none of its later tasks; it makes no
//!   logins at SQL Server, as a delegated set-up could not
//! - PowerShell reads one cmdlet per script and answers in JSON
//! - no directory: what a service account is follows from its name, and from the faults
//! - `csexport.exe` lists the objects that the database has, with attributes of the lab's own

mod account;
pub mod breakdown;
mod csexport;
pub mod dns;
pub mod effects;
pub mod engine;
pub mod faults;
mod files;
pub mod layout;
pub mod machine;
mod msiexec;
mod msilog;
pub(crate) mod person;
pub mod powershell;
pub mod products;
pub mod protocol;
pub mod registry;
pub mod server;
pub mod services;
pub mod sql;
pub mod state;
#[cfg(test)]
mod tests;
pub mod wizard;

pub use machine::MachineSpec;
pub use state::Host;
