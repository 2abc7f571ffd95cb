//! The drives and shares of the instance's machine: Windows paths on real folders, with quotas, free space and ACLs.
//!
//! Other processes of the lab use the same folders; they grant rights by writing `.acl.json` into a drive's root
//! (see [`acl`](super::acl)). Rights, sizes and free space are therefore read anew each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::acl::{ACL_FILE, DriveRules};
use super::table::same_name;
use super::{DriveFile, DriveSpec, OsError};

const DEFAULT_TOTAL: u64 = 100 << 30;

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

/// A Windows path, resolved.
pub(crate) struct Resolved<'a> {
    spec: &'a DriveSpec,
    root: PathBuf,
    /// The parts below the root, as given.
    parts: Vec<String>,
    real: PathBuf,
}

/// All drives, as seen by one account (the engine's service account). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drives {
    account: Arc<str>,
    base: Arc<Path>,
    specs: Arc<[DriveSpec]>,
}

impl Drives {
    /// Drives for an account; relative roots are below `base`.
    pub fn new(base: &Path, specs: &[DriveSpec], account: &str) -> Drives {
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
        let Ok(resolved) = self.resolve(path) else {
            return PathInfo::default();
        };
        PathInfo {
            is_file: resolved.real.is_file(),
            is_directory: resolved.real.is_dir(),
            parent_exists: resolved.parts.is_empty() || resolved.real.parent().is_some_and(Path::is_dir),
        }
    }
    /// Checks the ACL of a path.
    pub fn check(&self, path: &str, access: Access) -> Result<(), OsError> {
        self.check_resolved(&self.resolve(path)?, access)
    }
    /// Opens an existing file for reading.
    pub fn open(&self, path: &str) -> Result<DriveFile, OsError> {
        let resolved = self.resolve(path)?;
        resolved.expect_file()?;
        self.check_resolved(&resolved, Access::Read)?;
        let file = fs::File::open(&resolved.real)?;
        not_shared(file.try_lock_shared())?;
        DriveFile::new(self.clone(), path, resolved.real, file)
    }
    /// Opens an existing file for reading and writing. Nobody else can open it meanwhile through drives, in this process
    /// or in another; the lock goes with the process.
    pub fn open_write(&self, path: &str) -> Result<DriveFile, OsError> {
        let resolved = self.resolve(path)?;
        resolved.expect_file()?;
        self.check_resolved(&resolved, Access::Write)?;
        let file = fs::OpenOptions::new().read(true).write(true).open(&resolved.real)?;
        not_shared(file.try_lock())?;
        DriveFile::new(self.clone(), path, resolved.real, file)
    }
    /// Creates a file or empties an existing one. The folder must exist.
    pub fn create(&self, path: &str) -> Result<DriveFile, OsError> {
        let resolved = self.resolve(path)?;
        resolved.expect_parent()?;
        self.check_resolved(&resolved, Access::Write)?;
        if resolved.real.is_dir() {
            return Err(OsError::AccessDenied);
        }
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&resolved.real)?;
        // Emptied only when nobody else has it.
        not_shared(file.try_lock())?;
        file.set_len(0)?;
        DriveFile::new(self.clone(), path, resolved.real, file)
    }
    /// Creates a folder and those above it (`xp_create_subdir`).
    pub fn create_dir(&self, path: &str) -> Result<(), OsError> {
        let resolved = self.resolve(path)?;
        self.check_resolved(&resolved, Access::Write)?;
        Ok(fs::create_dir_all(&resolved.real)?)
    }
    /// Deletes a file.
    pub fn remove(&self, path: &str) -> Result<(), OsError> {
        let resolved = self.resolve(path)?;
        resolved.expect_file()?;
        self.check_resolved(&resolved, Access::Write)?;
        not_shared(fs::File::open(&resolved.real)?.try_lock())?;
        Ok(fs::remove_file(&resolved.real)?)
    }
    /// The names in a folder and whether each is a file (`xp_dirtree`), sorted.
    pub fn list(&self, path: &str) -> Result<Vec<(String, bool)>, OsError> {
        let resolved = self.resolve(path)?;
        self.check_resolved(&resolved, Access::Read)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&resolved.real)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != ACL_FILE {
                names.push((name, entry.path().is_file()));
            }
        }
        names.sort();
        Ok(names)
    }
    /// All volumes (`sys.dm_os_enumerate_fixed_drives`); shares are left out.
    pub fn volumes(&self) -> Vec<Volume> {
        let drives = self.specs.iter().filter(|s| !s.name.starts_with('\\'));
        drives.map(|spec| self.measure(spec)).collect()
    }
    /// The volume of a path.
    pub fn volume(&self, path: &str) -> Result<Volume, OsError> {
        Ok(self.measure(self.resolve(path)?.spec))
    }
    /// The real path behind a Windows path. Existing parts are matched ignoring case.
    pub fn real_path(&self, path: &str) -> Result<PathBuf, OsError> {
        Ok(self.resolve(path)?.real)
    }
    /// Lets only these accounts (`*` is everybody) read or write a folder and what is below it.
    pub fn set_acl(&self, folder: &str, read: &[&str], write: &[&str]) -> Result<(), OsError> {
        let resolved = self.resolve(folder)?;
        let mut rules = DriveRules::load(&resolved.root)?;
        rules.set_folder(&resolved.parts, read, write);
        rules.save(&resolved.root)
    }
    /// Changes the size of a path's volume for all processes, or (None) goes back to the configured one.
    pub fn set_total_bytes(&self, path: &str, total_bytes: Option<u64>) -> Result<(), OsError> {
        let resolved = self.resolve(path)?;
        let mut rules = DriveRules::load(&resolved.root)?;
        rules.total_bytes = total_bytes;
        rules.save(&resolved.root)
    }

    pub(crate) fn root_of(&self, spec: &DriveSpec) -> PathBuf {
        // Joining an absolute path replaces the base.
        self.base.join(&spec.root)
    }

    fn measure(&self, spec: &DriveSpec) -> Volume {
        let root = self.root_of(spec);
        let ruled = DriveRules::load(&root).ok().and_then(|r| r.total_bytes);
        let total_bytes = ruled.or(spec.total_bytes).unwrap_or(DEFAULT_TOTAL);
        let free_bytes = total_bytes.saturating_sub(used_bytes(&root));
        Volume {
            mount_point: format!("{}\\", spec.name.to_uppercase()),
            total_bytes,
            free_bytes,
        }
    }

    fn resolve(&self, path: &str) -> Result<Resolved<'_>, OsError> {
        let path = path.trim().replace('/', "\\");
        let path = path.strip_prefix(r"\\?\").unwrap_or(&path);
        let (spec, rest) = self.find_drive(path)?;
        let parts = split(rest)?;
        let root = self.root_of(spec);
        let real = parts
            .iter()
            .fold(root.clone(), |real, part| existing_child(&real, part));
        Ok(Resolved {
            spec,
            root,
            parts,
            real,
        })
    }

    fn find_drive<'a>(&self, path: &'a str) -> Result<(&DriveSpec, &'a str), OsError> {
        let unc = path.starts_with(r"\\");
        let name_len = if unc {
            let mut separators = path.match_indices('\\').skip(2).map(|(at, _)| at);
            separators.next();
            separators.next().unwrap_or(path.len())
        } else if path.as_bytes().get(1) == Some(&b':') {
            2
        } else {
            return Err(OsError::PathNotFound);
        };
        let (name, rest) = path.split_at_checked(name_len).ok_or(OsError::InvalidName)?;
        let missing = if unc {
            OsError::BadNetworkPath
        } else {
            OsError::PathNotFound
        };
        let spec = self.specs.iter().find(|s| same_name(&s.name, name)).ok_or(missing)?;
        Ok((spec, rest))
    }

    fn check_resolved(&self, path: &Resolved<'_>, access: Access) -> Result<(), OsError> {
        let rules = DriveRules::load(&path.root)?;
        if rules.is_locked(&path.parts) {
            return Err(OsError::SharingViolation);
        }
        if rules.allows(&path.parts, &self.account, access) {
            Ok(())
        } else {
            Err(OsError::AccessDenied)
        }
    }
}

impl Resolved<'_> {
    fn expect_parent(&self) -> Result<(), OsError> {
        let parent = self.real.parent().filter(|_| !self.parts.is_empty());
        if parent.is_some_and(Path::is_dir) {
            Ok(())
        } else {
            Err(OsError::PathNotFound)
        }
    }

    fn expect_file(&self) -> Result<(), OsError> {
        self.expect_parent()?;
        if self.real.is_dir() {
            return Err(OsError::AccessDenied);
        }
        if self.real.exists() {
            Ok(())
        } else {
            Err(OsError::FileNotFound)
        }
    }
}

/// A lock that is not to be had is error 32.
fn not_shared(lock: Result<(), fs::TryLockError>) -> Result<(), OsError> {
    match lock {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(OsError::SharingViolation),
        Err(fs::TryLockError::Error(e)) => Err(e.into()),
    }
}

/// The parts of a path, `.` and `..` resolved without leaving the drive.
fn split(rest: &str) -> Result<Vec<String>, OsError> {
    let mut parts: Vec<String> = Vec::new();
    for part in rest.split('\\') {
        match part.trim_end_matches([' ', '.']) {
            "" if part == ".." => {
                parts.pop();
            }
            "" => {}
            name if name.contains(|c: char| c.is_control() || "<>:\"|?*".contains(c)) => {
                return Err(OsError::InvalidName);
            }
            name => parts.push(name.to_string()),
        }
    }
    Ok(parts)
}

/// The child of a folder with this name, ignoring case where it exists.
fn existing_child(folder: &Path, name: &str) -> PathBuf {
    let exact = folder.join(name);
    if exact.symlink_metadata().is_ok() {
        return exact;
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return exact;
    };
    let same = entries
        .flatten()
        .find(|e| e.file_name().to_str().is_some_and(|n| same_name(n, name)));
    same.map_or(exact, |e| e.path())
}

fn used_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(m) if m.is_dir() => used_bytes(&entry.path()),
        Ok(m) => m.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
