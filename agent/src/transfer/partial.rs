//! The file while it is not complete, and the map of the chunks that are in it. A chunk is marked only after its hash was
//! right and it was written; what a power loss undid is found by the last look, which reads everything again.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use syncferry_shared::artifact::Manifest;

#[cfg(target_os = "linux")]
use super::error::NoRoom;

/// The file and its map.
#[derive(Debug)]
pub(crate) struct Partial {
    /// Where the file is while it is not complete.
    pub(crate) path: PathBuf,
    map_path: PathBuf,
    file: Mutex<File>,
    map: Mutex<Map>,
}

#[derive(Debug)]
struct Map {
    file: File,
    /// Bytes before the first mark.
    header: u64,
    marks: Vec<u8>,
}

const MISSING: u8 = b'.';
const THERE: u8 = b'x';

impl Partial {
    /// Opens what an earlier try left for this very manifest, or begins anew.
    pub(crate) fn open(destination: &Path, manifest: &Manifest) -> std::io::Result<Self> {
        let beside = |suffix: &str| {
            let mut name = destination.as_os_str().to_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (path, map_path) = (beside(".partial"), beside(".partial.map"));
        let header = format!("syncferry chunks 1 {}\n", manifest.digest());
        let mut map = options().open(&map_path)?;
        let mut text = Vec::new();
        map.read_to_end(&mut text)?;
        let marks = text.strip_prefix(header.as_bytes()).filter(|m| {
            let whole = m.len() == manifest.chunks.len() && m.iter().all(|b| [MISSING, THERE].contains(b));
            whole && path.metadata().is_ok_and(|f| f.len() == manifest.size)
        });
        let file = options().open(&path)?;
        let marks = match marks {
            Some(marks) => marks.to_vec(),
            None => {
                // The map goes first: marks of another file must never be believed for this one.
                map.set_len(0)?;
                map.rewind()?;
                file.set_len(0)?;
                if let Err(e) = allocate(&file, &path, manifest.size) {
                    // Space that is of no use here is given back: others may need it.
                    file.set_len(0)?;
                    return Err(e);
                }
                let marks = vec![MISSING; manifest.chunks.len()];
                map.write_all(&[header.as_bytes(), &marks].concat())?;
                marks
            }
        };
        let map = Map {
            file: map,
            header: header.len() as u64,
            marks,
        };
        Ok(Self {
            path,
            map_path,
            file: Mutex::new(file),
            map: Mutex::new(map),
        })
    }

    /// Chunks that are not there.
    pub(crate) fn missing(&self) -> Vec<u32> {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        (0..)
            .zip(&map.marks)
            .filter(|(_, m)| **m == MISSING)
            .map(|(i, _)| i)
            .collect()
    }

    /// Writes a chunk whose hash is right.
    pub(crate) fn put(&self, index: u32, begin: u64, bytes: &[u8]) -> std::io::Result<()> {
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(begin))?;
            file.write_all(bytes)?;
        }
        self.mark(index, THERE)
    }

    /// Forgets a chunk that turned out wrong.
    pub(crate) fn forget(&self, index: u32) -> std::io::Result<()> {
        self.mark(index, MISSING)
    }

    fn mark(&self, index: u32, mark: u8) -> std::io::Result<()> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let at = map.header + u64::from(index);
        map.file.seek(SeekFrom::Start(at))?;
        map.file.write_all(&[mark])?;
        map.marks[index as usize] = mark;
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).sync_all()
    }

    /// Gives the complete file its name.
    pub(crate) fn finish(self, destination: &Path) -> std::io::Result<()> {
        drop(self.file);
        std::fs::rename(&self.path, destination)?;
        if let Some(folder) = destination.parent() {
            crate::journal::sync_dir(folder)?;
        }
        std::fs::remove_file(&self.map_path)
    }
}

/// Removes what an unfinished transfer left. It is no error when there is nothing.
pub(crate) fn remove(destination: &Path) -> std::io::Result<()> {
    for suffix in [".partial.map", ".partial"] {
        let mut name = destination.as_os_str().to_os_string();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
}

/// Bytes that a file takes up on the disk, or what a transfer of it took up so far.
pub(crate) fn taken_up(destination: &Path) -> u64 {
    let mut name = destination.as_os_str().to_os_string();
    name.push(".partial");
    let found = [destination.to_path_buf(), PathBuf::from(name)];
    found
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|m| on_disk(&m))
        .sum()
}

/// A file that was only made longer takes up less than its length.
#[cfg(unix)]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.len().min(metadata.blocks().saturating_mul(512))
}

#[cfg(not(unix))]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

/// Takes the space now: a full disk is better found before the transfer than after an hour of it. It is looked at first,
/// because some file systems fill themselves up before they say no.
#[cfg(target_os = "linux")]
fn allocate(file: &File, path: &Path, size: u64) -> std::io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    let volume = rustix::fs::statvfs(path.parent().unwrap_or(path))?;
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    if free < size {
        return Err(NoRoom { needed: size, free }.into());
    }
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size) {
        // Some file systems cannot; then the length alone must do.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(size),
        other => other.map_err(std::io::Error::from),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, _path: &Path, size: u64) -> std::io::Result<()> {
    file.set_len(size)
}
