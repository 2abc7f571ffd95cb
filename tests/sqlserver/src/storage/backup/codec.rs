//! The payload of a PAGE block: sequence number, page count, codec, pages. There is one codec: pages as they are. A
//! "compressed" backup is only declared to be one.

use crate::storage::PAGE_SIZE;

/// Pages per block: small enough that STATS = 1 has something to say about 30 MB.
pub(crate) const PAGES_PER_FRAME: usize = 32;

const PREFIX: usize = 11;
const STORED: u8 = 0;

/// Packs pages.
pub(crate) fn encode(first: u64, pages: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(PREFIX + pages.len());
    payload.extend_from_slice(&first.to_le_bytes());
    // At most PAGES_PER_FRAME.
    payload.extend_from_slice(&((pages.len() / PAGE_SIZE) as u16).to_le_bytes());
    payload.push(STORED);
    payload.extend_from_slice(pages);
    payload
}

/// Unpacks them: the first page's number in the stream and the pages.
pub(crate) fn decode(payload: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (first, rest) = payload.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<2>()?;
    let (codec, rest) = rest.split_first()?;
    let size = usize::from(u16::from_le_bytes(*count)) * PAGE_SIZE;
    let pages = match *codec {
        STORED => rest.to_vec(),
        _ => return None,
    };
    (pages.len() == size).then(|| (u64::from_le_bytes(*first), pages))
}
