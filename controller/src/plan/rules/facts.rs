//! The facts that rules depend on, each by the name that the rules' files use: what was seen, that it was not seen, or that
//! this plan has no such thing. They judge nothing.

use syncferry_shared::inventory::{AdsyncFacts, DatabaseFacts, HostFacts, InstallerFacts, InstanceFacts};
use syncferry_shared::plan::{KnownBackup, Scenario};

use super::{backup_bytes, bytes};
use crate::plan::{KnownHost, PlanInput};

/// What became of looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was seen, and this is what it said.
    Known(String),
    /// It was not seen, and this is why.
    Unknown(String),
    /// There is no such thing in this plan.
    Elsewhere(String),
}

use Seen::{Elsewhere, Known, Unknown};

/// A fact: its name, what people call it, and how it is looked up.
pub(crate) struct Fact {
    /// Its name in the rules' files.
    pub(crate) name: &'static str,
    /// What people call it.
    pub(crate) label: &'static str,
    /// How it is looked up.
    pub(crate) look: fn(&PlanInput) -> Seen,
}

macro_rules! facts {
    ($($name:literal $label:literal = $look:expr;)*) => {
        /// Every fact.
        pub(crate) const FACTS: &[Fact] = &[$(Fact { name: $name, label: $label, look: $look }),*];
    };
}

/// A fact by its name.
pub(crate) fn fact(name: &str) -> Option<&'static Fact> {
    FACTS.iter().find(|f| f.name == name)
}

facts! {
    "agents" "agents that answered" = agents;
    "agents-looked" "what agents could not look at" = agents_looked;
    "agent-releases" "releases of the agents" = |i| Known(super::agents::releases(i));
    "request" "the request" = |i| Known(format!("{} as {}", i.request.scenario.as_str(), i.request.target_database));
    "source-registration" "registration of the source" = |i| known(if i.source.confirmed { "confirmed" } else { "in doubt" });
    "source-lease" "lease of the source" = |i| match &i.source.lease {
        Some(l) => Known(format!("{}, epoch {}", l.state, l.epoch)),
        None => known("none"),
    };
    "dba" "who runs what needs rights in SQL Server" = |i| match i.request.dba {
        true => known("a DBA"),
        false => Elsewhere("the agents do".to_string()),
    };
    "in-place" "the host that stays" = |i| match i.request.in_place {
        true => Known(format!("{} is uninstalled and installed anew", i.connect_host.name)),
        false => Elsewhere("another host becomes the Connect server".to_string()),
    };
    "connect-lease" "lease that the new server holds" = |i| if i.request.in_place {
        Elsewhere("it is the same host, and holds the source".to_string())
    } else { known(i.connect_host.holds.as_ref().map_or("none", |l| l.state.as_str())) };
    "site-migrations" "other migrations of the site" = |i| known(i.other_migration.as_deref().unwrap_or("none"));
    "source-instance" "instance of the source" = |i| source_instance(i, |x| Known(x.server_name.clone()));
    "source-engine" "SQL Server of the source" = |i| match restored(i) {
        Some(b) => Known(format!("version {} made the backup", b.header.software_major)),
        None => source_instance(i, |x| Known(format!("{} {}", x.edition, x.product_version))),
    };
    "source-database" "the source" = |i| source(i, |d| Known(d.state.clone()));
    "source-identity" "database_guid of the source" = |i| source(i, |d| some(d.database_guid, "NULL"));
    "source-backup-right" "the right to back the source up" = |i| source(i, |d| known(if d.can_backup { "1" } else { "0" }));
    "source-tde" "TDE of the source" = |i| source(i, |d| known(if d.is_encrypted { "on" } else { "off" }));
    "source-size" "data files of the source" = |i| source(i, |d| Known(bytes(super::capacity::data_bytes(d))));
    "source-sessions" "sessions on the source" = sessions;
    "source-transfer" "transfer address of the source's agent" = |i| {
        if i.source_host.id == i.target_host.id {
            return Elsewhere("source and target are one host".to_string());
        }
        known(i.source_host.transfer_address.as_deref().unwrap_or("none"))
    };
    "source-collation" "collation of the source" = |i| match restored(i) {
        Some(b) => some(Some(&b.header.collation).filter(|c| !c.is_empty()), "the backup's header does not say"),
        None => source(i, |d| some(d.collation.as_ref(), "the server does not say")),
    };
    "source-group" "availability group of the source" = |i| source(i, |d| Known(d.group_database_id.map_or("none".to_string(), |g| g.to_string())));
    "source-adsync" "tables of Connect in the source" = |i| source(i, |d| known(if d.adsync.is_some() { "there" } else { "not there" }));
    "source-content" "configuration in the source" = |i| source(i, |d| match &d.adsync {
        Some(a) => known(if a.empty { "none" } else { "there" }),
        None => Elsewhere("it is no ADSync database".to_string()),
    });
    "source-last-sync" "last synchronisation" = |i| adsync(i, |a| some(a.last_sync, "no evidence in the database"));
    "source-sign-in" "sign-in method" = |i| adsync(i, |a| some(a.sign_on_method.as_ref(), "not in the database"));
    "source-version" "Connect version last used" = |i| match restored(i) {
        Some(b) => b.counts.and_then(|c| c.connect_version).map_or_else(
            || Elsewhere("the backup does not say; it is looked at in the copy, before anything is installed".to_string()),
            |v| Known(v.to_string()),
        ),
        None => adsync(i, |a| some(a.connect_version, "not in the database")),
    };
    "source-forests" "forests" = |i| adsync(i, |a| if a.forests.is_empty() { Unknown("none was read".to_string()) } else { Known(a.forests.join(", ")) });
    "source-features" "forests and features" = |i| adsync(i, |a| Known(format!("{} forests, {} features on", a.forests.len(), super::carry_over::features_on(a))));
    "source-flags" "connectors that are flagged" = |i| adsync(i, |a| Known(if a.full_run_required.is_empty() { "none".to_string() } else { a.full_run_required.join(", ") }));
    "source-owner" "server that the Entra connector names" = |i| adsync(i, |a| some(a.last_owner.as_ref(), "it names none"));
    "source-objects" "objects in the metaverse" = |i| adsync(i, |a| some(super::capacity::objects(a), "they were not counted"));
    "source-auto-upgrade" "automatic upgrade of the old server" = auto_upgrade;
    "source-space" "staging folder of the source" = |i| match asks_for_backup(i) {
        true => Elsewhere("nothing is backed up".to_string()),
        false => space(&i.source_host, i),
    };
    "target-space" "staging folder of the target" = |i| moves(i, |i| space(&i.target_host, i));
    "target-instance" "instance for the database" = |i| target(i, |x| Known(x.server_name.clone()));
    "target-edition" "edition there" = |i| target(i, |x| Known(x.edition.clone()));
    "target-version" "version there" = |i| target(i, |x| Known(x.product_version.clone()));
    "target-collation" "collation there" = |i| target(i, |x| some(Some(&x.collation).filter(|c| !c.is_empty()), "the server does not say"));
    "target-rights" "the agent's rights there" = |i| target(i, |x| Known(format!(
        "{}: sysadmin {}, dbcreator {}, sessions {}", x.login, x.is_sysadmin, x.can_create_database, x.can_view_state
    )));
    "target-names" "databases there" = |i| target(i, |x| Known(format!("{} databases", x.databases.len())));
    "target-families" "families of the databases there" = |i| target(i, |x| Known(format!(
        "{} of {} databases say theirs", x.databases.iter().filter(|d| d.family_guid.is_some()).count(), x.databases.len()
    )));
    "target-address" "name and port for the card" = |i| target(i, |x| Known(format!(
        "{},{}", x.connect_host.as_deref().unwrap_or(&x.machine_name), x.connect_port.map_or("-".to_string(), |p| p.to_string())
    )));
    "installer-file" "installer" = |i| match (i.connect_host.installer(), &i.connect_host.inventory) {
        (Some(f), _) => Known(f.path.clone()),
        (None, Some(_)) => known("it cannot be read"),
        (None, None) => no_answer(&i.connect_host),
    };
    "installer-product" "product of the installer" = |i| installer(i, |f| Known(f.product_name.clone()));
    "installer-version" "version of the installer" = |i| installer(i, |f| Known(f.product_version.clone()));
    "installer-signature" "signature of the installer" = |i| installer(i, |f| match (f.signature_trusted, f.has_signature) {
        (Some(true), _) => known("trusted"),
        (Some(false), _) => known("not trusted"),
        (None, true) => Unknown("there is one, and Windows was not asked".to_string()),
        (None, false) => known("none"),
    });
    "catalogue" "version catalogue" = |i| Known(format!("signed off on {}", i.catalogue.signed_off));
    "connect-host" "agent on the new server" = |i| match i.connect_host.inventory.as_ref().map(|n| n.connect.is_some()) {
        Some(true) => known("it looks at Connect"),
        Some(false) => known("it does not look at Connect"),
        None => no_answer(&i.connect_host),
    };
    "connect-products" "Connect on the new server" = |i| match i.connect_host.inventory.as_ref() {
        None => no_answer(&i.connect_host),
        Some(_) if i.request.in_place => Elsewhere("it is uninstalled before the installer runs".to_string()),
        Some(n) => n.connect.as_ref().map_or(Unknown("the agent does not look at Connect".to_string()), |c| Known(format!(
            "{} products, service {}", c.products.len(), c.service.as_ref().map_or("none", |s| s.state.as_str())
        ))),
    };
    "connect-os" "Windows of the new server" = |i| host(i, |h| if h.os_version.is_empty() {
        Unknown("the system does not say".to_string())
    } else {
        Known(format!("{} ({})", h.os, h.os_version))
    });
    "connect-shell" "graphical shell of the new server" = |i| windows(i, |h| yes_or_no(h.desktop_experience));
    "connect-tls" "TLS 1.2 on the new server" = |i| windows(i, |h| yes_or_no(h.tls12));
    "connect-dotnet" ".NET Framework release of the new server" = |i| windows(i, |h| some(h.dotnet_release, "the registry was not read"));
    "connect-domain" "domain of the new server" = |i| windows(i, |h| known(h.domain.as_deref().unwrap_or("none")));
    "connect-memory" "memory of the new server" = |i| host(i, |h| some(h.memory_mb.map(|m| format!("{m} MB")), "the system does not say"));
    "connect-reach" "way from the new server to SQL Server" = reach;
    "service-account" "service account" = |i| some(i.request.service_account.as_ref(), "--service-account was not given");
    "account-here" "the service account on the new server" = account_here;
    "sql-spn" "accounts that SQL Server's name is registered for" = sql_spn;
    "old-server" "the old server" = |i| match i.old_server() {
        Some(h) if h.inventory.is_some() => Known(format!("{} answers", h.name)),
        Some(h) => Known(format!("{} does not answer", h.name)),
        None => Elsewhere("there is none to take the lease from".to_string()),
    };
    "old-account" "accounts that agents saw" = |i| match i.source_host.inventory.as_ref().and_then(|n| n.preview.as_ref()) {
        Some(p) => Known(format!("{}", p.principals.len())),
        None => Elsewhere("nothing is denied in this plan".to_string()),
    };
    "new-account" "the new account in the database" = new_account;
    "export" "lease of the tenant's export" = |i| known(if i.holder_exports { "the old server's" } else { "not the old server's" });
    "backup" "the backup" = |i| backup(i, |b| Known(format!("{} of {}", b.header.database_name, b.header.server_name)));
    "backup-age" "when the backup was taken" = |i| backup(i, |b| some(b.taken_at.map(|at| at.rfc3339()), "its header does not say"));
    "export-lease" "lease of the tenant's export" = |i| known(i.export.as_ref().map_or("none", |e| e.lease.state.as_str()));
    "staging-database" "database of the new server" = |i| match (&i.staging, i.staging_facts()) {
        (None, _) => known("none"),
        (Some(_), Some(d)) => Known(format!("{} on {}", d.name, d.server_name)),
        (Some(_), None) => no_instance(&i.target_host),
    };
    "aftercare" "items of the new server's checklist that matter and are open" = |i| match &i.care {
        Some(care) => Known(care.items.len().to_string()),
        None => Elsewhere("no migration here seated it".to_string()),
    };
    "connect-staging" "staging mode of the new server" = |i| staging_mode(&i.connect_host);
    "old-staging" "staging mode of the old server" = |i| match &i.holder {
        Some(h) if h.inventory.is_some() => staging_mode(h),
        Some(h) => Elsewhere(format!("{} does not answer, and is proven out another way", h.name)),
        None => Elsewhere("no server holds the database".to_string()),
    };
    "test-instance" "instance for the test restore" = |i| match i.test_instance() {
        Some(t) => Known(format!("{} {}", t.server_name, t.product_version)),
        None => no_instance(&i.source_host),
    };
}

fn known(text: &str) -> Seen {
    Known(text.to_string())
}

fn some(value: Option<impl ToString>, otherwise: &str) -> Seen {
    value.map_or_else(|| Unknown(otherwise.to_string()), |v| Known(v.to_string()))
}

fn yes_or_no(value: Option<bool>) -> Seen {
    some(value.map(|v| if v { "yes" } else { "no" }), "the agent could not tell")
}

fn no_answer(host: &KnownHost) -> Seen {
    Unknown(format!("the agent on {} did not answer", host.name))
}

fn no_instance(host: &KnownHost) -> Seen {
    match &host.inventory {
        Some(_) => Unknown(format!("the agent on {} did not see it", host.name)),
        None => no_answer(host),
    }
}

fn agents(input: &PlanInput) -> Seen {
    let all = super::agents::hosts(input);
    let names: Vec<&str> = all
        .iter()
        .filter(|h| h.inventory.is_some())
        .map(|h| h.name.as_str())
        .collect();
    Known(format!("{} of {}: {}", names.len(), all.len(), names.join(", ")))
}

fn agents_looked(input: &PlanInput) -> Seen {
    let all = super::agents::hosts(input);
    match all.iter().find(|h| h.inventory.is_none()) {
        Some(silent) => no_answer(silent),
        None => Known(
            all.iter()
                .flat_map(|h| &h.inventory)
                .map(|i| i.problems.len())
                .sum::<usize>()
                .to_string(),
        ),
    }
}

fn source_instance(input: &PlanInput, look: impl Fn(&InstanceFacts) -> Seen) -> Seen {
    input
        .source_instance()
        .map_or_else(|| no_instance(&input.source_host), look)
}

fn source(input: &PlanInput, look: impl Fn(&DatabaseFacts) -> Seen) -> Seen {
    match input.source_facts() {
        Some(facts) => look(facts),
        None if asks_for_backup(input) => Elsewhere("its backup takes its place".to_string()),
        None => no_instance(&input.source_host),
    }
}

/// Whether a backup takes part that was there before the plan.
fn asks_for_backup(input: &PlanInput) -> bool {
    input.request.backup_file.is_some() || input.request.artifact.is_some()
}

/// The backup that takes the source's place, where it was read.
fn restored(input: &PlanInput) -> Option<KnownBackup> {
    input.backup().filter(|_| asks_for_backup(input))
}

fn backup(input: &PlanInput, look: impl Fn(&KnownBackup) -> Seen) -> Seen {
    match restored(input) {
        Some(b) => look(&b),
        None if asks_for_backup(input) => Unknown("its header was not read".to_string()),
        None => Elsewhere("the backup is made in this plan".to_string()),
    }
}

fn sessions(input: &PlanInput) -> Seen {
    // Here it is about two servers on one database, which their leases say.
    if input.request.scenario == Scenario::SwitchActive {
        return known(input.staging.as_ref().map_or("none", |s| s.lease_name.as_str()));
    }
    source(input, |d| match &d.sessions {
        Some(s) => Known(format!(
            "{} of synchronisation services",
            s.iter().filter(|s| s.is_sync_service()).count()
        )),
        None => Unknown("the agent's login may not see them".to_string()),
    })
}

/// What is unknown here has a rule of its own, or a gate that waits until it is seen.
fn staging_mode(host: &KnownHost) -> Seen {
    let Some(inventory) = &host.inventory else {
        return no_answer(host);
    };
    let scheduler = inventory.connect.as_ref().and_then(|c| c.scheduler.as_ref());
    known(match scheduler.map(|s| s.staging_mode) {
        Some(true) => "on",
        Some(false) => "off",
        None => "Get-ADSyncScheduler gives no answer",
    })
}

fn adsync(input: &PlanInput, look: impl Fn(&AdsyncFacts) -> Seen) -> Seen {
    source(input, |d| match &d.adsync {
        Some(a) if a.empty => Elsewhere("the database is empty".to_string()),
        Some(a) => look(a),
        None => Elsewhere("it is no ADSync database".to_string()),
    })
}

fn target(input: &PlanInput, look: impl Fn(&InstanceFacts) -> Seen) -> Seen {
    input
        .target_instance()
        .map_or_else(|| no_instance(&input.target_host), look)
}

fn installer(input: &PlanInput, look: impl Fn(&InstallerFacts) -> Seen) -> Seen {
    match (input.connect_host.installer(), &input.connect_host.inventory) {
        (Some(file), _) => look(file),
        (None, Some(_)) => Unknown("the file cannot be read".to_string()),
        (None, None) => no_answer(&input.connect_host),
    }
}

fn host(input: &PlanInput, look: impl Fn(&HostFacts) -> Seen) -> Seen {
    let inventory = input.connect_host.inventory.as_ref();
    inventory.map_or_else(|| no_answer(&input.connect_host), |i| look(&i.host))
}

fn windows(input: &PlanInput, look: impl Fn(&HostFacts) -> Seen) -> Seen {
    host(input, |h| match h.os.contains("Windows") {
        true => look(h),
        false => Elsewhere(format!("{} is no Windows", h.os)),
    })
}

fn moves(input: &PlanInput, look: impl Fn(&PlanInput) -> Seen) -> Seen {
    match input.request.scenario {
        Scenario::ReplaceServer => Elsewhere("the database stays where it is".to_string()),
        _ => look(input),
    }
}

fn space(host: &KnownHost, input: &PlanInput) -> Seen {
    let Some(inventory) = &host.inventory else {
        return no_answer(host);
    };
    match (inventory.host.staging_free, backup_bytes(input)) {
        (Some(free), Some(need)) => Known(format!("{} free, {} needed at most", bytes(free), bytes(need))),
        (None, _) => Unknown("free space was not read".to_string()),
        (_, None) => Unknown("the size of the database is not known".to_string()),
    }
}

fn reach(input: &PlanInput) -> Seen {
    let Some(inventory) = &input.connect_host.inventory else {
        return no_answer(&input.connect_host);
    };
    if input.connect_host.id == input.target_host.id {
        return Elsewhere("SQL Server is on the same host".to_string());
    }
    let tried: Vec<String> = inventory
        .reach
        .iter()
        .map(|r| format!("{} {}", r.target, if r.reached { "answers" } else { "does not answer" }))
        .collect();
    if tried.is_empty() {
        Unknown("nobody tried".to_string())
    } else {
        Known(tried.join(", "))
    }
}

fn account_here(input: &PlanInput) -> Seen {
    if input.request.service_account.is_none() {
        return Elsewhere("--service-account was not given".to_string());
    }
    match super::account::seen(input) {
        None if input.connect_host.inventory.is_none() => no_answer(&input.connect_host),
        None => Unknown("the agent did not look".to_string()),
        // What is against it is known, whatever else is not.
        Some(f) if f.doubts().is_empty() || !f.against().is_empty() => Known(f.shown()),
        Some(f) => Unknown(
            f.doubts()
                .into_iter()
                .map(|(what, why)| format!("{what}: {why}"))
                .collect::<Vec<_>>()
                .join("; "),
        ),
    }
}

fn sql_spn(input: &PlanInput) -> Seen {
    if input.connect_host.id == input.target_host.id {
        return Elsewhere("SQL Server is on the same host".to_string());
    }
    let Some(facts) = super::account::seen(input) else {
        return Unknown("nobody looked them up".to_string());
    };
    let shown: Vec<String> = facts
        .spns
        .iter()
        .map(|s| match s.accounts.as_slice() {
            [] => format!("{}: nobody, so that NTLM is used", s.spn),
            some => format!("{}: {}", s.spn, some.join("; ")),
        })
        .collect();
    let asked = facts.unknown.iter().find(|u| u.fact.starts_with("registration of "));
    match asked {
        Some(u) => Unknown(format!("{}: {}", u.fact, u.why)),
        None if shown.is_empty() => Unknown("nobody looked them up".to_string()),
        None => Known(shown.join(", ")),
    }
}

fn new_account(input: &PlanInput) -> Seen {
    let Some(account) = &input.request.service_account else {
        return Unknown("--service-account was not given".to_string());
    };
    match input.principal(account) {
        Some(p) => Known(format!(
            "login {}, user {}, owner {}",
            p.exists.map_or("unknown", |e| if e { "there" } else { "not there" }),
            p.user.as_deref().unwrap_or("none"),
            p.is_owner.map_or("unknown", |o| if o { "yes" } else { "no" })
        )),
        None => Unknown("the agent was not asked about it".to_string()),
    }
}

fn auto_upgrade(input: &PlanInput) -> Seen {
    let Some(old) = input.holder.as_ref() else {
        return Elsewhere("there is no old server".to_string());
    };
    let connect = old.inventory.as_ref().and_then(|i| i.connect.as_ref());
    some(
        connect.and_then(|c| c.auto_upgrade.as_ref()),
        "the old server did not say",
    )
}
