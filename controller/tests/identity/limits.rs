//! Clients that do not behave.

use std::time::Duration;

use syncferry_proto::transport::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

async fn serve_with(world: &World, limits: Limits) -> Running {
    serve_at(
        ([127, 0, 0, 1], 0).into(),
        &world.controller(),
        &world.ca(),
        Guard::Operators,
        limits,
    )
    .await
}

#[tokio::test]
async fn silent_clients_do_not_hold_up_others() {
    let world = World::new();
    let limits = Limits {
        max_handshakes: 8,
        handshake_timeout: Duration::from_secs(600),
        ..Limits::default()
    };
    let server = serve_with(&world, limits).await;
    let mut silent = Vec::new();
    for _ in 0..7 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    check(&dial_controller(&server, &world, Some(world.operator())))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_silent_client_is_dropped_and_the_next_admitted() {
    let world = World::new();
    let limits = Limits {
        max_handshakes: 1,
        handshake_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = serve_with(&world, limits).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    check(&dial_controller(&server, &world, Some(world.operator())))
        .await
        .unwrap();
    // It was admitted first, so its time was up before the other's turn came.
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn garbage_does_not_end_the_stream() {
    let world = World::new();
    let server = serve_with(&world, Limits::default()).await;
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0; 64],
        &[0x16, 3, 1, 0xff, 0xff],
    ] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(garbage).await.unwrap();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut Vec::new()).await.ok();
    }
    check(&dial_controller(&server, &world, Some(world.operator())))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stopped_server_no_longer_listens() {
    let world = World::new();
    let server = serve_with(&world, Limits::default()).await;
    let address = server.address;
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn plaintext_is_explained() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        client.read_to_end(&mut Vec::new()).await.ok();
    });
    let channel = dial(
        address,
        world.ca(),
        None,
        syncferry_proto::transport::ExpectedPeer::Controller,
    );
    let text = refused(&channel).await;
    assert!(text.contains("the other side does not speak TLS"), "{text}");
    answering.await.unwrap();
}
