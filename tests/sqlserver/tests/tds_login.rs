//! Logging in with Microsoft's client: every kind of encryption, the login's fields, refusals.

#[expect(dead_code, reason = "each test binary uses a part of it")]
mod tds_support;

use mssql_tds::connection::tds_client::ResultSet;
use mssql_tds::core::EncryptionSetting;
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::error::Error;
use syncferry_sqlserver::types::{SqlType, Value};
use tds_support::{Server, one_row};

async fn one_server(force: bool) -> Server {
    Server::start_with(force, |_| one_row(vec![(SqlType::Int, Value::Int(42))])).await
}

async fn works_with(server: &Server, mode: EncryptionSetting) {
    let mut context = server.context();
    context.encryption_options.mode = mode;
    if mode == EncryptionSetting::Strict {
        context.encryption_options.trust_server_certificate = false;
        context.encryption_options.server_certificate = Some(server.dir.path().join("tls-certificate.pem"));
    }
    let mut client = server
        .connect(context)
        .await
        .unwrap_or_else(|error| panic!("{mode:?}: {error}"));
    client.execute("SELECT 42".into(), ()).await.unwrap();
    assert_eq!(
        client.next_row().await.unwrap(),
        Some(vec![ColumnValues::Int(42)]),
        "{mode:?}"
    );
    client.close_query().await.unwrap();
}

#[tokio::test]
async fn every_encryption_mode_works() {
    let server = one_server(false).await;
    for mode in [
        EncryptionSetting::PreferOff,
        EncryptionSetting::On,
        EncryptionSetting::Required,
        EncryptionSetting::Strict,
    ] {
        works_with(&server, mode).await;
    }
    let encrypted: Vec<bool> = server
        .stub
        .logins
        .lock()
        .unwrap()
        .iter()
        .map(|login| login.encrypted)
        .collect();
    assert_eq!(encrypted, [false, true, true, true]);
    server.stop().await;
}

#[tokio::test]
async fn forced_encryption_encrypts_clients_that_prefer_not_to() {
    let server = one_server(true).await;
    works_with(&server, EncryptionSetting::PreferOff).await;
    assert!(server.stub.logins.lock().unwrap()[0].encrypted);
}

#[tokio::test]
async fn the_login_arrives_whole() {
    let server = one_server(false).await;
    let mut context = server.context();
    context.database = "ADSync".into();
    let client = server.connect(context).await.unwrap();
    assert_eq!(client.database(), "ADSync");
    assert_eq!(client.language(), "us_english");
    assert_eq!(client.server_version().map(|version| version.major), Some(16));
    let login = server.stub.logins.lock().unwrap()[0].clone();
    assert_eq!((login.user.as_str(), login.password.as_str()), ("sa", "Passw0rd!ä"));
    assert_eq!(
        (login.host_name.as_str(), login.app_name.as_str()),
        ("CONNECT01", "adsync-agent/run-1")
    );
    assert_eq!(
        (login.database.as_str(), login.client_address.as_str()),
        ("ADSync", "127.0.0.1")
    );
    // This client sends no process id.
    assert_eq!(login.client_pid, 0);
}

fn numbers(error: &Error) -> Vec<u32> {
    match error {
        Error::SqlServerError { diagnostics } => diagnostics.errors.iter().map(|error| error.number).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_refused_login_says_why_in_every_encryption_mode() {
    let server = one_server(false).await;
    for mode in [EncryptionSetting::PreferOff, EncryptionSetting::On] {
        let mut context = server.context();
        context.encryption_options.mode = mode;
        context.password = "wrong".into();
        assert_eq!(numbers(&server.connect(context).await.err().unwrap()), [18456]);
        let mut context = server.context();
        context.encryption_options.mode = mode;
        context.database = "missing".into();
        assert_eq!(numbers(&server.connect(context).await.err().unwrap()), [4060, 18456]);
    }
}

#[tokio::test]
async fn a_large_packet_size_is_agreed_on() {
    let server = one_server(false).await;
    for (asked, agreed) in [(512, 512), (8000, 8000), (32_767, 32_767)] {
        let mut context = server.context();
        context.packet_size = asked;
        let client = server.connect(context).await.unwrap();
        assert_eq!(client.packet_size(), agreed);
    }
}

#[tokio::test]
async fn a_login_of_several_packets_is_put_together() {
    let server = one_server(false).await;
    for mode in [EncryptionSetting::PreferOff, EncryptionSetting::On] {
        let mut context = server.context();
        context.encryption_options.mode = mode;
        context.packet_size = 512;
        context.application_name = "a".repeat(128);
        context.workstation_id = "w".repeat(128);
        context.library_name = "l".repeat(128);
        context.database = "d".repeat(128);
        context.language = "g".repeat(128);
        // Longer than a path can be, so that the login needs a second packet.
        context.attach_db_file = "f".repeat(2000);
        context.user_name = "u".repeat(128);
        let client = server
            .connect(context)
            .await
            .unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        drop(client);
        assert_eq!(server.stub.logins.lock().unwrap().last().unwrap().user, "u".repeat(128));
    }
}

#[tokio::test]
async fn the_certificate_can_be_pinned_and_is_not_trusted_blindly() {
    let server = one_server(false).await;
    let mut context = server.context();
    context.encryption_options.trust_server_certificate = false;
    let error = server.connect(context).await.err().unwrap();
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    let mut context = server.context();
    context.encryption_options.trust_server_certificate = false;
    context.encryption_options.server_certificate = Some(server.dir.path().join("tls-certificate.pem"));
    server.connect(context).await.unwrap();
}
