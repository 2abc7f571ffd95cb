//! What a plan refuses, or asks to be accepted, before anything is touched.

use std::time::Duration;

use syncferry_cli::Exit;
use syncferry_tests::lab::host::faults::Faults;
use syncferry_tests::lab::host::protocol::Request;
use syncferry_tests::lab::host::services::{ServiceState, StartType};
use syncferry_tests::lab::host::state::State;
use syncferry_tests::lab::host_client::HostClient;
use syncferry_tests::lab::msi::{MsiSpec, truncate};
use syncferry_tests::lab::operator::Rest;
use syncferry_tests::lab::world::{
    INSTALLER, INSTANCE, NEW_SERVER, OLD_SERVER, SITE, SQL_HOST, TargetEngine, WorldOptions,
};

use crate::town::{Place, Town, rules};

/// A name that would be an injection, if it were ever more than a name.
const AWKWARD: &str = "AD'Sync]\"x; DROP DATABASE [ADSync]--";

impl Town {
    async fn is_refused(&mut self, rule: &str) {
        let migration = self.plan().await;
        let spoke = rules(&migration);
        assert_eq!(migration.state, "blocked", "{rule}: {spoke:?}");
        assert!(spoke.iter().any(|r| r == rule), "{rule} is not among {spoke:?}");
    }

    async fn is_warned(&mut self, rule: &str) {
        let migration = self.plan().await;
        let spoke = rules(&migration);
        assert_eq!(migration.state, "planned", "{rule}: {spoke:?}");
        assert!(spoke.iter().any(|r| r == rule), "{rule} is not among {spoke:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_blocks_is_named_and_touches_nothing() {
    let mut town = Town::new().await;
    let before = town.databases().await;
    let installer = town.file(NEW_SERVER, INSTALLER);

    // The installer: of something else, cut off, changed, too old, blocked, gone.
    MsiSpec::other_product().write(&installer).unwrap();
    town.is_refused("installer-is-another-product").await;
    let good = MsiSpec::connect("2.6.91.0");
    good.write(&installer).unwrap();
    truncate(&installer).unwrap();
    town.is_refused("installer-unreadable").await;
    good.write(&installer).unwrap();
    let mut bytes = std::fs::read(&installer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&installer, bytes).unwrap();
    town.is_refused("installer-signature-bad").await;
    MsiSpec::azure_ad_connect("1.1.561.0").write(&installer).unwrap();
    town.is_refused("installer-too-old").await;
    MsiSpec::connect("2.5.3.0").write(&installer).unwrap();
    town.is_refused("installer-older-than-database").await;
    MsiSpec::connect("2.6.84.0").write(&installer).unwrap();
    town.is_refused("installer-blocked").await;
    std::fs::remove_file(&installer).unwrap();
    town.is_refused("installer-unreadable").await;
    good.write(&installer).unwrap();

    // Disks: the backup at the source, its copy at the target, the database at the target.
    for (host, drive) in [(OLD_SERVER, "D:"), (SQL_HOST, "D:"), (SQL_HOST, "C:")] {
        town.drive(host, drive, 1 << 20);
        town.is_refused("no-space").await;
        town.drive(host, drive, 1 << 40);
    }

    // Another database of the same instance.
    let words = [
        "database",
        "add",
        "msdb",
        "--site",
        SITE,
        "--host",
        OLD_SERVER,
        "--instance",
        INSTANCE,
    ];
    let (exit, said) = town.type_in(&words).await;
    assert_eq!(exit, Exit::Ok, "{said}");
    let migration = town.plan_of("msdb").await;
    assert_eq!(migration.state, "blocked");
    let spoke = rules(&migration);
    assert!(spoke.contains(&"source-is-not-adsync".to_string()), "{spoke:?}");

    // The service account: the domain gives its password to other hosts only, a policy denies the logon.
    let dir = town.world().host_dir(NEW_SERVER);
    for faults in [
        Faults {
            account_not_usable: true,
            ..Faults::default()
        },
        Faults {
            service_logon_denied: true,
            ..Faults::default()
        },
    ] {
        faults.save(&dir).unwrap();
        town.is_refused("service-account-not-usable").await;
    }
    // What nobody could look at is no reason to refuse, and is said; so is a name that two accounts have.
    let faults = Faults {
        directory_silent: true,
        ..Faults::default()
    };
    faults.save(&dir).unwrap();
    town.is_warned("service-account-usable-unknown").await;
    let faults = Faults {
        spn_twice: true,
        ..Faults::default()
    };
    faults.save(&dir).unwrap();
    town.is_warned("sql-spn-twice").await;
    Faults::default().save(&dir).unwrap();

    // Somebody else installed Connect on the new server.
    let host = HostClient::new(&town.world().host_dir(NEW_SERVER));
    let msiexec = |arguments: [&str; 3]| Request::Msiexec {
        arguments: arguments.map(str::to_string).to_vec(),
    };
    let limit = Duration::from_secs(60);
    let code: i32 = host
        .ask("msiexec", &msiexec(["/i", INSTALLER, "/quiet"]), limit)
        .await
        .unwrap();
    assert_eq!(code, 0);
    town.is_refused("connect-already-installed").await;
    let code: i32 = host
        .ask("msiexec", &msiexec(["/x", &good.product_code(), "/quiet"]), limit)
        .await
        .unwrap();
    assert_eq!(code, 0);

    town.assert_untouched();
    assert_eq!(town.databases().await, before);
    // With everything mended, the same command makes a plan.
    let migration = town.plan().await;
    assert_eq!(migration.state, "planned", "{:?}", rules(&migration));
    town.down().await;
}

/// Express and an old synchronisation are the operator's to accept: refused without a word, done with it.
#[tokio::test(flavor = "multi_thread")]
async fn express_and_an_old_synchronisation_can_be_accepted() {
    let place = Place::new(WorldOptions {
        target: TargetEngine::Express2022,
        last_sync_days: Some(30),
        ..WorldOptions::small()
    });
    // The service runs, and somebody turned its scheduler off a month ago.
    let dir = place.world().host_dir(OLD_SERVER);
    let mut state = State::load(&dir).unwrap();
    state.scheduler.sync_cycle_enabled = false;
    let service = state.services.first_mut().unwrap();
    (service.state, service.start) = (ServiceState::StartPending, StartType::Automatic);
    state.save(&dir).unwrap();
    let mut town = place.up().await;
    let before = town.databases().await;
    let migration = town.plan().await;
    let spoke = rules(&migration);
    assert_eq!(migration.state, "planned", "{spoke:?}");
    for rule in ["target-is-express", "last-sync-too-old"] {
        assert!(spoke.iter().any(|r| r == rule), "{spoke:?}");
    }
    let words = ["apply", &migration.id, "--digest", &migration.plan_digest, "--yes"];
    let (exit, said) = town.type_in(&words).await;
    assert_eq!(exit, Exit::Refused, "{said}");
    assert!(
        said.contains("last-sync-too-old") && said.contains("full import"),
        "{said}"
    );
    town.assert_untouched();
    assert_eq!(town.databases().await, before);
    assert_eq!(town.apply(&migration.id).await, Rest::Succeeded);
    assert!(!town.scheduler_is_on(), "it was off before, and is again");
    assert_eq!(town.databases().await.0, before.0);
    town.down().await;
}

/// The whole move of a database whose name has quotes and brackets in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_quotes_and_brackets_is_moved_and_nothing_is_injected() {
    let mut town = Place::new(WorldOptions {
        database: AWKWARD.into(),
        ..WorldOptions::small()
    })
    .up()
    .await;
    let before = town.databases().await;
    let migration = town.plan().await;
    assert_eq!(migration.state, "planned", "{:?}", rules(&migration));
    assert_eq!(town.apply(&migration.id).await, Rest::Succeeded);
    let after = town.databases().await;
    assert_eq!(after.0, before.0);
    assert_eq!(after.1.keys().collect::<Vec<_>>(), [AWKWARD]);
    let restored = town.outcome(&migration.id, "restore").await.restored.unwrap();
    assert_eq!(restored.database, AWKWARD);
    // The new server is of a newer version, and wrote that down; everything else is what the source has.
    let content = |d: &syncferry_shared::inventory::DatabaseFacts| {
        let counts = d.adsync.as_ref().unwrap().counts.clone();
        (counts.rows, counts.connectors, counts.rules, counts.schema_digest)
    };
    assert_eq!(content(&after.1[AWKWARD]), content(&before.0[AWKWARD]));
    for which in ["source", "target"] {
        assert_eq!(town.completed(which).get("DROP DATABASE"), None, "{which}");
    }
    let new = town.effects(NEW_SERVER);
    assert_eq!((new.msi_installs, new.wizards_completed), (1, 1));
    town.down().await;
}
