//! The blocks a `.bak` file consists of. Every byte of a block is covered by its CRC-32.
//!
//! ```text
//! "SFBK"  tag (4 letters)  payload length u32  CRC-32 of tag, length and payload   payload
//!
//! LABL  JSON: format version, media label
//! BSET  JSON: backup set header (as far as known at the start), file list
//! PAGE  sequence of the first page u64, pages u16, codec u8, the pages
//! TRLR  JSON: the final backup set header, bytes and CRC-32 of the set's blocks before this one
//! ```

use crate::storage::{DriveFile, OsError};

/// The length of a block's header.
pub(crate) const BLOCK_HEADER: usize = 16;
/// No block is longer: a damaged length must not eat the memory.
pub(crate) const MAX_PAYLOAD: usize = 4 << 20;

const MAGIC: &[u8; 4] = b"SFBK";

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Label,
    Set,
    Pages,
    Trailer,
}

impl Tag {
    fn bytes(self) -> &'static [u8; 4] {
        match self {
            Tag::Label => b"LABL",
            Tag::Set => b"BSET",
            Tag::Pages => b"PAGE",
            Tag::Trailer => b"TRLR",
        }
    }

    fn parse(bytes: &[u8]) -> Option<Tag> {
        [Tag::Label, Tag::Set, Tag::Pages, Tag::Trailer]
            .into_iter()
            .find(|t| t.bytes() == bytes)
    }
}

/// Why there is no block at an offset.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// The file ends exactly here.
    End,
    /// The file ends inside the block.
    Cut,
    /// The bytes are not a block, or not any more. The payload is there when only the CRC is wrong.
    Damaged(&'static str, Vec<u8>),
    /// Reading failed.
    Os(OsError),
}

/// A block's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockHeader {
    pub(crate) tag: Tag,
    pub(crate) len: usize,
    crc: u32,
}

/// A block's bytes with its header.
pub(crate) fn encode(tag: Tag, payload: &[u8]) -> Vec<u8> {
    // Payloads are bounded far below 4 GiB by their makers.
    let len = (payload.len() as u32).to_le_bytes();
    let mut block = Vec::with_capacity(BLOCK_HEADER + payload.len());
    block.extend_from_slice(MAGIC);
    block.extend_from_slice(tag.bytes());
    block.extend_from_slice(&len);
    block.extend_from_slice(&checksum(tag, len, payload).to_le_bytes());
    block.extend_from_slice(payload);
    block
}

/// Reads the header of the block at an offset.
pub(crate) fn read_header(file: &mut DriveFile, offset: u64) -> Result<(BlockHeader, [u8; BLOCK_HEADER]), BlockError> {
    let left = file.len().saturating_sub(offset);
    if left == 0 {
        return Err(BlockError::End);
    }
    if left < BLOCK_HEADER as u64 {
        return Err(BlockError::Cut);
    }
    let mut raw = [0; BLOCK_HEADER];
    file.read_at(offset, &mut raw).map_err(BlockError::Os)?;
    let word = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
    let tag = Tag::parse(&raw[4..8]).filter(|_| &raw[..4] == MAGIC);
    let tag = tag.ok_or_else(|| BlockError::Damaged("a block does not begin where it should", Vec::new()))?;
    let len = word(8) as usize;
    if len > MAX_PAYLOAD {
        return Err(BlockError::Damaged("a block's length is impossible", Vec::new()));
    }
    if left < (BLOCK_HEADER + len) as u64 {
        return Err(BlockError::Cut);
    }
    Ok((
        BlockHeader {
            tag,
            len,
            crc: word(12),
        },
        raw,
    ))
}

/// Reads and checks the block at an offset. Adds its bytes to a stream checksum.
pub(crate) fn read(
    file: &mut DriveFile,
    offset: u64,
    stream: &mut crc32fast::Hasher,
) -> Result<(Tag, Vec<u8>), BlockError> {
    let (header, raw) = read_header(file, offset)?;
    let mut payload = vec![0; header.len];
    file.read_at(offset + BLOCK_HEADER as u64, &mut payload)
        .map_err(BlockError::Os)?;
    // The length fits: it came from four bytes.
    if checksum(header.tag, (header.len as u32).to_le_bytes(), &payload) != header.crc {
        return Err(BlockError::Damaged("a block's checksum is wrong", payload));
    }
    stream.update(&raw);
    stream.update(&payload);
    Ok((header.tag, payload))
}

fn checksum(tag: Tag, len: [u8; 4], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(tag.bytes());
    crc.update(&len);
    crc.update(payload);
    crc.finalize()
}
