//! Certificates that change or end while a process lives.

use std::sync::Arc;
use std::time::Duration;

use syncferry_controller::identity::ServerCertificate;
use syncferry_proto::transport::{Fingerprint, Identity, Limits};
use syncferry_shared::Millis;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::*;

#[tokio::test]
async fn a_renewed_certificate_is_used_by_the_next_connection_of_the_same_channel() {
    let world = World::new();
    let controller = world.controller();
    let mut first = serve(&controller, &world.ca(), Guard::Agents).await;
    let identity = world.agent(agent(1));
    let channel = dial_controller(&first, &world, Some(identity.clone()));
    check(&channel).await.unwrap();
    assert_eq!(first.seen.recv().await.unwrap().peer_certificate.unwrap().generation, 1);

    let (renewed, key) = world.agent_certificate(agent(1), 2, DAY);
    identity.replace(&renewed.cert_pem, &key).unwrap();
    let address = first.address;
    first.stop().await;

    let mut second = serve_at(address, &controller, &world.ca(), Guard::Agents, Limits::default()).await;
    check(&channel).await.unwrap();
    assert_eq!(
        second.seen.recv().await.unwrap().peer_certificate.unwrap().generation,
        2
    );
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let world = World::new();
    let mut server = serve(&world.controller(), &world.ca(), Guard::Agents).await;
    let (short, key) = world.agent_certificate(agent(1), 1, Duration::from_secs(2));
    let identity = Identity::from_pem(&short.cert_pem, &key).unwrap();
    let channel = dial_controller(&server, &world, Some(identity.clone()));
    let mut stream = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(
        server.seen.recv().await.unwrap().peer_certificate.unwrap().generation,
        1
    );

    let (renewed, key) = world.agent_certificate(agent(1), 2, DAY);
    identity.replace(&renewed.cert_pem, &key).unwrap();
    // Nothing else is sent: the stream ends because the certificate does.
    stream.message().await.unwrap_err();
    assert!(now() >= short.certificate.not_after);
    check(&channel).await.unwrap();
    assert_eq!(
        server.seen.recv().await.unwrap().peer_certificate.unwrap().generation,
        2
    );
}

#[tokio::test]
async fn strangers_may_not_stay() {
    let world = World::new();
    let limits = Limits {
        anonymous_lifetime: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = serve_at(
        ([127, 0, 0, 1], 0).into(),
        &world.controller(),
        &world.ca(),
        Guard::Anyone,
        limits,
    )
    .await;
    let channel = dial_controller(&server, &world, None);
    let mut stream = HealthClient::new(channel)
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    // The first message may or may not come before the end; the end must.
    while let Ok(message) = stream.message().await {
        assert!(message.is_some());
    }
}

#[tokio::test]
async fn the_servers_certificate_is_replaced_while_it_listens() {
    let world = World::new();
    let names = vec!["localhost".to_string()];
    let most_of_a_day_ago = now().plus(-Millis::DAY * 9 / 10);
    let certificate = ServerCertificate::new(Arc::clone(&world.authority), names, DAY, most_of_a_day_ago).unwrap();
    let server = serve(certificate.identity(), &world.ca(), Guard::Anyone).await;
    let before = presented(&server).await;
    assert_eq!(before, certificate.identity().certificate().fingerprint);
    assert!(certificate.renew_if_due(now()).unwrap());
    let after = presented(&server).await;
    assert_eq!(after, certificate.identity().certificate().fingerprint);
    assert_ne!(before, after);
    check(&dial_controller(&server, &world, None)).await.unwrap();
}

/// The fingerprint of the certificate that a server presents, seen by a plain TLS client that trusts everybody.
async fn presented(server: &Running) -> Fingerprint {
    use tokio_rustls::{TlsConnector, rustls};
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusting::Everybody))
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), tcp)
        .await
        .unwrap();
    Fingerprint::of_der(&stream.get_ref().1.peer_certificates().unwrap()[0])
}

mod trusting {
    use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use tokio_rustls::rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(super) struct Everybody;

    impl ServerCertVerifier for Everybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
}
