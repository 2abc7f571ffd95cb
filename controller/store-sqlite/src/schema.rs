//! The numbered migrations of the schema: embedded, applied in order, never edited. What was applied is remembered with
//! its digest, so that an edited one is noticed, and a store of a newer version is not touched.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};
use syncferry_shared::Millis;
use syncferry_store::Cause;

use crate::error::cause;

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

/// Brings the schema up to date.
pub(crate) async fn migrate(conn: &mut SqliteConnection, now: Millis) -> Result<(), Cause> {
    migrate_to(conn, newest(), now).await
}

/// The number of the newest migration that was applied. Writes nothing.
pub(crate) async fn applied(conn: &mut SqliteConnection) -> Result<i64, Cause> {
    let there = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'schema_migration'");
    if there.fetch_optional(&mut *conn).await.map_err(cause)?.is_none() {
        return Err(Cause::Schema("the file is empty: there is no store in it".into()));
    }
    let rows = sqlx::query("SELECT number, digest FROM schema_migration ORDER BY number")
        .fetch_all(&mut *conn)
        .await
        .map_err(cause)?;
    let mut newest = 0;
    for row in &rows {
        newest = row.try_get("number").map_err(cause)?;
        check(newest, row.try_get("digest").map_err(cause)?)?;
    }
    Ok(newest)
}

/// Brings the schema up to a number. One that is unknown here is of a newer version.
pub(crate) async fn migrate_to(conn: &mut SqliteConnection, most: i64, now: Millis) -> Result<(), Cause> {
    if !MIGRATIONS.iter().any(|(number, _, _)| *number == most) {
        return Err(Cause::Schema(format!(
            "schema {most} is not known to this version; use the version that wrote it"
        )));
    }
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_migration (
           number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT",
    )
    .execute(&mut *conn)
    .await
    .map_err(cause)?;
    let applied = sqlx::query("SELECT number, digest FROM schema_migration ORDER BY number")
        .fetch_all(&mut *conn)
        .await
        .map_err(cause)?;
    for row in &applied {
        check(
            row.try_get("number").map_err(cause)?,
            row.try_get("digest").map_err(cause)?,
        )?;
    }
    // A table that others refer to can only be made anew while nobody looks at the references; they are looked at before the
    // COMMIT. Inside a transaction the switch does nothing, so it is thrown here.
    foreign_keys(conn, false).await?;
    let done = apply(conn, applied.len(), most, now).await;
    foreign_keys(conn, true).await?;
    done
}

async fn foreign_keys(conn: &mut SqliteConnection, on: bool) -> Result<(), Cause> {
    let text = if on {
        "PRAGMA foreign_keys = ON"
    } else {
        "PRAGMA foreign_keys = OFF"
    };
    sqlx::raw_sql(text).execute(&mut *conn).await.map_err(cause)?;
    Ok(())
}

async fn apply(conn: &mut SqliteConnection, applied: usize, most: i64, now: Millis) -> Result<(), Cause> {
    for (number, name, text) in MIGRATIONS.iter().skip(applied).filter(|(n, _, _)| *n <= most) {
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(cause)?;
        sqlx::raw_sql(*text).execute(&mut *tx).await.map_err(cause)?;
        sqlx::query("INSERT INTO schema_migration(number, name, digest, applied_at) VALUES (?1, ?2, ?3, ?4)")
            .bind(number)
            .bind(*name)
            .bind(digest(text))
            .bind(now.0)
            .execute(&mut *tx)
            .await
            .map_err(cause)?;
        let broken = sqlx::query("PRAGMA foreign_key_check")
            .fetch_optional(&mut *tx)
            .await
            .map_err(cause)?;
        if let Some(row) = broken {
            let table: String = row.try_get(0).map_err(cause)?;
            return Err(Cause::Schema(format!(
                "migration {number} ({name}) would leave a row of {table} without what it refers to; nothing was changed"
            )));
        }
        tx.commit().await.map_err(cause)?;
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

    #[tokio::test]
    async fn a_table_that_others_refer_to_is_made_anew_and_keeps_its_rows() {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        foreign_keys(&mut conn, true).await.unwrap();
        for (_, _, text) in &MIGRATIONS[..6] {
            sqlx::raw_sql(*text).execute(&mut conn).await.unwrap();
        }
        let old = "CREATE TABLE schema_migration (
             number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT;
           INSERT INTO org VALUES ('o', 'contoso', 1, 1);
           INSERT INTO site VALUES ('s', 'o', 'hamburg', 't', '{}', 1);
           INSERT INTO host(host_id, org_id, site_id, name, roles, created_at) VALUES ('h', 'o', 's', 'SYNC01', '[]', 1)";
        sqlx::raw_sql(old).execute(&mut conn).await.unwrap();
        for (number, name, text) in &MIGRATIONS[..6] {
            let query = sqlx::query("INSERT INTO schema_migration VALUES (?1, ?2, ?3, 1)");
            query
                .bind(number)
                .bind(*name)
                .bind(digest(text))
                .execute(&mut conn)
                .await
                .unwrap();
        }
        let second = "INSERT INTO site VALUES ('s2', 'o', 'berlin', 'T', '{}', 1)";
        assert!(
            sqlx::raw_sql(second).execute(&mut conn).await.is_err(),
            "one site per tenant until then"
        );
        migrate(&mut conn, Millis(2)).await.unwrap();
        sqlx::raw_sql(second).execute(&mut conn).await.unwrap();
        // The references are what they were, and are looked at again.
        let site: String = sqlx::query("SELECT s.name FROM host h JOIN site s ON s.site_id = h.site_id")
            .fetch_one(&mut conn)
            .await
            .unwrap()
            .get(0);
        assert_eq!(site, "hamburg");
        assert!(
            sqlx::raw_sql("DELETE FROM site WHERE site_id = 's'")
                .execute(&mut conn)
                .await
                .is_err()
        );
        migrate(&mut conn, Millis(3)).await.unwrap();
    }

    #[test]
    fn a_newer_and_an_edited_store_are_refused() {
        assert_eq!(check(1, digest(MIGRATIONS[0].2)), Ok(()));
        assert!(matches!(check(99, String::new()), Err(Cause::Schema(t)) if t.contains("newer")));
        assert!(matches!(check(1, "x".into()), Err(Cause::Schema(t)) if t.contains("differs")));
    }
}
