//! This computer's clock: for "3 min ago" and nothing else.

use std::time::{SystemTime, UNIX_EPOCH};

use syncferry_shared::Millis;

/// Now, in UTC.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
