//! Tests of the transfer over real connections.
