//! Reading backup media: label, header, file list, verification. CHECKSUM on VERIFYONLY demands checksums; without it they
//! would only be checked if present.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// Reads the set to its end and checks every checksum.
pub fn verify_only(path: &str) -> Statement {
    Statement::new(
        "restore-verifyonly",
        format!(
            "DECLARE @f nvarchar(259) = {};
RESTORE VERIFYONLY FROM DISK = @f WITH FILE = 1, CHECKSUM, STOP_ON_ERROR, STATS = 5;",
            text(path)
        ),
    )
}

/// Reads the whole set, where it has no checksums that could be asked for (error 3187 otherwise).
pub fn verify_without_checksums(path: &str) -> Statement {
    Statement::new(
        "restore-verifyonly-plain",
        format!(
            "DECLARE @f nvarchar(259) = {};
RESTORE VERIFYONLY FROM DISK = @f WITH FILE = 1, STATS = 5;",
            text(path)
        ),
    )
}

/// The medium's label.
pub fn label_only(path: &str) -> Statement {
    Statement::new(
        "restore-labelonly",
        format!(
            "DECLARE @f nvarchar(259) = {};
RESTORE LABELONLY FROM DISK = @f WITH CHECKSUM;",
            text(path)
        ),
    )
}

/// The headers of all sets on the medium.
pub fn header_only(path: &str) -> Statement {
    Statement::new(
        "restore-headeronly",
        format!(
            "DECLARE @f nvarchar(259) = {};
RESTORE HEADERONLY FROM DISK = @f;",
            text(path)
        ),
    )
}

/// The files of the first set.
pub fn file_list_only(path: &str) -> Statement {
    Statement::new(
        "restore-filelistonly",
        format!(
            "DECLARE @f nvarchar(259) = {};
RESTORE FILELISTONLY FROM DISK = @f WITH FILE = 1;",
            text(path)
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    let path = format!(r"D:\stage\{AWKWARD}.bak");
    vec![
        verify_only(&path),
        verify_without_checksums(&path),
        label_only(&path),
        header_only(&path),
        file_list_only(&path),
    ]
}
