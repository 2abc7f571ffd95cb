//! JSON files that are written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a JSON file; a missing one is the default.
pub(crate) fn load<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json).map_err(|e| named(path, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(e) => Err(named(path, e)),
    }
}

/// Reads a JSON file that must be there.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let json = fs::read(path).map_err(|e| named(path, e))?;
    serde_json::from_slice(&json).map_err(|e| named(path, e))
}

/// Writes a JSON file: under another name first, then renamed over the old one.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(value).map_err(|e| named(path, e))?;
    write(path, &json)
}

/// Writes a file under another name and renames it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Two processes of the lab may write the same file; each needs its own temporary name.
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::File::create(&temporary).map_err(|e| named(path, e))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path).map_err(|e| named(path, e))
}

fn named(path: &Path, e: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {e}", path.display()))
}
