//! Everything that a plan is made from.

use syncferry_shared::aftercare::Item;
use syncferry_shared::catalogue::Catalogue;
use syncferry_shared::fence::PrincipalFacts;
use syncferry_shared::inventory::{DatabaseFacts, InstallerFacts, InstanceFacts, Inventory};
use syncferry_shared::lease::Lease;
use syncferry_shared::plan::{HandoverWay, KnownBackup, PlanRequest};
use syncferry_shared::{ArtifactId, DatabaseId, HostId, JobId, MigrationId, Millis};
use uuid::Uuid;

/// A host as the plan sees it.
#[derive(Debug, Clone)]
pub struct KnownHost {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// Whether its agent is in touch.
    pub online: bool,
    /// What its agent found for this plan; `None` when it did not answer.
    pub inventory: Option<Inventory>,
    /// Why there is no inventory.
    pub error: Option<String>,
    /// The lease of a database that it holds, if any.
    pub holds: Option<Lease>,
    /// Whether its agent can hand artifacts to others.
    pub transfer_address: Option<String>,
    /// Its agent's release; empty when there is none.
    pub agent_version: String,
    /// What its agent said that it can do.
    pub capabilities: Vec<String>,
}

impl KnownHost {
    /// The computer's own name, or the name it has in Syncferry.
    pub fn computer_name(&self) -> &str {
        match &self.inventory {
            Some(i) if !i.host.computer_name.is_empty() => &i.host.computer_name,
            _ => &self.name,
        }
    }
    /// An instance by its name in the agent's configuration.
    pub fn instance(&self, name: &str) -> Option<&InstanceFacts> {
        self.inventory.as_ref()?.instances.iter().find(|i| i.name == name)
    }
    /// A database by instance and name.
    pub fn database(&self, instance: &str, name: &str) -> Option<&DatabaseFacts> {
        let found = &self.inventory.as_ref()?.databases;
        found
            .iter()
            .find(|d| d.instance == instance && d.name.eq_ignore_ascii_case(name))
    }
    /// The installer that was read.
    pub fn installer(&self) -> Option<&InstallerFacts> {
        self.inventory.as_ref()?.installer.as_ref()
    }
    /// What the agent could not look at, about a subject.
    pub fn problem(&self, subject: &str) -> Option<&syncferry_shared::inventory::Problem> {
        self.inventory
            .as_ref()?
            .problems
            .iter()
            .find(|p| p.subject.contains(subject))
    }
}

/// The source database as it is registered.
#[derive(Debug, Clone)]
pub struct KnownDatabase {
    /// Our id for it.
    pub id: DatabaseId,
    /// Where its agent finds it.
    pub address: syncferry_shared::inventory::DatabaseAddress,
    /// `ServerName` when it was registered.
    pub server_name: String,
    /// `database_guid` when it was registered.
    pub database_guid: Option<Uuid>,
    /// `family_guid` when it was registered.
    pub family_guid: Option<Uuid>,
    /// Its lease.
    pub lease: Option<Lease>,
    /// The name of the lease's holder.
    pub holder_name: Option<String>,
    /// Whether its identity is beyond doubt.
    pub confirmed: bool,
    /// The name of its lease for commands: `SQL01/default/ADSync`.
    pub lease_name: String,
}

/// Ids that the plan hands out; made by the caller, because the plan has no randomness.
#[derive(Debug, Clone)]
pub struct PlanIds {
    /// The migration.
    pub migration: MigrationId,
    /// The artifact.
    pub artifact: ArtifactId,
    /// The restored database.
    pub target: DatabaseId,
    /// Enough job ids.
    pub jobs: Vec<JobId>,
}

/// Everything that a plan is made from.
#[derive(Debug, Clone)]
pub struct PlanInput {
    /// What was asked for.
    pub request: PlanRequest,
    /// Ids to hand out.
    pub ids: PlanIds,
    /// Now, by the store's clock.
    pub now: Millis,
    /// The database to move.
    pub source: KnownDatabase,
    /// The host whose agent reaches it.
    pub source_host: KnownHost,
    /// The Connect server that holds it, where that is another host or the same.
    pub holder: Option<KnownHost>,
    /// The SQL host to move it to.
    pub target_host: KnownHost,
    /// The new Connect server.
    pub connect_host: KnownHost,
    /// Databases registered on the target host, by name in lower case and instance, with what they are.
    pub registered_on_target: Vec<(String, String, String)>,
    /// Another migration of this site that is not at its end.
    pub other_migration: Option<String>,
    /// Connect versions.
    pub catalogue: Catalogue,
    /// Whether the holder is out of staging mode by its lease: the site's export is its.
    pub holder_exports: bool,
    /// The artifact of ours that is to be restored.
    pub artifact: Option<KnownBackup>,
    /// The database of the staging server that is to become active.
    pub staging: Option<KnownDatabase>,
    /// The lease of the tenant's export, its name for commands, and its holder's name.
    pub export: Option<KnownExport>,
    /// What is left to do on the staging server that is to become active; `None` where no migration of ours seated it.
    pub care: Option<OpenCare>,
}

/// Items of a checklist that matter and are open.
#[derive(Debug, Clone)]
pub struct OpenCare {
    /// The migration whose checklist it is.
    pub migration: MigrationId,
    /// The items; none when all is done.
    pub items: Vec<Item>,
}

/// The lease of a tenant's export.
#[derive(Debug, Clone)]
pub struct KnownExport {
    /// The lease.
    pub lease: Lease,
    /// Its name for commands: `contoso/export`.
    pub name: String,
    /// Its holder's name.
    pub holder_name: Option<String>,
}

impl PlanInput {
    /// The source database as its agent found it now.
    pub fn source_facts(&self) -> Option<&DatabaseFacts> {
        self.source_host
            .database(&self.source.address.instance, &self.source.address.database)
    }
    /// The source's instance as its agent found it now.
    pub fn source_instance(&self) -> Option<&InstanceFacts> {
        self.source_host.instance(&self.source.address.instance)
    }
    /// How the old server's lease is to become free, where a server is replaced.
    pub fn way(&self) -> HandoverWay {
        self.request.handover.unwrap_or_default()
    }
    /// The server that the lease is taken from: its holder, unless that is the new one already.
    pub fn old_server(&self) -> Option<&KnownHost> {
        self.holder.as_ref().filter(|h| h.id != self.request.connect_host)
    }
    /// The instance on which the backup is restored for a test.
    pub fn test_instance(&self) -> Option<&InstanceFacts> {
        let named = self.request.test_instance.as_ref();
        self.source_host
            .instance(named.unwrap_or(&self.source.address.instance))
    }
    /// What a login is in the database, where the agent was asked.
    pub fn principal(&self, login: &str) -> Option<&PrincipalFacts> {
        let preview = self.source_host.inventory.as_ref()?.preview.as_ref()?;
        preview.principals.iter().find(|p| p.login.eq_ignore_ascii_case(login))
    }
    /// The backup that is to be restored, where it was there before: an artifact of ours, or the file that was read.
    pub fn backup(&self) -> Option<KnownBackup> {
        if self.artifact.is_some() || self.request.artifact.is_some() {
            return self.artifact.clone();
        }
        let facts = self.target_host.inventory.as_ref()?.backup.as_ref()?;
        Some(KnownBackup {
            path: facts.path.clone(),
            host: self.target_host.id,
            here: true,
            artifact: self.ids.artifact,
            size: facts.size.unwrap_or(facts.header.backup_size),
            root: String::new(),
            manifest_digest: String::new(),
            header: facts.header.clone(),
            checksums: facts.has_checksums,
            taken_at: facts.finished_at,
            counts: None,
        })
    }
    /// The staging server's database as its agent found it now.
    pub fn staging_facts(&self) -> Option<&DatabaseFacts> {
        let known = self.staging.as_ref()?;
        self.target_host
            .database(&known.address.instance, &known.address.database)
    }
    /// The target instance as its agent found it now.
    pub fn target_instance(&self) -> Option<&InstanceFacts> {
        self.target_host.instance(&self.request.target_instance)
    }
}
