//! See Cargo.toml; filled in by the first slice.
pub mod adsync;
pub mod sql;
