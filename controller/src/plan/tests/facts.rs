//! A world in which everything is as it should be: what the agents of SYNC01 (old server, LocalDB 2019), SQL01 (Standard
//! 2022) and SYNC02 (new server) find, and what their jobs bring about. The tests break it, one fact at a time.

use std::collections::BTreeMap;

use syncferry_shared::account::{AccountFacts, AccountKind, SpnFacts};
use syncferry_shared::artifact::{CHUNK_SIZE, Counts, Manifest, SetFile, SetHeader};
use syncferry_shared::exports::ExportList;
use syncferry_shared::inventory::{
    AdsyncFacts, ConnectFacts, ConnectParameters, DatabaseFacts, DatabaseName, FileFacts, HostFacts, InstallerFacts,
    InstanceFacts, Inventory, ReachFacts, SchedulerFacts, ServiceFacts, SessionFacts,
};
use syncferry_shared::outcome::{Level, Outcome, Restored, SeenConnect, StoppedServer};
use syncferry_shared::spec::{JobSpec, Task};
use syncferry_shared::{ConnectVersion, Millis};
use uuid::Uuid;

/// The instant at which everything was looked at: 2026-11-20T10:00:00Z.
pub(crate) const NOW: Millis = Millis(1_795_168_800_000);
/// The source's `database_guid`.
pub(crate) const SOURCE_GUID: Uuid = Uuid::from_u128(0x5eed_0001);
/// The source's `family_guid`.
pub(crate) const FAMILY_GUID: Uuid = Uuid::from_u128(0x5eed_0002);
/// The restored database's `database_guid`.
pub(crate) const TARGET_GUID: Uuid = Uuid::from_u128(0x5eed_0003);
/// Where the installer is on SYNC02.
pub(crate) const INSTALLER: &str = r"C:\install\AzureADConnect.msi";
/// The service account of the new server.
pub(crate) const ACCOUNT: &str = r"CONTOSO\gmsa-sync$";

const GIB: u64 = 1 << 30;
const VERSION: ConnectVersion = ConnectVersion([2, 5, 79, 0]);

fn host(name: &str) -> HostFacts {
    HostFacts {
        computer_name: name.to_string(),
        fqdn: Some(format!("{}.contoso.example", name.to_lowercase())),
        os: "Windows Server 2022 Standard".to_string(),
        os_version: "10.0.20348".to_string(),
        desktop_experience: Some(true),
        domain: Some("contoso.example".to_string()),
        boot_id: format!("boot-{name}"),
        vm_generation: Some(format!("vm-{name}")),
        tls12: Some(true),
        dotnet_release: Some(528_449),
        memory_mb: Some(16_384),
        staging_dir: r"C:\ProgramData\Syncferry\staging".to_string(),
        staging_free: Some(100 * GIB),
    }
}

fn counts() -> Counts {
    Counts {
        rows: BTreeMap::from([
            ("dbo.mms_connectorspace".to_string(), 1_500),
            ("dbo.mms_metaverse".to_string(), 700),
        ]),
        connectors: vec![
            "contoso.example".to_string(),
            "contoso.onmicrosoft.com - AAD".to_string(),
        ],
        rules: Some(150),
        pending_exports: BTreeMap::new(),
        connect_version: Some(VERSION),
        schema_digest: "5c".repeat(32),
    }
}

/// What the agent on SYNC01 finds.
pub(crate) fn old_server() -> Inventory {
    Inventory {
        taken_at: NOW,
        host: host("SYNC01"),
        instances: vec![localdb()],
        databases: vec![source()],
        connect: Some(ConnectFacts {
            service: Some(ServiceFacts {
                state: "running".to_string(),
                start: "automatic".to_string(),
                account: r"NT SERVICE\ADSync".to_string(),
            }),
            parameters: Some(ConnectParameters {
                server: "(localdb)".to_string(),
                instance: r".\ADSync".to_string(),
                database: "ADSync".to_string(),
            }),
            scheduler: Some(SchedulerFacts {
                sync_cycle_enabled: true,
                staging_mode: false,
                suspended: false,
                cycle_in_progress: false,
                next_policy: "Delta".to_string(),
            }),
            version: Some(VERSION),
            ..ConnectFacts::default()
        }),
        ..Inventory::default()
    }
}

fn localdb() -> InstanceFacts {
    InstanceFacts {
        name: "localdb".to_string(),
        server_name: r"SYNC01\LOCALDB#SH1A2B3C".to_string(),
        machine_name: "SYNC01".to_string(),
        instance_name: Some("LOCALDB#SH1A2B3C".to_string()),
        product_version: "15.0.4382.1".to_string(),
        major: 15,
        edition: "Express Edition (64-bit)".to_string(),
        edition_id: -1_592_396_055,
        engine_edition: 4,
        is_localdb: true,
        collation: "SQL_Latin1_General_CP1_CI_AS".to_string(),
        login: r"NT AUTHORITY\SYSTEM".to_string(),
        is_sysadmin: true,
        can_create_database: true,
        can_view_state: true,
        can_alter_logins: Some(true),
        databases: vec![DatabaseName {
            name: "ADSync".to_string(),
            state: "ONLINE".to_string(),
            family_guid: Some(FAMILY_GUID),
        }],
        ..InstanceFacts::default()
    }
}

fn source() -> DatabaseFacts {
    let file = |name: &str, kind: &str, bytes| FileFacts {
        name: name.to_string(),
        kind: kind.to_string(),
        path: format!(r"C:\Users\ADSync\{name}"),
        bytes,
    };
    DatabaseFacts {
        instance: "localdb".to_string(),
        server_name: r"SYNC01\LOCALDB#SH1A2B3C".to_string(),
        name: "ADSync".to_string(),
        state: "ONLINE".to_string(),
        database_guid: Some(SOURCE_GUID),
        family_guid: Some(FAMILY_GUID),
        collation: Some("SQL_Latin1_General_CP1_CI_AS".to_string()),
        recovery_model: "SIMPLE".to_string(),
        compatibility_level: 150,
        internal_version: Some(904),
        owner: Some(r"NT SERVICE\ADSync".to_string()),
        bytes: 8 * GIB + GIB / 2,
        used_bytes: Some(7 * GIB),
        files: vec![
            file("ADSync.mdf", "ROWS", 8 * GIB),
            file("ADSync_log.ldf", "LOG", GIB / 2),
        ],
        can_backup: true,
        sessions: Some(vec![SessionFacts {
            id: 52,
            login: r"NT SERVICE\ADSync".to_string(),
            host: Some("SYNC01".to_string()),
            program: Some("miiserver".to_string()),
            process_id: Some(4_242),
            address: None,
        }]),
        adsync: Some(AdsyncFacts {
            connect_version: Some(VERSION),
            staging_mode: Some(false),
            last_sync: Some(NOW.plus(-20 * 60_000)),
            last_sync_source: Some("mms_run_history".to_string()),
            run_in_progress: Some(false),
            forests: vec!["contoso.example".to_string()],
            sign_on_method: Some("PasswordHashSync".to_string()),
            counts: counts(),
            ..AdsyncFacts::default()
        }),
        ..DatabaseFacts::default()
    }
}

/// What the agent on SQL01 finds.
pub(crate) fn sql_host() -> Inventory {
    Inventory {
        taken_at: NOW,
        host: host("SQL01"),
        instances: vec![InstanceFacts {
            name: "default".to_string(),
            connect_host: Some("sql01.contoso.example".to_string()),
            connect_port: Some(1433),
            server_name: "SQL01".to_string(),
            machine_name: "SQL01".to_string(),
            product_version: "16.0.4165.4".to_string(),
            major: 16,
            edition: "Standard Edition (64-bit)".to_string(),
            edition_id: -1_534_726_760,
            engine_edition: 2,
            collation: "SQL_Latin1_General_CP1_CI_AS".to_string(),
            login: r"CONTOSO\syncferry$".to_string(),
            can_create_database: true,
            can_view_state: true,
            can_alter_logins: Some(true),
            data_path: Some(r"D:\Data\".to_string()),
            log_path: Some(r"L:\Log\".to_string()),
            volumes: BTreeMap::from([(r"D:\".to_string(), 200 * GIB), (r"L:\".to_string(), 50 * GIB)]),
            databases: vec![DatabaseName {
                name: "HR".to_string(),
                state: "ONLINE".to_string(),
                family_guid: Some(Uuid::from_u128(0x4711)),
            }],
            ..InstanceFacts::default()
        }],
        ..Inventory::default()
    }
}

/// The service account as the agent on SYNC02 sees it.
pub(crate) fn account() -> AccountFacts {
    AccountFacts {
        account: ACCOUNT.to_string(),
        exists: Some(true),
        kind: Some(AccountKind::GroupManaged),
        enabled: Some(true),
        usable_here: Some(true),
        not_usable: None,
        may_retrieve: Some(vec![r"CONTOSO\SYNC02$".to_string()]),
        service_logon: Some(false),
        service_logon_denied: Some(false),
        spns: vec![SpnFacts {
            spn: "MSSQLSvc/sql01.contoso.example:1433".to_string(),
            accounts: vec![r"CONTOSO\sql01$".to_string()],
        }],
        unknown: vec![],
    }
}

/// What the agent on SYNC02 finds.
pub(crate) fn new_server() -> Inventory {
    Inventory {
        taken_at: NOW,
        host: host("SYNC02"),
        connect: Some(ConnectFacts::default()),
        installer: Some(InstallerFacts {
            path: INSTALLER.to_string(),
            size: 150 << 20,
            hash: "1a".repeat(32),
            product_name: "Microsoft Entra Connect Sync".to_string(),
            product_version: "2.6.91.0".to_string(),
            product_code: "{9d3b4f6e-0000-4000-8000-000000000091}".to_string(),
            upgrade_code: Some("{D61EB959-F2D1-4170-BE64-4DC367F451EA}".to_string()),
            manufacturer: Some("Microsoft Corporation".to_string()),
            has_signature: true,
            signature_trusted: Some(true),
        }),
        account: Some(account()),
        reach: vec![ReachFacts {
            target: "sql01.contoso.example,1433".to_string(),
            reached: true,
            error: None,
        }],
        ..Inventory::default()
    }
}

/// What a job brings about when everything goes well.
pub(crate) fn outcome(spec: &JobSpec) -> Outcome {
    let mut outcome = Outcome::default();
    match &spec.task {
        Task::VerifySource(_) => outcome.counts = Some(counts()),
        Task::Backup(t) => {
            outcome.counts = Some(counts());
            outcome.manifest = Some(Manifest {
                artifact: t.artifact,
                migration: spec.migration,
                host: spec.host,
                path: format!(r"C:\ProgramData\Syncferry\staging\{}.bak", t.artifact),
                size: CHUNK_SIZE + 1,
                chunk_size: CHUNK_SIZE,
                chunks: vec!["c1".repeat(32), "c2".repeat(32)],
                root: "aa".repeat(32),
                header: header(spec, t.database.family_guid),
                taken_at: NOW,
            });
            outcome.reached(Level::L0);
            outcome.reached(Level::L1);
        }
        Task::Restore(t) => {
            outcome.restored = Some(Restored {
                server_name: t.server_name.clone(),
                database: t.final_name.clone(),
                database_guid: TARGET_GUID,
                family_guid: t.header.family_guid,
                recovery_fork_guid: Some(Uuid::from_u128(9)),
                service_broker_guid: None,
            });
            outcome.reached(Level::L3);
            outcome.reached(Level::L4);
        }
        Task::Install(t) => {
            outcome.connect = Some(SeenConnect {
                parameters: ConnectParameters {
                    server: t.expect.server.clone(),
                    instance: t.expect.instance.clone(),
                    database: t.expect.database.clone(),
                },
                service_account: t.expect.service_account.clone().unwrap_or_default(),
                version: t.version.to_string(),
                staging_mode: true,
            });
        }
        Task::VerifyServer(_) | Task::VerifyTarget(_) => outcome.reached(Level::L5),
        Task::VerifyOldServer(_) => outcome.saw("the old server", "as before"),
        Task::TestRestore(_) => outcome.reached(Level::L3),
        Task::StopServer(_) | Task::VerifyStopped(_) => {
            outcome.stopped = Some(StoppedServer {
                service: Some(ServiceFacts {
                    state: "stopped".to_string(),
                    start: "disabled".to_string(),
                    account: r"CONTOSO\gmsa-old$".to_string(),
                }),
                parameters: None,
                at: NOW,
            });
        }
        Task::Drill(_) => outcome.reached(Level::L3),
        Task::ListExports(_) => outcome.exports = Some(ExportList::default()),
        Task::VerifyRestored(_) | Task::ReadAdsync(_) | Task::ReviewExports(_) => {
            outcome.adsync = source().adsync;
        }
        Task::VerifyUnused(_)
        | Task::CompareStaging(_)
        | Task::CloseTasks(_)
        | Task::StagingMode(_)
        | Task::Uninstall(_)
        | Task::FenceDatabase(_)
        | Task::RemoveMarks(_)
        | Task::ProbeIdentity(_)
        | Task::ReadIdentity(_)
        | Task::RemoveNonce(_)
        | Task::VerifyWayBack(_) => {}
    }
    outcome
}

pub(crate) fn header(spec: &JobSpec, family_guid: Uuid) -> SetHeader {
    SetHeader {
        backup_set_guid: Uuid::from_u128(0xb5),
        family_guid,
        binding_id: SOURCE_GUID,
        database_name: "ADSync".to_string(),
        server_name: r"SYNC01\LOCALDB#SH1A2B3C".to_string(),
        software_major: 15,
        database_version: 904,
        description: format!("syncferry {}", spec.migration),
        first_lsn: "34000000012800001".to_string(),
        last_lsn: "34000000013600001".to_string(),
        checkpoint_lsn: "34000000012800001".to_string(),
        collation: "SQL_Latin1_General_CP1_CI_AS".to_string(),
        backup_size: CHUNK_SIZE,
        files: vec![SetFile {
            logical_name: "ADSync".to_string(),
            physical_name: r"C:\Users\ADSync\ADSync.mdf".to_string(),
            kind: "D".to_string(),
            size: 8 * GIB,
        }],
    }
}
