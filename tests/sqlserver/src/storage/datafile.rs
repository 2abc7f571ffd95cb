//! The `.mdf`: shadow-paged, so that kill -9 (or a power cut) at any moment leaves the last saved state.
//!
//! Pages 0 and 1 hold the same header: generation and place of the catalogue. The catalogue (JSON over several pages)
//! holds the metadata and says which pages hold which table. A save writes changed pages and a new catalogue into free
//! pages, syncs, writes header 0, syncs, writes header 1. Until header 0 is written the old state is intact, from then on
//! the new one is; pages that only the old state used become free afterwards, unless a [`PageSnapshot`] pins them.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Weak};

use uuid::Uuid;

use super::catalogue::{self, FileHeader};
use super::load::Loader;
use super::page::{self, PageKind, PageWriter};
use super::save::SavePlan;
use super::snapshot::PageReader;
use super::space::Space;
use super::{Database, DriveFile, Drives, FileKind, FileMeta, OsError, PAGE_SIZE, PageSnapshot, Table};

/// A page that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageDamage {
    /// Its number in the file.
    pub page_id: u32,
    /// The object it belongs to, where that is known; 0 is the catalogue.
    pub object_id: Option<i32>,
    /// Why.
    pub reason: String,
}

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused (5120, 5123, 5133).
    #[error("{path}: operating system error {error}")]
    Os {
        /// The Windows path.
        path: String,
        /// The error.
        error: OsError,
    },
    /// Not a database file (5171).
    #[error("{0} is not a primary database file")]
    NotADatabase(String),
    /// A page is damaged (824).
    #[error("{path}: page {}: {}", .damage.page_id, .damage.reason)]
    Damaged {
        /// The Windows path.
        path: String,
        /// The first damaged page.
        damage: PageDamage,
    },
}

/// The pages of a saved table.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The table as it was saved, to see whether it is still the same one.
    pub(crate) table: Weak<Table>,
    /// Page ids and content hashes, in order.
    pub(crate) pages: Arc<Vec<(u32, u64)>>,
}

/// An open `.mdf` and its `.ldf`.
#[derive(Debug)]
pub struct DatabaseFile {
    data: DriveFile,
    _log: DriveFile,
    pub(crate) header: FileHeader,
    pub(crate) tables: HashMap<i32, Stored>,
    pub(crate) space: Space,
    /// Free pages that a snapshot may still read.
    deferred: Vec<u32>,
    pins: Arc<()>,
    /// A header could not be written: what is on disk is not known any more.
    failed: bool,
}

impl DatabaseFile {
    /// Creates the `.mdf` and `.ldf` named by the database's files and saves the database; files that exist are replaced.
    /// Updates the files' `size_pages`.
    pub fn create(drives: &Drives, database: &mut Database) -> Result<DatabaseFile, FileError> {
        let data = create_file(drives, file_of(database, FileKind::Data)?)?;
        let log_meta = file_of(database, FileKind::Log)?;
        let mut log = create_file(drives, log_meta)?;
        write_log_page(&mut log, database.meta.database_guid)?;
        let nothing = catalogue::Extent { first: 0, count: 0 };
        let mut file = DatabaseFile {
            data,
            _log: log,
            header: new_header(0, database, nothing),
            tables: HashMap::new(),
            space: Space::around(&BTreeSet::from([0, 1])),
            deferred: Vec::new(),
            pins: Arc::default(),
            failed: false,
        };
        file.save(database)?;
        Ok(file)
    }

    /// Opens a `.mdf` by its Windows path and loads the database.
    pub fn open(drives: &Drives, path: &str) -> Result<(Database, DatabaseFile), FileError> {
        DatabaseFile::open_moved(drives, path, None)
    }

    /// The same where the catalogue may still have the old names of its files: `files` has the ones that count.
    pub(crate) fn open_moved(
        drives: &Drives,
        path: &str,
        files: Option<&[FileMeta]>,
    ) -> Result<(Database, DatabaseFile), FileError> {
        let data = drives.open_write(path).map_err(os(path))?;
        let mut loader = Loader::open(path, data.real())?;
        let header = loader.header()?;
        let (mut database, tables) = loader.database(&header)?;
        for file in &mut database.files {
            let moved = files.unwrap_or_default().iter().find(|f| f.file_id == file.file_id);
            if let Some(moved) = moved {
                file.physical_name.clone_from(&moved.physical_name);
            }
        }
        let log_path = file_of(&database, FileKind::Log)?.physical_name.clone();
        let log = drives.open_write(&log_path).map_err(os(&log_path))?;
        let mut used = BTreeSet::from([0, 1]);
        used.extend(header.catalogue.pages());
        used.extend(tables.values().flat_map(|t: &Stored| t.pages.iter().map(|(id, _)| *id)));
        let file = DatabaseFile {
            data,
            _log: log,
            header,
            tables,
            space: Space::around(&used),
            deferred: Vec::new(),
            pins: Arc::default(),
            failed: false,
        };
        Ok((database, file))
    }

    /// The Windows path of the `.mdf`.
    pub fn path(&self) -> &str {
        self.data.path()
    }

    /// The real path of the `.mdf`.
    pub fn real(&self) -> &Path {
        self.data.real()
    }

    /// Saves the database: on return it survives kill -9. Only pages that changed are written. On an error the last
    /// saved state stays; `OsError::DiskFull` means that the drive has no room for the pages or for the file to grow.
    pub fn save(&mut self, database: &mut Database) -> Result<(), FileError> {
        let path = self.data.path().to_string();
        if self.failed {
            return Err(FileError::Os {
                path,
                error: OsError::IoDevice,
            });
        }
        let plan = SavePlan::new(self, database).map_err(os(&path))?;
        self.write(&plan).map_err(os(&path))?;
        self.space = plan.space;
        self.deferred.extend(plan.freed);
        // Only `self.pins` itself is left when no snapshot lives.
        if Arc::strong_count(&self.pins) == 1 {
            self.space.release(self.deferred.drain(..));
        }
        self.tables = plan.tables;
        self.header = plan.header;
        if let Some(file) = database.files.iter_mut().find(|f| f.kind == FileKind::Data) {
            file.size_pages = plan.size_pages;
        }
        Ok(())
    }

    fn write(&mut self, plan: &SavePlan) -> Result<(), OsError> {
        let bytes = u64::from(plan.size_pages) * PAGE_SIZE as u64;
        if bytes != self.data.len() {
            self.data.set_len(bytes)?;
        }
        for (id, page) in &plan.writes {
            self.data.write_at(u64::from(*id) * PAGE_SIZE as u64, &page[..])?;
        }
        self.data.sync()?;
        self.failed = true;
        for id in [0, 1] {
            let mut page = catalogue::header_page(&plan.header).map_err(|_| OsError::IoDevice)?;
            page::seal(&mut page, id);
            self.data.write_at(u64::from(id) * PAGE_SIZE as u64, &page[..])?;
            self.data.sync()?;
        }
        self.failed = false;
        Ok(())
    }

    /// Reads every allocated page from disk (`DBCC CHECKDB`). Empty means clean.
    pub fn check(&self) -> Result<Vec<PageDamage>, FileError> {
        let mut reader = PageReader::open(self.data.real()).map_err(os(self.data.path()))?;
        let mut page = [0; PAGE_SIZE];
        let catalogue = [0, 1]
            .into_iter()
            .chain(self.header.catalogue.pages())
            .map(|id| (id, 0));
        let tables = self
            .tables
            .iter()
            .flat_map(|(object, t)| t.pages.iter().map(|(id, _)| (*id, *object)));
        let damaged = catalogue
            .chain(tables)
            .filter_map(|(id, object)| reader.checked(id, Some(object), &mut page).err());
        let mut damages: Vec<_> = damaged.collect();
        damages.sort_by_key(|d| d.page_id);
        Ok(damages)
    }

    /// Pages in use (`FILEPROPERTY(name,'SpaceUsed')`).
    pub fn used_pages(&self) -> u32 {
        let tables: usize = self.tables.values().map(|t| t.pages.len()).sum();
        u32::try_from(tables)
            .unwrap_or(u32::MAX)
            .saturating_add(2 + self.header.catalogue.count)
    }

    /// Pages in use by one table (`sys.dm_db_partition_stats`).
    pub fn object_pages(&self, object_id: i32) -> u32 {
        let pages = self.tables.get(&object_id).map_or(0, |t| t.pages.len());
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    /// Flips a bit in a page of this table on disk, behind the database's back, as a failing disk would (`DBCC
    /// WRITEPAGE`). Gives the page's number; None when the table has no rows.
    pub fn damage(&mut self, object_id: i32) -> Result<Option<u32>, FileError> {
        let first = self.tables.get(&object_id).and_then(|t| t.pages.first());
        let Some(&(page_id, _)) = first else { return Ok(None) };
        let at = u64::from(page_id) * PAGE_SIZE as u64 + PAGE_SIZE as u64 / 2;
        let mut byte = [0];
        let flipped = self
            .data
            .read_at(at, &mut byte)
            .and_then(|()| self.data.write_at(at, &[byte[0] ^ 1]));
        flipped.map_err(os(self.data.path()))?;
        Ok(Some(page_id))
    }

    /// The saved pages, pinned for a backup.
    pub fn snapshot(&self) -> Result<PageSnapshot, FileError> {
        let failed = || FileError::Os {
            path: self.data.path().into(),
            error: OsError::IoDevice,
        };
        let mut header = catalogue::header_page(&self.header).map_err(|_| failed())?;
        page::seal(&mut header, 0);
        let mut pages: Vec<u32> = self
            .tables
            .values()
            .flat_map(|t| t.pages.iter().map(|(id, _)| *id))
            .collect();
        pages.extend(self.header.catalogue.pages());
        pages.sort_unstable();
        let reader = PageReader::open(self.data.real()).map_err(os(self.data.path()))?;
        Ok(PageSnapshot {
            reader,
            pages,
            header,
            _pin: self.pins.clone(),
        })
    }
}

pub(crate) fn new_header(generation: u64, database: &Database, catalogue: catalogue::Extent) -> FileHeader {
    FileHeader {
        product: "syncferry-sqlserver".into(),
        format: catalogue::FORMAT,
        generation,
        database_guid: database.meta.database_guid,
        catalogue,
    }
}

pub(crate) fn os(path: &str) -> impl FnOnce(OsError) -> FileError {
    let path = path.to_string();
    move |error| FileError::Os { path, error }
}

fn file_of(database: &Database, kind: FileKind) -> Result<&FileMeta, FileError> {
    let file = database.files.iter().find(|f| f.kind == kind);
    file.ok_or_else(|| FileError::NotADatabase(database.meta.name.clone()))
}

/// Creates a file of a database at its full size.
pub(crate) fn create_file(drives: &Drives, meta: &FileMeta) -> Result<DriveFile, FileError> {
    let path = &meta.physical_name;
    let mut file = drives.create(path).map_err(os(path))?;
    let sized = file.set_len(u64::from(meta.size_pages) * PAGE_SIZE as u64);
    if let Err(error) = sized {
        // Nothing is gained by telling that the clean-up failed too.
        let _ = file.remove();
        return Err(FileError::Os {
            path: path.clone(),
            error,
        });
    }
    Ok(file)
}

/// The log holds no changes (see the module's text); its first page says whose it is.
pub(crate) fn write_log_page(log: &mut DriveFile, database_guid: Uuid) -> Result<(), FileError> {
    let mut writer = PageWriter::new(PageKind::Log, 0);
    writer.push(database_guid.as_bytes());
    for mut page in writer.finish() {
        page::seal(&mut page, 0);
        log.write_at(0, &page[..]).map_err(os(log.path()))?;
    }
    Ok(())
}
