//! The server as a process of its own: port file, Microsoft's client against the engine, an orderly end.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::{ResultSet, StatementResult, TdsClient};
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::EncryptionSetting;
use mssql_tds::datatypes::column_values::ColumnValues;
use syncferry_sqlserver::cli::{PORT_FILE, ServeArgs, run};
use syncferry_sqlserver::storage::InstanceSpec;
use time::OffsetDateTime;

const ROLE: &str = "SYNCFERRY_TEST_SERVE";
const PASSWORD: &str = "Passw0rd!";

/// What the child process runs; it does nothing when nobody asked for it.
#[test]
fn serve_role() {
    let Some(dir) = std::env::var_os(ROLE) else { return };
    let args = ServeArgs {
        dir: PathBuf::from(dir),
        listen: ([127, 0, 0, 1], 0).into(),
    };
    tokio::runtime::Runtime::new().unwrap().block_on(run(args)).unwrap();
}

/// The process, and its output, which must stay open.
fn start(dir: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve_role", "--nocapture"])
        .env(ROLE, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains("listening on 127.0.0.1:"));
    assert!(listening, "the server did not start");
    (child, lines)
}

async fn connect(dir: &Path) -> TdsClient {
    let port = std::fs::read_to_string(dir.join(PORT_FILE)).unwrap();
    let mut context = ClientContext::default();
    context.user_name = "sa".into();
    context.password = PASSWORD.into();
    context.encryption_options.mode = EncryptionSetting::On;
    context.encryption_options.server_certificate = Some(dir.join("tls-certificate.pem"));
    TdsConnectionProvider {}
        .create_client(context, &format!("tcp:localhost,{port}"), None)
        .await
        .unwrap()
}

/// All informational numbers of a batch, one result after the other.
async fn infos(client: &mut TdsClient, sql: &str) -> Vec<u32> {
    let mut result = client.execute(sql.into(), ()).await.unwrap();
    let mut numbers = Vec::new();
    loop {
        numbers.extend(client.take_info_messages().iter().map(|message| message.number));
        if result == StatementResult::End {
            return numbers;
        }
        result = client.advance().await.unwrap();
    }
}

#[tokio::test]
async fn a_process_serves_and_ends_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let spec = InstanceSpec::standard_2022("SQL01", None, OffsetDateTime::now_utc()).sa_password(PASSWORD);
    let store = spec.create(dir.path()).unwrap();
    store.drives().create_dir(r"D:\Backup").unwrap();
    drop(store);
    let (mut child, _output) = start(dir.path());

    let mut client = connect(dir.path()).await;
    client
        .execute(
            "SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)), 1 + 1".into(),
            (),
        )
        .await
        .unwrap();
    let row = client.next_row().await.unwrap().unwrap();
    assert!(
        matches!(&row[0], ColumnValues::String(name) if name.to_utf8_string() == "SQL01"),
        "{row:?}"
    );
    assert_eq!(row[1], ColumnValues::Int(2));
    client.close_query().await.unwrap();
    let backup = r"BACKUP DATABASE model TO DISK = N'D:\Backup\model.bak' WITH FORMAT, STATS = 50";
    let numbers = infos(&mut client, backup).await;
    assert_eq!(numbers.last(), Some(&3014), "{numbers:?}");
    assert!(numbers.contains(&3211) && numbers.contains(&4035), "{numbers:?}");

    // The client stays connected: the server ends its session.
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert!(child.wait().unwrap().success());
    assert!(!dir.path().join(PORT_FILE).exists());
    assert!(client.execute("SELECT 1".into(), ()).await.is_err());
}
