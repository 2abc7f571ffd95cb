//! DBCC CHECKDB: no row means that nothing is wrong.

use syncferry_shared::Finding;
use syncferry_shared::progress::Progress;
use tokio_util::sync::CancellationToken;

use super::watch::{Watch, run_watched};
use crate::sql::errors::SqlError;
use crate::sql::rows::Row;
use crate::sql::session::SqlSession;
use crate::sql::statements::{after_restore as statements, database as database_statements};

/// How many rows of a damaged database are worth showing.
const SHOWN: usize = 20;

/// Whether somebody checked a restored database since it was restored, and found no errors; `None` where that is not told.
pub async fn checked_since_restore(session: &mut SqlSession, database: &str) -> Result<Option<bool>, SqlError> {
    let row = super::one_row(session, &database_statements::checked(database)).await?;
    Ok(row.flag("checked").or_else(|| row.int("checked").map(|n| n != 0)))
}

/// Checks a database, with progress. An empty list means clean.
pub async fn check_db(
    work: &mut SqlSession,
    watch: Watch<'_>,
    database: &str,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<Finding>, SqlError> {
    let statement = statements::check_db(database);
    let answer = run_watched(work, watch, &statement, "DBCC CHECKDB", cancel, progress).await?;
    let rows: Vec<&Row> = answer.sets.iter().flat_map(|s| s.rows()).collect();
    // With TABLERESULTS even messages of level 10 come as rows; only errors count.
    let errors: Vec<&Row> = rows
        .into_iter()
        .filter(|r| r.int("Level").is_none_or(|level| level > 10))
        .collect();
    if errors.is_empty() {
        return Ok(Vec::new());
    }
    let mut finding = Finding::blocker(
        "database-damaged",
        format!("DBCC CHECKDB found {} errors in {database}.", errors.len()),
    );
    for row in errors.iter().take(SHOWN) {
        let number = row.int("Error").unwrap_or(0);
        let text = row.text("MessageText").unwrap_or_default();
        finding = finding.saw("DBCC CHECKDB", format!("Msg {number}: {text}"));
    }
    Ok(vec![finding.source("DBCC CHECKDB").next(
        "Do not use this copy. Run DBCC CHECKDB on the source as well: if it is clean there, transfer and restore again; if not, restore an older backup of the source.",
    )])
}
