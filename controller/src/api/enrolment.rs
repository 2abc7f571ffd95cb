//! The enrolment service.

use syncferry_proto::v1::enrolment_server::Enrolment;
use syncferry_proto::v1::{EnrolRequest, EnrolResponse};
use tonic::{Request, Response, Status};

use super::guard::Shared;
use crate::dispatch::enrol;

/// The service.
pub struct Service(pub Shared);

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let r = request.into_inner();
        let done = enrol::enrol(&self.0, &r.token, &r.csr_pem, &r.computer_name, &r.agent_version).await?;
        Ok(Response::new(EnrolResponse {
            agent_id: done.agent.id.to_string(),
            host_id: done.host.id.to_string(),
            host_name: done.host.name,
            certificate_pem: done.certificate_pem,
            ca_pem: self.0.authority.pem().to_string(),
            generation: done.agent.generation,
            ticket_key: self.0.tickets.public_key().to_string(),
        }))
    }
}
