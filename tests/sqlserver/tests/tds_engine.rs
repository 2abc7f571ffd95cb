//! Microsoft's client against the engine, where both layers have a part: parameters, prepared statements,
//! transactions, KILL, a session that is reset.

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::{PreparedStatement, ResultSet, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::EncryptionSetting;
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::datatypes::sql_string::SqlString;
use mssql_tds::datatypes::sqltypes::SqlType;
use mssql_tds::error::Error;
use mssql_tds::message::parameters::rpc_parameters::{RpcParameter, StatusFlags};
use mssql_tds::message::transaction_management::TransactionIsolationLevel;
use syncferry_sqlserver::engine::Instance;
use syncferry_sqlserver::server::serve;
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "Passw0rd!";

struct Server {
    port: u16,
    shutdown: CancellationToken,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let sample = AdSync {
            data_folder: String::new(),
            objects: 200,
            ..AdSync::new(now)
        };
        let spec = InstanceSpec::standard_2022("SQL01", None, now)
            .sa_password(PASSWORD)
            .database(adsync(&sample));
        drop(spec.create(dir.path()).unwrap());
        let instance = Instance::open(dir.path()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(instance, listener, shutdown.clone()));
        Self {
            port,
            shutdown,
            _dir: dir,
        }
    }

    async fn client(&self) -> TdsClient {
        let mut context = ClientContext::default();
        context.user_name = "sa".into();
        context.password = PASSWORD.into();
        context.encryption_options.mode = EncryptionSetting::PreferOff;
        TdsConnectionProvider {}
            .create_client(context, &format!("tcp:localhost,{}", self.port), None)
            .await
            .unwrap()
    }
}

async fn value(client: &mut TdsClient, sql: &str) -> ColumnValues {
    client.execute(sql.into(), ()).await.unwrap();
    first(client).await
}

async fn first(client: &mut TdsClient) -> ColumnValues {
    let row = client.next_row().await.unwrap().unwrap();
    client.close_query().await.unwrap();
    row[0].clone()
}

fn param(name: &str, value: SqlType) -> RpcParameter {
    RpcParameter::new(Some(name.into()), StatusFlags::NONE, value)
}

fn text(text: &str) -> SqlType {
    SqlType::NVarchar(Some(SqlString::from_utf8_string(text.into())), 128)
}

#[tokio::test]
async fn parameters_are_used() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let sql = "SELECT database_id FROM sys.databases WHERE name = @name AND @flag = 1";
    let params = vec![param("@name", text("master")), param("@flag", SqlType::Bit(Some(true)))];
    client.execute_sp_executesql(sql.into(), params, ()).await.unwrap();
    assert_eq!(first(&mut client).await, ColumnValues::Int(1));
}

#[tokio::test]
async fn a_prepared_statement_runs_twice() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let mut statement = PreparedStatement::new("SELECT @a + 1");
    for number in [1, 41] {
        let params = vec![param("@a", SqlType::Int(Some(number)))];
        client
            .execute_prepared(&mut statement, params, &mut None, ())
            .await
            .unwrap();
        assert_eq!(first(&mut client).await, ColumnValues::Int(number + 1));
    }
}

#[tokio::test]
async fn transactions_without_sql_commit_and_roll_back() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client
        .execute("USE ADSync; CREATE TABLE dbo.t (n int NOT NULL)".into(), ())
        .await
        .unwrap();
    client.close_query().await.unwrap();
    assert_eq!(client.database(), "ADSync");
    for (commit, rows) in [(false, 0), (true, 1)] {
        client
            .begin_transaction(TransactionIsolationLevel::NoChange, None)
            .await
            .unwrap();
        assert_eq!(value(&mut client, "SELECT @@TRANCOUNT").await, ColumnValues::Int(1));
        client.execute("INSERT dbo.t (n) VALUES (1)".into(), ()).await.unwrap();
        client.close_query().await.unwrap();
        if commit {
            client.commit_transaction(None, None).await.unwrap();
        } else {
            client.rollback_transaction(None, None).await.unwrap();
        }
        assert_eq!(
            value(&mut client, "SELECT COUNT(*) FROM dbo.t").await,
            ColumnValues::Int(rows)
        );
        assert!(!client.has_active_transaction());
    }
}

#[tokio::test]
async fn kill_closes_the_other_connection() {
    let server = Server::start().await;
    let (mut victim, mut killer) = (server.client().await, server.client().await);
    let ColumnValues::SmallInt(spid) = value(&mut victim, "SELECT @@SPID").await else {
        panic!()
    };
    let (waited, killed) = tokio::join!(victim.execute("WAITFOR DELAY '00:01:00'".into(), ()), async {
        let waiting = format!("SELECT COUNT(*) FROM sys.dm_exec_requests WHERE session_id = {spid}");
        while value(&mut killer, &waiting).await != ColumnValues::Int(1) {}
        killer.execute(format!("KILL {spid}"), ()).await
    });
    killed.unwrap();
    killer.close_query().await.unwrap();
    match waited {
        Err(Error::SqlServerError { diagnostics }) => assert_eq!(diagnostics.errors[0].number, 596),
        other => panic!("{other:?}"),
    }
    let sessions = format!("SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = {spid}");
    while value(&mut killer, &sessions).await != ColumnValues::Int(0) {}
}

#[tokio::test]
async fn a_reset_session_is_in_its_first_database_without_locks() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client
        .execute("USE ADSync; SET LOCK_TIMEOUT 5".into(), ())
        .await
        .unwrap();
    client.close_query().await.unwrap();
    client.prepare_reset_connection(false);
    let ColumnValues::String(name) = value(&mut client, "SELECT DB_NAME()").await else {
        panic!()
    };
    assert_eq!(name.to_utf8_string(), "master");
    assert_eq!(value(&mut client, "SELECT @@LOCK_TIMEOUT").await, ColumnValues::Int(-1));
}
