//! Credentials for an operator: at the first start for the first one, later on request of another.

use std::time::Duration;

use syncferry_proto::transport::OperatorCredentials;
use syncferry_shared::{Millis, OperatorId};

use super::ca::{Authority, IssueError, Issued};

/// Issues a certificate and puts it into credentials for the CLI, with the controller's `host:port`. The second value
/// is for the store.
pub fn credentials(
    authority: &Authority,
    controller: &str,
    name: &str,
    operator_id: OperatorId,
    validity: Duration,
    now: Millis,
) -> Result<(OperatorCredentials, Issued), IssueError> {
    let (issued, key_pem) = authority.issue_operator(name, operator_id, validity, now)?;
    let credentials = OperatorCredentials {
        controller: controller.to_string(),
        ca_pem: authority.pem().to_string(),
        cert_pem: issued.cert_pem.clone(),
        key_pem,
        operator_id,
        name: name.to_string(),
    };
    Ok((credentials, issued))
}
