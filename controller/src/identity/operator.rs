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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::identity::ca::OPERATOR_VALIDITY;

    #[test]
    fn are_whole() {
        let now = Millis(1_790_000_000_000);
        let (cert, key) = Authority::generate(now).unwrap();
        let authority = Authority::from_pem(&cert, &key).unwrap();
        let id = OperatorId(Uuid::from_u128(1));
        let (credentials, issued) =
            credentials(&authority, "127.0.0.1:7443", "Ada", id, OPERATOR_VALIDITY, now).unwrap();
        assert_eq!(credentials.identity().unwrap().certificate(), issued.certificate);
    }
}
