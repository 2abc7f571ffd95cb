//! 8 KiB pages: a header with page id, object id, slot count and CRC-32, then slots. A slot holds a record or a part of
//! one: long records go on in the next page of the same object.
//!
//! ```text
//! 0  "SFPG"   4 page id   8 object id   12 slots u16   14 bytes used u16   16 kind u8   28 CRC-32 of all other bytes
//! 32 slot: flags u8 (1 first part, 2 last part), length u16, bytes …       all little-endian, the rest is zero
//! ```

use std::hash::{DefaultHasher, Hasher};

use super::datafile::PageDamage;

/// The size of a page in bytes.
pub const PAGE_SIZE: usize = 8192;

/// One page.
pub(crate) type Page = [u8; PAGE_SIZE];

const MAGIC: &[u8; 4] = b"SFPG";
const HEADER: usize = 32;
const SLOT_HEADER: usize = 3;
const FIRST: u8 = 1;
const LAST: u8 = 2;

/// What a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The file's header.
    Header = 1,
    /// The catalogue: metadata of the database and where its tables are.
    Catalogue = 2,
    /// Rows.
    Data = 3,
    /// A log file's only page.
    Log = 4,
}

/// Fills pages with records.
pub(crate) struct PageWriter {
    kind: PageKind,
    object_id: i32,
    pages: Vec<Box<Page>>,
    used: usize,
    slots: u16,
}

impl PageWriter {
    pub(crate) fn new(kind: PageKind, object_id: i32) -> PageWriter {
        PageWriter {
            kind,
            object_id,
            pages: Vec::new(),
            used: PAGE_SIZE - HEADER,
            slots: 0,
        }
    }

    /// Appends a record, over as many pages as it takes.
    pub(crate) fn push(&mut self, mut record: &[u8]) {
        let mut flags = FIRST;
        loop {
            let mut room = (PAGE_SIZE - HEADER - self.used).saturating_sub(SLOT_HEADER);
            // Beginning a long record in a small rest only makes more parts.
            if room < record.len().min(64) || room == 0 {
                self.next_page();
                room = PAGE_SIZE - HEADER - SLOT_HEADER;
            }
            let (part, rest) = record.split_at(record.len().min(room));
            if rest.is_empty() {
                flags |= LAST;
            }
            self.put(flags, part);
            if rest.is_empty() {
                return;
            }
            record = rest;
            flags = 0;
        }
    }

    /// The next record begins a page.
    pub(crate) fn end_page(&mut self) {
        self.used = PAGE_SIZE - HEADER;
    }

    fn put(&mut self, flags: u8, part: &[u8]) {
        let Some(page) = self.pages.last_mut() else { return };
        let at = HEADER + self.used;
        page[at] = flags;
        // A part is shorter than a page.
        page[at + 1..at + 3].copy_from_slice(&(part.len() as u16).to_le_bytes());
        page[at + SLOT_HEADER..at + SLOT_HEADER + part.len()].copy_from_slice(part);
        self.used += SLOT_HEADER + part.len();
        self.slots += 1;
        page[12..14].copy_from_slice(&self.slots.to_le_bytes());
        page[14..16].copy_from_slice(&(self.used as u16).to_le_bytes());
    }

    fn next_page(&mut self) {
        let mut page = Box::new([0; PAGE_SIZE]);
        page[..4].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&self.object_id.to_le_bytes());
        page[16] = self.kind as u8;
        self.pages.push(page);
        self.used = 0;
        self.slots = 0;
    }

    /// The pages, without ids and checksums: see [`seal`].
    pub(crate) fn finish(self) -> Vec<Box<Page>> {
        self.pages
    }
}

/// Gives a page its id and checksum.
pub(crate) fn seal(page: &mut Page, page_id: u32) {
    page[4..8].copy_from_slice(&page_id.to_le_bytes());
    let crc = checksum(page);
    page[28..32].copy_from_slice(&crc.to_le_bytes());
}

/// A hash of what a page holds, whatever its id: equal contents need not be written again.
pub(crate) fn content_hash(page: &Page) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&page[8..28]);
    hasher.write(&page[HEADER..]);
    hasher.finish()
}

fn checksum(page: &Page) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&page[..28]);
    crc.update(&page[32..]);
    crc.finalize()
}

fn u32_at(page: &Page, at: usize) -> u32 {
    u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
}

fn u16_at(page: &Page, at: usize) -> usize {
    usize::from(u16::from_le_bytes([page[at], page[at + 1]]))
}

/// The id a page claims to have.
pub(crate) fn page_id(page: &Page) -> u32 {
    u32_at(page, 4)
}

/// The object a page claims to belong to.
pub(crate) fn object_id(page: &Page) -> i32 {
    u32_at(page, 8).cast_signed()
}

/// Checks magic, checksum and that it is the page that belongs here. `expected` None checks the page by itself.
pub(crate) fn check(page: &Page, expected: Option<u32>) -> Result<(), PageDamage> {
    let id = expected.unwrap_or_else(|| page_id(page));
    let damage = |reason: String| PageDamage {
        page_id: id,
        object_id: None,
        reason,
    };
    let actual = checksum(page);
    let stored = u32_at(page, 28);
    if actual != stored {
        return Err(damage(format!(
            "incorrect checksum (expected: 0x{stored:08x}; actual: 0x{actual:08x})"
        )));
    }
    if &page[..4] != MAGIC {
        return Err(damage("not a page".into()));
    }
    if page_id(page) != id {
        return Err(damage(format!(
            "incorrect pageid (expected 1:{id}; actual 1:{})",
            page_id(page)
        )));
    }
    Ok(())
}

/// Puts the records of an object's pages together again.
#[derive(Default)]
pub(crate) struct RecordReader {
    partial: Option<Vec<u8>>,
}

impl RecordReader {
    /// Reads a checked page's slots; calls `record` for every record that ends in it.
    pub(crate) fn page(&mut self, page: &Page, mut record: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let mut rest = page.get(HEADER..HEADER + u16_at(page, 14))?;
        for _ in 0..u16_at(page, 12) {
            let (head, tail) = rest.split_first_chunk::<SLOT_HEADER>()?;
            let len = usize::from(u16::from_le_bytes([head[1], head[2]]));
            let (part, tail) = tail.split_at_checked(len)?;
            self.part(head[0], part, &mut record)?;
            rest = tail;
        }
        rest.is_empty().then_some(())
    }

    fn part(&mut self, flags: u8, part: &[u8], record: &mut impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        match (flags, self.partial.take()) {
            (flags, None) if flags == FIRST | LAST => record(part),
            (FIRST, None) => {
                self.partial = Some(part.to_vec());
                Some(())
            }
            (0, Some(mut so_far)) => {
                so_far.extend_from_slice(part);
                self.partial = Some(so_far);
                Some(())
            }
            (LAST, Some(mut so_far)) => {
                so_far.extend_from_slice(part);
                record(&so_far)
            }
            _ => None,
        }
    }

    /// Whether no record is left open.
    pub(crate) fn is_complete(&self) -> bool {
        self.partial.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_survive(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20_000), 0..8)) {
            let mut writer = PageWriter::new(PageKind::Data, 7);
            for record in &records {
                writer.push(record);
            }
            let mut reader = RecordReader::default();
            let mut read = Vec::new();
            for (id, mut page) in writer.finish().into_iter().enumerate() {
                seal(&mut page, id as u32);
                check(&page, Some(id as u32)).unwrap();
                reader.page(&page, |r| { read.push(r.to_vec()); Some(()) }).unwrap();
            }
            prop_assert!(reader.is_complete());
            prop_assert_eq!(read, records);
        }

        #[test]
        fn a_flipped_bit_is_found(at in 0..PAGE_SIZE, bit in 0u8..8) {
            let mut writer = PageWriter::new(PageKind::Data, 7);
            writer.push(b"some record");
            let mut page = writer.finish().remove(0);
            seal(&mut page, 42);
            page[at] ^= 1 << bit;
            prop_assert!(check(&page, Some(42)).is_err());
        }

        #[test]
        fn garbage_slots_never_panic(bytes in prop::collection::vec(any::<u8>(), PAGE_SIZE)) {
            let mut page = [0; PAGE_SIZE];
            page.copy_from_slice(&bytes);
            let _ = check(&page, None);
            let _ = RecordReader::default().page(&page, |_| Some(()));
        }
    }
}
