//! What clients send to the SQL Server stand-in.

use syncferry_sqlserver::tds::foreign::{hear, sample};

/// Reads packets as far as they make sense.
pub fn read(bytes: &[u8]) -> bool {
    let heard = hear(bytes);
    assert!(heard.understood <= heard.messages && heard.messages <= bytes.len() / 8);
    heard.understood > 0
}

/// A client's first words.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![sample()]
}
