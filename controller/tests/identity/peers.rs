//! Who gets in, and whom we believe to have reached.

use syncferry_proto::transport::{ExpectedPeer, Peer};
use syncferry_shared::Millis;
use tonic::Code;

use crate::support::*;

#[tokio::test]
async fn an_operator_is_let_in() {
    let world = World::new();
    let mut server = serve(&world.controller(), &world.ca(), Guard::Operators).await;
    let operator = world.operator();
    check(&dial_controller(&server, &world, Some(operator.clone())))
        .await
        .unwrap();
    let seen = server.seen.recv().await.unwrap();
    assert_eq!(seen.peer_certificate, Some(operator.certificate()));
    assert!(seen.remote_addr.ip().is_loopback());
}

#[tokio::test]
async fn nobody_is_let_in_nowhere_but_where_anyone_is() {
    let world = World::new();
    for (guard, expected) in [
        (Guard::Operators, Some("operator's")),
        (Guard::Agents, Some("agent's")),
        (Guard::Anyone, None),
    ] {
        let mut server = serve(&world.controller(), &world.ca(), guard).await;
        let result = check(&dial_controller(&server, &world, None)).await;
        assert_eq!(server.seen.recv().await.unwrap().peer(), Peer::Anonymous);
        match expected {
            Some(kind) => {
                let status = result.unwrap_err();
                assert_eq!(status.code(), Code::Unauthenticated);
                assert!(status.message().contains(kind), "{}", status.message());
            }
            None => result.unwrap(),
        }
    }
}

#[tokio::test]
async fn the_wrong_kind_of_certificate_is_denied() {
    let world = World::new();
    let operators = serve(&world.controller(), &world.ca(), Guard::Operators).await;
    let status = check(&dial_controller(&operators, &world, Some(world.agent(agent(1)))))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("is that of agent"), "{}", status.message());

    let agents = serve(&world.controller(), &world.ca(), Guard::Agents).await;
    check(&dial_controller(&agents, &world, Some(world.agent(agent(1)))))
        .await
        .unwrap();
    let status = check(&dial_controller(&agents, &world, Some(world.operator())))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_client_of_another_authority_is_refused_even_where_anyone_is_let_in() {
    let (world, other) = (World::new(), World::new());
    let mut server = serve(&world.controller(), &world.ca(), Guard::Anyone).await;
    let text = refused(&dial_controller(&server, &world, Some(other.operator()))).await;
    assert!(text.contains("it is from another authority"), "{text}");
    assert!(
        server.seen.try_recv().is_err(),
        "the request must not reach the service"
    );
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (world, other) = (World::new(), World::new());
    let server = serve(&other.controller(), &other.ca(), Guard::Anyone).await;
    let text = refused(&dial_controller(&server, &world, None)).await;
    assert!(
        text.contains("UnknownIssuer") && text.contains("is not from our authority"),
        "{text}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let world = World::new();
    let server = serve(&world.controller(), &world.ca(), Guard::Anyone).await;
    let expired = world.operator_issued(now().plus(-10 * Millis::DAY));
    let text = refused(&dial_controller(&server, &world, Some(expired))).await;
    assert!(text.contains("our certificate is not valid now"), "{text}");
}

/// At the controller and at another agent's transfer port alike.
#[tokio::test]
async fn a_foreign_or_expired_agent_is_refused_and_told_what_to_do() {
    let (world, other) = (World::new(), World::new());
    let servers = [
        (world.controller(), ExpectedPeer::Controller),
        (world.agent(agent(9)), ExpectedPeer::Agent(agent(9))),
    ];
    for (identity, expected) in servers {
        let mut server = serve(&identity, &world.ca(), Guard::Agents).await;
        let foreign = other.agent(agent(1));
        let text = refused(&dial(server.address, world.ca(), Some(foreign), expected)).await;
        assert!(
            text.contains("it is from another authority; enrol with this controller"),
            "{text}"
        );
        let expired = world.agent_issued(agent(1), now().plus(-10 * Millis::DAY));
        let text = refused(&dial(server.address, world.ca(), Some(expired), expected)).await;
        assert!(text.contains("our certificate is not valid now; enrol again"), "{text}");
        assert!(server.seen.try_recv().is_err(), "no request may reach the service");
    }
}

#[tokio::test]
async fn an_agent_reaches_the_agent_it_means() {
    let world = World::new();
    let source = world.agent(agent(1));
    let mut server = serve(&source, &world.ca(), Guard::Agents).await;
    let target = world.agent(agent(2));
    let right = dial(
        server.address,
        world.ca(),
        Some(target.clone()),
        ExpectedPeer::Agent(agent(1)),
    );
    check(&right).await.unwrap();
    assert_eq!(server.seen.recv().await.unwrap().peer(), Peer::Agent(agent(2)));

    let wrong = dial(
        server.address,
        world.ca(),
        Some(target.clone()),
        ExpectedPeer::Agent(agent(3)),
    );
    let text = refused(&wrong).await;
    let (meant, found) = (agent(3), agent(1));
    assert!(
        text.contains(&format!("expected agent {meant}, but agent {found} answered")),
        "{text}"
    );

    // An agent cannot play the controller, though its certificate is good for a server of ours.
    let text = refused(&dial(
        server.address,
        world.ca(),
        Some(target),
        ExpectedPeer::Controller,
    ))
    .await;
    assert!(text.contains("expected the controller, but agent"), "{text}");
}

#[tokio::test]
async fn an_operators_certificate_is_none_of_a_server() {
    let world = World::new();
    let server = serve(&world.operator(), &world.ca(), Guard::Anyone).await;
    assert!(check(&dial_controller(&server, &world, None)).await.is_err());
}
