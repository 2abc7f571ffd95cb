//! The host over its protocol, as an agent sees it. What needs a SQL Server is tested across processes.

use std::path::Path;

use syncferry_agent::host::Host as _;
use syncferry_shared::account::{AccountKind, AccountRequest};
use tokio_util::sync::CancellationToken;

use super::effects::Effects;
use super::faults::Faults;
use super::layout::{SERVICE, WIZARD_DIR};
use super::machine::{MachineSpec, Pace};
use super::protocol::Request;
use super::services::{Service, ServiceAction, ServiceState, StartType};
use super::state::State;
use crate::lab::host_client::LabHost;
use crate::lab::msi::{MsiSpec, truncate};

const INSTALLER: &str = r"D:\Install\AzureADConnect.msi";
const LOG: &str = r"C:\Windows\Temp\connect.log";

struct Rig {
    dir: tempfile::TempDir,
    host: LabHost,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Rig {
    async fn start(prepare: impl FnOnce(&Path, &mut MachineSpec)) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let mut machine = MachineSpec::windows_2022("SYNC02", "contoso.lab", Path::new("dns.json"));
        machine.pace = Pace::fast();
        machine.pace.msi_ms = 1;
        prepare(dir.path(), &mut machine);
        machine.create(dir.path()).unwrap();
        let drives = machine.drives(dir.path());
        drives.create_dir(r"C:\Windows\Temp").unwrap();
        drives.create_dir(r"D:\Install").unwrap();
        let host = LabHost::open(dir.path(), r"D:\Syncferry\staging").unwrap();
        let mut msi = MsiSpec::connect("2.6.91.0");
        msi.payload = 4096;
        msi.write(&host.local_path(INSTALLER)).unwrap();
        let stop = CancellationToken::new();
        let (folder, token) = (dir.path().to_path_buf(), stop.clone());
        let server = tokio::spawn(async move { super::server::run(&folder, token).await });
        while !dir.path().join("port").exists() {
            assert!(!server.is_finished());
            tokio::task::yield_now().await;
        }
        Rig {
            dir,
            host,
            stop,
            server,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
    }

    fn effects(&self) -> Effects {
        Effects::load(self.dir.path()).unwrap()
    }
}

#[tokio::test]
async fn a_machine_says_what_it_is_and_keeps_folders_to_those_named() {
    let rig = Rig::start(|_, _| {}).await;
    let facts = rig.host.facts().await.unwrap();
    assert_eq!(
        (facts.computer_name.as_str(), facts.dotnet_release),
        ("SYNC02", Some(528_049))
    );
    assert_eq!(facts.fqdn.as_deref(), Some("sync02.contoso.lab"));
    let staging = r"D:\Syncferry\staging";
    rig.host
        .secure_dir(staging, &[r"NT SERVICE\ADSync".into()])
        .await
        .unwrap();
    let drives = MachineSpec::load(rig.dir.path()).unwrap().drives(rig.dir.path());
    let file = rig.host.join(staging, "x.bak");
    assert!(drives.as_account(r"NT SERVICE\ADSync").create(&file).is_ok());
    assert!(drives.as_account(r"NT SERVICE\MSSQLSERVER").create(&file).is_err());
    assert!(rig.host.local_path(&file).is_file());
    assert!(rig.host.free_space(staging).await.unwrap() > 1 << 30);
    assert!(rig.host.free_space(r"Q:\x").await.is_err());
    let connect = rig.host.connect_facts().await.unwrap();
    assert_eq!(
        (connect.products.len(), connect.service, connect.parameters),
        (0, None, None)
    );
    rig.stop().await;
}

#[tokio::test]
async fn installers_end_with_windows_installers_codes() {
    let rig = Rig::start(|_, _| {}).await;
    assert_eq!(
        rig.host.install_msi(r"D:\Install\none.msi", LOG).await.unwrap().code,
        1619
    );
    let broken = rig.host.local_path(r"D:\Install\broken.msi");
    MsiSpec::other_product().write(&broken).unwrap();
    truncate(&broken).unwrap();
    assert_eq!(
        rig.host.install_msi(r"D:\Install\broken.msi", LOG).await.unwrap().code,
        1620
    );
    let faults = Faults {
        msi_exit: Some(1603),
        msi_times: Some(1),
        ..Faults::default()
    };
    faults.save(rig.dir.path()).unwrap();
    let exit = rig.host.install_msi(INSTALLER, LOG).await.unwrap();
    assert_eq!(exit.code, 1603);
    assert!(exit.excerpt.iter().any(|l| l.contains("DetectStoreServer")), "{exit:?}");
    assert!(rig.host.wizard().await.unwrap() == Default::default());
    assert!(
        rig.host.client().start_wizard("/useexistingdatabase").await.is_err(),
        "there is no wizard"
    );

    assert_eq!(rig.host.signature_trusted(INSTALLER).await.unwrap(), Some(true));
    assert_eq!(rig.host.install_msi(INSTALLER, LOG).await.unwrap().code, 0);
    assert_eq!(rig.host.install_msi(INSTALLER, LOG).await.unwrap().code, 1638);
    let facts = rig.host.connect_facts().await.unwrap();
    assert_eq!(facts.products[0].name, "Microsoft Entra Connect Sync");
    assert!(
        rig.host
            .local_path(&format!("{WIZARD_DIR}\\AzureADConnect.exe"))
            .is_file()
    );

    let older = rig.host.local_path(r"D:\Install\older.msi");
    MsiSpec::azure_ad_connect("2.5.79.0").write(&older).unwrap();
    assert_eq!(
        rig.host.install_msi(r"D:\Install\older.msi", LOG).await.unwrap().code,
        1603,
        "a downgrade"
    );
    let code = facts.products[0].product_code.clone();
    assert_eq!(rig.host.uninstall_msi(&code, LOG).await.unwrap().code, 0);
    assert_eq!(rig.host.uninstall_msi(&code, LOG).await.unwrap().code, 1605);
    let effects = rig.effects();
    assert_eq!(
        (effects.msi_installs, effects.msi_failures, effects.msi_uninstalls),
        (1, 3, 1)
    );
    rig.stop().await;
}

#[tokio::test]
async fn two_installations_do_not_run_side_by_side() {
    let rig = Rig::start(|_, machine| machine.pace.msi_ms = 400).await;
    let (first, second) = tokio::join!(
        rig.host.install_msi(INSTALLER, LOG),
        rig.host.install_msi(INSTALLER, LOG)
    );
    let mut codes = [first.unwrap().code, second.unwrap().code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 1618]);
    assert_eq!(rig.effects().msi_installs, 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_wizard_is_seen_and_its_errors_too() {
    let rig = Rig::start(|_, _| {}).await;
    rig.host.install_msi(INSTALLER, LOG).await.unwrap();
    let client = rig.host.client();
    client.start_wizard("/UseExistingDatabase").await.unwrap();
    assert!(client.start_wizard("").await.is_err(), "it runs already");
    client
        .enter("I agree to the license terms and privacy notice", "yes")
        .await
        .unwrap();
    client.press("Continue").await.unwrap();
    for (field, value) in [
        ("SQL Server name", "SQL09"),
        ("Managed Service Account", r"CONTOSO\gmsa-sync02$"),
    ] {
        client.enter(field, value).await.unwrap();
    }
    let view = client.press("Install").await.unwrap().unwrap();
    assert!(view.error.unwrap().contains("No such host is known"));
    let sight = rig.host.wizard().await.unwrap();
    assert_eq!((sight.running, sight.existing_database), (true, Some(true)));
    assert_eq!(sight.page.as_deref(), Some("Install required components"));
    assert!(sight.errors[0].contains("network-related"));
    assert!(!sight.completed);
    assert!(client.press("Exit").await.unwrap().is_none());
    assert!(!rig.host.wizard().await.unwrap().running);
    rig.stop().await;
}

#[tokio::test]
async fn an_express_installation_is_seen_for_what_it_is() {
    let rig = Rig::start(|_, _| {}).await;
    rig.host.install_msi(INSTALLER, LOG).await.unwrap();
    let client = rig.host.client();
    client.start_wizard("").await.unwrap();
    client
        .enter("I agree to the license terms and privacy notice", "yes")
        .await
        .unwrap();
    client.press("Continue").await.unwrap();
    client.press("Use express settings").await.unwrap();
    client.enter("Account", "admin@contoso.onmicrosoft.com").await.unwrap();
    client.enter("Password", "x").await.unwrap();
    client.press("Next").await.unwrap();
    client.press("Next").await.unwrap();
    assert_eq!(
        client.press("Install").await.unwrap().unwrap().page,
        "Configuration complete"
    );
    let sight = rig.host.wizard().await.unwrap();
    assert_eq!((sight.existing_database, sight.completed), (Some(false), true));
    let parameters = rig.host.connect_facts().await.unwrap().parameters.unwrap();
    assert_eq!(parameters.server, "(localdb)");
    rig.stop().await;
}

#[tokio::test]
async fn a_service_without_its_database_does_not_start_and_powershell_says_so() {
    let rig = Rig::start(|dir, _| {
        let mut state = State::default();
        state.put_service(Service {
            name: SERVICE.into(),
            display_name: "Microsoft Azure AD Sync".into(),
            state: ServiceState::Stopped,
            start: StartType::Manual,
            account: r"NT SERVICE\ADSync".into(),
        });
        state.products.push(super::products::Product {
            name: "engine".into(),
            version: "2.5.79.0".into(),
            product_code: "{A}".into(),
            upgrade_code: super::layout::UPGRADE_ENGINE.into(),
            manufacturer: String::new(),
        });
        state.save(dir).unwrap();
    })
    .await;
    let control = |action| Request::ControlService {
        name: SERVICE.into(),
        action,
    };
    let ask = |action| {
        let client = rig.host.client().clone();
        async move {
            let limit = std::time::Duration::from_secs(30);
            client.ask::<()>("ADSync", &control(action), limit).await
        }
    };
    assert!(
        ask(ServiceAction::Start)
            .await
            .unwrap_err()
            .to_string()
            .contains("1066")
    );
    assert!(ask(ServiceAction::Stop).await.unwrap_err().to_string().contains("1062"));
    ask(ServiceAction::Disable).await.unwrap();
    assert!(
        ask(ServiceAction::Start)
            .await
            .unwrap_err()
            .to_string()
            .contains("1058")
    );
    let error = rig.host.connectors().await.unwrap_err().to_string();
    assert!(error.contains("EndpointNotFoundException"), "{error}");
    Faults {
        powershell_silent: true,
        ..Faults::default()
    }
    .save(rig.dir.path())
    .unwrap();
    let error = rig.host.connectors().await.unwrap_err().to_string();
    assert!(error.contains("it is empty"), "an empty success is no answer: {error}");
    assert_eq!(rig.effects().service_starts, 0);
    rig.stop().await;
}

/// A service account as the agent reads it from the script's answer: usable, refused, and what nobody can see.
#[tokio::test]
async fn a_service_account_is_seen_and_what_is_not_seen_is_unknown() {
    let rig = Rig::start(|_, _| {}).await;
    let look = async |account: &str, faults: Faults| {
        faults.save(rig.dir.path()).unwrap();
        let request = AccountRequest {
            account: account.into(),
            spns: vec!["MSSQLSvc/sql01.contoso.lab:1433".into()],
        };
        rig.host.account(&request).await.unwrap()
    };
    let managed = r"CONTOSO\gmsa-sync02$";
    let good = look(managed, Faults::default()).await;
    assert_eq!(good.kind, Some(AccountKind::GroupManaged));
    assert_eq!((good.against(), good.doubts()), (vec![], vec![]));
    assert_eq!(good.spns[0].accounts.len(), 1);
    let user = look(r"CONTOSO\svc-adsync", Faults::default()).await;
    assert_eq!((user.kind, user.doubts()), (Some(AccountKind::DomainUser), vec![]));
    let faults = Faults {
        account_not_usable: true,
        service_logon_denied: true,
        spn_twice: true,
        ..Faults::default()
    };
    let bad = look(managed, faults).await;
    assert_eq!((bad.against().len(), bad.spns[0].accounts.len()), (2, 2), "{bad:?}");
    let faults = Faults {
        directory_silent: true,
        ..Faults::default()
    };
    let unseen = look(managed, faults).await;
    assert_eq!(unseen.against(), vec![]);
    assert!(unseen.doubts().len() >= 3 && unseen.spns.is_empty(), "{unseen:?}");
    // Without its service, the tool lists nothing; that is an error of each connector, and here of the list of them.
    assert!(rig.host.pending_exports().await.is_err());
    rig.stop().await;
}

/// Through the installer or the wizard, each breakdown is recognised by what the agent reads of it.
#[tokio::test]
async fn every_breakdown_of_setup_is_recognised() {
    use super::breakdown::{At, BREAKDOWNS};
    use syncferry_shared::known_failure::recognise;
    let rig = Rig::start(|_, _| {}).await;
    let client = rig.host.client().clone();
    let fails_as = |name: Option<&str>| {
        let faults = Faults {
            breakdown: name.map(str::to_string),
            ..Faults::default()
        };
        faults.save(rig.dir.path()).unwrap();
    };
    for b in BREAKDOWNS {
        let At::Msi(code) = b.at else { continue };
        fails_as(Some(b.name));
        let exit = rig.host.install_msi(INSTALLER, LOG).await.unwrap();
        assert_eq!(exit.code, code, "{}", b.name);
        let known = recognise(&exit.excerpt.join("\n")).map(|k| k.id);
        assert_eq!(known, Some(b.known_as), "{}: {:?}", b.name, exit.excerpt);
    }
    fails_as(None);
    assert_eq!(rig.host.install_msi(INSTALLER, LOG).await.unwrap().code, 0);
    for b in BREAKDOWNS.iter().filter(|b| !matches!(b.at, At::Msi(_))) {
        fails_as(Some(b.name));
        // The express path comes to the last page without a SQL Server.
        let components = b.at == At::Components;
        client
            .start_wizard(if components { "/UseExistingDatabase" } else { "" })
            .await
            .unwrap();
        let licence = "I agree to the license terms and privacy notice";
        client.enter(licence, "yes").await.unwrap();
        client.press("Continue").await.unwrap();
        if components {
            client.enter("SQL Server name", "SQL01").await.unwrap();
            client
                .enter("Managed Service Account", r"CONTOSO\gmsa-sync02$")
                .await
                .unwrap();
        } else {
            client.press("Use express settings").await.unwrap();
            client.enter("Account", "admin@contoso.onmicrosoft.com").await.unwrap();
            client.enter("Password", "x").await.unwrap();
            client.press("Next").await.unwrap();
            client.press("Next").await.unwrap();
        }
        let view = client.press("Install").await.unwrap().unwrap();
        assert_eq!(view.error.as_deref(), b.lines.last().copied(), "{}", b.name);
        let errors = rig.host.wizard().await.unwrap().errors.join("\n");
        assert_eq!(
            recognise(&errors).map(|k| k.id),
            Some(b.known_as),
            "{}: {errors}",
            b.name
        );
        client.press("Exit").await.unwrap();
    }
    assert_eq!(rig.effects().wizards_completed, 0);
    rig.stop().await;
}
