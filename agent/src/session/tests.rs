//! Tests of the session against a controller in this process, and of the whole agent against one over gRPC.

mod agent;
mod life;
mod town;
