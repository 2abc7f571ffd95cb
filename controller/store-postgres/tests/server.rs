//! The server: several controllers on it, its end, its refusals. Whatever happens to it, the store says what is wrong and goes
//! on by itself.

#![cfg(unix)]

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use syncferry_shared::event::{NewEvent, StreamKind};
use syncferry_shared::{Millis, OrgId};
use syncferry_store::{Cause, Store, StoreMeta};
use syncferry_store_postgres::server::Server;
use syncferry_store_postgres::{Options, PgStore};

async fn open(url: &str) -> PgStore {
    PgStore::open(Options::new(url)).await.unwrap()
}

async fn meta(store: &PgStore) -> StoreMeta {
    store.read("test").await.unwrap().meta().await.unwrap()
}

fn org(n: u8) -> OrgId {
    OrgId::new(Millis(1), &[n; 10])
}

async fn add(store: &PgStore, n: u8) -> Result<(), Cause> {
    let mut tx = store.begin("add").await.map_err(|e| e.cause)?;
    tx.add_org(org(n), &format!("org {n}")).await.map_err(|e| e.cause)?;
    tx.commit().await.map_err(|e| e.cause)
}

async fn orgs(store: &PgStore) -> usize {
    store.read("test").await.unwrap().orgs().await.unwrap().len()
}

async fn say(url: &str, sql: &'static str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn controllers_share_one_store_and_its_clock() {
    let url = Server::shared().await.database().await;
    let (a, b) = (open(&url).await, open(&url).await);
    assert_eq!(meta(&a).await, meta(&b).await);
    add(&a, 1).await.unwrap();
    assert_eq!(orgs(&b).await, 2);
    let (first, second) = (a.now().await.unwrap(), b.now().await.unwrap());
    assert!(first <= second, "{first} {second}");
    // What is stamped is the server's time, whatever this process's clock says.
    say(
        &url,
        "CREATE OR REPLACE VIEW db_clock AS SELECT 4102444800000::bigint AS now_ms",
    )
    .await;
    assert_eq!(b.begin("test").await.unwrap().now(), Millis(4_102_444_800_000));
    // And it never goes back.
    say(&url, "CREATE OR REPLACE VIEW db_clock AS SELECT 5::bigint AS now_ms").await;
    assert_eq!(b.begin("test").await.unwrap().now(), Millis(4_102_444_800_000));
}

#[tokio::test]
async fn a_writer_waits_for_that_of_another_controller_and_no_longer_than_it_may() {
    let url = Server::shared().await.database().await;
    let (a, b) = (open(&url).await, {
        let mut options = Options::new(&url);
        options.busy_timeout = Duration::from_secs(2);
        PgStore::open(options).await.unwrap()
    });
    let first = a.begin("first").await.unwrap();
    let second = b.begin("second").await.err().unwrap();
    assert_eq!((second.transaction, second.is_busy()), ("second", true), "{second}");
    assert_eq!(orgs(&b).await, 1, "readers wait for nobody");
    first.rollback().await.unwrap();
    add(&b, 1).await.unwrap();
}

#[tokio::test]
async fn a_controller_that_stands_still_is_thrown_out() {
    let url = Server::shared().await.database().await;
    let (a, b) = (
        {
            let mut options = Options::new(&url);
            options.statement_timeout = Duration::from_secs(1);
            PgStore::open(options).await.unwrap()
        },
        open(&url).await,
    );
    let mut paused = a.begin("paused").await.unwrap();
    paused.add_org(org(1), "paused").await.unwrap();
    // Waits until the server has ended the other one's transaction.
    add(&b, 2).await.unwrap();
    let late = paused.commit().await.unwrap_err();
    assert!(late.is_unavailable(), "{late}");
    assert_eq!(orgs(&b).await, 2, "what was paused was not done");
    add(&a, 3).await.unwrap();
}

#[tokio::test]
async fn slow_statements_are_ended_and_what_failed_is_never_committed() {
    let url = Server::shared().await.database().await;
    let mut options = Options::new(&url);
    options.statement_timeout = Duration::from_secs(1);
    let store = PgStore::open(options).await.unwrap();
    say(
        &url,
        "ALTER TABLE site RENAME TO site_really;
         CREATE VIEW site AS SELECT s.*, pg_sleep(5)::text AS slow FROM site_really s
           UNION ALL SELECT '', '', '', '', '{}', 0, pg_sleep(5)::text",
    )
    .await;
    let mut tx = store.begin("slow").await.unwrap();
    tx.add_org(org(1), "x").await.unwrap();
    let slow = tx.sites().await.unwrap_err();
    assert!(
        slow.is_unavailable() && slow.to_string().contains("statement_timeout"),
        "{slow}"
    );
    // PostgreSQL would answer this COMMIT with a rollback and call it a success.
    tx.commit().await.unwrap_err();
    assert_eq!(orgs(&store).await, 1);
}

#[tokio::test]
async fn what_was_committed_survives_the_death_of_the_server_and_the_store_goes_on() {
    let mut server = Server::own().await;
    let url = server.database().await;
    let mut options = Options::new(&url);
    options.busy_timeout = Duration::from_secs(2);
    let store = PgStore::open(options).await.unwrap();
    let identity = meta(&store).await;
    add(&store, 1).await.unwrap();
    let mut open_one = store.begin("open").await.unwrap();
    open_one.add_org(org(2), "not committed").await.unwrap();

    server.kill();
    assert!(open_one.commit().await.unwrap_err().is_unavailable());
    let refused = store.begin("while it is down").await.err().unwrap();
    assert!(refused.is_unavailable(), "{refused}");
    assert!(refused.to_string().contains("127.0.0.1"), "it says where: {refused}");
    let refused = store.read("while it is down").await.err().unwrap();
    assert!(refused.is_unavailable(), "{refused}");

    server.kill_and_restart().await;
    assert_eq!(meta(&store).await, identity);
    assert_eq!(orgs(&store).await, 2);
    add(&store, 3).await.unwrap();
    assert_eq!(store.read("test").await.unwrap().audit().await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_so_and_the_next_host_is_taken() {
    let shared = Server::shared().await;
    let url = shared.database().await;
    let store = open(&url).await;
    let database = url.split(['/', '?']).nth(3).unwrap().to_string();
    let set = |to: &str| format!("ALTER DATABASE {database} SET default_transaction_read_only = {to}");
    let mut admin = shared.connect("postgres").await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(set("on")))
        .execute(&mut admin)
        .await
        .unwrap();
    let fresh = PgStore::open(Options::new(&url)).await.err().unwrap();
    assert!(
        fresh.is_unavailable() && fresh.to_string().contains("takes no writes"),
        "{fresh}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(set("off")))
        .execute(&mut admin)
        .await
        .unwrap();
    add(&store, 1).await.unwrap();

    // Two hosts, the first of which is not there.
    let server = Server::own().await;
    let there = server.database().await;
    let port = there.split(':').next_back().unwrap().split('/').next().unwrap();
    let two = there.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:1,127.0.0.1:{port}"));
    add(&open(&two).await, 1).await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let shared = Server::shared().await;
    let nowhere = PgStore::open(Options::new(shared.url("not_there")))
        .await
        .err()
        .unwrap();
    assert!(nowhere.to_string().contains("create it first"), "{nowhere}");
    let url = shared.database().await;
    open(&url).await.close().await;
    say(&url, "INSERT INTO schema_migration VALUES (99, 'future', 'x', 1)").await;
    let newer = PgStore::open(Options::new(&url)).await.err().unwrap();
    assert!(
        matches!(&newer.cause, Cause::Schema(t) if t.contains("newer")),
        "{newer}"
    );
    say(&url, "DELETE FROM schema_migration WHERE number = 99").await;
    say(&url, "UPDATE schema_migration SET digest = 'x' WHERE number = 1").await;
    let edited = PgStore::open(Options::new(&url)).await.err().unwrap();
    assert!(
        matches!(&edited.cause, Cause::Schema(t) if t.contains("differs")),
        "{edited}"
    );
    let garbage = PgStore::open(Options::new("postgres://[")).await.err().unwrap();
    assert!(matches!(garbage.cause, Cause::Other(_)), "{garbage}");
}

#[tokio::test]
async fn hints_reach_every_controller() {
    let url = Server::shared().await.database().await;
    let (a, b) = (open(&url).await, open(&url).await);
    let mut heard = (a.hints().await.unwrap().unwrap(), b.hints().await.unwrap().unwrap());
    a.tell("work").await.unwrap();
    assert_eq!(heard.0.next().await.unwrap().as_deref(), Some("work"));
    assert_eq!(heard.1.next().await.unwrap().as_deref(), Some("work"));
    // A lost line: something may have been missed, then everything is heard again.
    say(
        &url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE query LIKE 'LISTEN%' AND datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    // It may take a moment until somebody listens again; a hint told meanwhile is lost, as it may be.
    for _ in 0..60 {
        a.tell("again").await.unwrap();
        let next = tokio::time::timeout(Duration::from_secs(1), heard.1.next()).await;
        if let Ok(Ok(Some(hint))) = next {
            assert_eq!(hint, "again");
            return;
        }
    }
    panic!("nothing is heard any more");
}

#[tokio::test]
async fn a_statement_is_undone_alone_and_texts_stay_as_they_are() {
    let url = Server::shared().await.database().await;
    let store = open(&url).await;
    let mut tx = store.begin("test").await.unwrap();
    let payload = serde_json::json!({ "ü": "\u{0}", "deep": [[[1e300, -0.0, u64::MAX]]] });
    for n in 0..3 {
        tx.add_org(org(n + 1), &format!("o{n}")).await.unwrap();
        assert!(tx.add_org(org(9), "O0").await.unwrap_err().is_conflict());
        let event = NewEvent {
            stream_kind: StreamKind::System,
            stream_id: "x".into(),
            kind: "test".into(),
            actor: "controller".into(),
            payload: payload.clone(),
        };
        tx.append_event(event).await.unwrap();
    }
    let nul = tx.add_org(org(8), "a\u{0}b").await.unwrap_err();
    assert!(matches!(nul.cause, Cause::Guard(_)), "{nul}");
    tx.commit().await.unwrap();
    let mut tx = store.read("test").await.unwrap();
    let events = tx.events(StreamKind::System, "x", 0, 10).await.unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(tx.audit().await.unwrap(), vec![]);
    assert_eq!(tx.orgs().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_server_must_prove_who_it_is_and_new_certificates_count_without_a_restart() {
    let server = Server::own().await;
    let plain = server.database().await;
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let url = format!("{plain}?sslmode=verify-full&sslrootcert={}", roots.display());
    let (first, second) = (certificate(), certificate());

    std::fs::write(&roots, &first.0).unwrap();
    let without = PgStore::open(Options::new(&url)).await.err().unwrap();
    assert!(without.is_unavailable(), "a server without TLS: {without}");
    server.present(&first.0, &first.1).await;
    let store = until_open(&url).await;
    add(&store, 1).await.unwrap();
    let row = "SELECT 1 / (SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
                WHERE s.ssl AND a.application_name = 'syncferry-controller')";
    say(&plain, row).await;

    // The server's certificate changes; so does the file of those that are believed.
    server.present(&second.0, &second.1).await;
    let other = loop {
        match PgStore::open(Options::new(&url)).await {
            // The reload takes a moment.
            Ok(store) => store.close().await,
            Err(e) => break e,
        }
    };
    assert!(other.is_unavailable() && other.to_string().contains("TLS"), "{other}");
    std::fs::write(&roots, &second.0).unwrap();
    say(
        &plain,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'syncferry-controller'",
    )
    .await;
    add(&store, 2).await.unwrap();
    assert_eq!(orgs(&store).await, 3);
}

/// The server reads its files again a moment after it was told to.
async fn until_open(url: &str) -> PgStore {
    for _ in 0..100 {
        if let Ok(store) = PgStore::open(Options::new(url)).await {
            return store;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    open(url).await
}

/// A failover to a standby that lagged behind, a point-in-time recovery: the server has forgotten what it had confirmed.
#[tokio::test]
async fn a_server_that_forgot_takes_no_writes_before_a_new_incarnation() {
    let url = Server::shared().await.database().await;
    let store = PgStore::open(Options::new(&url)).await.unwrap();
    for n in 0..3 {
        let mut tx = store.begin("test").await.unwrap();
        tx.append_event(NewEvent {
            stream_kind: StreamKind::System,
            stream_id: "x".into(),
            kind: "test".into(),
            actor: "controller".into(),
            payload: serde_json::json!({ "n": n }),
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
    let mut other = PgConnection::connect(&url).await.unwrap();
    let forget = "ALTER TABLE event DISABLE TRIGGER USER;
                  DELETE FROM event WHERE position = (SELECT MAX(position) FROM event);
                  ALTER TABLE event ENABLE TRIGGER USER";
    sqlx::raw_sql(forget).execute(&mut other).await.unwrap();
    let refused = store.begin("test").await.err().unwrap();
    assert_eq!(refused.cause, Cause::WentBack);
    store.read("test").await.unwrap();
    // Undone, the recovery changes nothing about that.
    store.begin_recovery().await.unwrap().rollback().await.unwrap();
    assert_eq!(store.begin("test").await.err().unwrap().cause, Cause::WentBack);
    let mut tx = store.begin_recovery().await.unwrap();
    let by = syncferry_store::By::new("controller");
    tx.begin_incarnation(&syncferry_store::Highest::default(), &by)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.begin("test").await.unwrap().incarnation(), 2);
}
