//! Who a certificate names: the one `syncferry://` URI among its subject alternative names.
//!
//! ```text
//! syncferry://agent/<uuid>?generation=3     syncferry://operator/<uuid>     syncferry://controller
//! ```
//!
//! There is exactly one way to write each identity, and a certificate with two of them names nobody: what cannot be
//! read in two ways cannot be misread. Chains and expiry are checked elsewhere (`server`, `verifier`).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use syncferry_shared::{AgentId, Millis, OperatorId};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::fingerprint::Fingerprint;

const SCHEME: &str = "syncferry://";
const GENERATION: &str = "generation=";

/// The URI in a controller's certificate.
pub const CONTROLLER_URI: &str = "syncferry://controller";

/// The URI in the certificate of an agent. The generation grows by one with each renewal.
pub fn agent_uri(agent: AgentId, generation: u32) -> String {
    format!("{SCHEME}agent/{agent}?{GENERATION}{generation}")
}

/// The URI in the certificate of an operator.
pub fn operator_uri(operator: OperatorId) -> String {
    format!("{SCHEME}operator/{operator}")
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An enrolled agent.
    Agent(AgentId),
    /// A person, through the CLI.
    Operator(OperatorId),
    /// A controller.
    Controller,
    /// Somebody who presented no certificate; may only enrol.
    Anonymous,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Agent(id) => write!(f, "agent {id}"),
            Peer::Operator(id) => write!(f, "operator {id}"),
            Peer::Controller => f.write_str("the controller"),
            Peer::Anonymous => f.write_str("nobody (no certificate)"),
        }
    }
}

/// Why a certificate names no peer of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The bytes are not a certificate.
    #[error("not an X.509 certificate: {0}")]
    NotACertificate(String),
    /// No `syncferry://` URI.
    #[error("the certificate names no Syncferry identity: no URI such as {CONTROLLER_URI} among its alternative names")]
    NoIdentity,
    /// More than one.
    #[error("the certificate names more than one identity ('{first}' and '{second}'): it is refused as ambiguous")]
    Ambiguous {
        /// The first URI.
        first: String,
        /// Another one.
        second: String,
    },
    /// A URI that does not start as ours do.
    #[error("'{0}' is not a Syncferry identity: it does not start with {SCHEME}")]
    OtherScheme(String),
    /// A kind that we do not know.
    #[error("'{uri}' names an unknown kind of peer '{kind}': expected agent, operator or controller")]
    UnknownKind {
        /// The URI.
        uri: String,
        /// The kind in it.
        kind: String,
    },
    /// What follows the kind is not right.
    #[error("'{uri}' is malformed: {why}")]
    Malformed {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads an identity URI: the peer and the generation of its certificate (0 for those who have none).
pub fn parse_uri(uri: &str) -> Result<(Peer, u32), PeerError> {
    let malformed = |why: &str| PeerError::Malformed {
        uri: uri.to_string(),
        why: why.to_string(),
    };
    let rest = uri
        .strip_prefix(SCHEME)
        .ok_or_else(|| PeerError::OtherScheme(uri.to_string()))?;
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let (kind, id) = match path.split_once('/') {
        Some((kind, id)) => (kind, Some(id)),
        None => (path, None),
    };
    let peer = match (kind, id) {
        ("agent", Some(id)) => Peer::Agent(canonical(id).map_err(|why| malformed(&why))?),
        ("operator", Some(id)) => Peer::Operator(canonical(id).map_err(|why| malformed(&why))?),
        ("agent" | "operator", None) => return Err(malformed("the id is missing")),
        ("controller", None) => Peer::Controller,
        ("controller", Some(_)) => return Err(malformed("a controller has no id")),
        _ => {
            return Err(PeerError::UnknownKind {
                uri: uri.to_string(),
                kind: kind.to_string(),
            });
        }
    };
    let generation = match (peer, query) {
        (_, None) => 0,
        (Peer::Agent(_), Some(query)) => parse_generation(query)
            .ok_or_else(|| malformed("the query is not 'generation=' and a number without sign or leading zeros"))?,
        _ => return Err(malformed("only agents have a query")),
    };
    Ok((peer, generation))
}

/// An id in its one canonical form; `Uuid` itself also takes braces, upper case and no hyphens.
fn canonical<Id: FromStr<Err = impl fmt::Display> + fmt::Display>(text: &str) -> Result<Id, String> {
    let id: Id = text.parse().map_err(|e: Id::Err| e.to_string())?;
    if id.to_string() == text {
        Ok(id)
    } else {
        Err(format!("'{text}' is not written as '{id}'"))
    }
}

fn parse_generation(query: &str) -> Option<u32> {
    let text = query.strip_prefix(GENERATION)?;
    let generation: u32 = text.parse().ok()?;
    (generation.to_string() == text).then_some(generation)
}

/// What a certificate says of its owner. It proves something only after its chain was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Whom it names.
    pub peer: Peer,
    /// The serial number, as lower-case hexadecimal.
    pub serial: String,
    /// How many certificates this agent had before; 0 for other peers.
    pub generation: u32,
    /// Start of its validity.
    pub not_before: Millis,
    /// End of its validity.
    pub not_after: Millis,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
}

impl PeerCertificate {
    /// Reads a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, PeerError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|e| PeerError::NotACertificate(e.to_string()))?;
        if !rest.is_empty() {
            return Err(PeerError::NotACertificate(format!("{} bytes follow it", rest.len())));
        }
        let (peer, generation) = parse_uri(&identity_uri(&certificate)?)?;
        let validity = certificate.validity();
        Ok(Self {
            peer,
            serial: HEXLOWER.encode(certificate.raw_serial()),
            generation,
            not_before: Millis(validity.not_before.timestamp().saturating_mul(1000)),
            not_after: Millis(validity.not_after.timestamp().saturating_mul(1000)),
            fingerprint: Fingerprint::of_der(der),
        })
    }
}

/// The one URI of ours among a certificate's alternative names.
fn identity_uri(certificate: &X509Certificate<'_>) -> Result<String, PeerError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|e| PeerError::NotACertificate(e.to_string()))?;
    let names = names
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    let mut ours = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(uri.to_string()),
        _ => None,
    });
    let first = ours.next().ok_or(PeerError::NoIdentity)?;
    match ours.next() {
        Some(second) => Err(PeerError::Ambiguous { first, second }),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::transport::testing::TestAuthority;

    const ID: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120002";

    fn agent() -> AgentId {
        ID.parse().unwrap()
    }

    #[test]
    fn reads_each_kind() {
        assert_eq!(parse_uri(CONTROLLER_URI), Ok((Peer::Controller, 0)));
        assert_eq!(parse_uri(&agent_uri(agent(), 3)), Ok((Peer::Agent(agent()), 3)));
        assert_eq!(
            parse_uri(&format!("syncferry://agent/{ID}")),
            Ok((Peer::Agent(agent()), 0))
        );
        let operator: OperatorId = ID.parse().unwrap();
        assert_eq!(parse_uri(&operator_uri(operator)), Ok((Peer::Operator(operator), 0)));
    }

    #[test]
    fn refuses_every_other_spelling() {
        for uri in [
            "",
            "https://controller",
            "syncferry://",
            "syncferry://Controller",
            "syncferry://controller/",
            "syncferry://controller/x",
            "syncferry://controller?generation=1",
            "syncferry://agent",
            "syncferry://agent/",
            "syncferry://agent/not-an-id",
            &format!("syncferry://agent/{}", ID.to_uppercase()),
            &format!("syncferry://agent/{{{ID}}}"),
            &format!("syncferry://agent/{ID}/"),
            &format!("syncferry://agent/{ID}#x"),
            &format!("syncferry://agent/{ID}?"),
            &format!("syncferry://agent/{ID}?generation=03"),
            &format!("syncferry://agent/{ID}?generation=+3"),
            &format!("syncferry://agent/{ID}?generation=-3"),
            &format!("syncferry://agent/{ID}?generation=3&x=1"),
            &format!("syncferry://agent/{ID}?generation=99999999999"),
            &format!("syncferry://operator/{ID}?generation=1"),
            &format!("syncferry://robot/{ID}"),
        ] {
            assert!(parse_uri(uri).is_err(), "{uri} was taken");
        }
    }

    #[test]
    fn errors_explain() {
        let text = |uri: &str| parse_uri(uri).unwrap_err().to_string();
        assert_eq!(
            text("syncferry://robot/1"),
            "'syncferry://robot/1' names an unknown kind of peer 'robot': expected agent, operator or controller"
        );
        assert_eq!(
            text("syncferry://agent"),
            "'syncferry://agent' is malformed: the id is missing"
        );
        assert!(
            text("syncferry://agent/1").contains("'1' is not a agent id"),
            "{}",
            text("syncferry://agent/1")
        );
    }

    #[test]
    fn reads_a_certificate() {
        let authority = TestAuthority::new();
        let issued = authority.issue(&[&agent_uri(agent(), 7)]);
        let certificate = PeerCertificate::from_der(&issued.der).unwrap();
        assert_eq!(certificate.peer, Peer::Agent(agent()));
        assert_eq!(certificate.generation, 7);
        assert_eq!(certificate.fingerprint, Fingerprint::of_pem(&issued.cert_pem).unwrap());
        assert!(certificate.not_before < certificate.not_after);
        assert!(!certificate.serial.is_empty());
    }

    #[test]
    fn a_certificate_with_no_or_two_identities_names_nobody() {
        let authority = TestAuthority::new();
        let none = authority.issue(&["https://example.com"]);
        assert_eq!(PeerCertificate::from_der(&none.der), Err(PeerError::NoIdentity));
        let two = authority.issue(&[CONTROLLER_URI, &agent_uri(agent(), 1)]);
        assert!(matches!(
            PeerCertificate::from_der(&two.der),
            Err(PeerError::Ambiguous { .. })
        ));
    }

    proptest! {
        #[test]
        fn uris_survive_a_round_trip(id: u128, generation: u32) {
            let agent = AgentId(Uuid::from_u128(id));
            prop_assert_eq!(parse_uri(&agent_uri(agent, generation)), Ok((Peer::Agent(agent), generation)));
            let operator = OperatorId(Uuid::from_u128(id));
            prop_assert_eq!(parse_uri(&operator_uri(operator)), Ok((Peer::Operator(operator), 0)));
        }

        #[test]
        fn what_is_read_is_canonical(rest in "(agent|operator|controller|[a-z]{0,4})(/[0-9a-fA-F-]{0,36})?(\\?[a-z0-9=&]{0,14})?") {
            let uri = format!("syncferry://{rest}");
            match parse_uri(&uri) {
                Ok((Peer::Agent(id), generation)) => {
                    let bare = format!("syncferry://agent/{id}");
                    prop_assert!(uri == agent_uri(id, generation) || uri == bare);
                }
                Ok((Peer::Operator(id), _)) => prop_assert_eq!(uri, operator_uri(id)),
                Ok((Peer::Controller, _)) => prop_assert_eq!(uri.as_str(), CONTROLLER_URI),
                Ok((Peer::Anonymous, _)) => prop_assert!(false, "nobody has a URI"),
                Err(_) => {}
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = parse_uri(&text);
            let _ = parse_uri(&format!("syncferry://agent/{text}"));
        }

        #[test]
        fn arbitrary_bytes_are_no_certificate(bytes: Vec<u8>) {
            prop_assert!(PeerCertificate::from_der(&bytes).is_err());
        }

        #[test]
        fn a_damaged_certificate_never_panics(at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut der = damaged_source().to_vec();
            let at = at.index(der.len());
            der[at] ^= flip;
            let _ = PeerCertificate::from_der(&der);
            der.truncate(at);
            prop_assert!(PeerCertificate::from_der(&der).is_err());
        }
    }

    fn damaged_source() -> &'static [u8] {
        static DER: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| TestAuthority::new().issue(&[&agent_uri(agent(), 1)]).der);
        &DER
    }
}
