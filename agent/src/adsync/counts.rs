//! What is counted: exact rows of every table that does not hold history, connectors, rules, pending exports.

use std::collections::BTreeMap;

use syncferry_shared::artifact::Counts;

use super::connectors::Connectors;
use super::settings::Settings;
use super::{Look, statements};
use crate::sql::errors::{SqlError, SqlErrorKind};

pub(super) const RULES: &str = "mms_synchronization_rule";

/// Names under which the tag of Microsoft's own rules may be found.
pub(super) const RULE_TAGS: &[&str] = &["immutable_tag", "immutabletag"];

pub(super) async fn read(
    look: &mut Look<'_>,
    connectors: &Connectors,
    settings: &Settings,
) -> Result<Counts, SqlError> {
    let rows = row_counts(look).await?;
    Ok(Counts {
        rules: rows.get(&format!("dbo.{RULES}")).copied(),
        rows,
        connectors: connectors.names(),
        pending_exports: pending_exports(look, connectors).await?,
        connect_version: settings.connect_version(),
        schema_digest: look.schema.digest(),
    })
}

/// What is known of a database whose rows could not be counted.
pub(super) fn without_rows(look: &Look<'_>, connectors: &Connectors, settings: &Settings) -> Counts {
    Counts {
        connectors: connectors.names(),
        connect_version: settings.connect_version(),
        schema_digest: look.schema.digest(),
        ..Counts::default()
    }
}

/// Counting must not fail half-way: a count that is missing would look like a difference later.
async fn row_counts(look: &mut Look<'_>) -> Result<BTreeMap<String, i64>, SqlError> {
    let statement = statements::row_counts(look.schema.counted());
    let sets = look.session.query_in(look.database, &statement).await?;
    let counted = sets.iter().flat_map(|s| s.rows());
    let counts: BTreeMap<String, i64> = counted
        .filter_map(|row| Some((row.text("table_name")?, row.int("row_count")?)))
        .collect();
    let expected = look.schema.counted().count();
    if counts.len() == expected {
        return Ok(counts);
    }
    let found = format!("{} of {expected} tables were counted", counts.len());
    Err(SqlError::local(
        SqlErrorKind::Answer,
        look.session.instance(),
        statement.name,
        found,
    ))
}

async fn pending_exports(look: &mut Look<'_>, connectors: &Connectors) -> Result<BTreeMap<String, i64>, SqlError> {
    if !look.finds("pending exports", "mms_connectorspace", &["ma_id", "export_operation"]) {
        return Ok(BTreeMap::new());
    }
    let rows = look.ask(&statements::pending_exports()).await?;
    let mut pending = BTreeMap::new();
    for row in &rows {
        if let Some(count) = row.int("pending") {
            *pending.entry(connectors.name_of(row.guid("ma_id"))).or_insert(0) += count;
        }
    }
    Ok(pending)
}

/// Rules that somebody wrote; unknown where the tag's column is not found.
pub(super) async fn custom_rules(look: &mut Look<'_>) -> Result<Option<i64>, SqlError> {
    let Some(tag) = RULE_TAGS.iter().find(|t| look.schema.has(RULES, t)) else {
        look.cannot_tell(
            "custom rules",
            format!("dbo.{RULES} has no column {}", RULE_TAGS.join(" or ")),
        );
        return Ok(None);
    };
    let rows = look.ask(&statements::custom_rules(tag)).await?;
    Ok(rows.first().and_then(|r| r.int("custom_rules")))
}
