//! CREATE TABLE, INSERT, UPDATE, DELETE and their constraints.

use super::lab::{Lab, numbers, ok, run};

#[tokio::test]
async fn rows_are_changed() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    ok(&mut s, "CREATE DATABASE W; USE W").await;
    ok(&mut s, "CREATE TABLE t (id int IDENTITY(10, 5) NOT NULL PRIMARY KEY, name nvarchar(5) NOT NULL, at datetime2(3) NOT NULL DEFAULT (SYSUTCDATETIME()), n int NULL DEFAULT 7)").await;
    ok(
        &mut s,
        "INSERT INTO t (name) VALUES (N'a'), (N'b'); INSERT t (name, n) VALUES (N'c', DEFAULT)",
    )
    .await;
    assert_eq!(
        ok(&mut s, "SELECT id, name, n FROM t ORDER BY id").await.text(),
        "10|a|7\n15|b|7\n20|c|7"
    );
    assert_eq!(ok(&mut s, "SELECT SCOPE_IDENTITY(), @@IDENTITY").await.text(), "20|20");
    assert_eq!(
        ok(
            &mut s,
            "UPDATE t SET n += 1 OUTPUT inserted.id, deleted.n, inserted.n WHERE name <> N'a'"
        )
        .await
        .text(),
        "15|7|8\n20|7|8"
    );
    ok(
        &mut s,
        "UPDATE x SET n = y.v FROM t AS x JOIN (VALUES (10, 100)) AS y (id, v) ON y.id = x.id",
    )
    .await;
    ok(&mut s, "DELETE d FROM t d WHERE d.name = N'b'").await;
    assert_eq!(
        ok(&mut s, "SELECT id, n FROM t ORDER BY id").await.text(),
        "10|100\n20|8"
    );
    ok(
        &mut s,
        "INSERT t (name, n) SELECT TOP (1) name, n + 1 FROM t ORDER BY id",
    )
    .await;
    assert_eq!(ok(&mut s, "DELETE TOP (1) FROM t; SELECT @@ROWCOUNT").await.text(), "1");
    ok(
        &mut s,
        "SET IDENTITY_INSERT t ON; INSERT t (id, name) VALUES (99, N'z'); SET IDENTITY_INSERT t OFF",
    )
    .await;
    ok(
        &mut s,
        "ALTER TABLE t ADD extra bit NOT NULL DEFAULT 0; ALTER TABLE t DROP COLUMN n",
    )
    .await;
    assert_eq!(ok(&mut s, "SELECT extra FROM t WHERE id = 99").await.text(), "0");
    ok(
        &mut s,
        "SELECT name INTO copy FROM t; TRUNCATE TABLE t; DROP TABLE IF EXISTS t, nothing",
    )
    .await;
    assert_eq!(numbers(&mut s, "SELECT * FROM t").await, [208]);
    ok(
        &mut s,
        "CREATE TABLE #x (a int); INSERT #x VALUES (1); UPDATE #x SET a = 2; SELECT a FROM #x",
    )
    .await;
    ok(&mut s, "DECLARE @t TABLE (a int, b nvarchar(5)); INSERT @t VALUES (1, N'x'); UPDATE @t SET a = 5; IF (SELECT a FROM @t) <> 5 THROW 50001, N'no', 1; DELETE @t").await;
}

#[tokio::test]
async fn constraints_hold() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    ok(&mut s, "CREATE DATABASE W; USE W; CREATE TABLE t (id int NOT NULL PRIMARY KEY, name nvarchar(5) NULL, g uniqueidentifier NULL)").await;
    ok(&mut s, "INSERT t (id) VALUES (1)").await;
    let table = [
        ("INSERT t (id) VALUES (1)", 2627),
        ("INSERT t (id, name) VALUES (2, N'too long')", 2628),
        ("INSERT t (name) VALUES (N'x')", 515),
        ("INSERT t (id, nothing) VALUES (2, 3)", 207),
        ("INSERT t VALUES (2)", 109),
        ("INSERT t (id) VALUES (2, 3)", 110),
        ("INSERT t (id) SELECT 1, 2", 121),
        ("UPDATE t SET nothing = 1", 207),
        ("UPDATE t SET id = NULL", 515),
        ("UPDATE nothing SET x = 1", 208),
        ("CREATE TABLE t (a int)", 2714),
        ("CREATE TABLE u (a int, a int)", 2705),
        ("CREATE TABLE nothing.u (a int)", 2760),
        ("DROP TABLE nothing", 3701),
        ("INSERT t (id, g) VALUES (2, N'nope')", 8169),
        ("UPDATE sys.databases SET name = 'x'", 259),
    ];
    for (sql, number) in table {
        let answer = run(&mut s, sql).await;
        assert_eq!(
            answer.errors().iter().map(|e| e.number).collect::<Vec<_>>(),
            [number],
            "{sql}"
        );
    }
    // A statement that fails changes nothing.
    assert_eq!(numbers(&mut s, "INSERT t (id) VALUES (5), (6), (1)").await, [2627]);
    assert_eq!(ok(&mut s, "SELECT COUNT(*) FROM t").await.text(), "1");
    assert!(
        run(&mut s, "INSERT t (id) VALUES (1)")
            .await
            .infos()
            .iter()
            .any(|m| m.number == 3621)
    );
}
