//! Enrol: a one-time token and a signing request become an agent's identity.

use std::time::Duration;

use syncferry_proto::transport::EnrolmentToken;
use syncferry_shared::AgentId;
use syncferry_store::{Agent, Host, NewAgent};

use crate::core::{Core, agent_event};
use crate::problem::Problem;

/// What a new agent gets.
pub struct Enrolled {
    /// The agent.
    pub agent: Agent,
    /// Its host.
    pub host: Host,
    /// Its certificate, PEM.
    pub certificate_pem: String,
}

/// Uses the token up and issues the certificate, in one transaction: a failure uses up nothing.
pub async fn enrol(
    core: &Core,
    token: &str,
    csr_pem: &str,
    computer_name: &str,
    version: &str,
) -> Result<Enrolled, Problem> {
    let token: EnrolmentToken = token.trim().parse().map_err(|e| Problem::Invalid(format!("{e}")))?;
    let mut tx = core.store.begin("agent.enrol").await?;
    // Why it is refused is not said: that would tell a guesser what is nearly right.
    let row = tx.consume_token(&token.hash()).await?.ok_or_else(|| {
        Problem::Invalid(
            "this token is not good: it was used before, expired, or is not from this controller. Make another one with \
             `syncferry host token <host>`"
                .to_string(),
        )
    })?;
    let host = tx
        .host(row.host)
        .await?
        .ok_or_else(|| Problem::Internal("the token's host is gone".to_string()))?;
    let id = match tx.agent_of_host(host.id).await? {
        Some(before) => before.id,
        None => AgentId::new(tx.now(), &core.random()),
    };
    let generation = tx.agent_of_host(host.id).await?.map_or(1, |a| a.generation + 1);
    let issued = issue(core, csr_pem, id, generation, tx.now())?;
    let new = NewAgent {
        id,
        host: host.id,
        certificate_serial: issued.certificate.serial.clone(),
    };
    let agent = tx.enrol_agent(&new).await?;
    let payload = serde_json::json!({
        "host": host.name, "computer_name": computer_name, "version": version,
        "generation": agent.generation, "serial": issued.certificate.serial,
    });
    tx.append_event(agent_event(host.id, "agent.enrolled", &row.actor, payload))
        .await?;
    tx.commit().await?;
    tracing::info!(host = %host.name, agent = %agent.id, "an agent enrolled");
    Ok(Enrolled {
        agent,
        host,
        certificate_pem: issued.cert_pem,
    })
}

pub(super) fn issue(
    core: &Core,
    csr_pem: &str,
    id: AgentId,
    generation: i64,
    now: syncferry_shared::Millis,
) -> Result<crate::identity::Issued, Problem> {
    let validity = Duration::from_secs(core.config.agents.certificate_days.saturating_mul(24 * 3600));
    let generation =
        u32::try_from(generation).map_err(|_| Problem::Internal("the generation overflowed".to_string()))?;
    core.authority
        .issue_agent_from_csr(csr_pem, id, generation, validity, now)
        .map_err(|e| Problem::Invalid(e.to_string()))
}
