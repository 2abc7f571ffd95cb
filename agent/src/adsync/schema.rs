//! The tables and columns that are there, and a digest over them.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::rows::Row;

/// The table of the one row that a server's installation writes.
pub(super) const CONFIGURATION: &str = "mms_server_configuration";
/// The table of connectors.
pub(super) const AGENTS: &str = "mms_management_agent";

/// Tables that grow by themselves: they differ between two looks without anything being wrong.
const HISTORY: &[&str] = &[
    "mms_run_history",
    "mms_step_history",
    "mms_step_object_details",
    "mms_cs_object_log",
    "mms_watermark_history",
];

/// What a database consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Columns per `(schema, table)`, in their order, each with its description.
    tables: BTreeMap<(String, String), Vec<Column>>,
    procedures: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    shape: String,
}

impl Schema {
    /// Reads the rows of `sys.columns`.
    pub(super) fn read(rows: &[Row]) -> Self {
        let mut schema = Self::default();
        for row in rows {
            let (Some(schema_name), Some(table), Some(name)) =
                (row.text("schema_name"), row.text("table_name"), row.text("column_name"))
            else {
                continue;
            };
            let shape = format!(
                "{} {} {} {} {}",
                row.text("type_name").unwrap_or_default(),
                row.int("max_length").unwrap_or(0),
                row.int("precision").unwrap_or(0),
                row.int("scale").unwrap_or(0),
                row.int("is_nullable").unwrap_or(0),
            );
            let columns = schema.tables.entry((schema_name, table)).or_default();
            columns.push(Column { name, shape });
        }
        schema
    }

    pub(super) fn add_procedures(&mut self, rows: &[Row]) {
        self.procedures.extend(rows.iter().filter_map(|r| r.text("name")));
    }

    /// Whether this is an ADSync database.
    pub fn is_adsync(&self) -> bool {
        [CONFIGURATION, AGENTS].iter().all(|t| self.columns(t).is_some())
    }

    /// Whether a table of schema `dbo` has a column.
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.columns(table)
            .is_some_and(|columns| columns.iter().any(|c| c.name.eq_ignore_ascii_case(column)))
    }

    /// Whether a table of schema `dbo` has all of these columns.
    pub fn has_all(&self, table: &str, columns: &[&str]) -> bool {
        columns.iter().all(|c| self.has(table, c))
    }

    /// Whether a stored procedure of schema `dbo` is there.
    pub fn has_procedure(&self, name: &str) -> bool {
        self.procedures.iter().any(|p| p.eq_ignore_ascii_case(name))
    }

    /// Tables whose rows are counted: `(schema, table)`.
    pub fn counted(&self) -> impl Iterator<Item = &(String, String)> {
        self.tables
            .keys()
            .filter(|(_, table)| !HISTORY.contains(&table.to_lowercase().as_str()))
    }

    /// A digest over every table's columns. Two databases with the same schema have the same digest, whatever the order in
    /// which the server lists them.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for ((schema, table), columns) in &self.tables {
            for column in columns {
                for part in [schema, table, &column.name, &column.shape] {
                    hasher.update(&(part.len() as u64).to_le_bytes());
                    hasher.update(part.as_bytes());
                }
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    fn columns(&self, table: &str) -> Option<&Vec<Column>> {
        let mut tables = self.tables.iter();
        let found = tables.find(|((s, t), _)| s.eq_ignore_ascii_case("dbo") && t.eq_ignore_ascii_case(table));
        found.map(|(_, columns)| columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rows::ResultSet;
    use crate::sql::value::Value;

    fn schema(columns: &[(&str, &str)]) -> Schema {
        let rows = columns
            .iter()
            .map(|(table, column)| {
                ["dbo", table, column, "nvarchar"]
                    .map(|t| Value::Text(t.into()))
                    .to_vec()
            })
            .collect();
        let set = ResultSet::new(["schema_name", "table_name", "column_name", "type_name"], rows);
        Schema::read(set.rows())
    }

    #[test]
    fn an_adsync_database_is_known_by_two_tables() {
        assert!(!schema(&[("mms_management_agent", "ma_id")]).is_adsync());
        let s = schema(&[
            ("MMS_Management_Agent", "MA_ID"),
            ("mms_server_configuration", "instance_id"),
        ]);
        assert!(s.is_adsync());
        assert!(s.has("mms_management_agent", "ma_id") && !s.has("mms_management_agent", "subtype"));
    }

    #[test]
    fn the_digest_sees_columns_and_not_the_order_of_tables() {
        let a = schema(&[("a", "x"), ("b", "y")]);
        let b = schema(&[("b", "y"), ("a", "x")]);
        assert_eq!(a.digest(), b.digest());
        assert_ne!(a.digest(), schema(&[("a", "x"), ("b", "z")]).digest());
        assert_ne!(a.digest(), schema(&[("a", "xb"), ("", "y")]).digest());
    }

    #[test]
    fn history_is_not_counted() {
        let s = schema(&[
            ("mms_metaverse", "x"),
            ("mms_run_history", "x"),
            ("MMS_STEP_HISTORY", "x"),
        ]);
        let counted: Vec<_> = s.counted().map(|(_, t)| t.as_str()).collect();
        assert_eq!(counted, ["mms_metaverse"]);
    }
}
