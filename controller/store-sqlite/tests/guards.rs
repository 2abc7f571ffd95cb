//! The guards in the file itself: they refuse what no code of ours may do, whoever writes to it. And the audit: with the
//! guards gone it sees what was done. A check that cannot fail proves nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sqlx::{Connection as _, Row as _, SqliteConnection};
use syncferry_shared::event::{NewEvent, StreamKind};
use syncferry_shared::lease::{LeaseKind, LeaseState, ProofKind, Resource};
use syncferry_shared::{HostId, Millis, SessionId, SiteId};
use syncferry_store::{By, Grant, HostRole, NewHost, NewProof, NewSite, Store};
use syncferry_store_sqlite::{Options, SqliteStore};

/// A store with three leases: `held`, `lost` and `free`, each with a past.
struct Scene {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

async fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(Options::new(&path)).await.unwrap();
    let mut tx = store.begin("test").await.unwrap();
    let by = By::new("operator:ada");
    let site = SiteId::new(Millis(1), &[1; 10]);
    let new_site = NewSite {
        id: site,
        org: tx.default_org().await.unwrap().id,
        name: "hamburg".into(),
        tenant_id: "t".into(),
        labels: Default::default(),
    };
    tx.add_site(&new_site).await.unwrap();
    for (n, name) in [(1u8, "held"), (2, "lost"), (3, "free")] {
        let host = HostId::new(Millis(1), &[n; 10]);
        let new_host = NewHost {
            id: host,
            site,
            name: name.into(),
            roles: vec![HostRole::ConnectServer],
        };
        tx.add_host(&new_host).await.unwrap();
        let resource = Resource(name.into());
        tx.create_lease(&resource, LeaseKind::Database, Some(&serde_json::json!({})), &by)
            .await
            .unwrap();
        let grant = Grant {
            resource: resource.clone(),
            seen_epoch: 0,
            holder: host,
            session: SessionId::new(Millis(1), &[n; 10]),
            renewer: host,
            ttl_ms: if name == "lost" { -10 } else { 60_000 },
        };
        tx.acquire_lease(&grant, &by).await.unwrap();
        if name == "free" {
            let proof = NewProof {
                kind: ProofKind::HolderStopped,
                evidence: serde_json::json!({}),
                actor: "agent:x".into(),
                second: None,
            };
            tx.release_lease(&resource, 1, None, &proof, &by).await.unwrap();
        }
    }
    assert_eq!(tx.expire_leases(0, &by).await.unwrap().len(), 1);
    for n in 0..3 {
        let event = NewEvent {
            stream_kind: StreamKind::System,
            stream_id: "controller".into(),
            kind: "test".into(),
            actor: "controller".into(),
            payload: serde_json::json!({ "n": n }),
        };
        tx.append_event(event).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;
    Scene { _folder: folder, path }
}

impl Scene {
    async fn connect(&self) -> SqliteConnection {
        let url = format!("sqlite:{}", self.path.display());
        SqliteConnection::connect(&url).await.unwrap()
    }
}

/// Statement, and what the refusal says.
const REFUSED: &[(&str, &str)] = &[
    ("DELETE FROM lease", "never deleted"),
    (
        "UPDATE lease SET epoch = epoch - 1, row_version = row_version + 1",
        "never goes back",
    ),
    ("UPDATE lease SET row_version = row_version - 1", "never goes back"),
    (
        "UPDATE lease SET fenced_epoch = 0, row_version = row_version + 1 WHERE resource = 'free'",
        "never goes back",
    ),
    ("UPDATE lease SET epoch = epoch + 1", "only the expiry"),
    (
        "UPDATE lease SET holder_session = 'x' WHERE resource = 'held'",
        "only the expiry",
    ),
    (
        "UPDATE lease SET state = 'lost' WHERE resource = 'held'",
        "only the expiry",
    ),
    (
        "UPDATE lease SET expires_at = 1 WHERE resource = 'lost'",
        "only the expiry of a live lease",
    ),
    (
        "UPDATE lease SET resource = 'x', row_version = row_version + 1 WHERE resource = 'held'",
        "keeps its resource",
    ),
    (
        "UPDATE lease SET state = 'free', holder = NULL, holder_session = NULL, renewer = NULL, granted_at = NULL,
           expires_at = NULL, row_version = row_version + 1 WHERE resource = 'lost'",
        "no such transition",
    ),
    (
        "UPDATE lease SET state = 'lost', row_version = row_version + 1 WHERE resource = 'held'",
        "without its history",
    ),
    (
        "INSERT INTO lease(resource, kind, state, epoch) VALUES ('x', 'database', 'quarantined', 0)",
        "begins free",
    ),
    (
        "INSERT INTO lease(resource, kind, state, epoch) VALUES ('x', 'database', 'free', 7)",
        "begins free",
    ),
    (
        "INSERT OR REPLACE INTO lease(resource, kind, state, epoch) VALUES ('held', 'database', 'free', 0)",
        "never created again",
    ),
    (
        "INSERT OR REPLACE INTO event(stream_kind, stream_id, seq, type, schema_version, payload, actor, at, prev_hash,
           hash)
         SELECT stream_kind, stream_id, seq, type, schema_version, '{}', actor, at, prev_hash, 'x' FROM event
          WHERE seq = 2",
        "does not follow",
    ),
    (
        "INSERT INTO lease_proof VALUES ('held', 1, 'holder_stopped', '{}', 'ada', NULL, 1)",
        "belongs to a fence in progress",
    ),
    (
        "INSERT INTO lease_proof VALUES ('lost', 2, 'sql_fenced', '{}', 'ada', NULL, 1)",
        "belongs to a fence in progress",
    ),
    (
        "INSERT INTO lease_proof VALUES ('held', 2, 'operator_attested', '{}', 'ada', 'ada', 1)",
        "two people did not give their word",
    ),
    (
        "INSERT INTO lease_proof VALUES ('held', 2, 'operator_attested', '{}', 'ada', 'bob', 1)",
        "two people did not give their word",
    ),
    (
        "INSERT INTO lease_event(resource, row_version, epoch, event, from_state, to_state, actor, detail, at)
         VALUES ('held', 2, 2, 'break-glass', 'held', 'fencing', 'ada', '{}', 1)",
        "two people did not give their word",
    ),
    (
        "INSERT INTO lease_attestation VALUES ('w', 'held', 1, 'attest', 'S', 'r', 't', 'ada', 'bob', 'confirmed', 1, 2, 1)",
        "begins as the word of one person",
    ),
    (
        "INSERT INTO lease_attestation VALUES ('w', 'free', 2, 'attest', 'S', 'r', 't', 'ada', NULL, 'waiting', 1, 2, NULL)",
        "about a lease that is not free",
    ),
    (
        "INSERT INTO lease_attestation VALUES ('w', 'held', 7, 'attest', 'S', 'r', 't', 'ada', NULL, 'waiting', 1, 2, NULL)",
        "as it is now",
    ),
    (
        "INSERT INTO lease_attestation VALUES ('w', 'held', 1, 'attest', 'S', 'r', 't', 'ada', NULL, 'waiting', 1, 900002,
           NULL)",
        "a_quarter_of_an_hour",
    ),
    (
        "INSERT INTO lease_attestation VALUES ('w', 'held', 1, 'attest', 'S', ' ', 't', 'ada', NULL, 'waiting', 1, 2, NULL)",
        "CHECK constraint",
    ),
    (
        "INSERT INTO lease_attestation VALUES ('w', 'held', 1, 'attest', 'S', 'r', 't', 'ada', NULL, 'waiting', 1, 2, NULL);
         UPDATE lease_attestation SET state = 'confirmed', second = 'ada', confirmed_at = 2",
        "two_people",
    ),
    (
        "UPDATE lease_attestation SET state = 'confirmed', second = 'bob', confirmed_at = 3",
        "in_time",
    ),
    ("UPDATE lease_attestation SET first = 'eve'", "never changed, only confirmed"),
    ("DELETE FROM lease_attestation", "never deleted"),
    (
        "INSERT INTO alarm(alarm_id, kind, subject, finding, state, raised_at, seen_at, cleared_at)
         VALUES ('a', 'lease-lost', 'x', '{}', 'cleared', 1, 1, 1);
         UPDATE alarm SET state = 'raised', cleared_at = NULL",
        "cleared never changes",
    ),
    ("DELETE FROM alarm", "alarms are never deleted"),
    (
        "INSERT OR REPLACE INTO lease_proof VALUES ('held', 0, 'never_used', '{}', 'eve', NULL, 9)",
        "belongs to a fence in progress",
    ),
    ("UPDATE lease_proof SET evidence = '{}'", "never changed"),
    ("DELETE FROM lease_proof", "never deleted"),
    ("UPDATE lease_event SET actor = 'x'", "never changed"),
    ("DELETE FROM lease_event", "never deleted"),
    (
        "INSERT INTO lease_event(resource, row_version, epoch, event, from_state, to_state, actor, detail, at)
         VALUES ('held', 9, 1, 'expire', 'held', 'lost', 'x', '{}', 1)",
        "no gaps",
    ),
    ("UPDATE event SET payload = '{}'", "never changed"),
    ("DELETE FROM event", "never deleted"),
    (
        "INSERT INTO event(stream_kind, stream_id, seq, type, schema_version, payload, actor, at, prev_hash, hash)
         VALUES ('system', 'controller', 5, 'x', 1, '{}', 'x', 1, '', 'x')",
        "does not follow",
    ),
    ("UPDATE store_meta SET incarnation = 0", "never decreases"),
    ("DELETE FROM store_meta", "keeps its identity"),
    (
        "UPDATE store_meta SET state = 'moved', moved_to = 'x'; UPDATE store_meta SET state = 'live', moved_to = NULL",
        "not used again",
    ),
    (
        "INSERT INTO store_recovery VALUES (2, 'note', '{}', 1, NULL)",
        "present incarnation",
    ),
    (
        "UPDATE store_meta SET incarnation = 2; INSERT INTO store_recovery VALUES (2, 'note', '{}', 1, NULL);
         UPDATE store_recovery SET way = 'agent'",
        "only ends",
    ),
    ("DELETE FROM store_recovery", "never deleted"),
];

/// As above, after an entry of history that would make the change look right.
const REFUSED_WITH_HISTORY: &[(&str, &str, i64, &str)] = &[
    ("held", "free", 2, "freed without proof"),
    ("held", "draining", 2, "epoch changes only by"),
    ("free", "held", 4, "grant without a new epoch"),
    ("lost", "fencing", 1, "fence without a new epoch"),
];

async fn refusal(conn: &mut SqliteConnection, sql: &str) -> String {
    let sql = sqlx::AssertSqlSafe(sql.to_string());
    match sqlx::raw_sql(sql).execute(conn).await {
        Ok(done) => format!("not refused: {} rows", done.rows_affected()),
        Err(e) => e.to_string(),
    }
}

#[tokio::test]
async fn guards_refuse() {
    let scene = scene().await;
    let mut conn = scene.connect().await;
    sqlx::raw_sql("PRAGMA recursive_triggers = ON")
        .execute(&mut conn)
        .await
        .unwrap();
    for (sql, says) in REFUSED {
        let refused = refusal(&mut conn, sql).await;
        assert!(refused.contains(says), "{sql}\n gave: {refused}");
    }
    let ignored = "INSERT OR REPLACE INTO store_meta VALUES (1, 'x', 9, 9, 'live', NULL)";
    assert_eq!(refusal(&mut conn, ignored).await, "not refused: 0 rows");
    let eve = sqlx::query("SELECT 1 FROM store_meta WHERE store_id = 'x'");
    assert!(
        eve.fetch_optional(&mut conn).await.unwrap().is_none(),
        "what was ignored changed nothing"
    );
    for (resource, to, epoch, says) in REFUSED_WITH_HISTORY {
        let mut tx = conn.begin().await.unwrap();
        let entry = format!(
            "INSERT INTO lease_event(resource, row_version, epoch, event, from_state, to_state, actor, detail, at)
             SELECT resource, row_version + 1, {epoch}, 'x', state, '{to}', 'x', '{{}}', 1 FROM lease
              WHERE resource = '{resource}'"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(entry))
            .execute(&mut *tx)
            .await
            .unwrap();
        let mut change = format!("UPDATE lease SET state = '{to}', epoch = {epoch}, row_version = row_version + 1");
        match *to {
            "free" => {
                change += ", holder = NULL, holder_session = NULL, renewer = NULL, granted_at = NULL,
                                   expires_at = NULL, fenced_epoch = 2"
            }
            "held" => {
                change += ", holder = (SELECT host_id FROM host WHERE name = 'free'), holder_session = 'x',
                                   renewer = (SELECT host_id FROM host WHERE name = 'free'), granted_at = 1,
                                   expires_at = 2"
            }
            _ => {}
        }
        change += &format!(" WHERE resource = '{resource}'");
        let refused = refusal(&mut tx, &change).await;
        assert!(refused.contains(says), "{change}\n gave: {refused}");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn the_table_of_transitions_is_the_shared_one() {
    let scene = scene().await;
    let mut conn = scene.connect().await;
    let rows = sqlx::query("SELECT from_state, to_state FROM lease_transition")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    let there: BTreeSet<(String, String)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    let shared = LeaseState::TABLE.iter();
    let shared: BTreeSet<_> = shared
        .map(|(f, _, t)| (f.as_str().to_string(), t.as_str().to_string()))
        .collect();
    assert_eq!(there, shared);
}

/// What somebody does to a file whose guards they removed, and the invariant that the audit says is broken.
const TAMPERED: &[(&str, &str)] = &[
    ("DELETE FROM lease_proof WHERE epoch = 0", "I3"),
    ("DELETE FROM lease_proof WHERE kind = 'holder_stopped'", "I3"),
    ("UPDATE lease_event SET epoch = 9 WHERE row_version = 0", "I4"),
    (
        "UPDATE lease SET epoch = 0, fenced_epoch = 0 WHERE resource = 'held'",
        "I4",
    ),
    (
        "DELETE FROM lease_event WHERE resource = 'lost' AND row_version = 1",
        "I5",
    ),
    ("UPDATE lease SET state = 'quarantined' WHERE resource = 'held'", "I5"),
    (
        "UPDATE lease_event SET epoch = 1, event = 'acquire' WHERE resource = 'lost'",
        "I6",
    ),
    (
        "UPDATE lease_event SET from_state = 'lost' WHERE event = 'release'",
        "I8",
    ),
    (
        "UPDATE lease_event SET to_state = 'fencing' WHERE resource = 'held' AND row_version = 1",
        "transition",
    ),
    (
        "UPDATE event SET payload = '{\"n\":7}' WHERE stream_kind = 'system' AND seq = 2",
        "chain",
    ),
    ("DELETE FROM event WHERE stream_kind = 'system' AND seq = 1", "chain"),
    ("DELETE FROM host WHERE name = 'held'", "references"),
    (
        "INSERT INTO lease_proof VALUES ('held', 2, 'operator_attested', '{}', 'ada', 'bob', 1)",
        "I12",
    ),
    (
        "UPDATE lease_event SET event = 'break-glass' WHERE resource = 'lost' AND row_version = 2",
        "I12",
    ),
];

#[tokio::test]
async fn the_audit_sees_what_the_guards_would_have_refused() {
    for (sql, invariant) in TAMPERED {
        let scene = scene().await;
        let mut conn = scene.connect().await;
        let rows = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        for row in rows {
            let drop = format!("DROP TRIGGER {}", row.get::<String, _>(0));
            sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
                .execute(&mut conn)
                .await
                .unwrap();
        }
        sqlx::raw_sql("PRAGMA foreign_keys = OFF")
            .execute(&mut conn)
            .await
            .unwrap();
        sqlx::raw_sql(*sql).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();

        let store = SqliteStore::open(Options::new(&scene.path)).await.unwrap();
        let findings = store.read("test").await.unwrap().audit().await.unwrap();
        assert!(
            findings.iter().any(|f| f.invariant == *invariant),
            "{sql}\n gave: {findings:?}"
        );
        store.close().await;
    }
}
