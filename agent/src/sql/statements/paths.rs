//! Files and folders as the server sees them. That something exists does not mean that the server may write there: only a
//! canary proves that.

use super::{AWKWARD, Statement};
use crate::sql::quote::text;

/// Whether a file or folder exists; every version.
pub fn exists(path: &str) -> Statement {
    Statement::new("path-exists", format!("EXEC master.dbo.xp_fileexist {};", text(path)))
}

/// Makes a folder with its parents.
pub fn create_folder(path: &str) -> Statement {
    Statement::new(
        "create-folder",
        format!("EXEC master.dbo.xp_create_subdir {};", text(path)),
    )
}

/// Whether a file belongs to some database of the instance.
pub fn owner_of_file(path: &str) -> Statement {
    Statement::new(
        "owner-of-file",
        format!(
            "DECLARE @path nvarchar(260) = {};
SELECT DB_NAME(f.database_id) AS database_name, f.name, f.physical_name FROM sys.master_files f WHERE f.physical_name = @path;",
            text(path)
        ),
    )
}

/// A few megabytes written by the server itself: the only proof that its account may write to the folder.
pub fn canary(path: &str) -> Statement {
    Statement::new(
        "backup-canary",
        format!(
            "DECLARE @f nvarchar(259) = {};
BACKUP DATABASE [model] TO DISK = @f WITH COPY_ONLY, FORMAT, INIT, CHECKSUM, STOP_ON_ERROR;",
            text(path)
        ),
    )
}

pub(super) fn samples() -> Vec<Statement> {
    let path = format!(r"D:\stage\{AWKWARD}\canary.bak");
    vec![exists(&path), create_folder(&path), owner_of_file(&path), canary(&path)]
}
