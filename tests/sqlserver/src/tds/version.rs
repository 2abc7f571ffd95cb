//! The protocol versions, and what differs between them.

/// What the client asked for in LOGIN7. Later versions can do everything that earlier ones can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// SQL Server 2000.
    V71,
    /// SQL Server 2005: MAX types, XML, ALL_HEADERS, 64-bit counts.
    V72,
    /// SQL Server 2008: date and time types.
    V73A,
    /// SQL Server 2008 R2.
    V73B,
    /// SQL Server 2012.
    V74,
    /// SQL Server 2022, strict encryption.
    V80,
}

impl Version {
    /// From LOGIN7. A version between two of ours is the lower one; older than 7.1 is `None`.
    pub(crate) fn from_login(value: u32) -> Option<Self> {
        match value {
            0x0800_0000 => Some(Self::V80),
            0x0701_0000 | 0x7100_0000..0x7200_0000 => Some(Self::V71),
            0x7200_0000..0x7300_0000 => Some(Self::V72),
            0x7300_0000..0x730B_0000 => Some(Self::V73A),
            0x730B_0000..0x7400_0000 => Some(Self::V73B),
            0x7400_0000.. => Some(Self::V74),
            _ => None,
        }
    }

    /// For LOGINACK, where it stands in big-endian.
    pub(crate) fn acknowledged(self) -> u32 {
        match self {
            Self::V71 => 0x7100_0001,
            Self::V72 => 0x7209_0002,
            Self::V73A => 0x730A_0003,
            Self::V73B => 0x730B_0003,
            Self::V74 => 0x7400_0004,
            Self::V80 => 0x0800_0000,
        }
    }

    /// MAX types, XML, ALL_HEADERS, 32-bit user types and line numbers, 64-bit counts.
    pub(crate) fn has_large_types(self) -> bool {
        self >= Self::V72
    }

    /// `date`, `time`, `datetime2`, `datetimeoffset`.
    pub(crate) fn has_date_types(self) -> bool {
        self >= Self::V73A
    }
}
