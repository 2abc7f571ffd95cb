//! The end states: what a refused plan leaves, and what each scenario promises. Each thing that does not hold is one sentence.

use std::fmt::Debug;

use syncferry_proto::v1;

use super::draw::Play;
use crate::lab::host::services::{ServiceState, StartType};
use crate::lab::torture::check::{Seen, check};
use crate::lab::torture::picture::{Machine, Picture, Sql};
use crate::lab::typed::Scenario;
use crate::lab::world::{HOSTS, NEW_SERVER, OLD_SERVER, SQL_HOST, World};

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn equal<T: PartialEq + Debug>(&mut self, what: &str, is: T, should: T) {
        if is != should {
            self.0.push(format!("{what}: {is:?}, should be {should:?}"));
        }
    }
}

/// What was done to a machine, without what its own service does all the time.
fn done(machine: &Machine) -> impl PartialEq + Debug + use<> {
    let e = &machine.effects;
    (
        (e.msi_installs, e.msi_failures, e.msi_uninstalls),
        (e.service_starts, e.service_stops, e.reboots),
        (e.scheduler_changes, e.wizards_started, e.wizards_completed),
    )
}

fn services(machine: &Machine) -> Vec<(String, StartType, String)> {
    let services = machine.state.services.iter();
    services.map(|s| (s.name.clone(), s.start, s.account.clone())).collect()
}

fn same_machine(p: &mut Problems, host: &str, before: &Machine, after: &Machine) {
    p.equal(&format!("what was done on {host}"), done(after), done(before));
    p.equal(&format!("services on {host}"), services(after), services(before));
    p.equal(
        &format!("the registry of {host}"),
        &after.state.registry,
        &before.state.registry,
    );
    p.equal(
        &format!("products on {host}"),
        &after.state.products,
        &before.state.products,
    );
    p.equal(
        &format!("the scheduler of {host}"),
        &after.state.scheduler,
        &before.state.scheduler,
    );
    p.equal(&format!("files on {host}"), &after.files, &before.files);
    p.equal(&format!("open in the journal on {host}"), &after.open, &before.open);
}

fn same_server(p: &mut Problems, which: &str, before: &Sql, after: &Sql) {
    p.equal(&format!("databases of {which}"), &after.databases, &before.databases);
    p.equal(&format!("logins of {which}"), &after.logins, &before.logins);
    p.equal(&format!("what {which} completed"), &after.counts, &before.counts);
}

/// Nothing and nobody was touched.
pub(super) fn untouched(before: &Picture, after: &Picture) -> Vec<String> {
    let mut p = Problems::default();
    for host in HOSTS {
        same_machine(&mut p, host, before.machine(host), after.machine(host));
    }
    same_server(&mut p, "the old server's SQL Server", &before.source, &after.source);
    same_server(&mut p, "the SQL host's SQL Server", &before.target, &after.target);
    p.0
}

/// What the scenario promises.
pub(super) fn reached(
    play: Play,
    world: &World,
    before: &Picture,
    after: &Picture,
    migration: &v1::Migration,
    leases: &[v1::Lease],
) -> Vec<String> {
    let mut p = Problems::default();
    p.equal("the migration", migration.state.as_str(), "succeeded");
    match play {
        Play::Scenario(Scenario::MoveToFullSql | Scenario::ProvisionStaging) => {
            let seen = Seen {
                before,
                after,
                migration,
                leases,
            };
            p.0.extend(check(&seen, world));
        }
        Play::Scenario(Scenario::Drill { .. }) => drilled(&mut p, before, after),
        Play::Scenario(_) => restored(&mut p, world, after, leases),
        Play::Replace => replaced(&mut p, world, after, leases),
    }
    p.0
}

fn count(sql: &Sql, what: &str) -> u64 {
    sql.counts.get(what).copied().unwrap_or(0)
}

/// It was restored and dropped, and nothing of it is left.
fn drilled(p: &mut Problems, before: &Picture, after: &Picture) {
    p.equal(
        "databases of the SQL host",
        &after.target.databases,
        &before.target.databases,
    );
    p.equal("the source", &after.source.databases, &before.source.databases);
    let did = ["RESTORE DATABASE", "DROP DATABASE", "RENAME DATABASE"].map(|what| count(&after.target, what));
    p.equal("restored, dropped, renamed", did, [1, 1, 0]);
    p.equal("backups", count(&after.source, "BACKUP DATABASE"), 1);
    for host in HOSTS {
        let (was, is) = (before.machine(host), after.machine(host));
        p.equal(&format!("services on {host}"), services(is), services(was));
        p.equal(
            &format!("the scheduler of {host}"),
            &is.state.scheduler,
            &was.state.scheduler,
        );
        p.equal(&format!("backups on {host}"), is.backups.len(), 0);
        p.equal(&format!("open in the journal on {host}"), is.open.len(), 0);
        let e = &is.effects;
        let did = (e.msi_installs, e.wizards_started, e.service_stops);
        p.equal(&format!("installed, started, stopped on {host}"), did, (0, 0, 0));
    }
}

/// The new server runs on the database in staging mode and holds it; the old one never starts again by itself.
fn seated(p: &mut Problems, world: &World, after: &Picture, leases: &[v1::Lease]) {
    let new = &after.machine(NEW_SERVER).effects;
    let did = (new.msi_installs, new.msi_uninstalls, new.wizards_completed, new.exports);
    p.equal(
        "installed, uninstalled, completed, exported on the new server",
        did,
        (1, 0, 1, 0),
    );
    let old = after.machine(OLD_SERVER).state.service("ADSync").cloned();
    let old = old.map(|s| (s.start, s.state == ServiceState::Running));
    p.equal("the old server's service", old, Some((StartType::Disabled, false)));
    let database = &world.options().database;
    p.equal(
        "the database is there",
        after.target.databases.contains_key(database),
        true,
    );
    let seat = leases
        .iter()
        .find(|l| l.subject.starts_with(SQL_HOST) && l.holder == NEW_SERVER);
    p.equal("the lease", seat.map(|l| l.state.as_str()), Some("held"));
    for host in HOSTS {
        p.equal(
            &format!("open in the journal on {host}"),
            after.machine(host).open.len(),
            0,
        );
    }
}

fn restored(p: &mut Problems, world: &World, after: &Picture, leases: &[v1::Lease]) {
    seated(p, world, after, leases);
    // The drill's scratch copy besides the one that stays.
    let did = ["RESTORE DATABASE", "DROP DATABASE", "RENAME DATABASE"].map(|what| count(&after.target, what));
    p.equal("restored, dropped, renamed", did, [2, 1, 1]);
}

fn replaced(p: &mut Problems, world: &World, after: &Picture, leases: &[v1::Lease]) {
    seated(p, world, after, leases);
    let did = [
        "BACKUP DATABASE",
        "RESTORE DATABASE",
        "DROP DATABASE",
        "RENAME DATABASE",
    ];
    let did = did.map(|what| count(&after.target, what));
    p.equal("backed up, restored, dropped, renamed", did, [1, 1, 1, 0]);
    p.equal("the backup stays", after.machine(SQL_HOST).backups.len(), 1);
}
