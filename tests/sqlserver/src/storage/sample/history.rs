//! Run history, step history and what belongs to them. Times are UTC; a week is kept, as with the default purge interval.

use time::{Duration, OffsetDateTime};

use super::AdSync;
use super::build::{Tables, bit, bytes, date, guid, int, text};
use super::connectors::{Connector, PROFILES};
use super::dice::Dice;
use crate::storage::Table;
use crate::types::Value;

const CYCLE: Duration = Duration::minutes(30);
const KEPT: Duration = Duration::days(7);

/// One run.
struct Run<'a> {
    connector: &'a Connector,
    profile: usize,
    start: OffsetDateTime,
    /// None while it runs.
    end: Option<OffsetDateTime>,
    number: i64,
}

/// `mms_run_history`, `mms_step_history`, `mms_step_object_details`, `mms_cs_object_log`, `mms_watermark_history`.
pub(crate) fn tables(tables: &mut Tables, spec: &AdSync, connectors: &[Connector], dice: &mut Dice) -> Vec<Table> {
    let mut runs = tables.table(
        "mms_run_history",
        1,
        "run_history_id guid!, ma_id guid!, run_profile_id guid!, run_profile_name name!, run_number int!, username name, \
         is_run_complete bit!, run_result code, current_step_number int, total_steps int, start_date date, end_date date, \
         operation_bitmask int, mms_timestamp stamp",
    );
    let mut steps = tables.table(
        "mms_step_history",
        1,
        "step_history_id guid!, run_history_id guid!, step_number int!, step_result code, start_date date, end_date date, \
         stage_no_change int, stage_add int, stage_update int, stage_rename int, stage_delete int, stage_deleteadd int, \
         stage_failure int, disconnector_filtered int, flow_failure int, export_add int, export_update int, \
         export_rename int, export_delete int, export_deleteadd int, export_failure int, \
         ma_connection_information_xml text, ma_discovery_errors_xml text, ma_counters_xml text, sync_errors_xml text, \
         step_xml text, mv_retry_errors_xml text, flow_counters_xml text",
    );
    let details = tables.table(
        "mms_step_object_details",
        0,
        "step_history_id guid!, cs_dn text, cs_object_id guid, statistics_type int, is_error bit",
    );
    let log = tables.table(
        "mms_cs_object_log",
        0,
        "cs_object_id guid!, step_history_id guid, change_date date, xml text",
    );
    let mut watermarks = tables.table(
        "mms_watermark_history",
        0,
        "partition_id guid!, ma_id guid!, step_history_id guid, watermark binary, \
         password_hash_custom_data_compressed binary, modification_date date",
    );
    if spec.last_sync_age.is_some() {
        for run in schedule(spec, connectors) {
            let (run_id, step_id) = (dice.guid(), dice.guid());
            let end = run.end.map_or(Value::Null, date);
            let result = if run.end.is_some() { "success" } else { "in-progress" };
            runs.rows.push(vec![
                guid(run_id),
                guid(run.connector.id),
                guid(run.connector.profile_ids[run.profile]),
                text(PROFILES[run.profile]),
                int(run.number),
                text(&spec.service_account),
                bit(run.end.is_some()),
                text(result),
                int(1),
                int(1),
                date(run.start),
                end.clone(),
                int(0),
                bytes(&run.start.unix_timestamp().to_be_bytes()),
            ]);
            let export = run.profile == 4;
            let counts = [2000 - 3, 1, 2, 0, 0, 0, 0, 0, 0].map(|n| int(if export { 0 } else { n }));
            let exports = [1, 2, 0, 0, 0, 0].map(|n| int(if export { n } else { 0 }));
            let mut step = vec![guid(step_id), guid(run_id), int(1), text(result), date(run.start), end];
            step.extend(counts);
            step.extend(exports);
            step.extend([
                text(connection_xml(run.connector, run.start)),
                Value::Null,
                text("<ma-discovery-counters/>"),
                text("<synchronization-errors/>"),
                text(step_xml(&run)),
                Value::Null,
                text("<inbound-flow-counters/>"),
            ]);
            steps.rows.push(step);
        }
        let at = spec.now - spec.last_sync_age.unwrap_or_default();
        for connector in connectors {
            watermarks.rows.push(vec![
                guid(connector.partition_id),
                guid(connector.id),
                Value::Null,
                bytes(&dice.bytes(120)),
                bytes(&dice.bytes(64)),
                date(at),
            ]);
        }
    }
    vec![runs, steps, details, log, watermarks]
}

/// The runs of a week of cycles, the last of which ended when the spec says.
fn schedule<'a>(spec: &AdSync, connectors: &'a [Connector]) -> Vec<Run<'a>> {
    let last_end = spec.now - spec.last_sync_age.unwrap_or_default();
    // Delta import and delta synchronisation everywhere, then exports, unless in staging.
    let order: &[usize] = if spec.staging { &[2, 3] } else { &[2, 3, 4] };
    let run_time = Duration::seconds(20);
    let cycle_time = run_time * i32::try_from(order.len() * connectors.len()).unwrap_or(1);
    let cycles = KEPT.whole_minutes() / CYCLE.whole_minutes();
    let mut runs = Vec::new();
    for back in (0..cycles).rev() {
        let mut start = last_end - cycle_time - CYCLE * i32::try_from(back).unwrap_or(0);
        for profile in order {
            for connector in connectors {
                let end = Some(start + run_time);
                runs.push(Run {
                    connector,
                    profile: *profile,
                    start,
                    end,
                    number: 4200 - back,
                });
                start += run_time;
            }
        }
    }
    if let Some(connector) = connectors.first().filter(|_| spec.sync_in_progress) {
        let start = (spec.now - Duration::seconds(75)).max(last_end);
        runs.push(Run {
            connector,
            profile: 2,
            start,
            end: None,
            number: 4201,
        });
    }
    runs
}

fn connection_xml(connector: &Connector, at: OffsetDateTime) -> String {
    let server = connector
        .forest
        .as_deref()
        .map_or("adminwebservice.microsoftonline.com".into(), |f| format!("dc01.{f}"));
    format!(
        "<ma-connection><connection-result>success</connection-result><server>{server}</server>\
         <connection-log><incident><connection-result>success</connection-result><date>{}</date></incident>\
         </connection-log></ma-connection>",
        at.date()
    )
}

fn step_xml(run: &Run<'_>) -> String {
    format!(
        "<step-description step-id=\"{{{}}}\"><step-type type=\"{}\"><import-subtype>to-cs</import-subtype></step-type>\
         <partition>default</partition><custom-data><timeout>0</timeout><batch-size>500</batch-size></custom-data>\
         </step-description>",
        run.connector.profile_ids[run.profile],
        PROFILES[run.profile].to_lowercase().replace(' ', "-"),
    )
}
