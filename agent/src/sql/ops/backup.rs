//! Backing a database up.

use syncferry_shared::Finding;
use syncferry_shared::progress::Progress;
use tokio_util::sync::CancellationToken;

use super::watch::{Watch, run_watched};
use crate::sql::errors::{ServerMessage, SqlError, SqlErrorKind};
use crate::sql::session::SqlSession;
use crate::sql::statements::backup as statements;

pub use crate::sql::statements::backup::BackupOptions;

/// `BACKUP DATABASE successfully processed …` and the same for RESTORE.
pub(super) const SUCCEEDED: i32 = 3014;

/// A backup that ended well.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupDone {
    /// Pages written, as the server counts them.
    pub pages: Option<u64>,
    /// How long the server says it took.
    pub seconds: Option<f64>,
    /// Everything the server said.
    pub messages: Vec<ServerMessage>,
    /// What is worth knowing although the backup is good.
    pub findings: Vec<Finding>,
}

/// Backs a database up, with progress. Cancelling the token stops it on the server.
pub async fn backup(
    work: &mut SqlSession,
    watch: Watch<'_>,
    options: &BackupOptions,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<BackupDone, SqlError> {
    let statement = statements::database(options);
    let instance = work.instance().to_string();
    if let Err(wrong) = options.check() {
        return Err(SqlError::local(SqlErrorKind::Usage, &instance, statement.name, wrong));
    }
    let result = run_watched(work, watch, &statement, "BACKUP DATABASE", cancel, progress).await;
    let (messages, findings) = match result {
        Ok(answer) => (answer.messages, Vec::new()),
        // 3009 alone says that the backup is good and only msdb does not know of it.
        Err(error) if error.errors.iter().all(|e| e.number == 3009) && !error.errors.is_empty() => {
            (Vec::new(), vec![error.finding()])
        }
        Err(error) => return Err(error),
    };
    let confirmed = messages.iter().find(|m| m.number == SUCCEEDED);
    if confirmed.is_none() && findings.is_empty() {
        return Err(SqlError::local(
            SqlErrorKind::Answer,
            &instance,
            statement.name,
            "the batch ended without an error and without message 3014 that confirms the backup",
        ));
    }
    let (pages, seconds) = confirmed.map_or((None, None), |m| pages_and_seconds(&m.text));
    Ok(BackupDone {
        pages,
        seconds,
        messages,
        findings,
    })
}

/// The first two numbers of message 3014: pages and seconds, for people.
pub(super) fn pages_and_seconds(text: &str) -> (Option<u64>, Option<f64>) {
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let mut numbers = text
        .split(|c: char| !is_number(c))
        .filter(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    let pages = numbers.next().and_then(|n| n.parse().ok());
    let seconds = numbers.next().and_then(|n| n.replace(',', ".").parse().ok());
    (pages, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_seconds_are_read() {
        let text = "BACKUP DATABASE successfully processed 482 pages in 0.087 seconds (43.215 MB/sec).";
        assert_eq!(pages_and_seconds(text), (Some(482), Some(0.087)));
        assert_eq!(pages_and_seconds("482 Seiten in 1,5 Sekunden"), (Some(482), Some(1.5)));
        assert_eq!(pages_and_seconds("nothing"), (None, None));
    }
}
