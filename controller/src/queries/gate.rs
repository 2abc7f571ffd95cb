//! Gates as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_store::{Gate, Tx};

use crate::problem::Problem;

/// A gate as a message.
pub async fn message(tx: &mut dyn Tx, g: &Gate) -> Result<v1::Gate, Problem> {
    let host = match tx.job(g.job).await? {
        Some(job) => tx.host(job.host).await?.map(|h| h.name).unwrap_or_default(),
        None => String::new(),
    };
    let observation = g
        .observation
        .as_ref()
        .and_then(|o| o.get("text"))
        .and_then(|t| t.as_str());
    Ok(v1::Gate {
        id: g.id.to_string(),
        migration_id: g.migration.to_string(),
        job_id: g.job.to_string(),
        host,
        title: g.title.clone(),
        state: g.state.to_string(),
        cards: Some(Document::of(schema::CARDS, &g.cards)),
        claimed_by: g.claimed_by.clone().unwrap_or_default(),
        observation: observation.unwrap_or_default().to_string(),
        opened_at: Some(timestamp(g.opened_at)),
    })
}
