//! What is alarming, from what agents saw and from where the leases stand. Pure. Every rule also says what it looked at and
//! found in order: only that ends an alarm. A host that nobody heard of ends nothing.

use std::collections::BTreeSet;

use syncferry_shared::alarm::AlarmKind;
use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::lease::{LeaseKind, LeaseState};
use syncferry_shared::watch::{WatchReport, WatchedConnect, WatchedDatabase};
use syncferry_shared::{DatabaseId, Finding, HostId, Millis};
use uuid::Uuid;

use super::Alarming;
use crate::commands::lease::words::how_to_stop;

/// A fence that takes longer than this needs a person.
pub const FENCING_LIMIT_MS: i64 = 15 * 60 * 1000;
const OURS: &str = "Syncferry: one Connect server uses one database";
const MICROSOFT: &str = "Microsoft: Connect servers do not share a database, and one server of a tenant exports";

/// A host as the rules see it.
#[derive(Debug, Clone)]
pub struct HostView {
    /// Its id.
    pub id: HostId,
    /// The name it was added with.
    pub name: String,
    /// The computer's own name.
    pub computer: Option<String>,
    /// Whether a migration installs Connect there, or is about to.
    pub expected: bool,
    /// Whether it held a database once.
    pub held_before: bool,
    /// Where SQL Server was proven to refuse it, and it has not held that since: `SQL01/default/ADSync at epoch 4`.
    pub refused: Option<String>,
}

impl HostView {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.computer.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(name))
    }
}

/// A lease as the rules see it.
#[derive(Debug, Clone)]
pub struct LeaseView {
    /// Its name for operators.
    pub name: String,
    /// The kind.
    pub kind: LeaseKind,
    /// Where it stands.
    pub state: LeaseState,
    /// Since when.
    pub since: Millis,
    /// Its epoch.
    pub epoch: i64,
    /// Who holds it, or held it when the taking began.
    pub holder: Option<HostId>,
    /// Hosts of the tenant, for an export.
    pub tenant_hosts: Vec<HostId>,
    /// The database, and what it is registered as.
    pub database: Option<(DatabaseId, Option<Uuid>, Option<Uuid>)>,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Now, by the store's clock.
    pub now: Millis,
    /// The leases.
    pub leases: Vec<LeaseView>,
    /// The hosts.
    pub hosts: Vec<HostView>,
    /// Looks that are fresh enough to speak of now.
    pub looks: Vec<(HostId, WatchReport)>,
}

/// What is alarming, and what was looked at and is in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// What is alarming.
    pub alarming: Vec<Alarming>,
    /// Kind and subject (or its beginning, before a blank) of what was looked at.
    pub looked_at: BTreeSet<(AlarmKind, String)>,
}

impl Judgement {
    fn look(&mut self, kind: AlarmKind, subject: &str) {
        self.looked_at.insert((kind, subject.to_string()));
    }
    fn raise(&mut self, kind: AlarmKind, subject: impl Into<String>, finding: Finding) {
        self.alarming.push(Alarming {
            kind,
            subject: subject.into(),
            finding,
        });
    }
    /// Whether an open alarm ended: somebody looked, and it is not there any more.
    pub fn ended(&self, kind: AlarmKind, subject: &str) -> bool {
        let holds = self.alarming.iter().any(|a| a.kind == kind && a.subject == subject);
        let covers = |(k, s): &(AlarmKind, String)| {
            *k == kind
                && (subject == s
                    || subject
                        .strip_prefix(s.as_str())
                        .is_some_and(|rest| rest.starts_with(' ')))
        };
        !holds && self.looked_at.iter().any(covers)
    }
}

impl World {
    fn host(&self, id: HostId) -> Option<&HostView> {
        self.hosts.iter().find(|h| h.id == id)
    }
    fn connect(&self, id: HostId) -> Option<&WatchedConnect> {
        let look = self.looks.iter().find(|(h, _)| *h == id)?;
        look.1.connect.as_ref().filter(|c| c.error.is_none())
    }
    /// Accounts that only one Connect server uses, with that server.
    fn account_of(&self, login: &str) -> Option<&HostView> {
        let mut users = self.looks.iter().filter(|(_, r)| {
            let account = r
                .connect
                .as_ref()
                .and_then(|c| c.facts.service.as_ref())
                .map(|s| s.account.as_str());
            account.is_some_and(|a| a.contains('\\') && a.eq_ignore_ascii_case(login))
        });
        let user = users.next()?;
        users.next().is_none().then(|| self.host(user.0)).flatten()
    }
}

/// Judges the world.
pub fn judge(world: &World) -> Judgement {
    let mut out = Judgement::default();
    for lease in &world.leases {
        states(world, lease, &mut out);
        match lease.kind {
            LeaseKind::Database => database(world, lease, &mut out),
            LeaseKind::TenantExport => export(world, lease, &mut out),
        }
    }
    for host in &world.hosts {
        old_server(world, host, &mut out);
    }
    out
}

fn running(connect: &WatchedConnect) -> bool {
    let service = connect.facts.service.as_ref();
    service.is_some_and(|s| s.state.eq_ignore_ascii_case("running"))
}

/// What a lease's own state says.
fn states(world: &World, lease: &LeaseView, out: &mut Judgement) {
    let name = &lease.name;
    let holder = lease
        .holder
        .and_then(|h| world.host(h))
        .map_or("its holder", |h| h.name.as_str());
    for kind in [
        AlarmKind::LeaseLost,
        AlarmKind::LeaseQuarantined,
        AlarmKind::FencingTooLong,
    ] {
        out.look(kind, name);
    }
    let seen = format!(
        "{}, epoch {}, since {}",
        lease.state,
        lease.epoch,
        lease.since.rfc3339()
    );
    match lease.state {
        LeaseState::Lost => out.raise(
            AlarmKind::LeaseLost,
            name,
            Finding::blocker("lease-lost", format!("The lease of {name} was not renewed in time"))
                .saw("the lease", seen)
                .source("Syncferry: an unreachable server may still be running")
                .next(format!(
                    "Bring the agent that renews it back: then it is {holder}'s again. When {holder} does not come back: `syncferry lease fence {name}`."
                )),
        ),
        LeaseState::Quarantined => out.raise(
            AlarmKind::LeaseQuarantined,
            name,
            Finding::blocker("lease-quarantined", format!("It is in doubt which database {name} is"))
                .saw("the lease", seen)
                .source("Syncferry: nothing is granted on a database that is in doubt")
                .next(format!("Find out what happened to it, then: `syncferry lease fence {name}`.")),
        ),
        LeaseState::Fencing if world.now.since(lease.since) > FENCING_LIMIT_MS => out.raise(
            AlarmKind::FencingTooLong,
            name,
            Finding::blocker("fencing-too-long", format!("{name} is being taken from {holder} for more than 15 minutes"))
                .saw("the lease", seen)
                .source("Syncferry: between two holders nobody synchronises")
                .next(format!(
                    "Go on with `syncferry lease fence {name}`, or with two people's word: `syncferry lease attest {name}`."
                )),
        ),
        _ => {}
    }
}

/// What was seen of a leased database.
fn database(world: &World, lease: &LeaseView, out: &mut Judgement) {
    let Some((id, guid, fork)) = lease.database else { return };
    let seen = world.looks.iter().flat_map(|(_, r)| &r.databases);
    for look in seen.filter(|d| d.database == id) {
        if let Some(why) = cannot_watch(look) {
            out.raise(AlarmKind::CannotWatch, &lease.name, why_not(&lease.name, why));
            continue;
        }
        out.look(AlarmKind::CannotWatch, &lease.name);
        out.look(AlarmKind::DatabaseChanged, &lease.name);
        out.look(AlarmKind::ForeignSession, &lease.name);
        if let Some(finding) = changed(&lease.name, look, guid, fork) {
            out.raise(AlarmKind::DatabaseChanged, &lease.name, finding);
        }
        foreign_sessions(world, lease, look, out);
    }
}

fn cannot_watch(look: &WatchedDatabase) -> Option<&str> {
    match (&look.error, &look.sessions) {
        (Some(error), _) => Some(error),
        (None, None) => Some("sessions of others cannot be seen (VIEW SERVER STATE)"),
        (None, Some(_)) => None,
    }
}

fn why_not(name: &str, why: &str) -> Finding {
    Finding::warning("cannot-watch", format!("Who uses {name} cannot be watched"))
        .saw("the agent that reaches it", why)
        .source("Syncferry: who cannot look does not know that nobody is there")
        .next("Start the instance, or grant the agent's login VIEW SERVER STATE (on SQL Server 2022: VIEW SERVER PERFORMANCE STATE).")
}

fn changed(name: &str, look: &WatchedDatabase, guid: Option<Uuid>, fork: Option<Uuid>) -> Option<Finding> {
    let differs = |known: Option<Uuid>, seen: Option<Uuid>| known.zip(seen).filter(|(k, s)| k != s);
    let (what, (known, seen)) = match (
        differs(guid, look.database_guid),
        differs(fork, look.recovery_fork_guid),
    ) {
        (Some(pair), _) => ("database_guid", pair),
        (None, Some(pair)) => ("recovery_fork_guid", pair),
        (None, None) => return None,
    };
    Some(
        Finding::blocker(
            "database-changed",
            format!("{name} is not the database that was registered"),
        )
        .saw(what, format!("{seen}, registered as {known}"))
        .source("sys.database_recovery_status: a restore changes these")
        .next("Find out who restored or replaced it. Then register it again with `syncferry database add`."),
    )
}

fn foreign_sessions(world: &World, lease: &LeaseView, look: &WatchedDatabase, out: &mut Judgement) {
    let holder = lease.holder.and_then(|h| world.host(h));
    let mut told = BTreeSet::new();
    for s in look.sessions.iter().flatten() {
        let Some(server) = foreign(world, holder, s) else {
            continue;
        };
        if !told.insert(server.to_ascii_uppercase()) {
            continue;
        }
        let held = holder.map_or("nobody holds".to_string(), |h| format!("{} holds", h.name));
        out.raise(
            AlarmKind::ForeignSession,
            format!("{} from {server}", lease.name),
            Finding::blocker("foreign-session", format!("{server} uses {}, which {held}", lease.name))
                .saw(
                    format!("session {} in sys.dm_exec_sessions", s.id),
                    format!(
                        "{} from {} as {}",
                        s.program.as_deref().unwrap_or("?"),
                        s.host.as_deref().unwrap_or("?"),
                        s.login
                    ),
                )
                .source(MICROSOFT)
                .next(format!(
                    "{}. Two servers on one database damage it.",
                    how_to_stop(&server)
                )),
        );
    }
}

/// The server behind a session, if it is a Connect server's and not the holder's. Other programs' sessions are no alarm.
fn foreign(world: &World, holder: Option<&HostView>, s: &SessionFacts) -> Option<String> {
    // A host name is what the client says of itself; the account is what SQL Server knows.
    let by_account = world.account_of(&s.login);
    let said = s.host.as_deref().unwrap_or("an unnamed host");
    if let Some(server) = by_account.filter(|a| holder.is_none_or(|h| h.id != a.id)) {
        return Some(server.name.clone());
    }
    let holders = holder.is_some_and(|h| h.is(said));
    (s.is_sync_service() && !holders).then(|| said.to_string())
}

/// Who is out of staging mode.
fn export(world: &World, lease: &LeaseView, out: &mut Judgement) {
    let active = |id: &&HostId| {
        world
            .connect(**id)
            .is_some_and(|c| running(c) && c.facts.scheduler.as_ref().is_some_and(|s| !s.staging_mode))
    };
    let all: Vec<&HostView> = lease
        .tenant_hosts
        .iter()
        .filter(active)
        .filter_map(|id| world.host(*id))
        .collect();
    for id in &lease.tenant_hosts {
        if let (Some(_), Some(host)) = (world.connect(*id), world.host(*id)) {
            out.look(
                AlarmKind::SecondActiveServer,
                &format!("{} by {}", lease.name, host.name),
            );
        }
    }
    for host in &all {
        // One alone, while nobody holds the export, is merely not registered yet.
        if lease.holder == Some(host.id) || (lease.holder.is_none() && all.len() == 1) {
            continue;
        }
        let holder = lease
            .holder
            .and_then(|h| world.host(h))
            .map_or("nobody", |h| h.name.as_str());
        let others: Vec<&str> = all.iter().map(|h| h.name.as_str()).collect();
        out.raise(
            AlarmKind::SecondActiveServer,
            format!("{} by {}", lease.name, host.name),
            Finding::blocker("second-active-server", format!("{} is out of staging mode, and {holder} holds the export", host.name))
                .saw(format!("Get-ADSyncScheduler on {}", host.name), "StagingModeEnabled is False, the service runs")
                .saw("servers of the tenant that are out of staging mode", others.join(", "))
                .source(MICROSOFT)
                .next(format!(
                    "Put {} into staging mode again (the wizard's page \"Configure staging mode\"). To change the active server: `syncferry lease handover {}`.",
                    host.name, lease.name
                )),
        );
    }
}

/// A server that gave its database up, or lost it, and runs.
fn old_server(world: &World, host: &HostView, out: &mut Judgement) {
    let Some(connect) = world.connect(host.id) else { return };
    out.look(AlarmKind::OldServerAlive, &host.name);
    let holds = world.leases.iter().any(|l| {
        l.kind == LeaseKind::Database
            && l.holder == Some(host.id)
            && matches!(l.state, LeaseState::Held | LeaseState::Draining | LeaseState::Lost)
    });
    let service = connect.facts.service.as_ref();
    // A service that SQL Server refuses stops again at once, and starts again with the machine: it is caught running by chance.
    let alive = service.is_some_and(|s| {
        !s.state.eq_ignore_ascii_case("stopped")
            || (host.refused.is_some() && s.start.eq_ignore_ascii_case("automatic"))
    });
    if holds || host.expected || !host.held_before || !alive {
        return;
    }
    let uses = connect.facts.parameters.as_ref();
    let (title, refusal) = match &host.refused {
        Some(at) => (
            format!("{} is back and tries; SQL Server refuses it", host.name),
            format!("SQL Server refuses it on {at}, until marks and denials are removed"),
        ),
        None => (
            format!("{} runs again, and holds no database any more", host.name),
            "Nothing but a fence at SQL Server refuses it until then".to_string(),
        ),
    };
    out.raise(
        AlarmKind::OldServerAlive,
        &host.name,
        Finding::blocker("old-server-alive", title)
            .saw(
                format!("service ADSync on {}", host.name),
                service.map_or(String::new(), |s| format!("{}, start type {}", s.state, s.start)),
            )
            .saw(
                r"ADSync\Parameters",
                uses.map_or("unknown".to_string(), |p| {
                    format!("{} {} {}", p.server, p.instance, p.database)
                }),
            )
            .source(OURS)
            .next(format!("{}. {refusal}.", how_to_stop(&host.name))),
    );
}

/// Connect that was configured between two looks, where nobody expected it.
pub fn wizard(host: &HostView, holds: bool, before: &WatchReport, now: &WatchReport) -> Option<Alarming> {
    let (Some(before), Some(now)) = (&before.connect, &now.connect) else {
        return None;
    };
    if before.error.is_some() || now.error.is_some() || host.expected {
        return None;
    }
    let (was, is) = (before.facts.parameters.as_ref(), now.facts.parameters.as_ref()?);
    let same = |w: &syncferry_shared::inventory::ConnectParameters| {
        w.server.eq_ignore_ascii_case(&is.server)
            && w.instance.eq_ignore_ascii_case(&is.instance)
            && w.database.eq_ignore_ascii_case(&is.database)
    };
    let title = match was {
        Some(w) if same(w) => return None,
        // The holder of a seat is expected to appear on it.
        None if holds => return None,
        Some(_) => format!("Connect on {} was moved to another database by hand", host.name),
        None => format!(
            "Somebody completed the wizard on {}, where no migration waits for it",
            host.name
        ),
    };
    let say =
        |p: &syncferry_shared::inventory::ConnectParameters| format!("{} {} {}", p.server, p.instance, p.database);
    Some(Alarming {
        kind: AlarmKind::UnexpectedWizard,
        subject: host.name.clone(),
        finding: Finding::blocker("unexpected-wizard", title)
            .saw(r"ADSync\Parameters before", was.map_or("none".to_string(), say))
            .saw(r"ADSync\Parameters now", say(is))
            .source("Syncferry: a Connect server is seated by a migration, on a database whose lease it holds")
            .next(format!(
                "Find out who did it. Unless it is meant: {}. If it is meant, register its database: `syncferry database add`. Then acknowledge this alarm.",
                how_to_stop(&host.name)
            )),
    })
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
