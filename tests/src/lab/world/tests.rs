//! Worlds are whole, can be opened again, and their configurations are what the programs read.

use syncferry_sqlserver::storage::InstanceStore;

use super::*;
use crate::lab::host::MachineSpec;
use crate::lab::msi::read_product;

fn small() -> WorldOptions {
    WorldOptions {
        objects: 300,
        ..WorldOptions::small()
    }
}

#[test]
fn a_world_is_whole_and_can_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("lab");
    let world = World::create(&dir, &small(), |_| {}).unwrap();
    assert!(World::create(&dir, &small(), |_| {}).is_err(), "there is one already");
    let again = World::open(&dir).unwrap();
    assert_eq!((again.options(), again.ports()), (world.options(), world.ports()));
    let config = world.controller_dir().join("controller.toml");
    let config = syncferry_controller::config::Config::load(&config, |_| None).unwrap();
    assert_eq!(config.listen.port(), world.ports().controller);
    let host = world.host_dir(NEW_SERVER);
    let installer = MachineSpec::load(&host)
        .unwrap()
        .drives(&host)
        .real_path(INSTALLER)
        .unwrap();
    assert_eq!(read_product(&installer).unwrap().version, "2.6.91.0");
}

#[test]
fn machines_and_their_sql_servers_share_their_drives() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::create(dir.path(), &small(), |_| {}).unwrap();
    for (which, host) in [("source", OLD_SERVER), ("target", SQL_HOST)] {
        let machine = MachineSpec::load(&world.host_dir(host)).unwrap();
        let drives = machine.drives(&world.host_dir(host));
        drives.create_dir(r"D:\Syncferry\staging").unwrap();
        std::fs::write(drives.real_path(r"D:\Syncferry\staging\x").unwrap(), "x").unwrap();
        let store = InstanceStore::open(&world.sql_dir(which)).unwrap();
        assert!(store.drives().info(r"d:\syncferry\STAGING\x").is_file, "{host}");
        let agent = store.config().login(sql::AGENT_LOGIN).unwrap();
        assert_eq!(agent.roles, [if which == "source" { "sysadmin" } else { "dbcreator" }]);
    }
}

#[test]
fn a_world_that_was_not_finished_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    World::create(dir.path(), &small(), |_| {}).unwrap();
    std::fs::remove_file(dir.path().join("world.json")).unwrap();
    assert!(World::open(dir.path()).is_err());
    World::create(dir.path(), &small(), |_| {}).unwrap();
}

#[test]
fn every_variant_can_be_built() {
    for (source, target) in [
        (SourceEngine::Localdb2012, TargetEngine::Standard2016),
        (SourceEngine::Localdb2022, TargetEngine::Express2022),
        (SourceEngine::Localdb2019, TargetEngine::Localdb),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let options = WorldOptions {
            source,
            target,
            empty: true,
            case_sensitive: true,
            last_sync_days: Some(30),
            ..small()
        };
        let world = World::create(dir.path(), &options, |_| {}).unwrap();
        let target = InstanceStore::open(&world.sql_dir("target")).unwrap();
        assert!(target.config().collation.contains("_CS_"));
    }
}
