//! The three machines and what is installed on them.

use std::path::Path;

use super::{DOMAIN, HOSTS, INSTALLER, NEW_SERVER, OLD_ACCOUNT, OLD_SERVER, SQL_HOST, World};
use crate::lab::host::MachineSpec;
use crate::lab::host::layout::{
    ENGINE_DIR, KEY_COEXISTENCE, KEY_ENGINE, KEY_PARAMETERS, KEY_WIZARD, LOCALDB, SERVICE, SERVICE_DISPLAY,
    UPGRADE_ENGINE, UPGRADE_WIZARD, VIRTUAL_ACCOUNT, WIZARD_DIR, WIZARD_EXE, account_type,
};
use crate::lab::host::products::{Product, braced};
use crate::lab::host::services::{Service, ServiceState, StartType};
use crate::lab::host::state::State;
use crate::lab::msi::MsiSpec;

/// The UpgradeCode of SQL Server 2019 LocalDB.
const UPGRADE_LOCALDB: &str = "{F0176A51-908A-4240-8853-E229D0AE3F39}";

pub(super) fn create(world: &World, note: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    for host in HOSTS {
        let dir = world.host_dir(host);
        let mut machine = MachineSpec::windows_2022(host, DOMAIN, Path::new("../../dns.json"));
        machine.pace = world.options().pace();
        machine.create(&dir)?;
        machine
            .drives(&dir)
            .create_dir(r"C:\Windows\Temp")
            .map_err(anyhow::Error::msg)?;
        let state = if host == OLD_SERVER {
            old_server(world)
        } else {
            State::default()
        };
        state.save(&dir)?;
    }
    let version = &world.options().installer_version;
    // The old server has it too: it may be the one that goes on.
    for host in [NEW_SERVER, OLD_SERVER] {
        let dir = world.host_dir(host);
        let drives = MachineSpec::load(&dir)?.drives(&dir);
        drives.create_dir(r"D:\Install").map_err(anyhow::Error::msg)?;
        MsiSpec::connect(version).write(&drives.real_path(INSTALLER).map_err(anyhow::Error::msg)?)?;
    }
    note(&format!("AzureADConnect.msi {version} at {INSTALLER} on {NEW_SERVER}"));
    Ok(())
}

/// An express installation that has run for years; or a custom one on the SQL host, where it is to be replaced.
fn old_server(world: &World) -> State {
    let options = world.options();
    let version = options.source.connect_version();
    let instance = format!(r".\{}", options.source.shared_name());
    let mut state = State {
        products: vec![
            Product {
                name: "Microsoft Azure AD Connect".into(),
                version: version.into(),
                product_code: MsiSpec::connect(version).product_code(),
                upgrade_code: UPGRADE_WIZARD.into(),
                manufacturer: "Microsoft Corporation".into(),
            },
            Product {
                name: "Microsoft Azure AD Connect synchronization services".into(),
                version: version.into(),
                product_code: braced("7c4397b7-9008-4c23-8cda-3b3b8faf4312"),
                upgrade_code: UPGRADE_ENGINE.into(),
                manufacturer: "Microsoft Corporation".into(),
            },
            Product {
                name: "Microsoft SQL Server 2019 LocalDB".into(),
                version: "15.0.4382.1".into(),
                product_code: braced("36e492b8-cb83-4da5-a5d2-d99a8e8228a1"),
                upgrade_code: UPGRADE_LOCALDB.into(),
                manufacturer: "Microsoft Corporation".into(),
            },
        ],
        ..State::default()
    };
    let account = match options.replaces {
        Some(_) => OLD_ACCOUNT,
        None => VIRTUAL_ACCOUNT,
    };
    let (server, instance) = match options.replaces {
        Some(_) => {
            state.products.retain(|p| p.upgrade_code != UPGRADE_LOCALDB);
            (SQL_HOST, String::new())
        }
        None => (LOCALDB, instance),
    };
    let r = &mut state.registry;
    r.set(KEY_PARAMETERS, "Server", server);
    r.set(KEY_PARAMETERS, "SQLInstance", instance.as_str());
    r.set(KEY_PARAMETERS, "DBName", options.database.as_str());
    r.set(KEY_ENGINE, "Location", format!("{ENGINE_DIR}\\").as_str());
    r.set(KEY_WIZARD, "InstallationPath", format!("{WIZARD_DIR}\\").as_str());
    r.set(KEY_WIZARD, "WizardPath", format!("{WIZARD_DIR}\\{WIZARD_EXE}").as_str());
    r.set(KEY_WIZARD, "AuditEventLogging", 1);
    r.set(KEY_WIZARD, "FirstStandardRulePrecedence", 100);
    r.set(KEY_COEXISTENCE, "ServiceAccountType", account_type(account));
    // A database that nobody has synchronised for long belongs to a service that is off.
    let off = options.last_sync_days.is_some() || options.empty;
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
