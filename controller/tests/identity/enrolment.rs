//! The first contact of a host that knows nothing but a token.

use syncferry_controller::identity::new_token;
use syncferry_proto::transport::client::check_authority;
use syncferry_proto::transport::{EnrolmentToken, Peer};

use crate::support::*;

#[tokio::test]
async fn the_token_finds_its_controller() {
    let world = World::new();
    let mut server = serve(&world.controller(), &world.ca(), Guard::Anyone).await;
    let token: EnrolmentToken = new_token(&world.authority).unwrap().text.reveal().parse().unwrap();
    check(&dial_pinned(&server, token.ca_fingerprint)).await.unwrap();
    assert_eq!(server.seen.recv().await.unwrap().peer(), Peer::Anonymous);
    check_authority(&world.ca(), token.ca_fingerprint).unwrap();
}

#[tokio::test]
async fn another_controller_is_refused_before_the_secret_is_said() {
    let (world, other) = (World::new(), World::new());
    let mut server = serve(&other.controller(), &other.ca(), Guard::Anyone).await;
    let text = refused(&dial_pinned(&server, world.authority.fingerprint())).await;
    let pinned = world.authority.fingerprint();
    assert!(
        text.contains(&format!("does not present the authority {pinned}")),
        "{text}"
    );
    assert!(server.seen.try_recv().is_err());
}

#[tokio::test]
async fn presenting_the_authority_is_not_enough() {
    let (world, other) = (World::new(), World::new());
    // Anyone can send the authority's certificate along: it is public.
    let (issued, key) = other.authority.issue_server(&[], DAY, now()).unwrap();
    let chain = format!("{}{}", issued.cert_pem, world.ca());
    let impostor = syncferry_proto::transport::Identity::from_pem(&chain, &key).unwrap();
    let server = serve(&impostor, &other.ca(), Guard::Anyone).await;
    let text = refused(&dial_pinned(&server, world.authority.fingerprint())).await;
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn an_agent_cannot_enrol_others() {
    let world = World::new();
    let (issued, key) = world.agent_certificate(agent(1), 1, DAY);
    let chain = format!("{}{}", issued.cert_pem, world.ca());
    let identity = syncferry_proto::transport::Identity::from_pem(&chain, &key).unwrap();
    let server = serve(&identity, &world.ca(), Guard::Anyone).await;
    let text = refused(&dial_pinned(&server, world.authority.fingerprint())).await;
    assert!(text.contains("expected the controller, but agent"), "{text}");
}
