//! The three machines and what is installed on them.

use std::path::Path;

use super::{
    DOMAIN, HOSTS, INSTALLER, InstallerIs, NEW_SERVER, NewServerHas, OLD_ACCOUNT, OLD_SERVER, SQL_HOST, SourceEngine,
    World,
};
use crate::lab::host::MachineSpec;
use crate::lab::host::faults::Faults;
use crate::lab::host::layout::{
    ENGINE_DIR, KEY_COEXISTENCE, KEY_ENGINE, KEY_PARAMETERS, KEY_WIZARD, LOCALDB, SERVICE, SERVICE_DISPLAY,
    UPGRADE_ENGINE, UPGRADE_WIZARD, VIRTUAL_ACCOUNT, WIZARD_DIR, WIZARD_EXE, account_type,
};
use crate::lab::host::products::{Product, braced};
use crate::lab::host::services::{Service, ServiceState, StartType};
use crate::lab::host::state::State;
use crate::lab::msi::{MsiSpec, truncate};

/// The UpgradeCode of SQL Server 2019 LocalDB; that of 2022 is not published.
const UPGRADE_LOCALDB: &str = "{F0176A51-908A-4240-8853-E229D0AE3F39}";
/// The UpgradeCode of SQL Server 2012 LocalDB.
const UPGRADE_LOCALDB_2012: &str = "{C3593F78-0F11-4D8D-8D82-55460308E261}";

pub(super) fn create(world: &World, note: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    for host in HOSTS {
        let dir = world.host_dir(host);
        let mut machine = MachineSpec::windows_2022(host, DOMAIN, Path::new("../../dns.json"));
        machine.pace = world.options().pace();
        if host == NEW_SERVER {
            let around = &world.options().around;
            around
                .new_server_has
                .iter()
                .for_each(|what| change(&mut machine, *what));
        }
        machine.create(&dir)?;
        machine
            .drives(&dir)
            .create_dir(r"C:\Windows\Temp")
            .map_err(anyhow::Error::msg)?;
        let state = match host {
            OLD_SERVER => old_server(world),
            NEW_SERVER => new_server(world),
            _ => State::default(),
        };
        state.save(&dir)?;
    }
    faults(world).save(&world.host_dir(NEW_SERVER))?;
    let version = &world.options().installer_version;
    // The old server has it too: it may be the one that goes on.
    for host in [NEW_SERVER, OLD_SERVER] {
        let dir = world.host_dir(host);
        let drives = MachineSpec::load(&dir)?.drives(&dir);
        drives.create_dir(r"D:\Install").map_err(anyhow::Error::msg)?;
        connect_msi(version).write(&drives.real_path(INSTALLER).map_err(anyhow::Error::msg)?)?;
    }
    note(&format!("AzureADConnect.msi {version} at {INSTALLER} on {NEW_SERVER}"));
    let dir = world.host_dir(NEW_SERVER);
    let drives = MachineSpec::load(&dir)?.drives(&dir);
    let path = drives.real_path(INSTALLER).map_err(anyhow::Error::msg)?;
    let good = connect_msi(version);
    match world.options().around.installer_is {
        InstallerIs::Good => good.write(&path)?,
        InstallerIs::Unsigned => MsiSpec { signed: false, ..good }.write(&path)?,
        InstallerIs::OtherProduct => MsiSpec::other_product().write(&path)?,
        InstallerIs::CutOff => {
            good.write(&path)?;
            truncate(&path)?;
        }
        InstallerIs::Missing => std::fs::remove_file(&path)?,
    }
    Ok(())
}

/// Until 1.x it is called Azure AD Connect.
fn connect_msi(version: &str) -> MsiSpec {
    if version.starts_with("1.") {
        MsiSpec::azure_ad_connect(version)
    } else {
        MsiSpec::connect(version)
    }
}

/// What is wrong with the machine itself.
fn change(machine: &mut MachineSpec, what: NewServerHas) {
    let windows = |machine: &mut MachineSpec, os: &str, version: &str| {
        (machine.os, machine.os_version) = (os.into(), version.into());
    };
    match what {
        NewServerHas::ServerCore => machine.desktop_experience = false,
        NewServerHas::NoTls12 => machine.tls12 = false,
        NewServerHas::NoDomain => machine.domain = None,
        NewServerHas::OldDotnet => machine.dotnet_release = 394_802,
        NewServerHas::Windows2025 => windows(machine, "Windows Server 2025 Standard", "10.0.26100"),
        NewServerHas::Windows2012 => windows(machine, "Windows Server 2012 R2 Standard", "6.3.9600"),
        NewServerHas::LittleMemory => machine.memory_mb = 2_048,
        NewServerHas::Connect
        | NewServerHas::EngineKeys
        | NewServerHas::NoPassword
        | NewServerHas::LogonDenied
        | NewServerHas::NoDirectory => {}
    }
}

/// What the new server cannot do with its service account, or see of it.
fn faults(world: &World) -> Faults {
    let around = &world.options().around;
    let has = |what: NewServerHas| around.new_server_has.contains(&what);
    Faults {
        account_not_usable: has(NewServerHas::NoPassword),
        service_logon_denied: has(NewServerHas::LogonDenied),
        directory_silent: has(NewServerHas::NoDirectory),
        spn_twice: around.spn_twice,
        ..Faults::default()
    }
}

/// What is on the new server already.
fn new_server(world: &World) -> State {
    let mut state = State::default();
    for what in &world.options().around.new_server_has {
        match what {
            NewServerHas::Connect => {
                state.products = products("2.5.79.0", None);
                engine_keys(&mut state, "SQL09", "", "ADSync");
            }
            NewServerHas::EngineKeys => engine_keys(&mut state, LOCALDB, r".\ADSync2019", "ADSync"),
            _ => {}
        }
    }
    state
}

fn engine_keys(state: &mut State, server: &str, instance: &str, database: &str) {
    let r = &mut state.registry;
    r.set(KEY_PARAMETERS, "Server", server);
    r.set(KEY_PARAMETERS, "SQLInstance", instance);
    r.set(KEY_PARAMETERS, "DBName", database);
}

/// Wizard, engine and the LocalDB that came with them.
fn products(version: &str, localdb: Option<SourceEngine>) -> Vec<Product> {
    let product = |name: &str, version: &str, code: String, upgrade: &str| Product {
        name: name.into(),
        version: version.into(),
        product_code: code,
        upgrade_code: upgrade.into(),
        manufacturer: "Microsoft Corporation".into(),
    };
    let wizard = MsiSpec::connect(version).product_code();
    let mut all = vec![
        product("Microsoft Azure AD Connect", version, wizard, UPGRADE_WIZARD),
        product(
            "Microsoft Azure AD Connect synchronization services",
            version,
            braced("7c4397b7-9008-4c23-8cda-3b3b8faf4312"),
            UPGRADE_ENGINE,
        ),
    ];
    let code = || braced("36e492b8-cb83-4da5-a5d2-d99a8e8228a1");
    all.extend(localdb.map(|engine| match engine {
        SourceEngine::Localdb2012 => product(
            "Microsoft SQL Server 2012 Express LocalDB",
            "11.4.7001.0",
            code(),
            UPGRADE_LOCALDB_2012,
        ),
        SourceEngine::Localdb2019 => product(
            "Microsoft SQL Server 2019 LocalDB",
            "15.0.4382.1",
            code(),
            UPGRADE_LOCALDB,
        ),
        SourceEngine::Localdb2022 => product(
            "Microsoft SQL Server 2022 LocalDB",
            "16.0.4250.1",
            code(),
            UPGRADE_LOCALDB,
        ),
    }));
    all
}

/// An express installation that has run for years; or a custom one on the SQL host, where it is to be replaced.
fn old_server(world: &World) -> State {
    let options = world.options();
    let version = options.old_version();
    let instance = format!(r".\{}", options.source.shared_name());
    let mut state = State {
        products: products(version, options.replaces.is_none().then_some(options.source)),
        ..State::default()
    };
    let account = match options.replaces {
        Some(_) => OLD_ACCOUNT,
        None => VIRTUAL_ACCOUNT,
    };
    let (server, instance) = match options.replaces {
        Some(_) => (SQL_HOST, String::new()),
        None => (LOCALDB, instance),
    };
    engine_keys(&mut state, server, &instance, &options.database);
    let r = &mut state.registry;
    r.set(KEY_ENGINE, "Location", format!("{ENGINE_DIR}\\").as_str());
    r.set(KEY_WIZARD, "InstallationPath", format!("{WIZARD_DIR}\\").as_str());
    r.set(KEY_WIZARD, "WizardPath", format!("{WIZARD_DIR}\\{WIZARD_EXE}").as_str());
    r.set(KEY_WIZARD, "AuditEventLogging", 1);
    r.set(KEY_WIZARD, "FirstStandardRulePrecedence", 100);
    r.set(KEY_COEXISTENCE, "ServiceAccountType", account_type(account));
    let off = !options.old_service_runs();
    state.scheduler.sync_cycle_enabled = !options.installation.scheduler_off;
    state.put_service(Service {
        name: SERVICE.into(),
        display_name: SERVICE_DISPLAY.into(),
        state: if off {
            ServiceState::Stopped
        } else {
            ServiceState::StartPending
        },
        start: if off { StartType::Manual } else { StartType::Automatic },
        account: account.into(),
    });
    state
}
