//! What agents tell and ask: each file is one call. A report counts only with the token of the attempt that is current;
//! any other changes nothing. The stream carries hints only: everything here is in the store before anybody is told.

pub mod accept;
pub mod authorize;
pub mod certificate;
pub mod enrol;
pub mod heartbeat;
pub mod hello;
pub mod inspection;
pub mod log_chunk;
pub mod pull;
pub mod renew_lease;
pub mod report;
pub mod transfer;
pub mod watch;

use syncferry_shared::AgentId;
use syncferry_store::{Agent, AgentState, Host, Tx};

use crate::problem::Problem;

/// The agent behind a certificate, with its host. An agent that is not believed gets nothing.
pub(crate) async fn known_agent(tx: &mut dyn Tx, id: AgentId) -> Result<(Agent, Host), Problem> {
    let unknown = || {
        Problem::Denied(format!(
            "agent {} is not enrolled here; enrol it again with a new token",
            id.short()
        ))
    };
    let agent = tx.agent(id).await?.ok_or_else(unknown)?;
    let host = tx.host(agent.host).await?.ok_or_else(unknown)?;
    if agent.state == AgentState::Quarantined {
        return Err(quarantined(&host));
    }
    Ok((agent, host))
}

fn quarantined(host: &Host) -> Problem {
    Problem::Denied(format!(
        "the agent on {0} is quarantined: its machine was reverted or its key copied. Enrol it again with `syncferry host token {0}`",
        host.name
    ))
}

/// How an agent stands in histories.
pub(crate) fn actor(host: &Host) -> String {
    format!("agent:{}", host.name)
}
