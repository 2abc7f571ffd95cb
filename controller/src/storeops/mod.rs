//! Operations on the store as a whole: backup, verify, restore, and the move from one engine to the other. All of them are
//! made of the same rows (`syncferry_store::portable`), and of one file format (`file.rs`). See docs/decisions/0014.

pub mod backup;
pub mod cli;
pub mod compare;
pub mod file;
pub mod manifest;
pub mod migrate;
pub mod progress;
pub mod pump;
pub mod restore;
pub mod rows;
pub mod secrets;
pub mod verify;
