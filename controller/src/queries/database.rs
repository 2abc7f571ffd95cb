//! Databases as operators see them.

use syncferry_proto::v1::Document;
use syncferry_proto::{schema, timestamp, v1};
use syncferry_shared::lease::Resource;
use syncferry_store::{Database, Tx};

use crate::problem::Problem;

/// A database as a message.
pub async fn message(tx: &mut dyn Tx, d: &Database) -> Result<v1::Database, Problem> {
    let site = tx.site(d.site).await?.map(|s| s.name).unwrap_or_default();
    let host = tx.host(d.host).await?.map(|h| h.name).unwrap_or_default();
    let guid = |g: Option<uuid::Uuid>| g.map(|g| g.to_string()).unwrap_or_default();
    Ok(v1::Database {
        id: d.id.to_string(),
        site,
        host,
        instance: d.address.instance.clone(),
        server_name: d.server_name.clone(),
        name: d.address.database.clone(),
        identity_state: d.identity_state.as_str().to_string(),
        database_guid: guid(d.guids.database),
        family_guid: guid(d.guids.family),
        resource: Resource::database(d.id).0,
        facts: Some(Document::of(schema::DATABASE_FACTS, &d.facts)),
        seen_at: Some(timestamp(d.seen_at)),
    })
}
