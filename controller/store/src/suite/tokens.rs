//! Enrolment tokens and operators.

use super::Bench;
use super::world::{id, later, world};
use crate::{NewOperator, NewToken};

pub(super) async fn are_used_up_and_expire(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let token = |hash: &str, uses, expires_at| NewToken {
        hash: hash.into(),
        host: w.sql,
        expires_at,
        uses,
        actor: "operator:ada".into(),
    };
    let (soon, late) = (later(tx.as_ref(), 100), later(tx.as_ref(), 100_000));
    tx.add_token(&token("twice", 2, late)).await.unwrap();
    tx.add_token(&token("soon", 1, soon)).await.unwrap();
    assert!(tx.add_token(&token("soon", 1, soon)).await.unwrap_err().is_conflict());
    assert_eq!(tx.tokens().await.unwrap().len(), 2);
    assert_eq!(tx.consume_token("twice").await.unwrap().unwrap().uses_left, 1);
    assert_eq!(tx.consume_token("twice").await.unwrap().unwrap().host, w.sql);
    assert_eq!(tx.consume_token("twice").await.unwrap(), None);
    assert_eq!(tx.consume_token("never").await.unwrap(), None);
    tx.commit().await.unwrap();

    b.time.advance(100).await;
    let mut tx = b.store.begin("test").await.unwrap();
    assert_eq!(tx.consume_token("soon").await.unwrap(), None);
    assert_eq!(tx.tokens().await.unwrap(), vec![]);
}

pub(super) async fn operators_are_revoked_once(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    let operator = |name: &str, fingerprint: &str| NewOperator {
        id: id!(OperatorId),
        name: name.into(),
        fingerprint: fingerprint.into(),
        serial: "01".into(),
    };
    let ada = tx.add_operator(&operator("ada", "f1")).await.unwrap();
    assert!(tx.add_operator(&operator("Ada", "f2")).await.unwrap_err().is_conflict());
    assert!(tx.add_operator(&operator("bob", "f1")).await.unwrap_err().is_conflict());
    tx.add_operator(&operator("bob", "f2")).await.unwrap();
    assert_eq!(tx.operator_with("f1").await.unwrap().as_ref(), Some(&ada));
    assert_eq!(tx.operator_named("ADA").await.unwrap().as_ref(), Some(&ada));
    assert_eq!(tx.operators().await.unwrap().len(), 2);
    tx.revoke_operator(ada.id).await.unwrap();
    assert!(tx.revoke_operator(ada.id).await.unwrap_err().is_moved());
    assert_eq!(tx.operator(ada.id).await.unwrap().unwrap().revoked_at, Some(tx.now()));
    let renewed = tx.set_operator_certificate(ada.id, "f3", "02").await.unwrap();
    assert_eq!((renewed.revoked_at, renewed.fingerprint.as_str()), (None, "f3"));
    assert_eq!(tx.operator_with("f1").await.unwrap(), None);
    assert!(tx.revoke_operator(id!(OperatorId)).await.unwrap_err().is_missing());
}
