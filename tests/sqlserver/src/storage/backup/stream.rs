//! Reads and checks the pages of a set in order, from all its stripes.

use super::block::{self, BLOCK_HEADER, BlockError, Tag};
use super::codec;
use super::stripe::{StripeSet, TrailerBlock};
use super::{BackupError, Progress};
use crate::storage::page::{self, Page};
use crate::storage::{DriveFile, Drives, OsError, PAGE_SIZE};

/// One stripe while its set is read.
#[derive(Debug)]
struct Cursor {
    device: String,
    file: DriveFile,
    start: u64,
    at: u64,
    crc: crc32fast::Hasher,
}

/// The pages of a set. A frame of pages is on the stripe with its number modulo the number of stripes.
#[derive(Debug)]
pub(crate) struct PageStream {
    cursors: Vec<Cursor>,
    position: u16,
    total: u64,
    done: u64,
    frame: usize,
    finished: bool,
}

impl PageStream {
    pub(crate) fn open(
        drives: &Drives,
        stripes: &[(&str, &StripeSet)],
        position: u16,
        total: u64,
    ) -> Result<PageStream, BackupError> {
        let mut cursors = Vec::new();
        for (device, set) in stripes {
            let file = drives.open(device).map_err(|error| BackupError::Open {
                device: (*device).into(),
                error,
            })?;
            let crc = crc32fast::Hasher::new();
            cursors.push(Cursor {
                device: (*device).into(),
                file,
                start: set.start,
                at: set.start,
                crc,
            });
        }
        let mut stream = PageStream {
            cursors,
            position,
            total,
            done: 0,
            frame: 0,
            finished: false,
        };
        for index in 0..stream.cursors.len() {
            // The set header itself was read when the media was scanned.
            stream.block(index, Tag::Set)?;
        }
        Ok(stream)
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            total: self.total,
        }
    }

    /// The next checked pages, one after another in a buffer. None after the trailers were checked.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        if self.done >= self.total {
            self.finish()?;
            return Ok(None);
        }
        let index = self.frame % self.cursors.len();
        let payload = self.block(index, Tag::Pages)?;
        let (first, pages) = codec::decode(&payload).ok_or_else(|| damaged("a frame cannot be unpacked"))?;
        let count = (pages.len() / PAGE_SIZE) as u64;
        if first != self.done || count == 0 || first + count > self.total {
            return Err(damaged("its pages are not in order"));
        }
        check_pages(&pages)?;
        self.done += count;
        self.frame += 1;
        Ok(Some(pages))
    }

    fn finish(&mut self) -> Result<(), BackupError> {
        for index in 0..if self.finished { 0 } else { self.cursors.len() } {
            let cursor = &self.cursors[index];
            let (bytes, crc) = (cursor.at - cursor.start, cursor.crc.clone().finalize());
            let payload = self.block(index, Tag::Trailer)?;
            let trailer: TrailerBlock =
                serde_json::from_slice(&payload).map_err(|_| damaged("the trailer is damaged"))?;
            if trailer.stream_bytes != bytes || trailer.stream_crc != crc {
                return Err(damaged("the checksum over the whole set is wrong"));
            }
        }
        self.finished = true;
        Ok(())
    }

    fn block(&mut self, index: usize, expected: Tag) -> Result<Vec<u8>, BackupError> {
        let position = self.position;
        let cursor = &mut self.cursors[index];
        let read = |error| BackupError::Read {
            device: cursor.device.clone(),
            error,
        };
        match block::read(&mut cursor.file, cursor.at, &mut cursor.crc) {
            Ok((tag, payload)) if tag == expected => {
                cursor.at += (BLOCK_HEADER + payload.len()) as u64;
                Ok(payload)
            }
            Ok(_) => Err(damaged("its blocks are not in order")),
            Err(BlockError::End) => Err(BackupError::Incomplete { position }),
            Err(BlockError::Cut) => Err(read(OsError::EndOfFile)),
            Err(BlockError::Os(error)) => Err(read(error)),
            Err(BlockError::Damaged(reason, payload)) => {
                // Only the frame's checksum is wrong: name the page, if it is one.
                if let Some((_, pages)) = codec::decode(&payload).filter(|_| expected == Tag::Pages) {
                    check_pages(&pages)?;
                }
                Err(damaged(reason))
            }
        }
    }
}

fn check_pages(pages: &[u8]) -> Result<(), BackupError> {
    for bytes in pages.chunks_exact(PAGE_SIZE) {
        let page: &Page = bytes.try_into().map_err(|_| damaged("a page is not whole"))?;
        page::check(page, None).map_err(BackupError::PageDamaged)?;
    }
    Ok(())
}

fn damaged(reason: &str) -> BackupError {
    BackupError::SetDamaged(reason.into())
}
