//! Enrolment: a token is for one host and one use; what comes out is an identity that can be renewed once per generation.

use syncferry_proto::transport::{EnrolmentToken, Identity, connect_pinned, csr};
use syncferry_proto::v1;
use syncferry_proto::v1::enrolment_client::EnrolmentClient;
use syncferry_shared::Millis;
use syncferry_store::{NewToken, Store};
use syncferry_store_sqlite::{Options, SqliteStore};
use tonic::Code;

use crate::support::{Controller, dial, enrol, patient};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_once() {
    let controller = Controller::start(patient()).await;
    let operator = controller.operator();
    operator.add_site("contoso", 1).await;
    let token = operator.add_host("contoso", "SQL01", &["sql-host"]).await;
    let (first, _) = enrol(&controller.address, &token).await.unwrap();
    assert_eq!((first.host_name.as_str(), first.generation), ("SQL01", 1));
    let second = enrol(&controller.address, &token).await.unwrap_err();
    assert_eq!(second.code(), Code::InvalidArgument);
    assert!(
        second.message().contains("syncferry host token"),
        "{}",
        second.message()
    );
    // Another token takes the place over: the same agent, the next generation.
    let (again, _) = enrol(&controller.address, &operator.token("SQL01").await)
        .await
        .unwrap();
    assert_eq!((again.agent_id, again.generation), (first.agent_id, 2));
    let kinds: Vec<String> = operator
        .events("agent", "SQL01")
        .await
        .into_iter()
        .map(|e| e.r#type)
        .collect();
    assert_eq!(
        kinds,
        [
            "host.added",
            "token.made",
            "agent.enrolled",
            "token.made",
            "agent.enrolled"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_present_one_token_at_once_one_is_enrolled() {
    let controller = Controller::start(patient()).await;
    let operator = controller.operator();
    operator.add_site("contoso", 1).await;
    let token = operator.add_host("contoso", "SQL01", &["sql-host"]).await;
    let (a, b) = tokio::join!(enrol(&controller.address, &token), enrol(&controller.address, &token));
    assert!(a.is_ok() != b.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused_and_a_bad_request_uses_none_up() {
    let mut controller = Controller::start(patient()).await;
    let operator = controller.operator();
    operator.add_site("contoso", 1).await;
    let good = operator.add_host("contoso", "SQL01", &["sql-host"]).await;
    let parsed: EnrolmentToken = good.parse().unwrap();
    let channel = connect_pinned(&controller.address, parsed.ca_fingerprint).unwrap();
    for csr_pem in [
        "",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        &"x".repeat(100_000),
    ] {
        let request = v1::EnrolRequest {
            token: good.clone(),
            csr_pem: csr_pem.to_string(),
            ..Default::default()
        };
        let refused = EnrolmentClient::new(channel.clone()).enrol(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    for token in ["", "sft1.x.y", "hello"] {
        let request = v1::EnrolRequest {
            token: token.to_string(),
            csr_pem: csr::make().unwrap().csr_pem,
            ..Default::default()
        };
        let refused = EnrolmentClient::new(channel.clone()).enrol(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    // One of the same authority that expired long ago.
    let expired = EnrolmentToken::new(&[7; 32], parsed.ca_fingerprint);
    let host = operator.host("SQL01").await.id.parse().unwrap();
    let path = controller.data_dir().join("store.db");
    controller
        .while_stopped(async || {
            let store = SqliteStore::open(Options::new(path)).await.unwrap();
            let mut tx = store.begin("test").await.unwrap();
            tx.add_token(&NewToken {
                hash: expired.hash(),
                host,
                expires_at: Millis(1_000),
                uses: 1,
                actor: "test".to_string(),
            })
            .await
            .unwrap();
            tx.commit().await.unwrap();
        })
        .await;
    let refused = enrol(&controller.address, expired.text().reveal()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    enrol(&controller.address, &good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_once_per_generation() {
    let controller = Controller::start(patient()).await;
    let operator = controller.operator();
    operator.add_site("contoso", 1).await;
    let token = operator.add_host("contoso", "SQL01", &["sql-host"]).await;
    let (first, key) = enrol(&controller.address, &token).await.unwrap();
    let identity = Identity::from_pem(&first.certificate_pem, &key).unwrap();
    let mut client = v1::agent_client::AgentClient::new(dial(&controller.address, &first.ca_pem, &identity));
    let request = || v1::RenewCertificateRequest {
        csr_pem: csr::make().unwrap().csr_pem,
    };
    let second = client.renew_certificate(request()).await.unwrap().into_inner();
    assert_eq!(second.generation, 2);
    let copied = client.renew_certificate(request()).await.unwrap_err();
    assert_eq!(copied.code(), Code::PermissionDenied);
    assert!(
        copied.message().contains("may have been copied"),
        "{}",
        copied.message()
    );
}
