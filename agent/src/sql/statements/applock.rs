//! Mutual exclusion between agents on one instance: session applocks in `master`, on a connection of their own. They end with
//! the connection. In `master`, because a session that stands in ADSync blocks RESTORE and renaming.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// The lock's resource for a database name. Resources are compared byte by byte, so the name is folded first.
pub fn resource(database: &str) -> String {
    let name = format!("syncferry:{}", database.to_lowercase());
    // At most 255 UTF-16 units; a tail that was cut only makes two very long names share a lock.
    if name.encode_utf16().count() <= 255 {
        return name;
    }
    format!("syncferry:{}", blake3::hash(name.as_bytes()).to_hex())
}

/// Takes the lock. A caller without sysadmin cannot use the principal `dbo` in `master`, hence `public`.
pub fn take(database: &str, wait_ms: u32, sysadmin: bool) -> Statement {
    let principal = if sysadmin { "dbo" } else { "public" };
    Statement::new(
        "take-applock",
        format!(
            "DECLARE @rc int;
EXEC @rc = sys.sp_getapplock @Resource = {}, @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = {wait_ms}, @DbPrincipal = '{principal}';
SELECT @rc AS rc;",
            text(&resource(database))
        ),
    )
}

/// Gives the lock back.
pub fn release(database: &str, sysadmin: bool) -> Statement {
    let principal = if sysadmin { "dbo" } else { "public" };
    Statement::new(
        "release-applock",
        format!(
            "DECLARE @rc int;
EXEC @rc = sys.sp_releaseapplock @Resource = {}, @LockOwner = 'Session', @DbPrincipal = '{principal}';
SELECT @rc AS rc;",
            text(&resource(database))
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    vec![take(AWKWARD, 5000, true), release(AWKWARD, true)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_the_same_in_any_case_and_always_fits() {
        assert_eq!(resource("ADSync"), resource("adsync"));
        assert!(resource(&"😀".repeat(128)).encode_utf16().count() <= 255);
    }
}
