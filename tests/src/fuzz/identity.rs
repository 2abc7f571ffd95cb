//! Who somebody says to be: enrolment tokens, transfer tickets, identity URIs, certificates, signing requests.

use std::sync::LazyLock;
use std::time::Duration;

use data_encoding::BASE64;
use syncferry_controller::identity::{Keys, new_token};
use syncferry_proto::transport::peer::{Peer, agent_uri, operator_uri, parse_uri};
use syncferry_proto::transport::ticket::{TicketClaims, verify};
use syncferry_proto::transport::{EnrolmentToken, Fingerprint, Identity, PeerCertificate, csr};
use syncferry_shared::secret::Secret;
use syncferry_shared::{AgentId, ArtifactId, Millis, OperatorId};
use uuid::Uuid;

const NOW: Millis = Millis(1_795_338_843_000);
const DAY: Duration = Duration::from_secs(86_400);

/// A controller's authority and ticket key, made once.
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    Keys::open(dir.path(), NOW).expect("keys can be made")
});

/// Reads bytes as each of them.
pub fn read(bytes: &[u8]) -> bool {
    let certificate = PeerCertificate::from_der(bytes).is_ok();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return certificate;
    };
    certificate || token(text) || ticket(text) || uri(text) || pem(text)
}

fn token(text: &str) -> bool {
    let Ok(token) = text.parse::<EnrolmentToken>() else {
        return false;
    };
    // Written out it is the same token; the fingerprint may have been typed in upper case.
    assert_eq!(token.text().reveal().parse(), Ok(token));
    true
}

fn ticket(text: &str) -> bool {
    let Ok(claims) = verify(text, &KEYS.tickets.public_key(), NOW) else {
        return false;
    };
    assert!(claims.expires_at > NOW);
    true
}

fn uri(text: &str) -> bool {
    let Ok((peer, generation)) = parse_uri(text) else {
        return false;
    };
    // There is one way to write each identity; a generation of 0 may be left out.
    match peer {
        Peer::Agent(id) if text.contains('?') => assert_eq!(agent_uri(id, generation), text),
        Peer::Operator(id) => assert_eq!(operator_uri(id), text),
        _ => {}
    }
    true
}

fn pem(text: &str) -> bool {
    let _ = Fingerprint::of_pem(text);
    let signed = KEYS
        .authority
        .issue_agent_from_csr(text, AgentId(Uuid::from_u128(1)), 1, DAY, NOW);
    if let Ok(issued) = &signed {
        // Whatever the request asked for, the certificate names whom it was issued to.
        assert_eq!(issued.certificate.peer, Peer::Agent(AgentId(Uuid::from_u128(1))));
    }
    signed.is_ok() || Identity::from_pem(text, &Secret::new(text)).is_ok()
}

/// One of each that is understood.
pub fn seeds() -> Vec<Vec<u8>> {
    let agent = AgentId(Uuid::from_u128(1));
    let operator = OperatorId(Uuid::from_u128(2));
    let claims = TicketClaims {
        artifact: ArtifactId(Uuid::from_u128(3)),
        source_agent: agent,
        target_agent: AgentId(Uuid::from_u128(4)),
        expires_at: NOW.plus(60_000),
    };
    let mut seeds = vec![agent_uri(agent, 3).into_bytes(), operator_uri(operator).into_bytes()];
    seeds.extend(
        new_token(&KEYS.authority)
            .ok()
            .map(|t| t.text.reveal().as_bytes().to_vec()),
    );
    seeds.extend(KEYS.tickets.issue(claims).ok().map(String::into_bytes));
    if let Ok(request) = csr::make() {
        let issued = KEYS
            .authority
            .issue_agent_from_csr(&request.csr_pem, agent, 1, DAY, NOW);
        if let Ok(issued) = issued {
            seeds.extend(der(&issued.cert_pem));
            seeds.push(format!("{}{}", issued.cert_pem, request.key_pem.reveal()).into_bytes());
        }
        seeds.push(request.csr_pem.into_bytes());
    }
    seeds
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    BASE64.decode(body.as_bytes()).ok()
}
