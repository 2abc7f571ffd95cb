//! Hosts as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_store::{Host, Tx};

use crate::problem::Problem;

/// A host as a message, with its agent.
pub async fn message(tx: &mut dyn Tx, h: &Host) -> Result<v1::Host, Problem> {
    let site = tx.site(h.site).await?.map(|s| s.name).unwrap_or_default();
    let agent = tx.agent_of_host(h.id).await?;
    Ok(v1::Host {
        id: h.id.to_string(),
        name: h.name.clone(),
        site,
        roles: h.roles.iter().map(|r| r.as_str().to_string()).collect(),
        agent_state: agent.as_ref().map_or("none", |a| a.state.as_str()).to_string(),
        agent_id: agent.as_ref().map(|a| a.id.to_string()).unwrap_or_default(),
        agent_version: agent.as_ref().and_then(|a| a.version.clone()).unwrap_or_default(),
        last_heartbeat_at: agent.and_then(|a| a.last_heartbeat_at).map(timestamp),
        computer_name: h.computer_name.clone().unwrap_or_default(),
        facts: h.inventory.as_ref().map(|f| Document::of(schema::HOST_FACTS, f)),
    })
}
