//! When the database was last synchronised, and whether a run is open. Times in these tables are UTC.

use syncferry_shared::Millis;
use syncferry_shared::inventory::RunFacts;

use super::{Look, statements};
use crate::sql::errors::SqlError;

pub(super) const RUNS: &str = "mms_run_history";

/// The newest evidence, and where it was found. History is purged after seven days by default, so an empty one does not mean
/// that there never was a run: then the newest import of an object is taken.
pub(super) async fn last_sync(look: &mut Look<'_>) -> Result<(Option<Millis>, Option<String>), SqlError> {
    if look.schema.has_all(RUNS, &["end_date", "is_run_complete"]) {
        let rows = look.ask(&statements::last_run()).await?;
        if let Some(at) = rows.first().and_then(|r| r.utc("last_end")) {
            return Ok((
                Some(at),
                Some("mms_run_history: end of the newest completed run".to_string()),
            ));
        }
    }
    if look.schema.has("mms_connectorspace", "last_import_modification_date") {
        let rows = look.ask(&statements::last_import()).await?;
        if let Some(at) = rows.first().and_then(|r| r.utc("last_import")) {
            let source = "mms_connectorspace: newest import of an object; the run history is empty";
            return Ok((Some(at), Some(source.to_string())));
        }
    }
    look.cannot_tell(
        "last synchronisation",
        "no completed run and no imported object was found",
    );
    Ok((None, None))
}

/// Whether a run is open. A backup that was taken during a run shows this too.
pub(super) async fn run_in_progress(look: &mut Look<'_>) -> Result<Option<bool>, SqlError> {
    if !look.finds("run in progress", RUNS, &["is_run_complete", "ma_id", "run_number"]) {
        return Ok(None);
    }
    let rows = look.ask(&statements::open_runs()).await?;
    Ok(rows.first().and_then(|r| r.int("open_runs")).map(|n| n > 0))
}

/// The runs that began since a moment, by connector and profile; `None` where the history does not tell.
pub(super) async fn runs_since(look: &mut Look<'_>, since: Millis) -> Result<Option<Vec<RunFacts>>, SqlError> {
    let columns = ["ma_id", "run_profile_name", "start_date"];
    if !look.finds("runs since the installation", RUNS, &columns) {
        return Ok(None);
    }
    let before = look.unknown.len();
    let text = since.rfc3339();
    let rows = look.ask(&statements::runs_since(text.trim_end_matches('Z'))).await?;
    let mut runs: Vec<RunFacts> = rows
        .iter()
        .filter_map(|r| {
            Some(RunFacts {
                connector: r.text("ma_name")?,
                profile: r.text("run_profile_name").unwrap_or_default(),
                first: r.utc("first_start")?,
                runs: r.int("runs")?,
            })
        })
        .collect();
    runs.sort_by(|a, b| (a.first, &a.connector, &a.profile).cmp(&(b.first, &b.connector, &b.profile)));
    // Refused is not none.
    Ok((look.unknown.len() == before).then_some(runs))
}
