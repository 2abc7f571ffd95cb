//! The plan's input in the good world, with fixed ids.

use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::inventory::{
    AdsyncFacts, DatabaseAddress, DatabaseFacts, HostFacts, InstallerFacts, InstanceFacts, Inventory,
};
use syncferry_shared::lease::{Lease, LeaseKind, LeaseState, Resource};
use syncferry_shared::plan::{PlanRequest, Scenario};
use syncferry_shared::{ArtifactId, DatabaseId, HostId, JobId, MigrationId, SessionId, SiteId};
use uuid::Uuid;

use super::facts::{self, ACCOUNT, FAMILY_GUID, INSTALLER, NOW, SOURCE_GUID};
use crate::plan::{KnownDatabase, KnownHost, PlanIds, PlanInput};

pub(super) const SYNC01: HostId = HostId(Uuid::from_u128(0x51));
pub(super) const SQL01: HostId = HostId(Uuid::from_u128(0x52));
pub(super) const SYNC02: HostId = HostId(Uuid::from_u128(0x53));
pub(super) const SOURCE: DatabaseId = DatabaseId(Uuid::from_u128(0xd1));

/// A lease of a database.
pub(super) fn lease(database: DatabaseId, state: LeaseState, holder: Option<HostId>) -> Lease {
    Lease {
        resource: Resource::database(database),
        kind: LeaseKind::Database,
        state,
        epoch: 1,
        holder,
        holder_session: holder.map(|_| SessionId(Uuid::from_u128(5))),
        renewer: holder,
        granted_at: holder.map(|_| NOW.plus(-60_000)),
        expires_at: holder.map(|_| NOW.plus(60_000)),
        handover_to: None,
        fenced_epoch: 0,
        row_version: 1,
    }
}

pub(super) fn host(id: HostId, name: &str, inventory: Inventory) -> KnownHost {
    KnownHost {
        id,
        name: name.to_string(),
        online: true,
        inventory: Some(inventory),
        error: None,
        holds: None,
        transfer_address: None,
        agent_version: "0.1.0".to_string(),
        capabilities: syncferry_shared::capability::ALL.map(str::to_string).to_vec(),
    }
}

/// The input of a plan in which nothing is wrong.
pub(super) fn good() -> PlanInput {
    let held = lease(SOURCE, LeaseState::Held, Some(SYNC01));
    let old = KnownHost {
        holds: Some(held.clone()),
        transfer_address: Some("sync01.contoso.example:7444".to_string()),
        ..host(SYNC01, "SYNC01", facts::old_server())
    };
    PlanInput {
        request: PlanRequest {
            scenario: Scenario::MoveToFullSql,
            site: SiteId(Uuid::from_u128(0x5)),
            source: SOURCE,
            target_host: SQL01,
            target_instance: "default".to_string(),
            target_database: "ADSync".to_string(),
            connect_host: SYNC02,
            installer: INSTALLER.to_string(),
            service_account: Some(ACCOUNT.to_string()),
            data_dir: None,
            log_dir: None,
            keep_backup: false,
            handover: None,
            test_instance: None,
            backup_file: None,
            artifact: None,
            old_server: None,
            in_place: false,
            dba: false,
        },
        ids: PlanIds {
            migration: MigrationId(Uuid::from_u128(0xabc_0000_0001)),
            artifact: ArtifactId(Uuid::from_u128(0xa1)),
            target: DatabaseId(Uuid::from_u128(0xd2)),
            jobs: (1..=16).map(|n| JobId(Uuid::from_u128(n))).collect(),
        },
        now: NOW,
        source: KnownDatabase {
            id: SOURCE,
            address: DatabaseAddress {
                instance: "localdb".to_string(),
                database: "ADSync".to_string(),
            },
            server_name: r"SYNC01\LOCALDB#SH1A2B3C".to_string(),
            database_guid: Some(SOURCE_GUID),
            family_guid: Some(FAMILY_GUID),
            lease: Some(held),
            holder_name: Some("SYNC01".to_string()),
            confirmed: true,
            lease_name: "SYNC01/localdb/ADSync".to_string(),
        },
        source_host: old.clone(),
        holder: Some(old),
        target_host: host(SQL01, "SQL01", facts::sql_host()),
        connect_host: host(SYNC02, "SYNC02", facts::new_server()),
        registered_on_target: vec![],
        other_migration: None,
        catalogue: Catalogue::embedded(),
        holder_exports: false,
        artifact: None,
        staging: None,
        export: None,
        care: None,
    }
}

/// The facts that the cases break. An inventory that is gone already is replaced by an empty one: then there is nothing left
/// to break in it.
impl PlanInput {
    pub(super) fn old(&mut self) -> &mut Inventory {
        self.source_host.inventory.get_or_insert_default()
    }
    pub(super) fn sql(&mut self) -> &mut Inventory {
        self.target_host.inventory.get_or_insert_default()
    }
    pub(super) fn new_server(&mut self) -> &mut Inventory {
        self.connect_host.inventory.get_or_insert_default()
    }
    pub(super) fn new_host(&mut self) -> &mut HostFacts {
        &mut self.new_server().host
    }
    pub(super) fn source_db(&mut self) -> &mut DatabaseFacts {
        first(&mut self.old().databases)
    }
    pub(super) fn adsync(&mut self) -> &mut AdsyncFacts {
        self.source_db().adsync.get_or_insert_default()
    }
    pub(super) fn target(&mut self) -> &mut InstanceFacts {
        first(&mut self.sql().instances)
    }
    pub(super) fn msi(&mut self) -> &mut InstallerFacts {
        let good = facts::new_server().installer.unwrap();
        self.new_server().installer.get_or_insert(good)
    }
}

fn first<T: Default>(list: &mut Vec<T>) -> &mut T {
    if list.is_empty() {
        list.push(T::default());
    }
    &mut list[0]
}
