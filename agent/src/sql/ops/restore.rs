//! Restoring a backup under a temporary name.

use syncferry_shared::artifact::SetFile;
use syncferry_shared::progress::Progress;
use tokio_util::sync::CancellationToken;

use super::backup::{SUCCEEDED, pages_and_seconds};
use super::watch::{Watch, run_watched};
use crate::sql::errors::{ServerMessage, SqlError, SqlErrorKind};
use crate::sql::session::SqlSession;
use crate::sql::statements::restore as statements;

pub use crate::sql::statements::restore::{FileMove, RestoreOptions};

/// A restore that ended well.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreDone {
    /// Pages restored, as the server counts them.
    pub pages: Option<u64>,
    /// How long the server says it took.
    pub seconds: Option<f64>,
    /// Everything the server said, also the steps of a version upgrade.
    pub messages: Vec<ServerMessage>,
}

/// Restores, with progress. Cancelling the token leaves a database in state RESTORING under the temporary name, which
/// [`super::drop_ours`] removes.
pub async fn restore(
    work: &mut SqlSession,
    watch: Watch<'_>,
    options: &RestoreOptions,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<RestoreDone, SqlError> {
    let statement = statements::database(options);
    if let Err(wrong) = options.check() {
        return Err(SqlError::local(
            SqlErrorKind::Usage,
            work.instance(),
            statement.name,
            wrong,
        ));
    }
    let answer = run_watched(work, watch, &statement, "RESTORE DATABASE", cancel, progress).await?;
    let Some(confirmed) = answer.messages.iter().find(|m| m.number == SUCCEEDED) else {
        return Err(SqlError::local(
            SqlErrorKind::Answer,
            work.instance(),
            statement.name,
            "the batch ended without an error and without message 3014 that confirms the restore",
        ));
    };
    let (pages, seconds) = pages_and_seconds(&confirmed.text);
    Ok(RestoreDone {
        pages,
        seconds,
        messages: answer.messages,
    })
}

/// Gives every file of a set a new place, named after the temporary database, so that no two restores share a file.
pub fn place_files(files: &[SetFile], temporary_name: &str, data_dir: &str, log_dir: &str) -> Vec<FileMove> {
    let stem = file_stem(temporary_name);
    let mut data = 0;
    let mut logs = 0;
    let place = |file: &SetFile| {
        let (dir, number, name, extension) = if file.kind == "L" {
            logs += 1;
            (log_dir, logs, "_log", "ldf")
        } else {
            data += 1;
            (data_dir, data, "", if data == 1 { "mdf" } else { "ndf" })
        };
        let number = if number == 1 {
            String::new()
        } else {
            format!("_{number}")
        };
        FileMove {
            logical_name: file.logical_name.clone(),
            to: join(dir, &format!("{stem}{name}{number}.{extension}")),
        }
    };
    files.iter().map(place).collect()
}

/// A name that a Windows file can have.
fn file_stem(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Joins as the server's system does: the folder's own separator decides.
fn join(dir: &str, file: &str) -> String {
    let separator = if dir.starts_with('/') { '/' } else { '\\' };
    format!("{}{separator}{file}", dir.trim_end_matches(['\\', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(logical: &str, kind: &str) -> SetFile {
        SetFile {
            logical_name: logical.into(),
            physical_name: String::new(),
            kind: kind.into(),
            size: 1,
        }
    }

    #[test]
    fn every_file_gets_a_place_of_its_own() {
        let files = [
            file("ADSync", "D"),
            file("ADSync_log", "L"),
            file("more", "D"),
            file("log2", "L"),
        ];
        let moves = place_files(&files, "A/D*__syncferry_0a1b2c3d", r"E:\Data\", "F:\\Log");
        let to: Vec<_> = moves.iter().map(|m| m.to.as_str()).collect();
        assert_eq!(
            to,
            [
                r"E:\Data\A_D___syncferry_0a1b2c3d.mdf",
                r"F:\Log\A_D___syncferry_0a1b2c3d_log.ldf",
                r"E:\Data\A_D___syncferry_0a1b2c3d_2.ndf",
                r"F:\Log\A_D___syncferry_0a1b2c3d_log_2.ldf",
            ]
        );
        assert_eq!(join("/var/opt/mssql/data", "x"), "/var/opt/mssql/data/x");
    }
}
