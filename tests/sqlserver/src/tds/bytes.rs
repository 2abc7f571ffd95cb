//! Reading a message's fields without ever reading past its end, and writing the counted strings of TDS.

use super::error::ProtocolError;

type Result<T> = std::result::Result<T, ProtocolError>;

/// A position in a message. `what` names the message in errors.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(ProtocolError::Truncated(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u16_be(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn f32(&mut self) -> Result<f32> {
        self.array().map(f32::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// A string whose length in UTF-16 units stands in one byte (B_VARCHAR).
    pub(crate) fn b_varchar(&mut self) -> Result<String> {
        let units = self.u8()?;
        self.utf16(usize::from(units))
    }

    /// A string of `units` UTF-16 units. Lone surrogates become U+FFFD.
    pub(crate) fn utf16(&mut self, units: usize) -> Result<String> {
        let bytes = units.checked_mul(2).ok_or(ProtocolError::Truncated(self.what))?;
        Ok(utf16(self.take(bytes)?))
    }
}

/// Decodes UTF-16LE; an odd last byte is ignored, lone surrogates become U+FFFD.
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16_lossy(&units)
}

/// Appends UTF-16LE without a length.
pub(crate) fn put_utf16(out: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16() {
        out.extend_from_slice(&unit.to_le_bytes());
    }
}

/// Appends a B_VARCHAR, cut at 255 units.
pub(crate) fn put_b_varchar(out: &mut Vec<u8>, text: &str) {
    let text = cut(text, 255);
    // `cut` leaves 255 units at most.
    out.push(text.encode_utf16().count() as u8);
    put_utf16(out, text);
}

/// Appends a US_VARCHAR (two-byte length), cut at `limit` units.
pub(crate) fn put_us_varchar(out: &mut Vec<u8>, text: &str, limit: u16) {
    let text = cut(text, usize::from(limit));
    out.extend_from_slice(&(text.encode_utf16().count() as u16).to_le_bytes());
    put_utf16(out, text);
}

/// The longest start of `text` that needs no more than `limit` UTF-16 units.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > limit {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_never_splits_a_surrogate_pair() {
        assert_eq!(cut("ab😀", 3), "ab");
        assert_eq!(cut("ab😀", 4), "ab😀");
    }

    #[test]
    fn reading_past_the_end_is_an_error() {
        let mut reader = Reader::new(&[3, 0x41, 0], "a name");
        assert_eq!(reader.b_varchar(), Err(ProtocolError::Truncated("a name")));
    }
}
