//! Servers that answer with anything: the session ends with an error, the agent goes on. `tests/tests/foreign_bytes.rs`
//! and the fuzz target `tds_answer` try many more answers.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use syncferry_agent::sql::{
    Role, ServerCertificate, SqlError, SqlErrorKind, SqlInstance, SqlLogin, SqlSession, Statement,
};
use syncferry_shared::secret::Secret;
use syncferry_sqlserver::types::{SqlType, Token, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::stub::{Server, Step, done, info, one_row};

fn statement(sql: &str) -> Statement {
    Statement {
        name: "test",
        sql: sql.into(),
    }
}

/// A result set of one column `n` and one row, from the type's bytes and the value's.
fn raw_row(type_info: &[u8], value: &[u8]) -> Vec<Step> {
    let mut bytes = vec![0x81, 1, 0, 0, 0, 0, 0, 9, 0];
    bytes.extend(type_info);
    bytes.extend([1, b'n', 0, 0xD1]);
    bytes.extend(value);
    vec![Step::Send(Token::Raw(bytes))]
}

#[tokio::test]
async fn values_that_cannot_be_are_shown_and_do_no_harm() {
    let server = Server::start(|sql| match sql {
        // varchar(10) in a UTF-8 collation, and then no UTF-8.
        "utf8" => raw_row(&[0xA7, 10, 0, 0x09, 0x04, 0, 0x04, 0], &[2, 0, b'a', 0xFF]),
        // nvarchar(10) with half a surrogate pair.
        "utf16" => raw_row(&[0xE7, 20, 0, 0x09, 0x04, 0, 0, 0], &[4, 0, b'a', 0, 0, 0xD8]),
        // datetimeoffset(0): 9999-12-31 23:59:59 in UTC, and two hours east of it.
        _ => raw_row(&[0x2B, 0], &[8, 0x7F, 0x51, 0x01, 0xDA, 0xB9, 0x37, 120, 0]),
    })
    .await;
    let mut session = SqlSession::connect(&server.instance, Role::Monitor).await.unwrap();
    for (sql, shown) in [
        ("utf8", "a\u{fffd}"),
        ("utf16", "a\u{fffd}"),
        ("late", "day 3652058 at offset 120"),
    ] {
        let sets = session.query(&statement(sql)).await.unwrap();
        assert_eq!(sets[0].first().unwrap().text("n").as_deref(), Some(shown), "{sql}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_panic_while_an_answer_is_read_ends_this_session_and_nothing_else() {
    let server = Server::start(|sql| {
        if sql == "SELECT" {
            return one_row(false, vec![("n", SqlType::Int, Value::Int(7))]);
        }
        vec![
            info(3211, "10 percent processed."),
            done(true, false),
            done(false, false),
        ]
    })
    .await;
    let mut session = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let failed = session
        .execute_streaming(&statement("BACKUP"), &CancellationToken::new(), |_| {
            panic!("in the middle of it")
        })
        .await
        .unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Answer);
    assert!(failed.detail.contains("in the middle of it"), "{failed}");
    // Nobody knows where that connection stands: it is not asked again.
    assert!(session.is_dead());
    let after = session.query(&statement("SELECT")).await.unwrap_err();
    assert_eq!(after.kind, SqlErrorKind::ConnectionLost);
    session.close().await;
    let mut other = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    assert!(other.query(&statement("SELECT")).await.is_ok());
    server.stop().await;
}

/// An instance at a port where something answers that may be no SQL Server at all.
fn at(port: u16) -> SqlInstance {
    SqlInstance {
        name: "default".into(),
        endpoint: format!("tcp:127.0.0.1,{port}").parse().unwrap(),
        login: SqlLogin::Sql {
            user: "agent".into(),
            password: Secret::new("x"),
        },
        certificate: ServerCertificate::Any,
        purpose: "test".into(),
    }
}

/// What connecting to something comes to that says these bytes after the first packet, and hangs up.
async fn connect_to(bytes: Vec<u8>) -> SqlError {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let saying = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 512];
        let _ = stream.read(&mut first).await;
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        // Until the client has had enough of it.
        while stream.read(&mut first).await.is_ok_and(|n| n > 0) {}
    });
    let failed = SqlSession::connect(&at(port), Role::Monitor).await.unwrap_err();
    saying.await.unwrap();
    failed
}

/// The answer to PRELOGIN, up to encryption.
fn prelogin(encryption: u8) -> Vec<u8> {
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 16, 0, 0, 0, 0, 0, encryption];
    let mut bytes = vec![4, 1, 0, 26, 0, 0, 1, 0];
    bytes.extend(options);
    bytes
}

#[test]
fn what_is_no_sql_server_is_refused_at_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 96,
        failure_persistence: None,
        ..Config::default()
    });
    let garbage = prop::collection::vec(any::<u8>(), 0..300);
    let answer =
        (0..4_u8, 0..4_u8, any::<prop::sample::Index>(), garbage).prop_map(|(how, encryption, at, garbage)| {
            let good = prelogin(encryption);
            match how {
                // Something else entirely.
                0 => garbage,
                // A packet of rubbish.
                1 => {
                    let mut bytes = vec![4, 1, 0, 0, 0, 0, 1, 0];
                    bytes[2..4].copy_from_slice(&(garbage.len() as u16 + 8).to_be_bytes());
                    bytes.extend(garbage);
                    bytes
                }
                // The right answer, cut.
                2 => good[..at.index(good.len())].to_vec(),
                // The right answer, and rubbish in the place of TLS.
                _ => [good, garbage].concat(),
            }
        });
    let ran = runner.run(&answer, |bytes| {
        let began = Instant::now();
        let failed = runtime.block_on(connect_to(bytes));
        prop_assert!(matches!(
            failed.kind,
            SqlErrorKind::Unreachable | SqlErrorKind::Tls | SqlErrorKind::Answer | SqlErrorKind::LoginFailed
        ));
        prop_assert!(began.elapsed() < Duration::from_secs(14), "{failed}");
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let failed = SqlSession::connect(&at(port), Role::Monitor).await.unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Unreachable, "{failed}");
}
