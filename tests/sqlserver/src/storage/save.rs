//! Which pages a save writes: those that changed, and a new catalogue, all into free pages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::catalogue::{self, Catalogue, FileHeader, TableEntry};
use super::datafile::{DatabaseFile, Stored, new_header};
use super::page::{self, Page};
use super::space::Space;
use super::{Database, FileKind, FileMeta, OsError, Table};

/// What a save is going to write. Making it changes nothing.
pub(crate) struct SavePlan {
    pub(crate) writes: Vec<(u32, Box<Page>)>,
    pub(crate) header: FileHeader,
    pub(crate) tables: HashMap<i32, Stored>,
    pub(crate) space: Space,
    pub(crate) freed: Vec<u32>,
    pub(crate) size_pages: u32,
}

impl SavePlan {
    pub(crate) fn new(file: &DatabaseFile, database: &Database) -> Result<SavePlan, OsError> {
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
        let mut unchanged: HashMap<u64, Vec<u32>> = HashMap::new();
        for (id, hash) in before.iter().flat_map(|b| b.pages.iter()) {
            unchanged.entry(*hash).or_default().push(*id);
        }
        let mut pages = Vec::new();
        for mut page in catalogue::table_pages(table) {
            let hash = catalogue::hash(&page);
            let id = unchanged.get_mut(&hash).and_then(Vec::pop).unwrap_or_else(|| {
                let id = self.space.page();
                page::seal(&mut page, id);
                self.writes.push((id, page));
                id
            });
            pages.push((id, hash));
        }
        self.freed.extend(unchanged.into_values().flatten());
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
