//! What must hold at the end of a run, whatever was done to it. Each thing that does not hold is one sentence.

use syncferry_proto::v1;

use super::picture::{Picture, Sql};
use crate::lab::world::{NEW_SERVER, OLD_SERVER, SQL_HOST, World};

/// How a lab is before and after a run.
pub(in crate::lab) struct Seen<'a> {
    pub(in crate::lab) before: &'a Picture,
    pub(in crate::lab) after: &'a Picture,
    pub(in crate::lab) migration: &'a v1::Migration,
    pub(in crate::lab) leases: &'a [v1::Lease],
}

/// Collects what does not hold.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: T, should: T) {
        self.must(is == should, || format!("{what}: {is:?}, should be {should:?}"));
    }
}

/// Everything that does not hold.
pub(in crate::lab) fn check(seen: &Seen<'_>, world: &World) -> Vec<String> {
    let mut p = Problems::default();
    source_untouched(&mut p, seen);
    old_server_untouched(&mut p, seen);
    nothing_left(&mut p, seen, world);
    match seen.migration.state.as_str() {
        "succeeded" => moved(&mut p, seen, world),
        "cancelled" => undone(&mut p, seen),
        other => p.0.push(format!("the migration is {other}")),
    }
    p.0
}

/// How many attempts a job had.
fn attempts(m: &v1::Migration, job: &str) -> u64 {
    let attempt = m.jobs.iter().find(|j| j.name == job).map_or(0, |j| j.attempt);
    u64::try_from(attempt).unwrap_or(0)
}

fn count(sql: &Sql, what: &str) -> u64 {
    sql.counts.get(what).copied().unwrap_or(0)
}

fn source_untouched(p: &mut Problems, seen: &Seen<'_>) {
    p.must(seen.after.source.databases == seen.before.source.databases, || {
        "the source database is not what it was".into()
    });
    // A backup that was completed is not made again, unless an operator ordered another attempt.
    let backups = count(&seen.after.source, "BACKUP DATABASE");
    let most = attempts(seen.migration, "backup").max(1);
    p.must(backups <= most, || {
        format!("{backups} BACKUPs were completed in {most} attempts")
    });
    let others: Vec<&String> = seen
        .after
        .source
        .counts
        .keys()
        .filter(|k| *k != "BACKUP DATABASE")
        .collect();
    p.must(others.is_empty(), || {
        format!("the source's SQL Server completed {others:?}")
    });
}

fn old_server_untouched(p: &mut Problems, seen: &Seen<'_>) {
    let (before, after) = (seen.before.machine(OLD_SERVER), seen.after.machine(OLD_SERVER));
    p.equal(
        "the old server's scheduler",
        &after.state.scheduler,
        &before.state.scheduler,
    );
    p.must(after.state.registry == before.state.registry, || {
        "the old server's registry is not what it was".into()
    });
    p.equal(
        "the old server's products",
        &after.state.products,
        &before.state.products,
    );
    let service = |m: &super::picture::Machine| {
        let services = m.state.services.iter();
        services
            .map(|s| (s.name.clone(), s.start, s.account.clone()))
            .collect::<Vec<_>>()
    };
    p.equal("the old server's services", service(after), service(before));
    let e = &after.effects;
    let touched = (
        e.service_stops,
        e.msi_installs,
        e.msi_uninstalls,
        e.wizards_started,
        e.reboots,
    );
    p.equal(
        "stops, installs, uninstalls, wizards, reboots on the old server",
        touched,
        (0, 0, 0, 0, 0),
    );
    p.equal("changes of the scheduler, odd", e.scheduler_changes % 2, 0);
    let sql_host = &seen.after.machine(SQL_HOST).effects;
    p.equal("what was done to the SQL host's Windows", sql_host, &Default::default());
}

fn nothing_left(p: &mut Problems, seen: &Seen<'_>, world: &World) {
    let database = world.options().database.as_str();
    for (host, machine) in &seen.after.machines {
        for open in &machine.open {
            p.0.push(format!("in the journal on {host}: {open}"));
        }
        for file in &machine.backups {
            p.0.push(format!("a backup is left on {host}: {}", file.display()));
        }
    }
    for name in seen.after.target.databases.keys() {
        let was_there = seen.before.target.databases.contains_key(name);
        p.must(name == database || was_there, || {
            format!("{SQL_HOST} has a database {name}")
        });
    }
    for name in &seen.after.target.dropped {
        p.must(name.contains("__syncferry_"), || {
            format!("{name} was dropped on {SQL_HOST}")
        });
    }
    for lease in seen.leases.iter().filter(|l| l.subject.starts_with(OLD_SERVER)) {
        p.equal(
            "the source's lease",
            (lease.state.as_str(), lease.holder.as_str()),
            ("held", OLD_SERVER),
        );
        p.equal("its epoch", lease.epoch, 1);
    }
    p.must(seen.leases.iter().any(|l| l.subject.starts_with(OLD_SERVER)), || {
        "the source has no lease".into()
    });
}

/// The end that every run comes to that nobody cancelled.
fn moved(p: &mut Problems, seen: &Seen<'_>, world: &World) {
    let m = seen.migration;
    let backups = count(&seen.after.source, "BACKUP DATABASE");
    p.must(backups >= 1, || "no BACKUP was completed".into());
    let restores = count(&seen.after.target, "RESTORE DATABASE");
    let most = attempts(m, "restore").max(1);
    p.must((1..=most).contains(&restores), || {
        format!("{restores} RESTOREs were completed in {most} attempts")
    });
    // Each attempt that was undone has renamed it and renamed it back.
    let renames = count(&seen.after.target, "RENAME DATABASE");
    p.must(renames % 2 == 1 && renames < 2 * most, || {
        format!("{renames} renames in {most} attempts")
    });
    let database = &world.options().database;
    p.must(seen.after.target.databases.contains_key(database), || {
        format!("{SQL_HOST} has no {database}")
    });
    let e = &seen.after.machine(NEW_SERVER).effects;
    p.equal(
        "installations that stay",
        e.msi_installs.saturating_sub(e.msi_uninstalls),
        1,
    );
    p.must(u64::from(e.msi_installs) <= attempts(m, "install").max(1), || {
        format!(
            "{} installations in {} attempts",
            e.msi_installs,
            attempts(m, "install")
        )
    });
    p.equal("completed wizards, exports", (e.wizards_completed, e.exports), (1, 0));
    p.must(m.jobs.iter().all(|j| j.state == "succeeded"), || {
        "a job has not succeeded".into()
    });
    let seat = seen.leases.iter().filter(|l| l.subject.starts_with(SQL_HOST));
    let seat: Vec<_> = seat
        .map(|l| (l.state.as_str(), l.holder.as_str(), l.renewer.as_str()))
        .collect();
    p.equal("the new database's lease", seat, vec![("held", NEW_SERVER, NEW_SERVER)]);
    p.must(world.dir().join("report.html").is_file(), || {
        "there is no report".into()
    });
}

/// The end that every cancelled run comes to.
fn undone(p: &mut Problems, seen: &Seen<'_>) {
    p.equal("databases on the SQL host", seen.after.target.databases.len(), 0);
    let e = &seen.after.machine(NEW_SERVER).effects;
    p.equal("installations that stay", e.msi_installs, e.msi_uninstalls);
    p.equal("completed wizards, exports", (e.wizards_completed, e.exports), (0, 0));
    p.equal(
        "the new server's products",
        &seen.after.machine(NEW_SERVER).state.products,
        &seen.before.machine(NEW_SERVER).state.products,
    );
    let done = |s: &str| ["cancelled", "undone", "failed", "succeeded"].contains(&s);
    p.must(seen.migration.jobs.iter().all(|j| done(&j.state)), || {
        "a job is not at its end".into()
    });
    for seat in seen.leases.iter().filter(|l| l.subject.starts_with(SQL_HOST)) {
        p.equal("the seat's lease", seat.state.as_str(), "free");
    }
}
