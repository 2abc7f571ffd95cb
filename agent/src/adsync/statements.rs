//! The statements that read an ADSync database. They run in it, after its columns were discovered, and name every column they
//! read: secrets are in none of them.

use crate::sql::quote::{ident, qualified, text};
use crate::sql::statements::{AWKWARD, Statement};

/// Every column of every table.
pub fn columns() -> Statement {
    Statement::new(
        "adsync-columns",
        "SELECT s.name AS schema_name, t.name AS table_name, c.column_id, c.name AS column_name, ty.name AS type_name,
 c.max_length, c.[precision], c.scale, c.is_nullable
FROM sys.tables t
JOIN sys.schemas s ON s.schema_id = t.schema_id
JOIN sys.columns c ON c.object_id = t.object_id
JOIN sys.types ty ON ty.user_type_id = c.user_type_id
ORDER BY s.name, t.name, c.column_id;",
    )
}

/// Stored procedures of schema `dbo`.
pub fn procedures() -> Statement {
    Statement::new(
        "adsync-procedures",
        "SELECT p.name FROM sys.procedures p JOIN sys.schemas s ON s.schema_id = p.schema_id WHERE s.name = N'dbo';",
    )
}

/// The lineage id.
pub fn instance_id() -> Statement {
    Statement::new(
        "adsync-instance-id",
        "SELECT instance_id FROM dbo.mms_server_configuration;",
    )
}

/// The global settings, through the procedure that Connect itself uses.
pub fn global_settings() -> Statement {
    Statement::new("adsync-global-settings", "EXEC dbo.mms_get_globalsettings;")
}

/// The connectors, with those of the wanted columns that are there.
pub fn connectors(columns: &[&str]) -> Statement {
    let list: Vec<String> = columns
        .iter()
        .map(|c| match *c {
            "private_configuration_xml" => {
                "CAST([private_configuration_xml] AS nvarchar(max)) AS private_configuration_xml".to_string()
            }
            other => ident(other),
        })
        .collect();
    Statement::new(
        "adsync-connectors",
        format!("SELECT {} FROM dbo.mms_management_agent;", list.join(", ")),
    )
}

/// The end of the newest run that was completed.
pub fn last_run() -> Statement {
    Statement::new(
        "adsync-last-run",
        "SELECT MAX(end_date) AS last_end FROM dbo.mms_run_history WHERE is_run_complete = 1;",
    )
}

/// Runs that are under way: not completed, and the newest of their connector. One that was cut off when its service stopped stays
/// incomplete for ever, and later runs tell that it is over.
pub fn open_runs() -> Statement {
    Statement::new(
        "adsync-open-runs",
        "SELECT COUNT_BIG(*) AS open_runs FROM dbo.mms_run_history r
WHERE r.is_run_complete = 0 AND NOT EXISTS (SELECT 1 FROM dbo.mms_run_history n WHERE n.ma_id = r.ma_id AND n.run_number > r.run_number);",
    )
}

/// The newest import of any object.
pub fn last_import() -> Statement {
    Statement::new(
        "adsync-last-import",
        "SELECT MAX(last_import_modification_date) AS last_import FROM dbo.mms_connectorspace;",
    )
}

/// Exact rows of tables, one result set each.
pub fn row_counts<'a>(tables: impl IntoIterator<Item = &'a (String, String)>) -> Statement {
    let counts: Vec<String> = tables
        .into_iter()
        .map(|(schema, table)| {
            format!(
                "SELECT {} AS table_name, COUNT_BIG(*) AS row_count FROM {};",
                text(&format!("{schema}.{table}")),
                qualified(schema, table)
            )
        })
        .collect();
    Statement::new("adsync-row-counts", counts.join("\n"))
}

/// Pending exports per connector and operation.
pub fn pending_exports() -> Statement {
    Statement::new(
        "adsync-pending-exports",
        "SELECT ma_id, export_operation, COUNT_BIG(*) AS pending FROM dbo.mms_connectorspace WHERE export_operation <> 0
GROUP BY ma_id, export_operation;",
    )
}

/// Pending exports by the connector's name and operation, for a person to approve.
pub fn pending_by_operation() -> Statement {
    Statement::new(
        "adsync-pending-by-operation",
        "SELECT ma.ma_name, cs.export_operation, COUNT_BIG(*) AS pending
FROM dbo.mms_connectorspace AS cs
JOIN dbo.mms_management_agent AS ma ON ma.ma_id = cs.ma_id
WHERE cs.export_operation <> 0
GROUP BY ma.ma_name, cs.export_operation;",
    )
}

/// Rules without the tag that Microsoft's own rules carry.
pub fn custom_rules(tag: &str) -> Statement {
    Statement::new(
        "adsync-custom-rules",
        format!(
            "SELECT COUNT_BIG(*) AS custom_rules FROM dbo.mms_synchronization_rule WHERE {0} IS NULL OR CAST({0} AS nvarchar(400)) = N'';",
            ident(tag)
        ),
    )
}

/// The end of each connector's newest run that was completed.
pub fn last_runs() -> Statement {
    Statement::new(
        "adsync-last-runs",
        "SELECT ma_id, MAX(end_date) AS last_end FROM dbo.mms_run_history WHERE is_run_complete = 1 GROUP BY ma_id;",
    )
}

/// When runs since a moment first began, by connector and profile. The time is UTC, as those in the table are.
pub fn runs_since(since: &str) -> Statement {
    Statement::new(
        "adsync-runs-since",
        format!(
            "SELECT ma.ma_name, r.run_profile_name, MIN(r.start_date) AS first_start, COUNT_BIG(*) AS runs
FROM dbo.mms_run_history AS r
JOIN dbo.mms_management_agent AS ma ON ma.ma_id = r.ma_id
WHERE r.start_date >= CAST({} AS datetime)
GROUP BY ma.ma_name, r.run_profile_name;",
            text(since)
        ),
    )
}

/// Objects per connector.
pub fn objects() -> Statement {
    Statement::new(
        "adsync-objects",
        "SELECT ma_id, COUNT_BIG(*) AS objects FROM dbo.mms_connectorspace GROUP BY ma_id;",
    )
}

/// The partitions, with those of the wanted columns that are there.
pub fn partitions(columns: &[&str]) -> Statement {
    Statement::new(
        "adsync-partitions",
        format!("SELECT {} FROM dbo.mms_partition;", list(columns)),
    )
}

/// The rules, with those of the wanted columns that are there.
pub fn rules(columns: &[&str]) -> Statement {
    Statement::new(
        "adsync-rules",
        format!("SELECT {} FROM dbo.mms_synchronization_rule;", list(columns)),
    )
}

fn list(columns: &[&str]) -> String {
    columns.iter().map(|c| ident(c)).collect::<Vec<_>>().join(", ")
}

/// One sample of each.
pub(crate) fn samples() -> Vec<Statement> {
    let table = (AWKWARD.to_string(), AWKWARD.to_string());
    vec![
        columns(),
        procedures(),
        instance_id(),
        global_settings(),
        connectors(super::connectors::COLUMNS),
        last_run(),
        open_runs(),
        last_import(),
        row_counts([&("dbo".to_string(), "mms_metaverse".to_string()), &table]),
        pending_exports(),
        pending_by_operation(),
        last_runs(),
        runs_since("2026-11-22T20:16:42.000"),
        objects(),
        partitions(super::config::PARTITION_COLUMNS),
        rules(super::config::RULE_COLUMNS),
        custom_rules("immutable_tag"),
    ]
}
