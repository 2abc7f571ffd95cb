//! Who may be whom: the authority, the certificates it issues, enrolment tokens, transfer tickets.
//!
//! Everything is decided from parameters (time, names, validity); what is allowed to whom stands in the store. The
//! other half, reading and checking these things, is `syncferry_proto::transport`.
//!
//! ```text
//! <data>/identity/  (0700)     made whole at the first start, by one rename
//!     ca.pem  ca.key           the authority: ten years
//!     ticket.key               signs transfer tickets
//! ```

pub mod ca;
pub mod keys;
pub mod operator;
pub mod server;
pub mod ticket;
pub mod token;

pub use ca::{Authority, IssueError, Issued};
pub use keys::{Keys, KeysError};
pub use server::ServerCertificate;
pub use ticket::TicketSigner;
pub use token::{NewToken, new_token};
