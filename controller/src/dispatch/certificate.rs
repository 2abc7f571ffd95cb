//! RenewCertificate: the next certificate for an agent that still has the newest one.

use syncferry_proto::transport::PeerCertificate;
use syncferry_shared::AgentId;

use super::known_agent;
use crate::core::{Core, agent_event};
use crate::problem::Problem;

/// A renewed certificate, PEM, and its generation.
pub async fn renew(core: &Core, id: AgentId, with: &PeerCertificate, csr_pem: &str) -> Result<(String, i64), Problem> {
    let mut tx = core.store.begin("agent.renew-certificate").await?;
    let (agent, host) = known_agent(&mut *tx, id).await?;
    let next = agent.generation + 1;
    let issued = super::enrol::issue(core, csr_pem, id, next, tx.now())?;
    let from = i64::from(with.generation);
    let renewed = tx.renew_agent_certificate(id, from, &issued.certificate.serial).await.map_err(|e| match e.is_moved() {
        true => Problem::Denied(format!(
            "the certificate of generation {from} was renewed before: its key may have been copied. Enrol the agent on {} again \
             with `syncferry host token {}`",
            host.name, host.name
        )),
        false => e.into(),
    })?;
    let payload = serde_json::json!({"generation": renewed.generation, "serial": issued.certificate.serial});
    tx.append_event(agent_event(
        host.id,
        "agent.certificate-renewed",
        &super::actor(&host),
        payload,
    ))
    .await?;
    tx.commit().await?;
    Ok((issued.cert_pem, renewed.generation))
}
