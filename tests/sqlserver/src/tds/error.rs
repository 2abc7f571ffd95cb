//! What can be wrong with bytes from a client.

/// A client broke the protocol. Malformed bytes end here and never in a panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The bytes end before the named thing is complete.
    #[error("{0} ends before it is complete")]
    Truncated(&'static str),
    /// The named thing cannot have this value.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// A message is longer than the server takes.
    #[error("a message of more than {0} bytes")]
    TooLong(usize),
    /// TYPE_INFO names a type that no version has, or that parameters cannot have here.
    #[error("data type 0x{0:02X} is unknown or not supported for a parameter")]
    Type(u8),
    /// A packet type that does not fit here.
    #[error("packet type 0x{0:02X} was not expected")]
    Unexpected(u8),
}

impl From<ProtocolError> for std::io::Error {
    fn from(error: ProtocolError) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }
}
