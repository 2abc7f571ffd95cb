//! The audit, on PostgreSQL. Each query lists what must not be; the letters are those of the invariants of the lease protocol.

use std::collections::BTreeMap;

use async_trait::async_trait;
use syncferry_shared::event::{StreamKind, verify_chain};
use syncferry_store::{Audit, AuditFinding, Events as _, Result};

use crate::row::Columns as _;
use crate::schema;
use crate::tx::PgTx;

/// Invariant, and a query with the columns `subject` and `found`.
const QUERIES: &[(&str, &str)] = &[
    (
        "I3",
        "SELECT g.resource AS subject, 'epoch ' || g.epoch || ' was granted without proof for the one before' AS found
           FROM lease_event g WHERE g.event = 'acquire' AND NOT EXISTS (
             SELECT 1 FROM lease_proof p WHERE p.resource = g.resource AND p.epoch = g.epoch - 1)",
    ),
    (
        "I3",
        "SELECT g.resource AS subject, 'it was freed at epoch ' || g.epoch || ' without proof' AS found
           FROM lease_event g WHERE g.event IN ('release', 'end-fence') AND NOT EXISTS (
             SELECT 1 FROM lease_proof p WHERE p.resource = g.resource AND p.epoch = g.epoch)",
    ),
    (
        "I4",
        "SELECT e.resource AS subject, 'change ' || e.row_version || ' has epoch ' || e.epoch || ' after ' || p.epoch AS found
           FROM lease_event e JOIN lease_event p ON p.resource = e.resource AND p.row_version = e.row_version - 1
          WHERE e.epoch < p.epoch",
    ),
    (
        "I4",
        "SELECT l.resource AS subject, 'its epoch is ' || l.epoch || ' and its history knows a higher one' AS found
           FROM lease l WHERE EXISTS (SELECT 1 FROM lease_event e WHERE e.resource = l.resource AND e.epoch > l.epoch)
             OR l.fenced_epoch > l.epoch",
    ),
    (
        "I5",
        "SELECT e.resource AS subject, 'change ' || e.row_version || ' does not follow from the one before' AS found
           FROM lease_event e WHERE e.row_version > 0 AND NOT EXISTS (
             SELECT 1 FROM lease_event p WHERE p.resource = e.resource AND p.row_version = e.row_version - 1
                AND p.to_state = e.from_state)",
    ),
    (
        "I5",
        "SELECT l.resource AS subject, 'the row (' || l.state || ', epoch ' || l.epoch || ', version ' || l.row_version
                || ') is not where its history ends' AS found
           FROM lease l WHERE NOT EXISTS (
             SELECT 1 FROM lease_event e WHERE e.resource = l.resource AND e.row_version = l.row_version
                AND e.to_state = l.state AND e.epoch = l.epoch)
             OR EXISTS (SELECT 1 FROM lease_event e WHERE e.resource = l.resource AND e.row_version > l.row_version)",
    ),
    (
        "I6",
        "SELECT resource AS subject, 'epoch ' || epoch || ' was granted ' || COUNT(*) || ' times' AS found
           FROM lease_event WHERE event = 'acquire' GROUP BY resource, epoch HAVING COUNT(*) > 1",
    ),
    (
        "I8",
        "SELECT resource AS subject, 'change ' || row_version || ' went from lost to free' AS found
           FROM lease_event WHERE from_state = 'lost' AND to_state = 'free'",
    ),
    (
        "transition",
        "SELECT e.resource AS subject, 'change ' || e.row_version || ' went from ' || e.from_state || ' to ' || e.to_state AS found
           FROM lease_event e WHERE e.row_version > 0 AND NOT EXISTS (
             SELECT 1 FROM lease_transition t WHERE t.from_state = e.from_state AND t.to_state = e.to_state)",
    ),
    (
        "one-holder",
        "SELECT holder AS subject, 'it holds ' || COUNT(*) || ' leases of kind ' || kind AS found
           FROM lease WHERE state IN ('held', 'draining', 'lost') GROUP BY holder, kind HAVING COUNT(*) > 1",
    ),
    (
        "I12",
        "SELECT resource AS subject, 'the word of two people for epoch ' || epoch || ' is one person''s' AS found
           FROM lease_proof WHERE kind = 'operator_attested' AND (actor2 IS NULL OR actor2 = actor)",
    ),
    (
        "I12",
        "SELECT p.resource AS subject, 'the word of two people for epoch ' || p.epoch || ' was not given in its time' AS found
           FROM lease_proof p WHERE p.kind = 'operator_attested' AND NOT EXISTS (
             SELECT 1 FROM lease_attestation a WHERE a.resource = p.resource AND a.confirmed_at = p.at
                AND a.first = p.actor AND a.second = p.actor2 AND a.second <> a.first AND a.confirmed_at <= a.valid_until)",
    ),
    (
        "I12",
        "SELECT e.resource AS subject, 'change ' || e.row_version || ' broke the glass without the word of two people' AS found
           FROM lease_event e WHERE e.event = 'break-glass' AND NOT EXISTS (
             SELECT 1 FROM lease_attestation a WHERE a.resource = e.resource AND a.confirmed_at = e.at
                AND a.first = e.actor AND a.second <> a.first AND a.confirmed_at <= a.valid_until)",
    ),
    (
        "one-attempt",
        "SELECT job_id AS subject, COUNT(*) || ' attempts are open' AS found
           FROM attempt WHERE state IN ('offered', 'accepted', 'unknown') GROUP BY job_id HAVING COUNT(*) > 1",
    ),
];

/// What refers to what: table, column, table referred to, its key. The keys of the schema, held against it by a test.
pub const REFERENCES: &[(&str, &str, &str, &str)] = &[
    ("adsync_db", "host_id", "host", "host_id"),
    ("adsync_db", "org_id", "org", "org_id"),
    ("adsync_db", "site_id", "site", "site_id"),
    ("adsync_db_alias", "db_uid", "adsync_db", "db_uid"),
    ("agent", "host_id", "host", "host_id"),
    ("artifact", "host_id", "host", "host_id"),
    ("artifact", "migration_id", "migration", "migration_id"),
    ("attempt", "job_id", "job", "job_id"),
    ("enrolment_token", "host_id", "host", "host_id"),
    ("gate", "job_id", "job", "job_id"),
    ("gate", "migration_id", "migration", "migration_id"),
    ("host", "org_id", "org", "org_id"),
    ("host", "site_id", "site", "site_id"),
    ("inspection", "host_id", "host", "host_id"),
    ("inspection", "migration_id", "migration", "migration_id"),
    ("job", "host_id", "host", "host_id"),
    ("item_word", "migration_id", "migration", "migration_id"),
    ("item_word", "withdraws", "item_word", "word_id"),
    ("job", "migration_id", "migration", "migration_id"),
    ("lease", "handover_to", "host", "host_id"),
    ("lease", "holder", "host", "host_id"),
    ("lease", "renewer", "host", "host_id"),
    ("lease_attestation", "resource", "lease", "resource"),
    ("lease_event", "resource", "lease", "resource"),
    ("lease_proof", "resource", "lease", "resource"),
    ("migration", "org_id", "org", "org_id"),
    ("migration", "site_id", "site", "site_id"),
    ("site", "org_id", "org", "org_id"),
    ("step", "job_id", "job", "job_id"),
    ("warning_acceptance", "migration_id", "migration", "migration_id"),
    ("store_witness", "host_id", "host", "host_id"),
    ("watch_report", "host_id", "host", "host_id"),
];

#[async_trait]
impl Audit for PgTx {
    async fn audit(&mut self) -> Result<Vec<AuditFinding>> {
        let mut findings = Vec::new();
        for (invariant, sql) in QUERIES {
            let rows = self
                .list(sqlx::query(*sql), |row| Ok((row.text("subject")?, row.text("found")?)))
                .await?;
            findings.extend(rows.into_iter().map(|(subject, found)| AuditFinding {
                invariant,
                subject,
                found,
            }));
        }
        for (table, column, parent, key) in REFERENCES {
            let sql = format!(
                "SELECT '{table} ' || t.{column} AS subject, 'it refers to nothing in {parent}' AS found FROM {table} t
                  WHERE t.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = t.{column})"
            );
            // Made of the constants above, and of nothing else.
            let query = sqlx::query(sqlx::AssertSqlSafe(sql));
            let rows = self
                .list(query, |row| Ok((row.text("subject")?, row.text("found")?)))
                .await?;
            findings.extend(rows.into_iter().map(|(subject, found)| AuditFinding {
                invariant: "references",
                subject,
                found,
            }));
        }
        findings.extend(self.changed_guards().await?);
        findings.extend(self.broken_chains().await?);
        Ok(findings)
    }
}

impl PgTx {
    /// Triggers that are missing or asleep, and functions that are not what the migrations made: without them a store guards
    /// nothing.
    async fn changed_guards(&mut self) -> Result<Vec<AuditFinding>> {
        let number = schema::applied(&mut self.line).await.map_err(|c| self.fail(c))?;
        let (functions, triggers) = schema::guards(number);
        let bodies = sqlx::query(
            "SELECT proname::text AS name, prosrc AS body FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
        );
        let bodies = self
            .list(bodies, |row| Ok((row.text("name")?, row.text("body")?)))
            .await?;
        let bodies: BTreeMap<String, String> = bodies.into_iter().collect();
        let awake = sqlx::query(
            "SELECT t.tgname::text AS name, c.relname::text AS on_table FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
              WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')",
        );
        let awake = self
            .list(awake, |row| Ok((row.text("name")?, row.text("on_table")?)))
            .await?;
        let mut findings = Vec::new();
        let mut told = |subject: String, found: &str| {
            findings.push(AuditFinding {
                invariant: "guards",
                subject,
                found: found.into(),
            });
        };
        for (name, table) in triggers {
            if !awake.iter().any(|(n, t)| n == name && t == table) {
                told(format!("trigger {name} on {table}"), "it is missing or disabled");
            }
        }
        for (name, body) in functions {
            match bodies.get(name) {
                None => told(format!("function {name}"), "it is missing"),
                Some(there) if there != body => told(format!("function {name}"), "it is not what this version made"),
                Some(_) => {}
            }
        }
        Ok(findings)
    }

    async fn broken_chains(&mut self) -> Result<Vec<AuditFinding>> {
        let query = sqlx::query("SELECT DISTINCT stream_kind, stream_id FROM event ORDER BY stream_kind, stream_id");
        let streams = self
            .list(query, |row| {
                Ok((row.word("stream_kind", StreamKind::parse)?, row.text("stream_id")?))
            })
            .await?;
        let mut findings = Vec::new();
        for (kind, id) in streams {
            let events = self.events(kind, &id, 0, i64::MAX).await?;
            if let Err(broken) = verify_chain(&events) {
                findings.push(AuditFinding {
                    invariant: "chain",
                    subject: format!("{} {id}", kind.as_str()),
                    found: broken.to_string(),
                });
            }
        }
        Ok(findings)
    }
}
