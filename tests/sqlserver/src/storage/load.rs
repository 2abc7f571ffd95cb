//! Loading a database file that nobody vouches for: every page is checked, damage gives an error, never a panic.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::catalogue::{self, Catalogue, FileHeader, TableEntry};
use super::datafile::{Stored, os};
use super::page::RecordReader;
use super::snapshot::PageReader;
use super::{Database, FileError, PAGE_SIZE, PageDamage, Table};

/// Reads a file that nobody vouches for.
pub(crate) struct Loader {
    path: String,
    reader: PageReader,
}

impl Loader {
    pub(crate) fn open(path: &str, real: &Path) -> Result<Loader, FileError> {
        let reader = PageReader::open(real).map_err(os(path))?;
        Ok(Loader {
            path: path.into(),
            reader,
        })
    }

    /// The newer of the two headers.
    pub(crate) fn header(&mut self) -> Result<FileHeader, FileError> {
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

    pub(crate) fn database(&mut self, header: &FileHeader) -> Result<(Database, HashMap<i32, Stored>), FileError> {
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
