//! Who may call: reads the verified certificate of a request. Every service starts with one of these.
//!
//! They say who it is, not whether that agent or operator is still allowed to work: that stands in the store.

use syncferry_shared::{AgentId, OperatorId};
use tonic::{Request, Status};

use super::connection::ConnectInfo;
use super::peer::{Peer, PeerCertificate};

const AGENT: &str = "this call needs an agent's certificate";
const AGENT_HOW: &str = "enrol the agent with a one-time token from an operator";
const OPERATOR: &str = "this call needs an operator's certificate";
const OPERATOR_HOW: &str =
    "use the credentials file the controller wrote at its first start, or ask an operator for one";

/// The caller's certificate.
///
/// # Errors
/// `Unauthenticated` when none was presented.
pub fn peer<T>(request: &Request<T>) -> Result<PeerCertificate, Status> {
    let how = format!("{AGENT_HOW}; as a person, {OPERATOR_HOW}");
    certificate(request, "this call needs a certificate", &how)
}

/// The agent that calls.
///
/// # Errors
/// `Unauthenticated` without a certificate, `PermissionDenied` with somebody else's.
pub fn require_agent<T>(request: &Request<T>) -> Result<AgentId, Status> {
    match certificate(request, AGENT, AGENT_HOW)?.peer {
        Peer::Agent(id) => Ok(id),
        other => Err(denied(AGENT, other, AGENT_HOW)),
    }
}

/// The operator who calls.
///
/// # Errors
/// `Unauthenticated` without a certificate, `PermissionDenied` with somebody else's.
pub fn require_operator<T>(request: &Request<T>) -> Result<OperatorId, Status> {
    match certificate(request, OPERATOR, OPERATOR_HOW)?.peer {
        Peer::Operator(id) => Ok(id),
        other => Err(denied(OPERATOR, other, OPERATOR_HOW)),
    }
}

fn certificate<T>(request: &Request<T>, needs: &str, how: &str) -> Result<PeerCertificate, Status> {
    request
        .extensions()
        .get::<ConnectInfo>()
        .and_then(|info| info.peer_certificate.clone())
        .ok_or_else(|| Status::unauthenticated(format!("{needs}, and the connection presented none: {how}")))
}

fn denied(needs: &str, found: Peer, how: &str) -> Status {
    Status::permission_denied(format!("{needs}, and the connection is that of {found}: {how}"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::transport::peer::{CONTROLLER_URI, agent_uri, operator_uri};
    use crate::transport::testing::TestAuthority;

    const ID: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120002";

    fn request(uri: Option<&str>) -> Request<()> {
        let peer_certificate =
            uri.map(|uri| PeerCertificate::from_der(&TestAuthority::new().issue(&[uri]).der).unwrap());
        let mut request = Request::new(());
        request.extensions_mut().insert(ConnectInfo {
            remote_addr: ([127, 0, 0, 1], 1).into(),
            peer_certificate,
        });
        request
    }

    #[test]
    fn each_asks_for_its_own_kind() {
        let agent = request(Some(&agent_uri(ID.parse().unwrap(), 1)));
        let operator = request(Some(&operator_uri(ID.parse().unwrap())));
        let controller = request(Some(CONTROLLER_URI));
        assert_eq!(require_agent(&agent).unwrap(), ID.parse().unwrap());
        assert_eq!(require_operator(&operator).unwrap(), ID.parse().unwrap());
        assert_eq!(peer(&controller).unwrap().peer, Peer::Controller);
        for request in [&operator, &controller] {
            assert_eq!(require_agent(request).unwrap_err().code(), Code::PermissionDenied);
        }
        for request in [&agent, &controller] {
            assert_eq!(require_operator(request).unwrap_err().code(), Code::PermissionDenied);
        }
    }

    #[test]
    fn nobody_is_unauthenticated() {
        for request in [request(None), Request::new(())] {
            assert_eq!(peer(&request).unwrap_err().code(), Code::Unauthenticated);
            assert_eq!(require_agent(&request).unwrap_err().code(), Code::Unauthenticated);
            assert_eq!(require_operator(&request).unwrap_err().code(), Code::Unauthenticated);
        }
    }

    #[test]
    fn the_message_says_how_to_get_a_certificate() {
        let status = require_operator(&request(Some(&agent_uri(ID.parse().unwrap(), 1)))).unwrap_err();
        assert_eq!(
            status.message(),
            format!(
                "this call needs an operator's certificate, and the connection is that of agent {ID}: use the \
                 credentials file the controller wrote at its first start, or ask an operator for one"
            )
        );
        assert_eq!(
            require_agent(&request(None)).unwrap_err().message(),
            "this call needs an agent's certificate, and the connection presented none: enrol the agent with a \
             one-time token from an operator"
        );
    }
}
