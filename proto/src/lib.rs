//! The wire, and only the wire: generated messages and services, their conversions to and from `syncferry-shared`, and the
//! mutual TLS that carries them.

/// The messages and services of `syncferry.v1`, generated from `proto/`. Their documentation is in the .proto files.
#[expect(clippy::allow_attributes, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("syncferry.v1");
}

mod convert;
mod document;
pub mod transport;

pub use convert::{InvalidMessage, duration, millis, millis_of_duration, timestamp};
pub use document::schema;

/// The descriptors of everything here, for reflection and for comparison with earlier releases.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
