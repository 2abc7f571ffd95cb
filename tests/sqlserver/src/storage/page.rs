//! 8 KiB pages: header with page id, object id, slot count and CRC-32; records that may continue on the next page.

/// The size of a page in bytes.
pub const PAGE_SIZE: usize = 8192;
