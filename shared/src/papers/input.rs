//! What papers are made of: the plan, what agents found for it, and rates that were measured.

use super::estimate::Rates;
use crate::ids::HostId;
use crate::inventory::{AdsyncFacts, DatabaseFacts, InstanceFacts, Inventory};
use crate::plan::{Plan, PlanRequest, Scenario};

/// A host of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperHost {
    /// Its id.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// What its agent found for the plan, as far as it answered.
    pub inventory: Option<Inventory>,
    /// Where its agent hands artifacts over.
    pub transfer_address: Option<String>,
}

/// Everything that a paper is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperInput {
    /// The plan.
    pub plan: Plan,
    /// Its short id.
    pub migration: String,
    /// What is run.
    pub scenario: Scenario,
    /// The site's name.
    pub site: String,
    /// The Entra tenant.
    pub tenant: String,
    /// Where agents and operators reach the controller, `name:port`.
    pub controller: String,
    /// The hosts.
    pub hosts: Vec<PaperHost>,
    /// Where the source is: its host, instance and name.
    pub source: (HostId, String, String),
    /// Rates that were measured here.
    pub rates: Rates,
}

impl PaperInput {
    pub(super) fn host(&self, id: HostId) -> Option<&PaperHost> {
        self.hosts.iter().find(|h| h.id == id)
    }
    pub(super) fn name(&self, id: HostId) -> String {
        self.host(id).map_or_else(|| id.to_string(), |h| h.name.clone())
    }
    pub(super) fn request(&self) -> Option<&PlanRequest> {
        self.plan.request.as_ref()
    }
    fn instance_on(&self, host: HostId, name: &str) -> Option<&InstanceFacts> {
        let found = &self.host(host)?.inventory.as_ref()?.instances;
        found.iter().find(|i| i.name == name)
    }
    pub(super) fn source_instance(&self) -> Option<&InstanceFacts> {
        self.instance_on(self.source.0, &self.source.1)
    }
    pub(super) fn source_database(&self) -> Option<&DatabaseFacts> {
        let found = &self.host(self.source.0)?.inventory.as_ref()?.databases;
        found
            .iter()
            .find(|d| d.instance == self.source.1 && d.name.eq_ignore_ascii_case(&self.source.2))
    }
    pub(super) fn adsync(&self) -> Option<&AdsyncFacts> {
        self.source_database()?.adsync.as_ref()
    }
    pub(super) fn target_instance(&self) -> Option<&InstanceFacts> {
        let r = self.request()?;
        self.instance_on(r.target_host, &r.target_instance)
    }
    /// Whether the database stays where it is.
    pub(super) fn stays(&self) -> bool {
        self.scenario == Scenario::ReplaceServer
    }
    pub(super) fn target_name(&self) -> String {
        self.request()
            .map_or_else(|| self.source.2.clone(), |r| r.target_database.clone())
    }
    pub(super) fn service_account(&self) -> String {
        self.request()
            .and_then(|r| r.service_account.clone())
            .unwrap_or_else(|| r"DOMAIN\gmsa-adsync$".to_string())
    }
    pub(super) fn connect_name(&self) -> String {
        self.request()
            .map_or_else(|| "the new server".to_string(), |r| self.name(r.connect_host))
    }
    pub(super) fn target_host_name(&self) -> String {
        self.request()
            .map_or_else(|| "the SQL host".to_string(), |r| self.name(r.target_host))
    }
    pub(super) fn objects(&self) -> Option<i64> {
        let connectors = &self.adsync()?.config.connectors;
        let counted: Vec<i64> = connectors.iter().filter_map(|c| c.objects).collect();
        (!counted.is_empty()).then(|| counted.iter().sum())
    }
    pub(super) fn bytes(&self) -> u64 {
        match &self.plan.values {
            Some(v) => v.expected_bytes,
            None => self.source_database().map_or(0, |d| d.used_bytes.unwrap_or(d.bytes)),
        }
    }
}
