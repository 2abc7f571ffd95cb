//! gRPC: decode, call a command, a query or a dispatch function, encode. Nothing is decided here.

pub mod agent;
pub mod enrolment;
pub mod guard;
mod lease;
pub mod operator;
