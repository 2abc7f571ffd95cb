//! What a database file knows about itself: the header page and the catalogue.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::page::{self, Page, PageKind, PageWriter, RecordReader};
use super::{
    Database, DatabaseMeta, DatabasePermission, DatabasePrincipal, ExtendedProperty, FileMeta, Procedure, Table,
};

/// The format this build writes and reads.
pub(crate) const FORMAT: u16 = 1;

/// Pages in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Extent {
    pub(crate) fn pages(self) -> impl Iterator<Item = u32> {
        // A damaged extent may end beyond the last possible page.
        (u64::from(self.first)..u64::from(self.first) + u64::from(self.count)).map_while(|id| u32::try_from(id).ok())
    }
}

/// The record on pages 0 and 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileHeader {
    pub(crate) product: Cow<'static, str>,
    pub(crate) format: u16,
    pub(crate) generation: u64,
    pub(crate) database_guid: Uuid,
    pub(crate) catalogue: Extent,
}

/// Where a table's rows are.
#[derive(Serialize, Deserialize)]
pub(crate) struct TableEntry<'a> {
    /// The definition; its rows are in the pages.
    pub(crate) table: Cow<'a, Table>,
    pub(crate) row_count: u64,
    pub(crate) pages: Vec<Extent>,
}

/// Everything but the rows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Catalogue<'a> {
    pub(crate) meta: Cow<'a, DatabaseMeta>,
    pub(crate) files: Cow<'a, [FileMeta]>,
    pub(crate) tables: Vec<TableEntry<'a>>,
    pub(crate) procedures: Cow<'a, [Procedure]>,
    pub(crate) principals: Cow<'a, [DatabasePrincipal]>,
    pub(crate) permissions: Cow<'a, [DatabasePermission]>,
    pub(crate) extended_properties: Cow<'a, [ExtendedProperty]>,
}

impl<'a> Catalogue<'a> {
    pub(crate) fn of(database: &'a Database, tables: Vec<TableEntry<'a>>) -> Catalogue<'a> {
        Catalogue {
            meta: Cow::Borrowed(&database.meta),
            files: Cow::Borrowed(&database.files),
            tables,
            procedures: Cow::Borrowed(&database.procedures),
            principals: Cow::Borrowed(&database.principals),
            permissions: Cow::Borrowed(&database.permissions),
            extended_properties: Cow::Borrowed(&database.extended_properties),
        }
    }
}

/// The header as a page, not yet sealed.
pub(crate) fn header_page(header: &FileHeader) -> Result<Box<Page>, serde_json::Error> {
    let mut writer = PageWriter::new(PageKind::Header, 0);
    writer.push(&serde_json::to_vec(header)?);
    // A header is a few hundred bytes: one record, one page.
    Ok(writer
        .finish()
        .into_iter()
        .next()
        .unwrap_or_else(|| Box::new([0; super::PAGE_SIZE])))
}

/// Reads a checked header page.
pub(crate) fn read_header(page: &Page) -> Option<FileHeader> {
    let mut header = None;
    RecordReader::default().page(page, |json| {
        header = serde_json::from_slice(json).ok();
        Some(())
    })?;
    header.filter(|h: &FileHeader| h.product == "syncferry-sqlserver" && h.format == FORMAT)
}

/// The catalogue as pages, not yet sealed.
pub(crate) fn catalogue_pages(catalogue: &Catalogue<'_>) -> Result<Vec<Box<Page>>, serde_json::Error> {
    let mut writer = PageWriter::new(PageKind::Catalogue, 0);
    writer.push(&serde_json::to_vec(catalogue)?);
    Ok(writer.finish())
}

/// Joins single page numbers to extents.
pub(crate) fn extents(pages: impl Iterator<Item = u32>) -> Vec<Extent> {
    let mut extents: Vec<Extent> = Vec::new();
    for id in pages {
        match extents.last_mut() {
            Some(last) if u64::from(last.first) + u64::from(last.count) == u64::from(id) => last.count += 1,
            _ => extents.push(Extent { first: id, count: 1 }),
        }
    }
    extents
}

/// A table's rows as pages, not yet sealed.
///
/// Where a page ends early depends on the row that follows, not on its position. So a row that grows, comes or goes changes
/// the pages up to the next such row, and all later pages are the same as before: [`hash`] finds them again.
pub(crate) fn table_pages(table: &Table) -> Vec<Box<Page>> {
    let mut writer = PageWriter::new(PageKind::Data, table.object_id);
    let mut record = Vec::new();
    for row in &table.rows {
        record.clear();
        super::codec::put_row(&mut record, row);
        // Once in some four pages, or in eight rows where rows are long.
        let every = (4 * super::PAGE_SIZE / record.len().max(1)).max(8);
        if (crc32fast::hash(&record) as usize).is_multiple_of(every) {
            writer.end_page();
        }
        writer.push(&record);
    }
    writer.finish()
}

/// The hash by which an unchanged page is recognised.
pub(crate) fn hash(page: &Page) -> u64 {
    page::content_hash(page)
}
