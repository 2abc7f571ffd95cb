//! The session against a server that plays prepared answers: live messages, all errors, cancellation, limits, encryption.

use std::sync::Arc;
use std::time::Duration;

use crate::stub::{Server, Step, done, error, info, one_row};
use syncferry_agent::sql::ops::Watch;
use syncferry_agent::sql::ops::watch::run_watched;
use syncferry_agent::sql::{Role, ServerCertificate, SqlErrorKind, SqlLogin, SqlSession, Statement};
use syncferry_shared::secret::Secret;
use syncferry_sqlserver::types::{SqlType, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

fn statement(sql: &str) -> Statement {
    Statement {
        name: "test",
        sql: sql.into(),
    }
}

#[tokio::test]
async fn messages_come_while_the_statement_runs() {
    let heard = Arc::new(Notify::new());
    let waiting = heard.clone();
    // The server goes on only after the client has heard the first message: were messages kept back, this would hang.
    let server = Server::start(move |_| {
        vec![
            info(3211, "10 percent processed."),
            done(true, false),
            Step::Wait(waiting.clone()),
            info(3211, "100 percent processed."),
            done(true, false),
            info(3014, "BACKUP DATABASE successfully processed 1 pages."),
            done(false, false),
        ]
    })
    .await;
    let mut session = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let answer = session
        .execute_streaming(&statement("BACKUP"), &CancellationToken::new(), |_| heard.notify_one())
        .await
        .unwrap();
    let numbers: Vec<i32> = answer.messages.iter().map(|m| m.number).collect();
    assert_eq!(numbers, [3211, 3211, 3014]);
    session.close().await;
    server.stop().await;
}

#[tokio::test]
async fn all_errors_of_a_batch_are_kept_and_the_session_goes_on() {
    let server = Server::start(|sql| {
        if sql == "SELECT" {
            return one_row(false, vec![("n", SqlType::Int, Value::Int(7))]);
        }
        let mut steps = one_row(true, vec![("n", SqlType::TinyInt, Value::Int(1))]);
        steps.extend([
            error(1834, "The file 'x' cannot be overwritten."),
            error(3156, "File 'x' cannot be restored to 'x'."),
            done(true, true),
            error(3119, "Problems were identified while planning."),
            error(3013, "RESTORE DATABASE is terminating abnormally."),
            done(false, true),
        ]);
        steps
    })
    .await;
    let mut session = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let failed = session.query(&statement("RESTORE")).await.unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::FileCollision);
    let numbers: Vec<i32> = failed.errors.iter().map(|m| m.number).collect();
    assert_eq!(numbers, [1834, 3156, 3119, 3013]);
    assert_eq!(failed.finding().evidence.len(), 4);
    let sets = session.query(&statement("SELECT")).await.unwrap();
    assert_eq!(sets[0].first().unwrap().int("N"), Some(7));
    server.stop().await;
}

#[tokio::test]
async fn cancelling_from_another_task_stops_the_statement_and_keeps_the_session() {
    let server = Server::start(|sql| {
        if sql == "SELECT" {
            return one_row(false, vec![("n", SqlType::Int, Value::Int(7))]);
        }
        vec![
            info(3211, "10 percent processed."),
            done(true, false),
            Step::UntilCancelled,
        ]
    })
    .await;
    let mut session = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let cancel = CancellationToken::new();
    let other = cancel.clone();
    let failed = session
        .execute_streaming(&statement("BACKUP"), &cancel, move |_| {
            let other = other.clone();
            tokio::spawn(async move { other.cancel() });
        })
        .await
        .unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Cancelled, "{failed}");
    assert!(!session.is_dead());
    assert!(session.query(&statement("SELECT")).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_monitor_query_gives_up_after_five_seconds() {
    let server = Server::start(|_| vec![Step::UntilCancelled]).await;
    let mut session = SqlSession::connect(&server.instance, Role::Monitor).await.unwrap();
    let failed = session.query(&statement("SELECT")).await.unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::TimedOut, "{failed}");
    server.stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_told_from_an_error() {
    let server = Server::start(|_| vec![info(3211, "10 percent processed."), done(true, false), Step::Break]).await;
    let mut session = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let failed = session
        .execute_streaming(&statement("BACKUP"), &CancellationToken::new(), |_| {})
        .await
        .unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::ConnectionLost, "{failed}");
    // No silent reconnection: options and applocks would be gone.
    let after = session.query(&statement("SELECT")).await.unwrap_err();
    assert_eq!(after.kind, SqlErrorKind::ConnectionLost, "{after}");
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_password_and_a_closed_port_are_told_apart() {
    let server = Server::start(|_| vec![done(false, false)]).await;
    let mut instance = server.instance.clone();
    instance.login = SqlLogin::Sql {
        user: "agent".into(),
        password: Secret::new("wrong"),
    };
    let failed = SqlSession::connect(&instance, Role::Work).await.unwrap_err();
    assert_eq!((failed.kind, failed.number()), (SqlErrorKind::LoginFailed, Some(18456)));
    assert!(!failed.to_string().contains("wrong"));
    server.stop().await;
    let failed = SqlSession::connect(&instance, Role::Work).await.unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Unreachable, "{failed}");
}

#[tokio::test]
async fn only_the_pinned_certificate_is_believed() {
    let server = Server::start(|_| vec![done(false, false)]).await;
    let strangers = Server::start(|_| vec![done(false, false)]).await;
    // Certificates are made when the first client comes.
    for s in [&server, &strangers] {
        SqlSession::connect(&s.instance, Role::Work)
            .await
            .unwrap()
            .close()
            .await;
    }
    let mut instance = server.instance.clone();
    instance.certificate = ServerCertificate::Verified;
    let failed = SqlSession::connect(&instance, Role::Work).await.unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Tls, "{failed}");
    instance.certificate = ServerCertificate::Pinned(server.dir.path().join("tls-certificate.pem"));
    SqlSession::connect(&instance, Role::Work).await.unwrap().close().await;
    instance.certificate = ServerCertificate::Pinned(strangers.dir.path().join("tls-certificate.pem"));
    let failed = SqlSession::connect(&instance, Role::Work).await.unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Tls, "{failed}");
    server.stop().await;
    strangers.stop().await;
}

fn view(percent: f64) -> Vec<Step> {
    one_row(
        false,
        vec![
            ("percent_complete", SqlType::Real, Value::Float(percent)),
            ("estimated_completion_time", SqlType::BigInt, Value::Int(1500)),
            ("reads", SqlType::BigInt, Value::Int(1)),
        ],
    )
}

#[tokio::test]
async fn progress_comes_from_the_monitor_when_messages_do_not() {
    let seen = Arc::new(Notify::new());
    let waiting = seen.clone();
    let server = Server::start(move |sql| {
        if sql.contains("dm_exec_requests") {
            return view(42.5);
        }
        vec![Step::Wait(waiting.clone()), info(3014, "done"), done(false, false)]
    })
    .await;
    let mut work = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let mut monitor = SqlSession::connect(&server.instance, Role::Monitor).await.unwrap();
    let mut watch = Watch::new(Some(&mut monitor), server.instance.application_name());
    watch.every = Duration::from_millis(5);
    let mut told = Vec::new();
    let mut progress = |p: syncferry_shared::progress::Progress| {
        told.push((p.done, p.left_ms));
        seen.notify_one();
    };
    let cancel = CancellationToken::new();
    run_watched(
        &mut work,
        watch,
        &statement("RESTORE"),
        "RESTORE DATABASE",
        &cancel,
        &mut progress,
    )
    .await
    .unwrap();
    assert_eq!(told, [(42, Some(1500))]);
    // The monitor session was left in order.
    assert!(monitor.query(&statement("dm_exec_requests")).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_move_is_cancelled() {
    let server = Server::start(|sql| {
        if sql.contains("dm_exec_requests") {
            return view(10.0);
        }
        vec![Step::UntilCancelled]
    })
    .await;
    let mut work = SqlSession::connect(&server.instance, Role::Work).await.unwrap();
    let mut monitor = SqlSession::connect(&server.instance, Role::Monitor).await.unwrap();
    let mut watch = Watch::new(Some(&mut monitor), server.instance.application_name());
    watch.every = Duration::from_millis(5);
    watch.stall_after = Duration::from_millis(50);
    let cancel = CancellationToken::new();
    let failed = run_watched(
        &mut work,
        watch,
        &statement("BACKUP"),
        "BACKUP DATABASE",
        &cancel,
        &mut |_| {},
    )
    .await
    .unwrap_err();
    assert_eq!(failed.kind, SqlErrorKind::Stalled, "{failed}");
    assert!(!cancel.is_cancelled());
    server.stop().await;
}
