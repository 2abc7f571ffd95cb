//! Organisations, sites and hosts.

use serde_json::json;

use super::Bench;
use super::world::{id, world};
use crate::{HostRole, NewHost, NewSite};

pub(super) async fn sites_are_unique_by_name_and_may_share_a_tenant(b: Bench) {
    let mut tx = b.store.begin("test").await.unwrap();
    let org = tx.add_org(id!(OrgId), "contoso").await.unwrap();
    assert!(tx.add_org(id!(OrgId), "Contoso").await.unwrap_err().is_conflict());
    let site = |name: &str, tenant: &str| NewSite {
        id: id!(SiteId),
        org: org.id,
        name: name.into(),
        tenant_id: tenant.into(),
        labels: [("tier".to_string(), "one".to_string())].into(),
    };
    let hamburg = tx.add_site(&site("hamburg", "t1")).await.unwrap();
    let taken = tx.add_site(&site("Hamburg", "t2")).await.unwrap_err();
    assert_eq!(taken.to_string(), "test: the name of the site is taken already");
    let berlin = tx.add_site(&site("berlin", "T1")).await.unwrap();
    assert_eq!(berlin.tenant_id, "T1", "kept as it was typed");
    let mut nowhere = site("rome", "t3");
    nowhere.org = id!(OrgId);
    assert!(tx.add_site(&nowhere).await.unwrap_err().is_missing());

    assert_eq!(tx.site(hamburg.id).await.unwrap().as_ref(), Some(&hamburg));
    assert_eq!(tx.site_named("HAMBURG").await.unwrap().as_ref(), Some(&hamburg));
    assert_eq!(tx.site_named("rome").await.unwrap(), None);
    let names: Vec<String> = tx.sites().await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["berlin", "hamburg"]);
    assert_eq!(hamburg.labels["tier"], "one");
}

pub(super) async fn hosts_are_unique_by_name(b: Bench) {
    let (w, other) = (world(&*b.store).await, world(&*b.store).await);
    let mut tx = b.store.begin("test").await.unwrap();
    let host = |site, name: &str| NewHost {
        id: id!(HostId),
        site,
        name: name.into(),
        roles: vec![HostRole::SqlHost, HostRole::ConnectServer],
    };
    let made = tx.add_host(&host(w.site, "SQL01")).await.unwrap();
    assert!(tx.add_host(&host(w.site, "SQL01")).await.unwrap_err().is_conflict());
    assert!(tx.add_host(&host(other.site, "sql01")).await.unwrap_err().is_conflict());
    assert!(tx.add_host(&host(id!(SiteId), "SQL02")).await.unwrap_err().is_missing());
    assert_eq!(tx.host(made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(tx.host_named("sql01").await.unwrap().as_ref(), Some(&made));
    assert_eq!(made.roles, [HostRole::SqlHost, HostRole::ConnectServer]);
    assert_eq!(made.org, tx.default_org().await.unwrap().id);
    assert_eq!(tx.hosts(Some(w.site)).await.unwrap().len(), 4);
    assert_eq!(tx.hosts(None).await.unwrap().len(), 7);
}

pub(super) async fn facts_are_kept(b: Bench) {
    let w = world(&*b.store).await;
    b.time.advance(5).await;
    let mut tx = b.store.begin("test").await.unwrap();
    tx.set_host_facts(w.sql, Some("SQL01"), &json!({ "a": 1 }))
        .await
        .unwrap();
    tx.set_host_facts(w.sql, None, &json!({ "a": 2 })).await.unwrap();
    let host = tx.host(w.sql).await.unwrap().unwrap();
    assert_eq!(host.computer_name.as_deref(), Some("SQL01"));
    assert_eq!(host.inventory, Some(json!({ "a": 2 })));
    assert_eq!(host.inventoried_at, Some(tx.now()));
    assert!(host.created_at < tx.now());
    let missing = tx.set_host_facts(id!(HostId), None, &json!({})).await;
    assert!(missing.unwrap_err().is_missing());
}
