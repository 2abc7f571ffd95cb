//! Variables, flow, TRY, transactions, procedures, sp_executesql.

use super::lab::{Lab, call, numbers, ok, run, text, value};
use syncferry_sqlserver::engine::{RpcCall, TransactionRequest};
use syncferry_sqlserver::types::{EnvChange, Param, SqlType, Token, Value};

#[tokio::test]
async fn flow() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    let table = [
        (
            "DECLARE @i int = 0, @s nvarchar(20) = N''; WHILE @i < 5 BEGIN SET @i += 1; IF @i = 2 CONTINUE; IF @i = 4 BREAK; SET @s = @s + CAST(@i AS nvarchar(5)); END; SELECT @s",
            "13",
        ),
        ("IF 1 = 2 SELECT 'a' ELSE IF 1 = 1 SELECT 'b' ELSE SELECT 'c'", "b"),
        (
            "IF EXISTS (SELECT 1 FROM sys.databases WHERE name = 'master') SELECT 1; ELSE SELECT 0;",
            "1",
        ),
        (
            "DECLARE @n int; SELECT @n = COUNT(*) FROM sys.databases; SELECT @n",
            "4",
        ),
        (
            "DECLARE @x int = 5; SELECT @x = database_id FROM sys.databases WHERE name = 'nothing'; SELECT @x",
            "5",
        ),
        (
            "DECLARE @s nvarchar(100) = N''; SELECT @s = @s + name + N',' FROM sys.databases; SELECT LEN(@s)",
            "25",
        ),
        ("SELECT 1 UNION ALL SELECT 2; SELECT @@ROWCOUNT", "1\n2\n2"),
        (
            "BEGIN TRY SELECT 1/0; END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_SEVERITY(), ERROR_MESSAGE(), ERROR_LINE(); END CATCH",
            "8134|16|Divide by zero error encountered.|1",
        ),
        (
            "BEGIN TRY THROW 50001, N'mine', 3; END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_STATE(); END CATCH",
            "50001|3",
        ),
        (
            "BEGIN TRY RAISERROR(N'%s has %d', 16, 1, N'x', 5); END TRY BEGIN CATCH SELECT ERROR_MESSAGE(); END CATCH",
            "x has 5",
        ),
        (
            "BEGIN TRY EXEC('SELECT 1/0') END TRY BEGIN CATCH SELECT 'caught' END CATCH",
            "caught",
        ),
        ("SELECT 1 RETURN SELECT 2", "1"),
        ("EXEC('SELECT ' + N'7')", "7"),
        (
            "DECLARE @r int; EXEC sp_executesql N'SELECT @r = @a * 2', N'@a int, @r int OUTPUT', @a = 21, @r = @r OUTPUT; SELECT @r",
            "42",
        ),
        ("SELECT 1 WHERE 1 = 0 SELECT @@ROWCOUNT", "0"),
    ];
    for (sql, expected) in table {
        let answer = ok(&mut s, sql).await;
        assert_eq!(answer.text(), expected, "{sql}");
        assert!(answer.is_well_ended(), "{sql}\n{:?}", answer.tokens);
    }
}

#[tokio::test]
async fn errors_end_what_they_should() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    // A statement's error lets the batch go on.
    let answer = run(&mut s, "SELECT 1/0; SELECT 2").await;
    assert_eq!((answer.errors()[0].number, answer.text().as_str()), (8134, "2"));
    // A conversion's ends it.
    let answer = run(&mut s, "SELECT CAST('x' AS int); SELECT 2").await;
    assert_eq!((answer.errors()[0].number, answer.text().as_str()), (245, ""));
    // XACT_ABORT ends it and rolls back.
    let answer = run(&mut s, "SET XACT_ABORT ON; BEGIN TRAN; SELECT 1/0; SELECT 2").await;
    assert_eq!((answer.errors()[0].number, answer.text().as_str()), (8134, ""));
    assert_eq!(value(&mut s, "SELECT @@TRANCOUNT").await, Value::Int(0));
    // A syntax error runs nothing at all.
    assert_eq!(run(&mut s, "SELECT 1; SELEC 2 x y").await.text(), "");
    let printed = ok(&mut s, "PRINT 'hello'; RAISERROR('low', 10, 1) WITH NOWAIT").await;
    assert_eq!(
        printed.infos().iter().map(|m| m.text.as_str()).collect::<Vec<_>>(),
        ["hello", "low"]
    );
    let raised = run(&mut s, "\n\nRAISERROR('high', 16, 7)").await;
    assert_eq!(
        (
            raised.errors()[0].number,
            raised.errors()[0].state,
            raised.errors()[0].line
        ),
        (50_000, 7, 3)
    );
    let rethrown = run(
        &mut s,
        "BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH THROW; END CATCH; SELECT 'not reached'",
    )
    .await;
    assert_eq!((rethrown.errors()[0].number, rethrown.text().as_str()), (8134, ""));
}

#[tokio::test]
async fn transactions_undo() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    ok(
        &mut s,
        "CREATE DATABASE W; USE W; CREATE TABLE t (id int NOT NULL PRIMARY KEY, v nvarchar(10) NULL)",
    )
    .await;
    ok(&mut s, "INSERT t VALUES (1, N'a'), (2, N'b')").await;
    ok(&mut s, "BEGIN TRAN; UPDATE t SET v = N'x'; DELETE FROM t WHERE id = 2; EXEC sp_addextendedproperty @name = N'p', @value = 1; CREATE USER u WITHOUT LOGIN; ROLLBACK").await;
    assert_eq!(ok(&mut s, "SELECT id, v FROM t ORDER BY id").await.text(), "1|a\n2|b");
    assert!(
        ok(&mut s, "SELECT * FROM sys.extended_properties")
            .await
            .rows()
            .is_empty()
    );
    assert!(
        ok(&mut s, "SELECT * FROM sys.database_principals WHERE name = 'u'")
            .await
            .rows()
            .is_empty()
    );
    ok(
        &mut s,
        "BEGIN TRAN; INSERT t VALUES (3, N'c'); SAVE TRAN p; INSERT t VALUES (4, N'd'); ROLLBACK TRAN p; COMMIT",
    )
    .await;
    assert_eq!(value(&mut s, "SELECT COUNT(*) FROM t").await, Value::Int(3));
    assert_eq!(numbers(&mut s, "COMMIT").await, [3902]);
    assert_eq!(numbers(&mut s, "ROLLBACK").await, [3903]);
    ok(
        &mut s,
        "BEGIN TRAN; BEGIN TRAN; INSERT t VALUES (5, N'e'); COMMIT; SELECT @@TRANCOUNT; ROLLBACK",
    )
    .await;
    assert_eq!(value(&mut s, "SELECT COUNT(*) FROM t").await, Value::Int(3));
    // A connection that goes away leaves nothing behind.
    ok(&mut s, "BEGIN TRAN; DELETE FROM t").await;
    drop(s);
    let mut s = lab.sa().await;
    assert_eq!(value(&mut s, "SELECT COUNT(*) FROM W.dbo.t").await, Value::Int(3));
    drop(s);
    let lab = lab.reopened();
    let mut s = lab.sa().await;
    assert_eq!(value(&mut s, "SELECT COUNT(*) FROM W.dbo.t").await, Value::Int(3));
}

#[tokio::test]
async fn the_transaction_manager_speaks_too() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    let mut answer = super::lab::Answer::default();
    s.transaction(
        TransactionRequest::Begin {
            name: String::new(),
            isolation: 0,
        },
        &mut answer,
    )
    .await
    .unwrap();
    assert!(
        answer
            .tokens
            .iter()
            .any(|t| matches!(t, Token::EnvChange(EnvChange::BeginTransaction(_))))
    );
    assert!(answer.is_well_ended());
    assert_eq!(value(&mut s, "SELECT @@TRANCOUNT").await, Value::Int(1));
    let mut answer = super::lab::Answer::default();
    s.transaction(
        TransactionRequest::Rollback {
            name: String::new(),
            begin_next: false,
        },
        &mut answer,
    )
    .await
    .unwrap();
    assert!(
        answer
            .tokens
            .iter()
            .any(|t| matches!(t, Token::EnvChange(EnvChange::RollbackTransaction(_))))
    );
    assert_eq!(value(&mut s, "SELECT @@TRANCOUNT, XACT_STATE()").await, Value::Int(0));
}

#[tokio::test]
async fn procedures() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    ok(&mut s, "CREATE DATABASE W; USE W").await;
    ok(&mut s, "CREATE PROCEDURE dbo.p @a int, @b int = 10, @c int OUTPUT AS BEGIN SET NOCOUNT ON; SET @c = @a + @b; SELECT @c AS c; RETURN 7; END").await;
    let answer = ok(
        &mut s,
        "DECLARE @o int, @r int; EXEC @r = p 1, @c = @o OUTPUT; SELECT @o, @r",
    )
    .await;
    assert_eq!(answer.text(), "11\n11|7");
    assert!(answer.tokens.contains(&Token::ReturnStatus(7)));
    assert!(answer.is_well_ended());
    assert_eq!(numbers(&mut s, "EXEC p").await, [201]);
    assert_eq!(numbers(&mut s, "EXEC p 1, 2, 3, 4").await, [8144]);
    assert_eq!(numbers(&mut s, "EXEC p @zzz = 1").await, [8145]);
    assert_eq!(numbers(&mut s, "CREATE PROCEDURE dbo.p AS SELECT 1").await, [2714]);
    assert_eq!(numbers(&mut s, "CREATE PROCEDURE dbo.q AS SELECT FROM").await, [102]);
    ok(&mut s, "CREATE OR ALTER PROCEDURE dbo.p AS BEGIN TRY EXEC nothing END TRY BEGIN CATCH THROW 50002, 'inner', 1 END CATCH").await;
    let failed = run(&mut s, "EXEC p").await;
    assert_eq!(
        (failed.errors()[0].number, failed.errors()[0].procedure.as_str()),
        (50_002, "p")
    );
    ok(
        &mut s,
        "CREATE TABLE copied (name sysname, id int); INSERT copied EXEC('SELECT name, database_id FROM sys.databases')",
    )
    .await;
    assert_eq!(value(&mut s, "SELECT COUNT(*) FROM copied").await, Value::Int(5));
    ok(&mut s, "DROP PROCEDURE p").await;
    assert_eq!(numbers(&mut s, "EXEC p").await, [2812]);
}

fn param(name: &str, ty: SqlType, value: Value, output: bool) -> Param {
    Param {
        name: name.into(),
        ty,
        value,
        output,
    }
}

#[tokio::test]
async fn rpcs() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    let nvarchar = SqlType::NVarChar(Some(4000));
    let params = vec![
        param("", nvarchar.clone(), text("SELECT @a + 1 AS x; SET @b = @a * 2"), false),
        param("", nvarchar.clone(), text("@a int, @b int OUTPUT"), false),
        param("@a", SqlType::Int, Value::Int(20), false),
        param("@b", SqlType::Int, Value::Null, true),
    ];
    let answer = call(
        &mut s,
        RpcCall {
            name: "sp_executesql".into(),
            params,
        },
    )
    .await;
    assert_eq!(answer.text(), "21");
    assert!(answer.tokens.contains(&Token::ReturnStatus(0)));
    assert!(answer.tokens.contains(&Token::ReturnValue {
        name: "@b".into(),
        ty: SqlType::Int,
        value: Value::Int(40)
    }));
    assert!(matches!(
        answer.tokens.last(),
        Some(Token::Done {
            kind: syncferry_sqlserver::types::DoneKind::DoneProc,
            more: false,
            ..
        })
    ));
    let prepared = call(
        &mut s,
        RpcCall {
            name: "sp_prepexec".into(),
            params: vec![
                param("@handle", SqlType::Int, Value::Null, true),
                param("", nvarchar.clone(), text("@p int"), false),
                param("", nvarchar.clone(), text("SELECT @p"), false),
                param("", SqlType::Int, Value::Int(5), false),
            ],
        },
    )
    .await;
    assert_eq!(prepared.text(), "5");
    let again = call(
        &mut s,
        RpcCall {
            name: "sp_execute".into(),
            params: vec![
                param("", SqlType::Int, Value::Int(1), false),
                param("", SqlType::Int, Value::Int(6), false),
            ],
        },
    )
    .await;
    assert_eq!(again.text(), "6");
    let missing = call(
        &mut s,
        RpcCall {
            name: "nothing".into(),
            params: vec![],
        },
    )
    .await;
    assert_eq!(missing.errors()[0].number, 2812);
    let wrong = call(
        &mut s,
        RpcCall {
            name: "sp_executesql".into(),
            params: vec![
                param("", nvarchar.clone(), text("SELECT @a"), false),
                param("", nvarchar, text("@a int"), false),
            ],
        },
    )
    .await;
    assert_eq!(wrong.errors()[0].number, 8178);
}

#[tokio::test]
async fn clients_say_hello() {
    let lab = Lab::standard();
    let mut s = lab.sa().await;
    // What pymssql, python-tds, ODBC and SSMS send when they connect.
    for sql in [
        "SET ARITHABORT ON;SET CONCAT_NULL_YIELDS_NULL ON;SET ANSI_NULLS ON;SET ANSI_NULL_DFLT_ON ON;SET ANSI_PADDING ON;SET ANSI_WARNINGS ON;SET ANSI_NULL_DFLT_ON ON;SET CURSOR_CLOSE_ON_COMMIT ON;SET QUOTED_IDENTIFIER ON;SET TEXTSIZE 2147483647;",
        "SET CURSOR_CLOSE_ON_COMMIT OFF SET IMPLICIT_TRANSACTIONS OFF SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET ROWCOUNT 0 SET TEXTSIZE 2147483647 SET NOCOUNT OFF SET DEADLOCK_PRIORITY NORMAL SET LOCK_TIMEOUT -1 SET DATEFORMAT mdy SET FMTONLY OFF",
        "SELECT @@VERSION; SELECT @@SPID; SELECT SYSTEM_USER",
        "select SERVERPROPERTY('ProductVersion'), @@MICROSOFTVERSION / 0x01000000",
        "sp_who2",
        "BEGIN TRANSACTION",
        "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION",
    ] {
        let answer = ok(&mut s, sql).await;
        assert!(answer.is_well_ended(), "{sql}");
    }
}
