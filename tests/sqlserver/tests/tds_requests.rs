//! Requests and answers with Microsoft's client: types, messages, large data, procedures, transactions, cancelling.

#[expect(dead_code, reason = "each test binary uses a part of it")]
mod tds_support;

use std::sync::Arc;

use mssql_tds::connection::tds_client::{ExecuteOptions, ResultSet, StatementResult, StreamedParamStatus};
use mssql_tds::core::CancelHandle;
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType as ClientType;
use mssql_tds::error::Error;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags, StreamedSqlType};
use mssql_tds::message::transaction_management::TransactionIsolationLevel;
use syncferry_sqlserver::tds::backend::TransactionRequest;
use syncferry_sqlserver::types::{DoneKind, SqlType, Token, Value};
use tds_support::{Asked, Server, Step, columns, done, error, failed, info, one_row, row};
use time::macros::{date, datetime, time};
use tokio::sync::Notify;
use uuid::Uuid;

fn text(value: &ColumnValues) -> String {
    match value {
        ColumnValues::String(text) => text.to_utf8_string(),
        ColumnValues::Xml(xml) => xml.as_string(),
        other => format!("{other:?}"),
    }
}

fn every_type() -> Vec<(SqlType, Value)> {
    vec![
        (SqlType::Bit, Value::Bit(true)),
        (SqlType::TinyInt, Value::Int(255)),
        (SqlType::SmallInt, Value::Int(-2)),
        (SqlType::Int, Value::Int(-3)),
        (SqlType::BigInt, Value::Int(i64::MIN)),
        (SqlType::Float, Value::Float(1.5)),
        (SqlType::Real, Value::Float(2.5)),
        (
            SqlType::Numeric {
                precision: 25,
                scale: 0,
            },
            Value::Decimal(37_000_000_033_600_001, 0),
        ),
        (SqlType::Numeric { precision: 5, scale: 2 }, Value::Decimal(-12_345, 2)),
        (SqlType::Money, Value::Decimal(-50_000, 4)),
        (
            SqlType::Guid,
            Value::Guid(Uuid::from_u128(0x0123_4567_89AB_CDEF_0011_2233_4455_6677)),
        ),
        (SqlType::DateTime, Value::DateTime(datetime!(2026-02-03 04:05:06.5))),
        (SqlType::SmallDateTime, Value::DateTime(datetime!(2026-02-03 04:05))),
        (SqlType::Date, Value::Date(date!(2026 - 02 - 03))),
        (SqlType::Time(7), Value::Time(time!(4:05:06.123_456_7))),
        (
            SqlType::DateTime2(7),
            Value::DateTime(datetime!(2026-02-03 04:05:06.123_456_7)),
        ),
        (
            SqlType::DateTimeOffset(7),
            Value::DateTimeOffset(datetime!(2026-02-03 04:05:06 +02:00)),
        ),
        (SqlType::Char(4), Value::Str("ä".into())),
        (SqlType::VarChar(Some(10)), Value::Str("€uro".into())),
        (SqlType::VarChar(None), Value::Str("max".into())),
        (SqlType::NChar(3), Value::Str("Ж".into())),
        (SqlType::NVarChar(Some(128)), Value::Str("日本".into())),
        (SqlType::NVarChar(None), Value::Str("".into())),
        (SqlType::Binary(3), Value::Bytes([1, 2].into())),
        (SqlType::VarBinary(Some(85)), Value::Bytes([1].into())),
        (SqlType::VarBinary(None), Value::Bytes([9, 9].into())),
        (SqlType::Xml, Value::Str("<a/>".into())),
        (SqlType::Variant, Value::Int(7)),
        (SqlType::Variant, Value::Str("variant".into())),
    ]
}

#[tokio::test]
async fn every_type_is_read_by_the_client() {
    let server = Server::start(|_| {
        let types: Vec<_> = every_type().into_iter().map(|(ty, _)| ty).collect();
        let values: Vec<_> = every_type().into_iter().map(|(_, value)| value).collect();
        let nulls = vec![Value::Null; types.len()];
        vec![
            columns(&types),
            row(values.clone()),
            row(nulls),
            row(values),
            done(false, Some(3), 193),
        ]
    })
    .await;
    let mut client = server.client().await;
    assert_eq!(
        client.execute("SELECT".into(), ()).await.unwrap(),
        StatementResult::Rows
    );
    let first = client.next_row().await.unwrap().unwrap();
    let shown: Vec<String> = first.iter().map(text).collect();
    let nulls = client.next_row().await.unwrap().unwrap();
    assert!(nulls.iter().all(|value| *value == ColumnValues::Null));
    let again = client.next_row().await.unwrap().unwrap();
    assert_eq!(again, first);
    assert_eq!(client.next_row().await.unwrap(), None);
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test]
async fn progress_is_seen_while_the_statement_runs() {
    let proceed = Arc::new(Notify::new());
    let waiting = Arc::clone(&proceed);
    let server = Server::start(move |_| {
        let mut steps = Vec::new();
        for percent in [10, 20, 30] {
            steps.push(info(3211, &format!("{percent} percent processed.")));
            steps.push(done(true, None, 228));
            steps.push(Step::Wait(Arc::clone(&waiting)));
        }
        steps.push(info(3014, "BACKUP DATABASE successfully processed 1 pages."));
        steps.push(done(false, None, 228));
        steps
    })
    .await;
    let mut client = server.client().await;
    client.execute("BACKUP".into(), ()).await.unwrap();
    for percent in [10, 20, 30] {
        let messages = client.take_info_messages();
        assert_eq!(messages.len(), 1, "at {percent}");
        assert_eq!(messages[0].message, format!("{percent} percent processed."));
        assert_eq!(messages[0].server_name.as_deref(), Some("SQL01\\INST"));
        proceed.notify_one();
        client.advance().await.unwrap();
    }
    assert_eq!(client.take_info_messages()[0].number, 3014);
    assert_eq!(client.advance().await.unwrap(), StatementResult::End);
}

#[tokio::test]
async fn several_results_and_errors_come_in_order() {
    let server = Server::start(|_| {
        vec![
            columns(&[SqlType::Int]),
            row(vec![Value::Int(1)]),
            done(true, Some(1), 193),
            columns(&[SqlType::NVarChar(Some(10)), SqlType::Int]),
            row(vec![Value::Str("two".into()), Value::Null]),
            done(true, Some(1), 193),
            error(
                3201,
                "Cannot open backup device 'D:\\x.bak'. Operating system error 5(Access is denied.).",
            ),
            error(3013, "BACKUP DATABASE is terminating abnormally."),
            failed(false),
        ]
    })
    .await;
    let mut client = server.client().await;
    assert_eq!(
        client.execute("SELECT".into(), ()).await.unwrap(),
        StatementResult::Rows
    );
    assert_eq!(client.next_row().await.unwrap(), Some(vec![ColumnValues::Int(1)]));
    assert_eq!(client.advance().await.unwrap(), StatementResult::Rows);
    assert_eq!(client.get_metadata().len(), 2);
    match client.advance().await {
        Err(Error::SqlServerError { diagnostics }) => {
            let numbers: Vec<u32> = diagnostics.errors.iter().map(|error| error.number).collect();
            assert_eq!(numbers, [3201, 3013]);
        }
        other => panic!("{other:?}"),
    }
    // The connection goes on.
    let _ = client.execute("SELECT".into(), ()).await.unwrap();
}

#[tokio::test]
async fn a_megabyte_goes_both_ways() {
    for packet_size in [512, 4096, 32_767] {
        let server = Server::start(|asked| {
            let Asked::Batch(sql) = asked else { panic!("{asked:?}") };
            one_row(vec![(SqlType::NVarChar(None), Value::Str(sql.as_str().into()))])
        })
        .await;
        let mut context = server.context();
        context.packet_size = packet_size;
        let mut client = server.connect(context).await.unwrap();
        let sql = "Grüße 😀 ".repeat(130_000);
        client.execute(sql.clone(), ()).await.unwrap();
        let rows = client.next_row().await.unwrap().unwrap();
        assert!(text(&rows[0]) == sql, "at packet size {packet_size}");
    }
}

#[tokio::test]
async fn many_rows_arrive_whole() {
    let server = Server::start(|_| {
        let mut steps = vec![columns(&[SqlType::Int, SqlType::NVarChar(Some(50))])];
        for index in 0..20_000 {
            steps.push(row(vec![Value::Int(index), Value::Str(format!("row {index}").into())]));
        }
        steps.push(done(false, Some(20_000), 193));
        steps
    })
    .await;
    let mut client = server.client().await;
    client.execute("SELECT".into(), ()).await.unwrap();
    let mut count = 0;
    while let Some(row) = client.next_row().await.unwrap() {
        assert_eq!(row[0], ColumnValues::Int(count));
        count += 1;
    }
    assert_eq!(count, 20_000);
}

fn param(name: &str, value: ClientType) -> RpcParameter {
    RpcParameter::new(Some(name.into()), StatusFlags::NONE, value)
}

#[tokio::test]
async fn parameters_of_sp_executesql_arrive() {
    let server = Server::start(|_| one_row(vec![(SqlType::Int, Value::Int(1))])).await;
    let mut client = server.client().await;
    let long = "x".repeat(10_000);
    let params = vec![
        param("@number", ClientType::Int(Some(5))),
        param(
            "@name",
            ClientType::NVarchar(Some(SqlString::from_utf8_string("Ädsync".into())), 128),
        ),
        param(
            "@long",
            ClientType::NVarcharMax(Some(SqlString::from_utf8_string(long.clone()))),
        ),
        param("@nothing", ClientType::BigInt(None)),
        param("@flag", ClientType::Bit(Some(true))),
        param("@guid", ClientType::Uuid(Some(Uuid::from_u128(5)))),
        param("@bytes", ClientType::VarBinary(Some(vec![1, 2, 3]), 85)),
    ];
    let sql = "SELECT @number, @name, @long, @nothing, @flag, @guid, @bytes";
    client.execute_sp_executesql(sql.into(), params, ()).await.unwrap();
    client.close_query().await.unwrap();
    let asked = server.stub.asked.lock().unwrap().clone();
    let [Asked::Rpc(call)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(call.name, "sp_executesql");
    assert_eq!(call.params[0].value, Value::Str(sql.into()));
    assert!(
        matches!(&call.params[1].value, Value::Str(text) if text.contains("@flag bit")),
        "{:?}",
        call.params[1]
    );
    let values: Vec<_> = call.params[2..]
        .iter()
        .map(|param| (param.name.as_str(), param.value.clone()))
        .collect();
    assert_eq!(
        values,
        [
            ("@number", Value::Int(5)),
            ("@name", Value::Str("Ädsync".into())),
            ("@long", Value::Str(long.into())),
            ("@nothing", Value::Null),
            // This client sends a bit as INTN of one byte; the declaration says what it is.
            ("@flag", Value::Int(1)),
            ("@guid", Value::Guid(Uuid::from_u128(5))),
            ("@bytes", Value::Bytes([1, 2, 3].into())),
        ]
    );
}

#[tokio::test]
async fn a_procedure_returns_status_and_output() {
    let server = Server::start(|_| {
        vec![
            Step::Send(Token::Columns(vec![])),
            Step::Send(Token::Done {
                kind: DoneKind::DoneInProc,
                more: true,
                error: false,
                count: None,
                cur_cmd: 0,
            }),
            Step::Send(Token::ReturnStatus(-1)),
            Step::Send(Token::ReturnValue {
                name: "@out".into(),
                ty: SqlType::Int,
                value: Value::Int(99),
            }),
            Step::Send(Token::Done {
                kind: DoneKind::DoneProc,
                more: false,
                error: false,
                count: None,
                cur_cmd: 224,
            }),
        ]
        .split_off(2)
    })
    .await;
    let mut client = server.client().await;
    let out = RpcParameter::new(Some("@out".into()), StatusFlags::BY_REF_VALUE, ClientType::Int(None));
    client
        .execute_stored_procedure("dbo.p".into(), None, Some(vec![out]), ())
        .await
        .unwrap();
    client.close_query().await.unwrap();
    assert_eq!(client.get_return_status(), Some(-1));
    assert_eq!(client.get_return_values()[0].value, ColumnValues::Int(99));
    let asked = server.stub.asked.lock().unwrap().clone();
    let [Asked::Rpc(call)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!((call.name.as_str(), call.params[0].output), ("dbo.p", true));
}

#[tokio::test]
async fn transactions_without_sql() {
    let server = Server::start(|_| one_row(vec![])).await;
    let mut client = server.client().await;
    client
        .begin_transaction(TransactionIsolationLevel::Serializable, Some("t1".into()))
        .await
        .unwrap();
    assert!(client.has_active_transaction());
    client.save_transaction("s1".into()).await.unwrap();
    client.rollback_transaction(Some("s1".into()), None).await.unwrap();
    let mut client = server.client().await;
    client
        .begin_transaction(TransactionIsolationLevel::NoChange, None)
        .await
        .unwrap();
    client.commit_transaction(None, None).await.unwrap();
    assert!(!client.has_active_transaction());
    let asked = server.stub.asked.lock().unwrap().clone();
    let no_name = String::new;
    assert_eq!(
        asked,
        [
            Asked::Transaction(TransactionRequest::Begin {
                name: "t1".into(),
                isolation: 4
            }),
            Asked::Transaction(TransactionRequest::Save { name: "s1".into() }),
            Asked::Transaction(TransactionRequest::Rollback {
                name: "s1".into(),
                begin_next: false
            }),
            Asked::Transaction(TransactionRequest::Begin {
                name: no_name(),
                isolation: 0
            }),
            Asked::Transaction(TransactionRequest::Commit {
                name: no_name(),
                begin_next: false
            }),
        ]
    );
}

#[tokio::test]
async fn an_attention_stops_the_statement_and_the_connection_goes_on() {
    let stopped = Arc::new(Notify::new());
    let tell = Arc::clone(&stopped);
    let server = Server::start(move |asked| match asked {
        Asked::Batch(sql) if sql == "BACKUP" => vec![
            info(3211, "10 percent processed."),
            done(true, None, 228),
            Step::UntilCancelled(Arc::clone(&tell)),
            error(3204, "The backup or restore was aborted."),
            error(3013, "BACKUP DATABASE is terminating abnormally."),
            failed(false),
        ],
        _ => one_row(vec![(SqlType::Int, Value::Int(1))]),
    })
    .await;
    let mut client = server.client().await;
    for _ in 0..3 {
        client.execute("BACKUP".into(), ()).await.unwrap();
        assert_eq!(client.take_info_messages().len(), 1);
        client.cancel_query(15).await.unwrap();
        stopped.notified().await;
        client.execute("SELECT 1".into(), ()).await.unwrap();
        assert_eq!(client.next_row().await.unwrap(), Some(vec![ColumnValues::Int(1)]));
        client.close_query().await.unwrap();
    }
}

#[tokio::test]
async fn a_cancel_from_another_task_stops_a_silent_statement() {
    let stopped = Arc::new(Notify::new());
    let tell = Arc::clone(&stopped);
    let server = Server::start(move |asked| match asked {
        Asked::Batch(sql) if sql == "WAIT" => vec![Step::UntilCancelled(Arc::clone(&tell)), done(false, None, 0)],
        _ => one_row(vec![(SqlType::Int, Value::Int(1))]),
    })
    .await;
    let mut client = server.client().await;
    let handle = CancelHandle::new();
    let other = handle.child_handle();
    let (result, ()) = tokio::join!(
        client.execute("WAIT".into(), ExecuteOptions::new().cancel(&other)),
        async {
            while server.stub.asked.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            handle.cancel();
        }
    );
    assert!(matches!(result, Err(Error::OperationCancelledError(_))), "{result:?}");
    stopped.notified().await;
    client.execute("SELECT 1".into(), ()).await.unwrap();
    assert_eq!(client.next_row().await.unwrap(), Some(vec![ColumnValues::Int(1)]));
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_statement() {
    let stopped = Arc::new(Notify::new());
    let tell = Arc::clone(&stopped);
    let server = Server::start(move |_| {
        vec![
            info(3211, "10 percent processed."),
            done(true, None, 228),
            Step::UntilCancelled(Arc::clone(&tell)),
            done(false, None, 228),
        ]
    })
    .await;
    let mut client = server.client().await;
    client.execute("BACKUP".into(), ()).await.unwrap();
    drop(client);
    stopped.notified().await;
    server.stub.closed.notified().await;
}

#[tokio::test]
async fn a_killed_session_loses_its_connection() {
    let server = Server::start(|_| vec![Step::KillMe, Step::UntilCancelled(Arc::default())]).await;
    let mut client = server.client().await;
    match client.execute("KILL 51".into(), ()).await {
        Err(Error::SqlServerError { diagnostics }) => assert_eq!(diagnostics.errors[0].number, 596),
        other => panic!("{other:?}"),
    }
    server.stub.closed.notified().await;
    assert!(client.execute("SELECT 1".into(), ()).await.is_err());
}

#[tokio::test]
async fn a_pool_can_reset_the_session() {
    let server = Server::start(|_| one_row(vec![(SqlType::Int, Value::Int(1))])).await;
    let mut client = server.client().await;
    client.prepare_reset_connection(false);
    client.execute("SELECT 1".into(), ()).await.unwrap();
    assert_eq!(client.next_row().await.unwrap(), Some(vec![ColumnValues::Int(1)]));
    client.close_query().await.unwrap();
    assert_eq!(
        *server.stub.asked.lock().unwrap(),
        [Asked::Reset, Asked::Batch("SELECT 1".into())]
    );
}

#[tokio::test]
async fn stopping_the_server_ends_running_statements() {
    let stopped = Arc::new(Notify::new());
    let tell = Arc::clone(&stopped);
    let server = Server::start(move |_| {
        vec![
            info(1, "running"),
            done(true, None, 0),
            Step::UntilCancelled(Arc::clone(&tell)),
            done(false, None, 0),
        ]
    })
    .await;
    let mut client = server.client().await;
    client.execute("WAIT".into(), ()).await.unwrap();
    server.stop().await;
    stopped.notified().await;
}

#[tokio::test]
async fn an_attention_during_unread_rows_is_answered_at_once() {
    let server = Server::start(|asked| match asked {
        Asked::Batch(sql) if sql == "MANY" => {
            let filler = Value::Str("x".repeat(4000).into());
            let mut steps = vec![columns(&[SqlType::NVarChar(Some(4000))])];
            steps.extend((0..10_000).map(|_| row(vec![filler.clone()])));
            steps.push(done(false, Some(10_000), 193));
            steps
        }
        _ => one_row(vec![(SqlType::Int, Value::Int(1))]),
    })
    .await;
    let mut client = server.client().await;
    client.execute("MANY".into(), ()).await.unwrap();
    assert!(client.next_row().await.unwrap().is_some());
    client.cancel_query(15).await.unwrap();
    client.execute("SELECT 1".into(), ()).await.unwrap();
    assert_eq!(client.next_row().await.unwrap(), Some(vec![ColumnValues::Int(1)]));
}

fn streamed() -> Vec<RpcParameter> {
    vec![RpcParameter::data_at_exec(
        Some("@blob".into()),
        StatusFlags::NONE,
        StreamedSqlType::VarBinaryMax,
    )]
}

#[tokio::test]
async fn a_request_that_the_client_takes_back_is_acknowledged() {
    let server = Server::start(|_| one_row(vec![(SqlType::Int, Value::Int(1))])).await;
    let mut client = server.client().await;
    client
        .begin_sp_executesql("SELECT @blob".into(), streamed(), ())
        .await
        .unwrap();
    for _ in 0..10 {
        client.write_streamed_chunk(&[7; 5000]).await.unwrap();
    }
    client.cancel_streamed_write().await;
    assert!(server.stub.asked.lock().unwrap().is_empty());

    client
        .begin_sp_executesql("SELECT @blob".into(), streamed(), ())
        .await
        .unwrap();
    client.write_streamed_chunk(&[7; 5000]).await.unwrap();
    client.write_streamed_chunk(&[8; 5000]).await.unwrap();
    let status = client.end_streamed_param().await.unwrap();
    assert_eq!(status, StreamedParamStatus::Complete(StatementResult::Rows));
    client.close_query().await.unwrap();
    let asked = server.stub.asked.lock().unwrap().clone();
    let [Asked::Rpc(call)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    let blob: Vec<u8> = [[7; 5000], [8; 5000]].concat();
    assert_eq!(call.params[2].value, Value::Bytes(blob.into()));
}

#[tokio::test]
async fn an_error_of_severity_20_ends_the_connection() {
    let server = Server::start(|_| {
        vec![
            Step::Send(Token::Error(tds_support::message(
                824,
                24,
                "a logical consistency-based I/O error",
            ))),
            failed(false),
        ]
    })
    .await;
    let mut client = server.client().await;
    match client.execute("SELECT".into(), ()).await {
        Err(Error::SqlServerError { diagnostics }) => assert_eq!(diagnostics.errors[0].number, 824),
        other => panic!("{other:?}"),
    }
    server.stub.closed.notified().await;
    assert!(client.execute("SELECT".into(), ()).await.is_err());
}
