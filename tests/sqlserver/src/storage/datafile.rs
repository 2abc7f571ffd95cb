//! The `.mdf`: shadow-paged, so that kill -9 (or a power cut) at any moment leaves the last saved state.
//!
//! Pages 0 and 1 hold the same header: generation and place of the catalogue. The catalogue (JSON over several pages)
//! holds the metadata and says which pages hold which table. A save writes changed pages and a new catalogue into free
//! pages, syncs, writes header 0, syncs, writes header 1. Until header 0 is written the old state is intact, from then on
//! the new one is; pages that only the old state used become free afterwards, unless a [`PageSnapshot`] pins them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use uuid::Uuid;

use super::catalogue::{self, Catalogue, FileHeader, TableEntry};
use super::page::{self, Page, PageKind, PageWriter, RecordReader};
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
struct Stored {
    /// The table as it was saved, to see whether it is still the same one.
    table: Weak<Table>,
    /// Page ids and content hashes, in order.
    pages: Arc<Vec<(u32, u64)>>,
}

/// An open `.mdf` and its `.ldf`.
#[derive(Debug)]
pub struct DatabaseFile {
    data: DriveFile,
    _log: DriveFile,
    header: FileHeader,
    tables: HashMap<i32, Stored>,
    space: Space,
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

/// What a save is going to write. Making it changes nothing.
struct SavePlan {
    writes: Vec<(u32, Box<Page>)>,
    header: FileHeader,
    tables: HashMap<i32, Stored>,
    space: Space,
    freed: Vec<u32>,
    size_pages: u32,
}

impl SavePlan {
    fn new(file: &DatabaseFile, database: &Database) -> Result<SavePlan, OsError> {
        let mut plan = SavePlan {
            writes: Vec::new(),
            header: file.header.clone(),
            tables: HashMap::new(),
            space: file.space.clone(),
            freed: Vec::new(),
            size_pages: 0,
        };
        for table in &database.tables {
            let stored = plan.store(table, file.tables.get(&table.object_id));
            plan.tables.insert(table.object_id, stored);
        }
        let dropped = file.tables.iter().filter(|(id, _)| !plan.tables.contains_key(id));
        plan.freed
            .extend(dropped.flat_map(|(_, t)| t.pages.iter().map(|(id, _)| *id)));
        plan.catalogue(file, database).map_err(|_| OsError::IoDevice)?;
        Ok(plan)
    }

    /// Keeps the pages that are the same, gives new places to the others.
    fn store(&mut self, table: &Arc<Table>, before: Option<&Stored>) -> Stored {
        let weak = Arc::downgrade(table);
        if let Some(same) = before.filter(|b| b.table.ptr_eq(&weak)) {
            return same.clone();
        }
        let before: &[(u32, u64)] = before.map_or(&[], |b| &b.pages);
        let mut pages = Vec::new();
        for (index, mut page) in catalogue::table_pages(table).into_iter().enumerate() {
            let hash = catalogue::hash(&page);
            match before.get(index) {
                Some(old) if old.1 == hash => pages.push(*old),
                old => {
                    self.freed.extend(old.map(|(id, _)| *id));
                    let id = self.space.page();
                    page::seal(&mut page, id);
                    self.writes.push((id, page));
                    pages.push((id, hash));
                }
            }
        }
        self.freed.extend(before.iter().skip(pages.len()).map(|(id, _)| *id));
        Stored {
            table: weak,
            pages: Arc::new(pages),
        }
    }

    fn catalogue(&mut self, file: &DatabaseFile, database: &Database) -> Result<(), serde_json::Error> {
        let entry = |table: &'_ Arc<Table>| {
            let pages = self
                .tables
                .get(&table.object_id)
                .map(|t| t.pages.clone())
                .unwrap_or_default();
            catalogue::extents(pages.iter().map(|(id, _)| *id))
        };
        let entries = database.tables.iter().map(|table| TableEntry {
            table: Cow::Borrowed(&**table),
            row_count: table.rows.len() as u64,
            pages: entry(table),
        });
        let mut catalogue = Catalogue::of(database, entries.collect());
        // The file's size is part of the catalogue and depends on the catalogue's length: one page more than now is
        // enough for a size with more digits.
        let count = catalogue::catalogue_pages(&catalogue)?.len() + 1;
        let place = self.space.run(u32::try_from(count).unwrap_or(u32::MAX));
        let data = database.data_file();
        self.size_pages = grown(data, self.space.end());
        let mut files = database.files.clone();
        for data in files.iter_mut().filter(|f| f.kind == FileKind::Data) {
            data.size_pages = self.size_pages;
        }
        catalogue.files = Cow::Owned(files);
        let pages = catalogue::catalogue_pages(&catalogue)?;
        let extent = catalogue::Extent {
            first: place.first,
            count: u32::try_from(pages.len()).unwrap_or(place.count),
        };
        for (id, mut page) in place.pages().zip(pages) {
            page::seal(&mut page, id);
            self.writes.push((id, page));
        }
        self.space.release(place.pages().skip(extent.count as usize));
        self.freed.extend(file.header.catalogue.pages());
        self.header = new_header(file.header.generation + 1, database, extent);
        Ok(())
    }
}

/// The size that holds `pages`, in steps of the file's growth.
fn grown(file: Option<&FileMeta>, pages: u32) -> u32 {
    let Some(file) = file else { return pages };
    if pages <= file.size_pages {
        return file.size_pages;
    }
    let step = if file.is_percent_growth {
        file.size_pages / 100 * file.growth
    } else {
        file.growth
    }
    .max(8);
    file.size_pages + (pages - file.size_pages).div_ceil(step) * step
}

fn new_header(generation: u64, database: &Database, catalogue: catalogue::Extent) -> FileHeader {
    FileHeader {
        product: "syncferry-sqlserver".into(),
        format: catalogue::FORMAT,
        generation,
        database_guid: database.meta.database_guid,
        catalogue,
    }
}

fn os(path: &str) -> impl FnOnce(OsError) -> FileError {
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

/// Reads a file that nobody vouches for.
struct Loader {
    path: String,
    reader: PageReader,
    _real: PathBuf,
}

impl Loader {
    fn open(path: &str, real: &Path) -> Result<Loader, FileError> {
        let reader = PageReader::open(real).map_err(os(path))?;
        Ok(Loader {
            path: path.into(),
            reader,
            _real: real.into(),
        })
    }

    /// The newer of the two headers.
    fn header(&mut self) -> Result<FileHeader, FileError> {
        let mut page = [0; PAGE_SIZE];
        let mut headers: Vec<FileHeader> = Vec::new();
        let mut damages = Vec::new();
        for id in [0, 1] {
            match self.reader.checked(id, Some(0), &mut page) {
                Ok(()) => headers.extend(catalogue::read_header(&page)),
                Err(damage) => damages.push((damage, page.starts_with(b"SFPG"))),
            }
        }
        if let Some(newest) = headers.into_iter().max_by_key(|h| h.generation) {
            return Ok(newest);
        }
        match damages.into_iter().find(|(_, looks_like_a_page)| *looks_like_a_page) {
            Some((damage, _)) => Err(self.damaged(damage)),
            None => Err(FileError::NotADatabase(self.path.clone())),
        }
    }

    fn database(&mut self, header: &FileHeader) -> Result<(Database, HashMap<i32, Stored>), FileError> {
        let mut json = Vec::new();
        self.records(0, header.catalogue.pages(), |record| {
            json.extend_from_slice(record);
            Some(())
        })?;
        let catalogue: Catalogue<'_> = serde_json::from_slice(&json)
            .map_err(|e| self.damaged(damage(header.catalogue.first, 0, &format!("catalogue: {e}"))))?;
        let mut tables = Vec::new();
        let mut stored = HashMap::new();
        for entry in catalogue.tables {
            let (table, pages) = self.table(entry)?;
            let table = Arc::new(table);
            stored.insert(
                table.object_id,
                Stored {
                    table: Arc::downgrade(&table),
                    pages: Arc::new(pages),
                },
            );
            tables.push(table);
        }
        let database = Database {
            meta: catalogue.meta.into_owned(),
            files: catalogue.files.into_owned(),
            tables,
            procedures: catalogue.procedures.into_owned(),
            principals: catalogue.principals.into_owned(),
            permissions: catalogue.permissions.into_owned(),
            extended_properties: catalogue.extended_properties.into_owned(),
        };
        Ok((database, stored))
    }

    fn table(&mut self, entry: TableEntry<'_>) -> Result<(Table, Vec<(u32, u64)>), FileError> {
        let mut table = entry.table.into_owned();
        let width = table.columns.len();
        let mut rows = Vec::new();
        let ids = entry.pages.iter().flat_map(|e| e.pages());
        let pages = self.records(table.object_id, ids, |record| {
            rows.push(super::codec::get_row(record).filter(|row| row.len() == width)?);
            Some(())
        })?;
        if rows.len() as u64 != entry.row_count {
            let first = pages.first().map_or(0, |(id, _)| *id);
            let reason = format!(
                "table {} has {} rows instead of {}",
                table.name,
                rows.len(),
                entry.row_count
            );
            return Err(self.damaged(damage(first, table.object_id, &reason)));
        }
        table.rows = rows;
        Ok((table, pages))
    }

    /// Reads the records of an object; returns its pages with their hashes.
    fn records(
        &mut self,
        object_id: i32,
        ids: impl Iterator<Item = u32>,
        mut record: impl FnMut(&[u8]) -> Option<()>,
    ) -> Result<Vec<(u32, u64)>, FileError> {
        let mut page = [0; PAGE_SIZE];
        let mut pages = Vec::new();
        let mut records = RecordReader::default();
        for id in ids {
            self.reader
                .checked(id, Some(object_id), &mut page)
                .map_err(|d| self.damaged(d))?;
            let read = records.page(&page, &mut record);
            read.ok_or_else(|| self.damaged(damage(id, object_id, "its slots do not add up")))?;
            pages.push((id, catalogue::hash(&page)));
        }
        match pages.last() {
            Some((last, _)) if !records.is_complete() => {
                Err(self.damaged(damage(*last, object_id, "its last record has no end")))
            }
            _ => Ok(pages),
        }
    }

    fn damaged(&self, damage: PageDamage) -> FileError {
        FileError::Damaged {
            path: self.path.clone(),
            damage,
        }
    }
}

fn damage(page_id: u32, object_id: i32, reason: &str) -> PageDamage {
    PageDamage {
        page_id,
        object_id: Some(object_id),
        reason: reason.into(),
    }
}
