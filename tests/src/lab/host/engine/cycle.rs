//! A synchronisation cycle: import, synchronisation and, outside staging mode, export for every connector, each with its rows in
//! the run history. Delta, or full where the scheduler's next cycle is an initial one. Objects stay as they are: the lab's directory does not change.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::Host;
use super::super::layout::KEY_SERVICE;
use super::super::sql::{SqlFailure, literal};
use super::connection::Connection;

/// What staging mode leaves out.
const EXPORT: &str = "Export";
const DELTA: [&str; 3] = ["Delta Import", "Delta Synchronization", EXPORT];
const FULL: [&str; 3] = ["Full Import", "Full Synchronization", EXPORT];
/// `NextSyncCyclePolicyType` of a cycle that reads everything.
pub(crate) const INITIAL: &str = "Initial";

/// Runs one cycle that takes about `length`. Cut off by `stop`, it leaves an incomplete run behind, as Connect does.
pub(crate) async fn run(
    host: &Host,
    connection: &mut Connection,
    length: Duration,
    stop: &CancellationToken,
) -> Result<(), SqlFailure> {
    let staging = staging(connection).await?;
    let connectors: Vec<String> = connection
        .run("SELECT ma_id FROM dbo.mms_management_agent ORDER BY ma_name")
        .await?
        .iter()
        .filter_map(|row| row.first().map(|c| c.text()))
        .collect();
    let account = host.look(|s| s.registry.text(KEY_SERVICE, "ObjectName"));
    let initial = host.look(|s| s.scheduler.next_policy == INITIAL);
    let profiles = if initial { FULL } else { DELTA };
    let profiles: Vec<&str> = profiles.into_iter().filter(|p| !staging || *p != EXPORT).collect();
    let runs = u32::try_from(profiles.len() * connectors.len().max(1)).unwrap_or(u32::MAX);
    for profile in &profiles {
        for connector in &connectors {
            let id = begin(connection, connector, profile, &account).await?;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(length / runs) => {}
            }
            end(connection, &id).await?;
        }
    }
    if initial {
        let changed = host.change(|s| s.scheduler.next_policy = "Delta".into());
        changed.map_err(|e| SqlFailure::Broken(e.to_string()))?;
    }
    host.count(|e| {
        e.sync_cycles += 1;
        e.exports += u32::from(!staging);
    });
    Ok(())
}

/// `Microsoft.Synchronize.StagingMode`, asked through the procedure that Connect itself uses.
async fn staging(connection: &mut Connection) -> Result<bool, SqlFailure> {
    let rows = connection.run("EXEC dbo.mms_get_globalsettings").await?;
    Ok(rows.iter().any(|r| {
        matches!(r.as_slice(), [name, value] if name.text() == "Microsoft.Synchronize.StagingMode"
            && value.text().eq_ignore_ascii_case("true"))
    }))
}

async fn begin(connection: &mut Connection, connector: &str, profile: &str, account: &str) -> Result<Uuid, SqlFailure> {
    let (run, step) = (Uuid::now_v7(), Uuid::now_v7());
    let profile_id = format!(
        "SELECT run_profile_id FROM dbo.mms_run_profile WHERE ma_id = '{connector}' AND run_profile_name = {}",
        literal(profile)
    );
    let found = connection.run(&profile_id).await?;
    let profile_id = found
        .first()
        .and_then(|r| r.first())
        .map_or_else(|| Uuid::nil().to_string(), |c| c.text());
    let newest = format!("SELECT MAX(run_number) FROM dbo.mms_run_history WHERE ma_id = '{connector}'");
    let number = connection
        .run(&newest)
        .await?
        .first()
        .and_then(|r| r.first())
        .map_or(0, |c| c.int())
        + 1;
    let now = utc();
    connection
        .run(&format!(
            "INSERT INTO dbo.mms_run_history (run_history_id, ma_id, run_profile_id, run_profile_name, run_number, \
             username, is_run_complete, run_result, current_step_number, total_steps, start_date) \
             VALUES ('{run}', '{connector}', '{profile_id}', {}, {number}, {}, 0, N'in-progress', 1, 1, '{now}')",
            literal(profile),
            literal(account),
        ))
        .await?;
    connection
        .run(&format!(
            "INSERT INTO dbo.mms_step_history (step_history_id, run_history_id, step_number, step_result, start_date) \
             VALUES ('{step}', '{run}', 1, N'in-progress', '{now}')"
        ))
        .await?;
    Ok(run)
}

async fn end(connection: &mut Connection, run: &Uuid) -> Result<(), SqlFailure> {
    let now = utc();
    connection
        .run(&format!(
            "UPDATE dbo.mms_step_history SET step_result = N'success', end_date = '{now}' WHERE run_history_id = '{run}'"
        ))
        .await?;
    connection
        .run(&format!(
            "UPDATE dbo.mms_run_history SET is_run_complete = 1, run_result = N'success', end_date = '{now}' \
             WHERE run_history_id = '{run}'"
        ))
        .await?;
    Ok(())
}

/// Now in UTC as a T-SQL literal that no language setting changes.
fn utc() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]");
    // The format has no part that an instant could lack.
    OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}
