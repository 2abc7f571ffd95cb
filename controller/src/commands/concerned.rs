//! Who is concerned by a scenario that does not begin with one database and end with another: what was typed becomes a request,
//! and every host concerned is asked what a plan needs to know of it.

use syncferry_shared::account::AccountRequest;
use syncferry_shared::inventory::{BackupRequest, InspectionRequest};
use syncferry_shared::lease::{LeaseKind, Resource};
use syncferry_shared::plan::{HandoverWay, PlanRequest, Scenario};
use syncferry_shared::{DatabaseId, HostId, MigrationId};
use syncferry_store::{Artifact, Database, Host, HostRole, MigrationFilter, Site, Tx};
use uuid::Uuid;

use super::create_plan::Typed;
use crate::core::Core;
use crate::problem::Problem;
use crate::{find, inspect};

/// Whether a scenario is one of these.
pub(super) fn is_for(scenario: Scenario) -> bool {
    matches!(
        scenario,
        Scenario::RestoreFromBackup | Scenario::Drill | Scenario::SwitchActive | Scenario::Decommission
    )
}

/// A request, and what is asked of whom.
pub(super) struct Concerned {
    pub(super) request: PlanRequest,
    asks: Vec<(HostId, InspectionRequest)>,
}

impl Concerned {
    fn new(request: PlanRequest) -> Self {
        Self { request, asks: vec![] }
    }

    /// What is asked of a host: everything at once.
    fn of(&mut self, host: HostId) -> &mut InspectionRequest {
        let at = self.asks.iter().position(|(h, _)| *h == host).unwrap_or_else(|| {
            self.asks.push((host, InspectionRequest::default()));
            self.asks.len() - 1
        });
        &mut self.asks[at].1
    }

    fn database(&mut self, d: &Database) {
        let address = d.address.clone();
        let ask = self.of(d.host);
        if !ask.instances.contains(&address.instance) {
            ask.instances.push(address.instance.clone());
        }
        ask.databases.push(address);
    }

    fn instance(&mut self, host: HostId, name: &str) {
        let ask = self.of(host);
        if !ask.instances.iter().any(|i| i == name) {
            ask.instances.push(name.to_string());
        }
    }

    /// Asks. Returns the hosts.
    pub(super) async fn ask(&self, core: &Core, tx: &mut dyn Tx, m: MigrationId) -> Result<Vec<HostId>, Problem> {
        for (host, request) in &self.asks {
            inspect::ask(core, tx, *host, request, "plan", Some(m)).await?;
        }
        Ok(self.asks.iter().map(|(h, _)| *h).collect())
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.trim().to_string())
}

fn need<'a>(text: &'a str, what: &str) -> Result<&'a str, Problem> {
    match text.trim() {
        "" => Err(Problem::Invalid(format!("{what} must be given"))),
        text => Ok(text),
    }
}

fn way(typed: &Typed) -> Result<HandoverWay, Problem> {
    let Some(word) = filled(&typed.handover) else {
        return Ok(HandoverWay::default());
    };
    HandoverWay::parse(&word).ok_or_else(|| {
        let ways: Vec<&str> = HandoverWay::ALL.iter().map(|w| w.as_str()).collect();
        Problem::Invalid(format!(
            "'{word}' is no way to hand over; there are: {}",
            ways.join(", ")
        ))
    })
}

/// A host of the site that has a role.
async fn host_with(tx: &mut dyn Tx, site: &Site, name: &str, role: HostRole) -> Result<Host, Problem> {
    let host = find::host(tx, name).await?;
    if host.site != site.id {
        return Err(Problem::Invalid(format!(
            "{} belongs to another site than {}",
            host.name, site.name
        )));
    }
    if !host.roles.contains(&role) {
        return Err(Problem::Invalid(format!(
            "host {} does not have the role {role}",
            host.name
        )));
    }
    Ok(host)
}

async fn database_of_site(tx: &mut dyn Tx, site: &Site, name: &str) -> Result<Database, Problem> {
    let database = find::database(tx, name).await?;
    if database.site != site.id {
        return Err(Problem::Invalid(format!(
            "the database belongs to another site than {}",
            site.name
        )));
    }
    Ok(database)
}

/// The database that a server holds.
async fn held_by(tx: &mut dyn Tx, host: HostId) -> Result<Option<Database>, Problem> {
    let lease = tx.lease_held_by(host, LeaseKind::Database).await?;
    match lease.and_then(|l| l.resource.database_id()) {
        Some(id) => Ok(tx.database(id).await?),
        None => Ok(None),
    }
}

/// What was typed, with everything that these scenarios have in common.
fn request(scenario: Scenario, site: &Site, typed: &Typed, target: &Host, connect: &Host) -> PlanRequest {
    PlanRequest {
        scenario,
        site: site.id,
        source: DatabaseId(Uuid::nil()),
        target_host: target.id,
        target_instance: typed.target_instance.trim().to_string(),
        target_database: typed.target_database.trim().to_string(),
        connect_host: connect.id,
        installer: typed.installer.trim().to_string(),
        service_account: filled(&typed.service_account),
        data_dir: filled(&typed.data_dir),
        log_dir: filled(&typed.log_dir),
        keep_backup: typed.keep_backup,
        handover: None,
        test_instance: None,
        backup_file: None,
        artifact: None,
        old_server: None,
        in_place: false,
        dba: typed.dba,
    }
}

/// From what was typed to a request and its questions.
pub(super) async fn of(tx: &mut dyn Tx, scenario: Scenario, site: &Site, typed: &Typed) -> Result<Concerned, Problem> {
    match scenario {
        Scenario::RestoreFromBackup => restore(tx, site, typed).await,
        Scenario::Drill => drill(tx, site, typed).await,
        Scenario::SwitchActive => switch(tx, site, typed).await,
        _ => decommission(tx, site, typed).await,
    }
}

async fn restore(tx: &mut dyn Tx, site: &Site, typed: &Typed) -> Result<Concerned, Problem> {
    let target = host_with(tx, site, &typed.target_host, HostRole::SqlHost).await?;
    let connect = host_with(tx, site, &typed.connect_host, HostRole::ConnectServer).await?;
    need(&typed.installer, "the installer's path")?;
    let instance = need(&typed.target_instance, "the target instance")?.to_string();
    let way = way(typed)?;
    let mut r = request(Scenario::RestoreFromBackup, site, typed, &target, &connect);
    r.handover = Some(way);
    let mut name = None;
    let mut old = None;
    if let Some(source) = filled(&typed.source) {
        let source = database_of_site(tx, site, &source).await?;
        let lease = tx.lease(&Resource::database(source.id)).await?;
        old = lease.and_then(|l| l.holder);
        name = Some(source.address.database.clone());
        r.source = source.id;
    }
    if let Some(named) = filled(&typed.old_server) {
        let named = host_with(tx, site, &named, HostRole::ConnectServer).await?;
        if r.knows_source() && old != Some(named.id) {
            return Err(Problem::Invalid(
                "--old-server is for a database that is not registered; the lease says who used this one".to_string(),
            ));
        }
        old = Some(named.id);
        r.old_server = Some(named.id);
    }
    let artifact = backup(tx, site, typed, &mut r).await?;
    if let Some(a) = &artifact {
        name = name.or_else(|| header_name(a));
    }
    if r.target_database.is_empty() {
        r.target_database = name.unwrap_or_else(|| "ADSync".to_string());
    }
    let mut c = Concerned::new(r);
    c.instance(target.id, &instance);
    if let Some(path) = c.request.backup_file.clone() {
        c.of(target.id).backup = Some(BackupRequest { instance, path });
    }
    if let Some(a) = artifact {
        // Whoever has the file takes part: whether its agent is there is seen by its answer.
        c.of(a.host);
    }
    let ask = c.of(connect.id);
    ask.connect = true;
    ask.installer = Some(typed.installer.trim().to_string());
    let account = typed.service_account.trim();
    ask.account = (!account.is_empty()).then(|| AccountRequest {
        account: account.to_string(),
        spns: vec![],
    });
    if let Some(old) = old.filter(|_| way == HandoverWay::Host) {
        c.of(old).connect = true;
    }
    Ok(c)
}

async fn drill(tx: &mut dyn Tx, site: &Site, typed: &Typed) -> Result<Concerned, Problem> {
    let source = database_of_site(tx, site, need(&typed.source, "the database")?).await?;
    let target = host_with(tx, site, &typed.target_host, HostRole::SqlHost).await?;
    let instance = need(&typed.target_instance, "the drill instance")?.to_string();
    let mut r = request(Scenario::Drill, site, typed, &target, &target);
    r.source = source.id;
    r.target_database.clone_from(&source.address.database);
    let artifact = backup(tx, site, typed, &mut r).await?;
    let mut c = Concerned::new(r);
    c.instance(target.id, &instance);
    if let Some(path) = c.request.backup_file.clone() {
        c.of(target.id).backup = Some(BackupRequest { instance, path });
    } else if let Some(a) = artifact {
        c.of(a.host);
    } else {
        c.database(&source);
        c.of(source.host).connect = true;
        let lease = tx.lease(&Resource::database(source.id)).await?;
        if let Some(holder) = lease.and_then(|l| l.holder) {
            c.of(holder).connect = true;
        }
    }
    Ok(c)
}

async fn switch(tx: &mut dyn Tx, site: &Site, typed: &Typed) -> Result<Concerned, Problem> {
    let connect = host_with(tx, site, &typed.connect_host, HostRole::ConnectServer).await?;
    let way = way(typed)?;
    let export = tx.lease(&Resource::tenant_export(&site.tenant_id)).await?;
    let old = match filled(&typed.old_server) {
        Some(name) => Some(host_with(tx, site, &name, HostRole::ConnectServer).await?.id),
        None => export.and_then(|l| l.holder),
    };
    let old = old.ok_or_else(|| {
        Problem::NotNow(format!(
            "nobody holds {}/export: which server is active is not known. Name it with --from",
            site.name
        ))
    })?;
    // A server that was put out when its SQL Server died holds none any more.
    let source = held_by(tx, old).await?;
    let staging = held_by(tx, connect.id).await?;
    let target = match &staging {
        Some(d) => tx.host(d.host).await?,
        None => None,
    };
    let target = target.unwrap_or_else(|| connect.clone());
    let mut r = request(Scenario::SwitchActive, site, typed, &target, &connect);
    if let Some(d) = &source {
        r.source = d.id;
    }
    r.old_server = Some(old);
    // A server that holds the export itself takes it from nobody.
    r.handover = (old != connect.id).then_some(way);
    if let Some(d) = &staging {
        r.target_instance.clone_from(&d.address.instance);
        r.target_database.clone_from(&d.address.database);
    }
    let mut c = Concerned::new(r);
    if let Some(d) = &staging {
        c.database(d);
    }
    c.of(connect.id).connect = true;
    if way == HandoverWay::Host {
        if let Some(d) = &source {
            c.database(d);
        }
        c.of(old).connect = true;
    } else if tx
        .agent_of_host(old)
        .await?
        .is_some_and(|a| a.state == syncferry_store::AgentState::Online)
    {
        // A server that is said to be gone and is there is a blocker.
        c.of(old).connect = true;
    }
    Ok(c)
}

async fn decommission(tx: &mut dyn Tx, site: &Site, typed: &Typed) -> Result<Concerned, Problem> {
    let old = host_with(
        tx,
        site,
        need(&typed.old_server, "the server to retire")?,
        HostRole::ConnectServer,
    )
    .await?;
    let source = held_by(tx, old.id).await?.ok_or_else(|| {
        Problem::NotNow(format!(
            "{} holds no database: there is no lease to retire. Uninstall Connect there by hand",
            old.name
        ))
    })?;
    let mut r = request(Scenario::Decommission, site, typed, &old, &old);
    r.source = source.id;
    r.target_host = source.host;
    r.target_instance.clone_from(&source.address.instance);
    r.target_database.clone_from(&source.address.database);
    r.old_server = Some(old.id);
    r.handover = Some(HandoverWay::Host);
    let mut c = Concerned::new(r);
    c.of(old.id).connect = true;
    // Its database is not touched; whether its agent answers is told all the same.
    c.of(source.host);
    Ok(c)
}

/// The backup that is meant: a file on the target, or an artifact of the site.
async fn backup(tx: &mut dyn Tx, site: &Site, typed: &Typed, r: &mut PlanRequest) -> Result<Option<Artifact>, Problem> {
    r.backup_file = filled(&typed.backup_file);
    let named = filled(&typed.artifact);
    if r.backup_file.is_some() && named.is_some() {
        return Err(Problem::Invalid("give --file or --artifact, not both".to_string()));
    }
    let Some(named) = named else {
        if r.scenario == Scenario::RestoreFromBackup && r.backup_file.is_none() {
            return Err(Problem::Invalid(
                "which backup: --artifact <id> or `newest` for one of the catalogue, --file <path> for a file on the target host"
                    .to_string(),
            ));
        }
        return Ok(None);
    };
    let mut all = of_site(tx, site).await?;
    if named.eq_ignore_ascii_case("newest") {
        let family = match tx.database(r.source).await? {
            Some(d) => d.guids.family,
            None => None,
        };
        all.retain(|a| family.is_none() || header(a).map(|h| h.family_guid) == family);
        all.sort_by_key(|a| a.created_at);
    } else {
        let tail = named.replace('-', "").to_ascii_lowercase();
        all.retain(|a| a.id.0.simple().to_string().ends_with(&tail));
        if all.len() > 1 {
            return Err(Problem::Invalid(format!(
                "'{named}' fits {} artifacts; give more of the id",
                all.len()
            )));
        }
    }
    let found = all.pop().ok_or_else(|| {
        Problem::NotFound(format!(
            "there is no artifact '{named}' of {} whose file is still there; a backup stays where a server is replaced, and with --keep-backup",
            site.name
        ))
    })?;
    r.artifact = Some(found.id);
    Ok(Some(found))
}

/// The artifacts of a site whose files are still there.
async fn of_site(tx: &mut dyn Tx, site: &Site) -> Result<Vec<Artifact>, Problem> {
    let filter = MigrationFilter {
        site: Some(site.id),
        states: vec![],
    };
    let mut found = Vec::new();
    for m in tx.migrations(&filter).await? {
        let of: Vec<Artifact> = tx.artifacts_of(m.id).await?;
        found.extend(of.into_iter().filter(|a| a.deleted_at.is_none()));
    }
    Ok(found)
}

fn header(a: &Artifact) -> Option<syncferry_shared::artifact::SetHeader> {
    serde_json::from_value(a.manifest.get("header")?.clone()).ok()
}

fn header_name(a: &Artifact) -> Option<String> {
    Some(header(a)?.database_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenarios_that_need_it() {
        for s in Scenario::PLANNED {
            let moves = matches!(
                s,
                Scenario::MoveToFullSql | Scenario::ReplaceServer | Scenario::ProvisionStaging
            );
            assert_eq!(is_for(*s), !moves, "{}", s.as_str());
        }
        assert!(need(" ", "x").is_err());
    }
}
