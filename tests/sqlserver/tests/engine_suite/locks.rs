//! Waiting for each other: tables, applocks, deadlocks, LOCK_TIMEOUT.

use std::time::Duration;

use super::lab::{Lab, numbers, ok, run, value};
use syncferry_sqlserver::types::Value;

async fn get(session: &mut syncferry_sqlserver::engine::Session, timeout: i32) -> Value {
    let sql = format!(
        "DECLARE @rc int; EXEC @rc = sp_getapplock @Resource = N'x', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = {timeout}; SELECT @rc"
    );
    value(session, &sql).await
}

#[tokio::test]
async fn applocks() {
    let lab = Lab::standard();
    let (mut a, mut b) = (lab.sa().await, lab.sa().await);
    assert_eq!(get(&mut a, 0).await, Value::Int(0));
    assert_eq!(get(&mut b, 0).await, Value::Int(-1));
    assert_eq!(get(&mut b, 30).await, Value::Int(-1));
    // Another name in another case is another lock.
    let other = "DECLARE @rc int; EXEC @rc = sp_getapplock N'X', 'Exclusive', 'Session', 0; SELECT @rc";
    assert_eq!(value(&mut b, other).await, Value::Int(0));
    assert_eq!(
        value(&mut a, "SELECT APPLOCK_MODE('public', 'x', 'Session')").await,
        Value::Str("Exclusive".into())
    );
    let waiting = tokio::spawn(async move {
        let rc = get(&mut b, 60_000).await;
        (b, rc)
    });
    while ok(
        &mut a,
        "SELECT 1 FROM sys.dm_tran_locks WHERE resource_type = 'APPLICATION' AND request_status = 'WAIT'",
    )
    .await
    .rows()
    .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ok(&mut a, "EXEC sp_releaseapplock N'x', 'Session'").await;
    let (b, rc) = waiting.await.unwrap();
    assert_eq!(rc, Value::Int(1));
    assert_eq!(numbers(&mut a, "EXEC sp_releaseapplock N'x', 'Session'").await, [1223]);
    // It dies with its session, and with a reset.
    drop(b);
    assert_eq!(get(&mut a, 0).await, Value::Int(0));
    a.reset();
    let mut c = lab.sa().await;
    assert_eq!(get(&mut c, 0).await, Value::Int(0));
    assert_eq!(numbers(&mut c, "EXEC sp_getapplock N'y', 'Exclusive'").await, [3918]);
    assert_eq!(
        numbers(&mut c, "EXEC sp_getapplock N'y', 'Nonsense', 'Session'").await,
        [15_600]
    );
}

#[tokio::test]
async fn writers_exclude_each_other_and_readers_wait() {
    let lab = Lab::standard();
    let (mut a, mut b) = (lab.sa().await, lab.sa().await);
    ok(&mut a, "CREATE DATABASE W; USE W; CREATE TABLE t (v int); CREATE TABLE u (v int); INSERT t VALUES (1); INSERT u VALUES (1)").await;
    ok(&mut b, "USE W; SET LOCK_TIMEOUT 20").await;
    ok(&mut a, "BEGIN TRAN; UPDATE t SET v = 2").await;
    assert_eq!(numbers(&mut b, "UPDATE t SET v = 3").await, [1222]);
    assert_eq!(numbers(&mut b, "SELECT * FROM t").await, [1222]);
    assert_eq!(ok(&mut b, "SELECT v FROM t WITH (NOLOCK)").await.rows().len(), 1);
    assert_eq!(ok(&mut b, "SELECT v FROM u").await.text(), "1");
    let reading = tokio::spawn(async move {
        ok(&mut b, "SET LOCK_TIMEOUT -1").await;
        let read = ok(&mut b, "SELECT v FROM t").await.text();
        (b, read)
    });
    while ok(&mut a, "SELECT 1 FROM sys.dm_tran_locks WHERE request_status = 'WAIT'")
        .await
        .rows()
        .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ok(&mut a, "COMMIT").await;
    let (mut b, read) = reading.await.unwrap();
    assert_eq!(read, "2");
    // Two that wait for each other: one is the victim.
    ok(&mut a, "BEGIN TRAN; UPDATE t SET v = 5").await;
    ok(&mut b, "BEGIN TRAN; UPDATE u SET v = 6").await;
    let first = tokio::spawn(async move { run(&mut a, "UPDATE u SET v = 5; SELECT @@TRANCOUNT; COMMIT").await });
    let mut watcher = lab.sa().await;
    while ok(
        &mut watcher,
        "SELECT 1 FROM sys.dm_tran_locks WHERE request_status = 'WAIT'",
    )
    .await
    .rows()
    .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(numbers(&mut b, "UPDATE t SET v = 6").await, [1205]);
    assert_eq!(value(&mut b, "SELECT @@TRANCOUNT").await, Value::Int(0));
    assert!(first.await.unwrap().errors().is_empty());
    assert_eq!(ok(&mut b, "SELECT t.v, u.v FROM t CROSS JOIN u").await.text(), "5|5");
}
