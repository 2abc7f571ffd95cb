//! Replacing a small file so that a reader, or a process killed half-way, sees the old or the new one, never a part.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file next to its place, syncs it and renames it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&new, path)
}
