//! Who calls: the certificate says who it is, the store says whether that is still somebody. Health and reflection are for
//! operators only; they say what is here.

use std::sync::Arc;

use syncferry_proto::transport::{peer, require_agent, require_operator};
use syncferry_shared::AgentId;
use tonic::{Request, Status};

use crate::core::Core;

/// The operator behind a request, as `operator:<name>`.
pub async fn operator<T>(core: &Core, request: &Request<T>) -> Result<String, Status> {
    let id = require_operator(request)?;
    let fingerprint = peer(request)?.fingerprint.to_string();
    let mut tx = core
        .store
        .read("guard.operator")
        .await
        .map_err(crate::problem::Problem::from)?;
    let row = tx.operator(id).await.map_err(crate::problem::Problem::from)?;
    match row {
        Some(o) if o.revoked_at.is_none() && o.fingerprint == fingerprint => Ok(format!("operator:{}", o.name)),
        Some(o) if o.revoked_at.is_none() => Err(Status::permission_denied(format!(
            "operator {} was given another certificate since; use the newer credentials",
            o.name
        ))),
        Some(o) => Err(Status::permission_denied(format!(
            "the certificate of operator {} was revoked",
            o.name
        ))),
        None => Err(Status::permission_denied(
            "this operator is not known to this controller; ask for new credentials",
        )),
    }
}

/// The agent behind a request.
pub fn agent<T>(request: &Request<T>) -> Result<AgentId, Status> {
    require_agent(request)
}

/// Lets only operators through to a service that does not ask by itself.
#[derive(Clone)]
pub struct OperatorsOnly;

impl tonic::service::Interceptor for OperatorsOnly {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        require_operator(&request)?;
        Ok(request)
    }
}

/// A core that services share.
pub type Shared = Arc<Core>;
