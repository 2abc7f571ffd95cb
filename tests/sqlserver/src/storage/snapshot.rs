//! One saved state of a database file, for BACKUP and CHECKDB.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::page::{self, Page};
use super::{OsError, PAGE_SIZE, PageDamage};

/// The pages of one saved state, pinned: later saves do not overwrite them while the snapshot lives. BACKUP reads it.
#[derive(Debug)]
pub struct PageSnapshot {
    pub(crate) reader: PageReader,
    /// All pages but the header, in the order in which they are backed up.
    pub(crate) pages: Vec<u32>,
    /// The header page: on disk it may be a later one.
    pub(crate) header: Box<Page>,
    /// While a clone of this lives, pages that become free are not used again.
    pub(crate) _pin: Arc<()>,
}

impl PageSnapshot {
    /// Pages in all, with the header page.
    pub fn page_count(&self) -> u64 {
        self.pages.len() as u64 + 1
    }
    /// Reads page number `index` of this snapshot, unchecked; the last is the header.
    pub(crate) fn read(&mut self, index: usize, page: &mut Page) -> Result<u32, OsError> {
        let Some(id) = self.pages.get(index).copied() else {
            page.copy_from_slice(&self.header[..]);
            return Ok(0);
        };
        self.reader.read(id, page)?;
        Ok(id)
    }
}

/// Reads single pages of a file.
#[derive(Debug)]
pub(crate) struct PageReader {
    file: File,
    at: u64,
}

impl PageReader {
    pub(crate) fn open(real: &Path) -> Result<PageReader, OsError> {
        Ok(PageReader {
            file: File::open(real)?,
            at: 0,
        })
    }

    /// Reads a page without checking it.
    pub(crate) fn read(&mut self, id: u32, page: &mut Page) -> Result<(), OsError> {
        let offset = u64::from(id) * PAGE_SIZE as u64;
        if offset != self.at {
            self.file.seek(SeekFrom::Start(offset))?;
        }
        // A failed read leaves the position unknown.
        self.at = u64::MAX;
        self.file.read_exact(page)?;
        self.at = offset + PAGE_SIZE as u64;
        Ok(())
    }

    /// Reads a page and checks it.
    pub(crate) fn checked(&mut self, id: u32, object_id: Option<i32>, page: &mut Page) -> Result<(), PageDamage> {
        let damage = |reason: String| PageDamage {
            page_id: id,
            object_id,
            reason,
        };
        self.read(id, page)
            .map_err(|e| damage(format!("operating system error {e}")))?;
        page::check(page, Some(id)).map_err(|d| PageDamage { object_id, ..d })?;
        match object_id {
            Some(expected) if page::object_id(page) != expected => Err(damage(format!(
                "belongs to object {}, not {expected}",
                page::object_id(page)
            ))),
            _ => Ok(()),
        }
    }
}
