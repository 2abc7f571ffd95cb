//! Files that hold secrets: written whole or not at all, readable by their owner only, refused when others can read
//! them.
//!
//! On Windows a private folder has an access list of its own (the system, administrators, who made it), which its files
//! inherit, and what is written is encrypted for this machine (DPAPI): a copy or a backup of the file is useless elsewhere.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What we tried.
        verb: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others could have read it.
    #[error("{} is open to other users (mode {mode:04o}); run: chmod {wanted:o} '{}'", path.display(), path.display())]
    TooOpen {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// Others could have read it, by its access list.
    #[error("{} is open to {whom}; as administrator, run: icacls \"{}\" /inheritance:r /grant *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F", path.display(), path.display())]
    OpenTo {
        /// The path.
        path: PathBuf,
        /// To whom.
        whom: &'static str,
    },
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivateFileError {
    let path = path.to_path_buf();
    move |source| PrivateFileError::Io { verb, path, source }
}

/// Reads a private file.
pub fn read(path: &Path) -> Result<String, PrivateFileError> {
    refuse_if_open(path, 0o600)?;
    let bytes = fs::read(path).map_err(failed("read", path))?;
    opened(bytes).map_err(failed("read", path))
}

/// Writes a private file, replacing an older one in one step.
pub fn write(path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    // What a crash left behind; created anew below, so that its permissions are ours.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed("remove", &new)(error));
    }
    let mut file = create(&new).map_err(failed("create", &new))?;
    let bytes = sealed(text).map_err(failed("encrypt", path))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", &new))?;
    drop(file);
    fs::rename(&new, path).map_err(failed("replace", path))?;
    sync_directory(path.parent());
    Ok(())
}

/// Makes a directory for private files; its parents are made with ordinary permissions.
pub fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed("create", parent))?;
    }
    make_private_directory(path).map_err(failed("create", path))
}

/// Checks a directory for private files.
pub fn check_directory(path: &Path) -> Result<(), PrivateFileError> {
    refuse_if_open(path, 0o700)
}

#[cfg(unix)]
fn refuse_if_open(path: &Path, wanted: u32) -> Result<(), PrivateFileError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(PrivateFileError::TooOpen {
            path: path.to_path_buf(),
            mode,
            wanted,
        })
    }
}

#[cfg(windows)]
fn refuse_if_open(path: &Path, _wanted: u32) -> Result<(), PrivateFileError> {
    let access = syncferry_win32::access::access(path).map_err(failed("read", path))?;
    match open_to(&access) {
        Some(whom) => Err(PrivateFileError::OpenTo {
            path: path.to_path_buf(),
            whom,
        }),
        None => Ok(()),
    }
}

/// Which group of many an access list (SDDL) lets in: everyone, all who logged on, users, guests, the network.
#[cfg_attr(not(windows), expect(dead_code, reason = "Windows' access lists"))]
fn open_to(sddl: &str) -> Option<&'static str> {
    let entries = sddl.split('(').skip(1).filter_map(|e| e.split(')').next());
    for entry in entries {
        let fields: Vec<&str> = entry.split(';').collect();
        let whom = match fields.as_slice() {
            ["A", .., sid] => *sid,
            _ => continue,
        };
        let named = match whom {
            "WD" | "S-1-1-0" => "Everyone",
            "AU" | "S-1-5-11" => "Authenticated Users",
            "BU" | "S-1-5-32-545" => "Users",
            "BG" | "S-1-5-32-546" => "Guests",
            "AN" | "S-1-5-7" => "anonymous users",
            "NU" | "S-1-5-2" => "users from the network",
            "IU" | "S-1-5-4" => "interactive users",
            _ => continue,
        };
        return Some(named);
    }
    None
}

/// Before what Windows encrypted stands this line, so that a person who opens the file knows what it is.
#[cfg(windows)]
const SEALED: &str = "syncferry: encrypted for this machine (DPAPI)\n";

#[cfg(windows)]
fn sealed(text: &str) -> io::Result<Vec<u8>> {
    let secret = syncferry_win32::secret::protect(text.as_bytes())?;
    Ok(format!("{SEALED}{}\n", data_encoding::BASE64.encode(&secret)).into_bytes())
}

#[cfg(windows)]
fn opened(bytes: Vec<u8>) -> io::Result<String> {
    let bad = |e: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, e.to_string());
    let text = String::from_utf8(bytes).map_err(|e| bad(&e))?;
    // One that a person put there is taken as it is; the next write encrypts it.
    let Some(secret) = text.strip_prefix(SEALED) else {
        return Ok(text);
    };
    let secret = data_encoding::BASE64
        .decode(secret.trim().as_bytes())
        .map_err(|e| bad(&e))?;
    let plain = syncferry_win32::secret::unprotect(&secret)?;
    String::from_utf8(plain).map_err(|e| bad(&e))
}

#[cfg(not(windows))]
fn sealed(text: &str) -> io::Result<Vec<u8>> {
    Ok(text.as_bytes().to_vec())
}

#[cfg(not(windows))]
fn opened(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn make_private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(windows)]
fn make_private_directory(path: &Path) -> io::Result<()> {
    use syncferry_win32::access;
    fs::create_dir(path)?;
    let own = access::own_sid()?;
    access::set_access(path, &format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{own})"))
}

/// Makes the rename itself durable. Best effort: not every file system can, and the file is complete either way.
fn sync_directory(path: Option<&Path>) {
    #[cfg(unix)]
    if let Some(directory) = path
        .filter(|path| !path.as_os_str().is_empty())
        .and_then(|path| fs::File::open(path).ok())
    {
        let _ = directory.sync_all();
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_private_and_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(directory.path().join("key.new"), "left by a crash").unwrap();
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&path).unwrap(), "two");
        assert!(!directory.path().join("key.new").exists());
    }

    #[test]
    fn what_others_can_read_is_refused_with_the_command_to_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        let path = path.display();
        assert_eq!(
            error,
            format!("{path} is open to other users (mode 0640); run: chmod 600 '{path}'")
        );
    }

    #[test]
    fn directories_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/identity");
        create_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        check_directory(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(check_directory(&path).unwrap_err().to_string().contains("chmod 700"));
    }
}
