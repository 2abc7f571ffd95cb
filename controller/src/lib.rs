//! See Cargo.toml; filled in by the first slice.
pub mod identity;
