//! Broken and hostile bytes on the socket: the server closes that connection and serves the next.

#[expect(dead_code, reason = "each test binary uses a part of it")]
mod tds_support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use syncferry_sqlserver::types::{SqlType, Value};
use tds_support::{Server, one_row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A PRELOGIN that asks for no encryption at all.
const PLAIN_PRELOGIN: [u8; 15] = [0x12, 1, 0, 15, 0, 0, 1, 0, 1, 0, 6, 0, 1, 0xFF, 2];

async fn throw(server: &Server, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may close in the middle of it.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
}

#[test]
fn garbage_never_takes_the_server_down() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(|_| one_row(vec![(SqlType::Int, Value::Int(1))])));
    let mut runner = TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let packet = (
        prop::sample::select(vec![0x01_u8, 0x03, 0x0E, 0x10, 0x12, 0x16, 0x06, 0x99]),
        any::<Vec<u8>>(),
    );
    let case = (any::<bool>(), prop::collection::vec(packet, 0..4), any::<Vec<u8>>());
    runner
        .run(&case, |(prelogin, packets, tail)| {
            let mut bytes = if prelogin { PLAIN_PRELOGIN.to_vec() } else { Vec::new() };
            for (kind, body) in packets {
                bytes.extend([kind, 1]);
                bytes.extend((body.len() as u16 + 8).to_be_bytes());
                bytes.extend([0, 0, 1, 0]);
                bytes.extend(body);
            }
            bytes.extend(tail);
            runtime.block_on(throw(&server, &bytes));
            Ok(())
        })
        .unwrap();
    runtime.block_on(async {
        let mut client = server.client().await;
        client.execute("SELECT 1".into(), ()).await.unwrap();
        server.stop().await;
    });
}
