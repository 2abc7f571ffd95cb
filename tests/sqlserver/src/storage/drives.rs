//! The drives and shares of the instance's machine: Windows paths on real folders, with quotas, free space and ACLs.
//!
//! Other processes of the lab use the same folders; they grant rights by writing `.acl.json` into a drive's root.

use std::path::PathBuf;

use super::{DriveFile, DriveSpec, OsError};

/// What a path needs to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading a file or listing a folder.
    Read,
    /// Creating, writing or deleting.
    Write,
}

/// The answer of `xp_fileexist`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathInfo {
    /// It is a file.
    pub is_file: bool,
    /// It is a folder.
    pub is_directory: bool,
    /// The folder it is in exists.
    pub parent_exists: bool,
}

/// A drive's size and room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `D:\` or `\\files\share\`.
    pub mount_point: String,
    /// Its size.
    pub total_bytes: u64,
    /// What is left.
    pub free_bytes: u64,
}

/// All drives, as seen by one account (the engine's service account). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drives {
    account: String,
    base: PathBuf,
    specs: Vec<DriveSpec>,
}

impl Drives {
    /// Drives for an account; relative roots are below `base`.
    pub fn new(base: &std::path::Path, specs: &[DriveSpec], account: &str) -> Drives {
        Drives {
            account: account.into(),
            base: base.into(),
            specs: specs.into(),
        }
    }
    /// The same drives seen by another account.
    #[must_use]
    pub fn as_account(&self, account: &str) -> Drives {
        Drives {
            account: account.into(),
            ..self.clone()
        }
    }
    /// Whether a path exists. Needs no right; a drive that does not exist is an empty answer.
    pub fn info(&self, path: &str) -> PathInfo {
        unimplemented!("{path}")
    }
    /// Checks the ACL of a path.
    pub fn check(&self, path: &str, access: Access) -> Result<(), OsError> {
        unimplemented!("{path} {access:?}")
    }
    /// Opens an existing file for reading.
    pub fn open(&self, path: &str) -> Result<DriveFile, OsError> {
        unimplemented!("{path}")
    }
    /// Opens an existing file for reading and writing.
    pub fn open_write(&self, path: &str) -> Result<DriveFile, OsError> {
        unimplemented!("{path}")
    }
    /// Creates a file or empties an existing one. The folder must exist.
    pub fn create(&self, path: &str) -> Result<DriveFile, OsError> {
        unimplemented!("{path}")
    }
    /// Creates a folder and those above it (`xp_create_subdir`).
    pub fn create_dir(&self, path: &str) -> Result<(), OsError> {
        unimplemented!("{path}")
    }
    /// Deletes a file.
    pub fn remove(&self, path: &str) -> Result<(), OsError> {
        unimplemented!("{path}")
    }
    /// The names in a folder and whether each is a file (`xp_dirtree`).
    pub fn list(&self, path: &str) -> Result<Vec<(String, bool)>, OsError> {
        unimplemented!("{path}")
    }
    /// All volumes (`sys.dm_os_enumerate_fixed_drives`).
    pub fn volumes(&self) -> Vec<Volume> {
        unimplemented!()
    }
    /// The volume of a path.
    pub fn volume(&self, path: &str) -> Result<Volume, OsError> {
        unimplemented!("{path}")
    }
    /// The real path behind a Windows path. Existing parts are matched ignoring case.
    pub fn real_path(&self, path: &str) -> Result<PathBuf, OsError> {
        unimplemented!("{path}")
    }
    /// Lets only these accounts (`*` is everybody) read or write a folder and what is below it.
    pub fn set_acl(&self, folder: &str, read: &[&str], write: &[&str]) -> Result<(), OsError> {
        unimplemented!("{folder} {read:?} {write:?}")
    }
}
