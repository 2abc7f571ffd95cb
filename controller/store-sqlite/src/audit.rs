//! The audit, on SQLite. Each query lists what must not be; the letters are those of the invariants of the lease protocol.

use std::collections::BTreeMap;

use async_trait::async_trait;
use syncferry_shared::event::{StreamKind, verify_chain};
use syncferry_store::{Audit, AuditFinding, Events as _, Result};

use crate::row::Columns as _;
use crate::tx::SqliteTx;
use crate::{portable, schema};

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
    (
        "references",
        "SELECT \"table\" || ' row ' || COALESCE(rowid, '?') AS subject, 'it refers to nothing in ' || parent AS found
           FROM pragma_foreign_key_check",
    ),
    (
        "storage",
        "SELECT 'the file' AS subject, quick_check AS found FROM pragma_quick_check WHERE quick_check <> 'ok'",
    ),
];

#[async_trait]
impl Audit for SqliteTx {
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
        findings.extend(self.changed_guards().await?);
        findings.extend(self.broken_chains().await?);
        Ok(findings)
    }
}

impl SqliteTx {
    /// Tables, indexes and triggers that are not what the migrations made: without its triggers a store guards nothing.
    async fn changed_guards(&mut self) -> Result<Vec<AuditFinding>> {
        let looked = async {
            let number = schema::applied(&mut self.inner).await?;
            Ok((
                portable::expected(number).await?,
                portable::objects(&mut self.inner).await?,
            ))
        };
        let (expected, found) = looked.await.map_err(|c| self.fail(c))?;
        let found: BTreeMap<String, String> = found.into_iter().collect();
        let differ = expected.into_iter().filter_map(|(what, text)| {
            let why = match found.get(&what) {
                None => "it is missing",
                Some(there) if *there != text => "it is not what this version made",
                Some(_) => return None,
            };
            Some(AuditFinding {
                invariant: "guards",
                subject: what,
                found: why.into(),
            })
        });
        Ok(differ.collect())
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
