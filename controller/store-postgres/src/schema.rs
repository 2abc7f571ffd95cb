//! The numbered migrations of the schema: embedded, applied in order, never edited. What was applied is remembered with
//! its digest, so that an edited one is noticed, and a store of a newer version is not touched. Controllers that start
//! together take turns: the caller holds the writer's lock.

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
];

/// Brings the schema up to date, all of it or nothing.
pub(crate) async fn migrate(line: &mut Line) -> Result<(), Cause> {
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
    for (number, name, text) in MIGRATIONS.iter().skip(applied.len()) {
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
