//! The identity of controller, agents and operators over real connections: TLS, gRPC, loopback.

mod enrolment;
mod lifetime;
mod limits;
mod peers;
mod support;
