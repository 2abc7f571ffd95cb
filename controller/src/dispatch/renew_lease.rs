//! RenewLease: the holder's agent, or the recorded renewer, says that it lives.

use syncferry_shared::lease::Resource;
use syncferry_shared::{AgentId, SessionId};
use syncferry_store::{By, LeaseError};

use super::{actor, known_agent};
use crate::core::Core;
use crate::problem::Problem;

/// For how many milliseconds it was renewed, or why it was not.
pub async fn renew_lease(
    core: &Core,
    id: AgentId,
    resource: &str,
    epoch: i64,
    session: SessionId,
) -> Result<Result<i64, String>, Problem> {
    let mut tx = core.store.begin("dispatch.renew-lease").await?;
    let (_, host) = known_agent(&mut *tx, id).await?;
    let ttl = core.config.leases.ttl_ms();
    let resource = Resource(resource.to_string());
    let mine = tx.lease(&resource).await?.is_some_and(|l| l.renewer == Some(host.id));
    if !mine {
        return Ok(Err(format!("{} does not renew {resource}", host.name)));
    }
    match tx
        .renew_lease(&resource, epoch, session, ttl, &By::new(actor(&host)))
        .await
    {
        Ok(_) => {
            tx.commit().await?;
            Ok(Ok(ttl))
        }
        Err(LeaseError::Store(e)) => Err(e.into()),
        Err(e) => Ok(Err(e.to_string())),
    }
}
