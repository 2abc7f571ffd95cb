//! Who is at the other end of a connection: mTLS for controller, agents and CLI, credentials, transfer tickets.
//!
//! One rule carries it all: an identity is the `syncferry://` URI in a certificate of our own authority, never a DNS
//! name or an address. This module knows nothing of what a peer may do; that is the services' business.
//!
//! ```text
//!  Identity (certificate + key, replaceable) ──┬─> server::listen ──> Connection ──> require_agent / require_operator
//!                                              └─> client::connect ──> Channel       (ConnectInfo in each request)
//! ```

pub mod client;
pub mod connection;
pub mod credentials;
pub mod csr;
pub mod explain;
pub mod fingerprint;
pub mod identity;
pub mod peer;
pub mod private_file;
pub mod profile;
mod provider;
pub mod renewal;
pub mod require;
pub mod server;
pub mod ticket;
pub mod token;
mod verifier;

pub use client::{Dial, DialError, connect, connect_over, connect_pinned, endpoints};
pub use connection::{ConnectInfo, Connection};
pub use credentials::OperatorCredentials;
pub use explain::explain;
pub use fingerprint::Fingerprint;
pub use identity::{Identity, IdentityError};
pub use peer::{Peer, PeerCertificate, PeerError};
pub use profile::Profile;
pub use require::{peer, require_agent, require_operator};
pub use server::{Incoming, Limits, Listener, listen};
pub use ticket::{TicketClaims, TicketError, TicketPublicKey};
pub use token::EnrolmentToken;
pub use verifier::ExpectedPeer;

#[cfg(test)]
mod testing;
