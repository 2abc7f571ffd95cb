//! Databases: one row per physical database, many names, and what becomes of them.

use serde_json::json;
use syncferry_shared::inventory::DatabaseAddress;

use super::Bench;
use super::world::{id, world};
use crate::{DatabaseGuids, IdentityState};

pub(super) async fn keys_and_names(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let db = tx.add_database(&w.database("inst:SQL01|a")).await.unwrap();
    assert!(
        tx.add_database(&w.database("inst:SQL01|a"))
            .await
            .unwrap_err()
            .is_conflict()
    );
    let other = tx.add_database(&w.database("inst:SQL01|b")).await.unwrap();
    let mut nowhere = w.database("inst:SQL01|c");
    nowhere.host = id!(HostId);
    assert!(tx.add_database(&nowhere).await.unwrap_err().is_missing());
    assert_eq!(tx.database(db.id).await.unwrap().as_ref(), Some(&db));
    assert_eq!(tx.database_by_key("inst:SQL01|a").await.unwrap().as_ref(), Some(&db));

    tx.add_database_endpoint(db.id, "SQL01,1433").await.unwrap();
    tx.add_database_endpoint(db.id, "sql01,1433").await.unwrap();
    tx.add_database_endpoint(db.id, "listener").await.unwrap();
    assert!(
        tx.add_database_endpoint(other.id, "LISTENER")
            .await
            .unwrap_err()
            .is_conflict()
    );
    assert!(
        tx.add_database_endpoint(id!(DatabaseId), "x")
            .await
            .unwrap_err()
            .is_missing()
    );
    assert_eq!(tx.database_by_endpoint("Listener").await.unwrap().as_ref(), Some(&db));
    assert_eq!(tx.database_endpoints(db.id).await.unwrap(), ["listener", "SQL01,1433"]);
    assert_eq!(tx.databases(Some(w.site)).await.unwrap().len(), 2);
    assert_eq!(tx.databases(Some(id!(SiteId))).await.unwrap(), vec![]);
}

pub(super) async fn identity_changes_and_retirement(b: Bench) {
    let w = world(&*b.store).await;
    let mut tx = b.store.begin("test").await.unwrap();
    let db = tx.add_database(&w.database("planned:x")).await.unwrap().id;
    tx.add_database_endpoint(db, "SQL01,1433").await.unwrap();
    let guids = DatabaseGuids {
        database: Some(id!(DatabaseId).0),
        family: Some(id!(DatabaseId).0),
        recovery_fork: None,
        service_broker: Some(id!(DatabaseId).0),
        group_database: Some(id!(DatabaseId).0),
    };
    tx.set_database_identity(db, "inst:SQL01|a", &guids, "SQL01\\X")
        .await
        .unwrap();
    let address = DatabaseAddress {
        instance: "x".into(),
        database: "ADSync2".into(),
    };
    tx.set_database_address(db, w.old, &address).await.unwrap();
    tx.set_database_facts(db, &json!({ "size": 1 })).await.unwrap();
    let row = tx.database(db).await.unwrap().unwrap();
    assert_eq!((row.guids, row.server_name.as_str()), (guids, "SQL01\\X"));
    assert_eq!(
        (row.host, row.address, row.facts),
        (w.old, address, json!({ "size": 1 }))
    );

    use IdentityState::{Confirmed, Provisional, Suspect};
    tx.set_identity_state(db, Provisional, Confirmed).await.unwrap();
    let moved = tx.set_identity_state(db, Provisional, Suspect).await.unwrap_err();
    assert!(moved.is_moved() && moved.to_string().contains("confirmed"), "{moved}");

    tx.retire_database(db).await.unwrap();
    assert!(tx.retire_database(db).await.unwrap_err().is_moved());
    assert!(tx.set_database_facts(db, &json!({})).await.unwrap_err().is_moved());
    assert_eq!(
        tx.database(db).await.unwrap().unwrap().identity_state,
        IdentityState::Retired
    );
    let next = tx.add_database(&w.database("inst:SQL01|a")).await.unwrap();
    tx.add_database_endpoint(next.id, "SQL01,1433").await.unwrap();
    assert!(tx.retire_database(id!(DatabaseId)).await.unwrap_err().is_missing());
}
