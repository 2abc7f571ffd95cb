//! A small world to test in: a site with three hosts, and ids that are new every time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use syncferry_shared::inventory::DatabaseAddress;
use syncferry_shared::lease::{LeaseKind, Resource};
use syncferry_shared::plan::Scenario;
use syncferry_shared::spec::JobKind;
use syncferry_shared::{HostId, JobId, MigrationId, Millis, SessionId, SiteId};

use crate::{
    By, DatabaseGuids, Grant, HostRole, IdentityState, NewAttestation, NewDatabase, NewHost, NewJob, NewMigration,
    NewSite, Purpose, Store, Tx,
};

/// Random enough: every call gives other bytes.
pub(super) fn bytes() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [7; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// A new id of any kind.
macro_rules! id {
    ($kind:ident) => {
        syncferry_shared::$kind::new(
            syncferry_shared::Millis(1_700_000_000_000),
            &$crate::suite::world::bytes(),
        )
    };
}
pub(super) use id;

/// A site with a SQL host and two Connect servers.
pub(super) struct World {
    pub(super) site: SiteId,
    pub(super) sql: HostId,
    pub(super) old: HostId,
    pub(super) new: HostId,
}

pub(super) fn by() -> By {
    By::new("operator:ada")
}

pub(super) fn session() -> SessionId {
    id!(SessionId)
}

/// Adds the world and commits it.
pub(super) async fn world(store: &dyn Store) -> World {
    let mut tx = store.begin("test.world").await.unwrap();
    let world = add_world(tx.as_mut()).await;
    tx.commit().await.unwrap();
    world
}

/// Adds the world to a transaction.
pub(super) async fn add_world(tx: &mut dyn Tx) -> World {
    let org = tx.default_org().await.unwrap().id;
    let site = id!(SiteId);
    let new = NewSite {
        id: site,
        org,
        name: format!("site {}", site.short()),
        tenant_id: format!("tenant {}", site.short()),
        labels: BTreeMap::from([("country".into(), "de".into())]),
    };
    tx.add_site(&new).await.unwrap();
    World {
        site,
        sql: add_host(tx, site, HostRole::SqlHost).await,
        old: add_host(tx, site, HostRole::ConnectServer).await,
        new: add_host(tx, site, HostRole::ConnectServer).await,
    }
}

pub(super) async fn add_host(tx: &mut dyn Tx, site: SiteId, role: HostRole) -> HostId {
    let host = id!(HostId);
    let new = NewHost {
        id: host,
        site,
        name: format!("HOST-{}", host.short()),
        roles: vec![role],
    };
    tx.add_host(&new).await.unwrap();
    host
}

impl World {
    /// A database on the SQL host, to be added.
    pub(super) fn database(&self, key: &str) -> NewDatabase {
        NewDatabase {
            id: id!(DatabaseId),
            site: self.site,
            physical_key: key.into(),
            guids: DatabaseGuids {
                database: Some(id!(DatabaseId).0),
                ..DatabaseGuids::default()
            },
            server_name: "SQL01".into(),
            host: self.sql,
            address: DatabaseAddress {
                instance: "default".into(),
                database: "ADSync".into(),
            },
            identity_state: IdentityState::Provisional,
            facts: json!({}),
        }
    }

    /// A lease that can be acquired.
    pub(super) async fn free_lease(&self, tx: &mut dyn Tx) -> Resource {
        let resource = Resource::database(id!(DatabaseId));
        let never = json!({ "sessions": [] });
        tx.create_lease(&resource, LeaseKind::Database, Some(&never), &by())
            .await
            .unwrap();
        resource
    }

    /// What the new server asks for.
    pub(super) fn grant(&self, resource: &Resource, seen_epoch: i64, session: SessionId) -> Grant {
        Grant {
            resource: resource.clone(),
            seen_epoch,
            holder: self.new,
            session,
            renewer: self.sql,
            ttl_ms: 1_000,
        }
    }

    /// A migration with two jobs.
    pub(super) async fn migration(&self, tx: &mut dyn Tx) -> (MigrationId, JobId, JobId) {
        let migration = id!(MigrationId);
        let new = NewMigration {
            id: migration,
            site: self.site,
            scenario: Scenario::MoveToFullSql,
            request: json!({ "target_instance": "default" }),
            actor: "operator:ada".into(),
        };
        tx.add_migration(&new).await.unwrap();
        let job = |stage, name: &str, kind| NewJob {
            id: id!(JobId),
            stage,
            ordinal: 0,
            name: name.into(),
            kind,
            host: self.sql,
            resource: Resource("adsync-db:x".into()),
        };
        let jobs = [job(0, "backup", JobKind::Backup), job(1, "restore", JobKind::Restore)];
        tx.add_jobs(migration, &jobs).await.unwrap();
        (migration, jobs[0].id, jobs[1].id)
    }
}

/// A first word on a lease.
pub(super) fn word(resource: &Resource, epoch: i64, first: &str) -> NewAttestation {
    NewAttestation {
        id: id!(AttestationId),
        resource: resource.clone(),
        epoch,
        purpose: Purpose::BreakGlass,
        server: "SYNC01".into(),
        reason: "the rack burnt".into(),
        ticket: "INC-1".into(),
        first: first.into(),
        valid_ms: 1_000,
    }
}

/// Ada gives her word and Bob confirms it, in this transaction.
pub(super) async fn two_people(tx: &mut dyn Tx, resource: &Resource, epoch: i64) {
    let given = tx
        .add_attestation(&word(resource, epoch, "operator:ada"))
        .await
        .unwrap();
    tx.confirm_attestation(given.id, "operator:bob").await.unwrap();
}

/// An instant that many milliseconds from the transaction's.
pub(super) fn later(tx: &dyn Tx, ms: i64) -> Millis {
    tx.now().plus(ms)
}
