//! Log sequence numbers as SQL Server prints them: `numeric(25,0)` of file, block and slot.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A log sequence number: virtual log file x 10^15 + block x 10^5 + slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u128);

impl Lsn {
    /// From its three parts.
    pub fn new(file: u32, block: u32, slot: u16) -> Lsn {
        Lsn(u128::from(file) * 1_000_000_000_000_000 + u128::from(block) * 100_000 + u128::from(slot))
    }
    /// The LSN `blocks` log blocks later, slot 1.
    pub fn after(self, blocks: u32) -> Lsn {
        Lsn((self.0 / 100_000 + u128::from(blocks)) * 100_000 + 1)
    }
    /// As the unscaled integer of a `numeric(25,0)`.
    pub fn as_i128(self) -> i128 {
        i128::try_from(self.0).unwrap_or(i128::MAX)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// JSON numbers above u64 would come back as floats, so an LSN travels as text.
impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Lsn, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map(Lsn).map_err(serde::de::Error::custom)
    }
}
