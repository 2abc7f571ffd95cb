//! The numbered migrations of the schema: embedded, applied in order, never edited. What was applied is remembered with
//! its digest, so that an edited one is noticed, and a store of a newer version is not touched. Controllers that start
//! together take turns: the caller holds the writer's lock.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use syncferry_store::Cause;

use crate::error::cause;
use crate::line::Line;

/// Number, name, text.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/0001_initial.sql")),
    (2, "leases", include_str!("../migrations/0002_leases.sql")),
    (3, "events", include_str!("../migrations/0003_events.sql")),
    (4, "attestations", include_str!("../migrations/0004_attestations.sql")),
    (5, "alarms", include_str!("../migrations/0005_alarms.sql")),
    (6, "terms", include_str!("../migrations/0006_terms.sql")),
    (
        7,
        "shared tenants",
        include_str!("../migrations/0007_shared_tenants.sql"),
    ),
    (8, "recovery", include_str!("../migrations/0008_recovery.sql")),
    (9, "rules", include_str!("../migrations/0009_rules.sql")),
    (10, "item words", include_str!("../migrations/0010_item_words.sql")),
];

/// The number of this version's newest migration.
pub fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, _, _)| *number)
}

/// Brings the schema up to date, all of it or nothing.
pub(crate) async fn migrate(line: &mut Line) -> Result<(), Cause> {
    migrate_to(line, newest()).await
}

/// The number of the newest migration that was applied. Writes nothing.
pub(crate) async fn applied(line: &mut Line) -> Result<i64, Cause> {
    let there = sqlx::query("SELECT to_regclass('schema_migration')::text AS name");
    let there = line.one(there).await.map_err(cause)?;
    let there: Option<String> = there
        .map(|row| row.try_get("name"))
        .transpose()
        .map_err(cause)?
        .flatten();
    if there.is_none() {
        return Err(Cause::Schema("the database is empty: there is no store in it".into()));
    }
    let rows = sqlx::query("SELECT number, digest FROM schema_migration ORDER BY number");
    let mut newest = 0;
    for row in &line.all(rows).await.map_err(cause)? {
        newest = row.try_get("number").map_err(cause)?;
        check(newest, row.try_get("digest").map_err(cause)?)?;
    }
    Ok(newest)
}

/// Everything that the migrations make at the top of the schema: what `DROP` calls it, and its name; views first, types last.
pub(crate) fn made() -> Vec<(&'static str, &'static str)> {
    let mut found = vec![("TABLE", "schema_migration")];
    for kind in ["VIEW", "TABLE", "FUNCTION", "DOMAIN"] {
        for (_, _, text) in MIGRATIONS {
            let lines = text.lines().filter_map(|l| l.strip_prefix("CREATE "));
            let named = lines.filter_map(|l| l.strip_prefix("OR REPLACE ").unwrap_or(l).strip_prefix(kind));
            let name = |l: &'static str| l.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next();
            found.extend(named.filter_map(name).map(|n| (kind, n)));
        }
    }
    found
}

/// Every function of the newest migrations with the text of its body, and every trigger with its table.
pub(crate) fn guards(
    most: i64,
) -> (
    BTreeMap<&'static str, &'static str>,
    BTreeSet<(&'static str, &'static str)>,
) {
    let (mut functions, mut triggers) = (BTreeMap::new(), BTreeSet::new());
    for (_, _, text) in MIGRATIONS.iter().filter(|(n, _, _)| *n <= most) {
        for (at, _) in text.match_indices("FUNCTION ") {
            let begins = text[..at].ends_with("CREATE ") || text[..at].ends_with("CREATE OR REPLACE ");
            let rest = &text[at + "FUNCTION ".len()..];
            let body = rest.split_once("$$").and_then(|(_, b)| b.split_once("$$"));
            if let (true, Some((name, _)), Some((body, _))) = (begins, rest.split_once('('), body) {
                functions.insert(name.trim(), body);
            }
        }
        for (at, word) in text.match_indices("CREATE TRIGGER ") {
            let statement = text[at + word.len()..].split(';').next().unwrap_or_default();
            let mut words = statement.split_whitespace();
            let name = words.next().unwrap_or_default();
            let table = words.skip_while(|w| *w != "ON").nth(1).unwrap_or_default();
            triggers.insert((name, table));
        }
        for (at, word) in text.match_indices("DROP TRIGGER ") {
            let mut words = text[at + word.len()..]
                .split(';')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            let name = words.find(|w| !matches!(*w, "IF" | "EXISTS")).unwrap_or_default();
            triggers.retain(|(n, _)| *n != name);
        }
    }
    (functions, triggers)
}

/// Brings the schema up to a number. One that is unknown here is of a newer version.
pub(crate) async fn migrate_to(line: &mut Line, most: i64) -> Result<(), Cause> {
    if !MIGRATIONS.iter().any(|(number, _, _)| *number == most) {
        return Err(Cause::Schema(format!(
            "schema {most} is not known to this version; use the version that wrote it"
        )));
    }
    line.simple(
        "CREATE TABLE IF NOT EXISTS schema_migration (
           number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, applied_at BIGINT NOT NULL)",
    )
    .await
    .map_err(cause)?;
    let applied = sqlx::query("SELECT number, digest FROM schema_migration ORDER BY number");
    let applied = line.all(applied).await.map_err(cause)?;
    for row in &applied {
        check(
            row.try_get("number").map_err(cause)?,
            row.try_get("digest").map_err(cause)?,
        )?;
    }
    for (number, name, text) in MIGRATIONS.iter().skip(applied.len()).filter(|(n, _, _)| *n <= most) {
        line.simple(text).await.map_err(cause)?;
        let done = sqlx::query(
            "INSERT INTO schema_migration(number, name, digest, applied_at) SELECT $1, $2, $3, now_ms FROM db_clock",
        );
        line.execute(done.bind(*number).bind(*name).bind(digest(text)))
            .await
            .map_err(cause)?;
        tracing::info!(number, name, "store schema migrated");
    }
    Ok(())
}

fn check(number: i64, digest_there: String) -> Result<(), Cause> {
    match MIGRATIONS.iter().find(|(n, _, _)| *n == number) {
        None => Err(Cause::Schema(format!(
            "the store was written by a newer version (its schema is {number}); start that version"
        ))),
        Some((_, name, text)) if digest(text) != digest_there => Err(Cause::Schema(format!(
            "migration {number} ({name}) of the store differs from this version's; start the version that wrote it"
        ))),
        Some(_) => Ok(()),
    }
}

fn digest(text: &str) -> String {
    syncferry_shared::token::digest(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_consecutive() {
        for (expected, (number, _, _)) in (1..).zip(MIGRATIONS) {
            assert_eq!(*number, expected);
        }
    }

    #[test]
    fn a_newer_and_an_edited_store_are_refused() {
        assert_eq!(check(1, digest(MIGRATIONS[0].2)), Ok(()));
        assert!(matches!(check(99, String::new()), Err(Cause::Schema(t)) if t.contains("newer")));
        assert!(matches!(check(1, "x".into()), Err(Cause::Schema(t)) if t.contains("differs")));
    }
}
