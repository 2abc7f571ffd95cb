//! Sites, hosts, tokens, databases, and the two ends themselves.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use syncferry_proto::v1;

use super::{raw, some, time};

/// `site list`.
#[derive(Debug, Serialize)]
pub struct Sites {
    /// By name.
    pub sites: Vec<Site>,
}

/// `site add`, `site show`.
#[derive(Debug, Serialize)]
pub struct Site {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Entra tenant's id.
    pub tenant_id: String,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// When it was added.
    pub created_at: Option<String>,
    /// Other sites of the same tenant: they share its export.
    pub same_tenant: Vec<String>,
}

impl From<&v1::Site> for Site {
    fn from(s: &v1::Site) -> Self {
        Self {
            id: s.id.clone(),
            name: s.name.clone(),
            tenant_id: s.tenant_id.clone(),
            labels: s.labels.clone().into_iter().collect(),
            created_at: time(s.created_at.as_ref()),
            same_tenant: s.same_tenant.clone(),
        }
    }
}

/// `host list`.
#[derive(Debug, Serialize)]
pub struct Hosts {
    /// By site and name.
    pub hosts: Vec<Host>,
}

/// `host show`.
#[derive(Debug, Serialize)]
pub struct Host {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The site's name.
    pub site: String,
    /// `sql-host`, `connect-server`.
    pub roles: Vec<String>,
    /// `none`, `enrolled`, `online`, `silent`, `quarantined`.
    pub agent_state: String,
    /// The agent's id.
    pub agent_id: Option<String>,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// When it was heard of last.
    pub last_heartbeat_at: Option<String>,
    /// The computer's own name.
    pub computer_name: Option<String>,
    /// `syncferry.host-facts.v1`.
    pub facts: Value,
}

impl From<&v1::Host> for Host {
    fn from(h: &v1::Host) -> Self {
        Self {
            id: h.id.clone(),
            name: h.name.clone(),
            site: h.site.clone(),
            roles: h.roles.clone(),
            agent_state: h.agent_state.clone(),
            agent_id: some(&h.agent_id),
            agent_version: some(&h.agent_version),
            last_heartbeat_at: time(h.last_heartbeat_at.as_ref()),
            computer_name: some(&h.computer_name),
            facts: raw(h.facts.as_ref()),
        }
    }
}

/// `host add`.
#[derive(Debug, Serialize)]
pub struct NewHost {
    /// The host.
    pub host: Host,
    /// The token; it is shown once.
    pub token: String,
    /// When it expires.
    pub token_expires_at: Option<String>,
}

/// `host token`.
#[derive(Debug, Serialize)]
pub struct Token {
    /// The token; it is shown once.
    pub token: String,
    /// When it expires.
    pub expires_at: Option<String>,
}

/// `database list`.
#[derive(Debug, Serialize)]
pub struct Databases {
    /// All of them.
    pub databases: Vec<Database>,
}

/// `database add`, `database show`.
#[derive(Debug, Serialize)]
pub struct Database {
    /// Its id.
    pub id: String,
    /// The site's name.
    pub site: String,
    /// The host whose agent reaches it.
    pub host: String,
    /// The instance's name in that agent's configuration.
    pub instance: String,
    /// `ServerName` as the server reported it.
    pub server_name: String,
    /// Its name.
    pub name: String,
    /// `provisional`, `confirmed`, `suspect`, `retired`.
    pub identity_state: String,
    /// `database_guid`.
    pub database_guid: Option<String>,
    /// `family_guid`.
    pub family_guid: Option<String>,
    /// The lease's resource.
    pub resource: String,
    /// `syncferry.database-facts.v1`.
    pub facts: Value,
    /// When it was seen last.
    pub seen_at: Option<String>,
}

impl From<&v1::Database> for Database {
    fn from(d: &v1::Database) -> Self {
        Self {
            id: d.id.clone(),
            site: d.site.clone(),
            host: d.host.clone(),
            instance: d.instance.clone(),
            server_name: d.server_name.clone(),
            name: d.name.clone(),
            identity_state: d.identity_state.clone(),
            database_guid: some(&d.database_guid),
            family_guid: some(&d.family_guid),
            resource: d.resource.clone(),
            facts: raw(d.facts.as_ref()),
            seen_at: time(d.seen_at.as_ref()),
        }
    }
}

/// `version`.
#[derive(Debug, Serialize)]
pub struct Version {
    /// This command's version.
    pub version: String,
}

/// `health`.
#[derive(Debug, Serialize)]
pub struct Health {
    /// The controller's `host:port`.
    pub controller: String,
    /// The controller's version.
    pub version: String,
    /// The store's id.
    pub store_id: String,
    /// The store's incarnation.
    pub incarnation: i64,
    /// When the version catalogue was signed off.
    pub catalogue_signed_off: String,
    /// How long the question took.
    pub round_trip_ms: i64,
    /// The operator's name.
    pub operator: String,
    /// Until when the operator's certificate is good.
    pub certificate_good_until: String,
}
