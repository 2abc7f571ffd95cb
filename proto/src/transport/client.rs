//! Dialling: lazy gRPC channels over our own TLS connector. What a channel is used for is the caller's business.
//!
//! An endpoint may be several, `one:7443,two:7443`: each new connection goes to the first that answers, beginning with the one
//! that answered last.
//!
//! The connector is ours because tonic's fixes certificate and verifier when the channel is made; here each new
//! connection of the same channel uses the certificate of that moment.

use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::profile::Profile;
use super::provider::{self, ALPN, VERSIONS};
use super::verifier::{ExpectedPeer, InvalidAuthority, PeerVerifier};

/// Whom to dial, and as whom.
#[derive(Debug, Clone)]
pub struct Dial {
    /// `host:port`; an IPv6 address in brackets. Several are separated by commas.
    pub endpoint: String,
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// Our certificate; `None` to stay anonymous.
    pub identity: Option<Identity>,
    /// Who must answer.
    pub expected: ExpectedPeer,
    /// What the connection carries.
    pub profile: Profile,
}

/// Why a channel cannot be made. That nobody answers is found out by the first call, not here.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The endpoint is not `host:port`.
    #[error("'{0}' is not an endpoint: expected host:port, such as controller.example.com:7443 or [2001:db8::1]:7443")]
    Endpoint(String),
    /// The authority's certificate is unusable.
    #[error(transparent)]
    Authority(#[from] InvalidAuthority),
    /// The TLS library refused our settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// How long one of several may take to answer, so that all get their turn within the time for a connection.
const ONE_OF_SEVERAL: Duration = Duration::from_secs(3);

/// The endpoints of a list, `one:7443, two:7443`, each checked.
pub fn endpoints(list: &str) -> Result<Vec<String>, DialError> {
    let each = list.split(',').map(str::trim);
    each.map(|one| Address::parse(one).map(|_| one.to_string())).collect()
}

/// A channel that connects at its first call, and again whenever the connection was lost. Must be called inside a
/// Tokio runtime.
pub fn connect(dial: Dial) -> Result<Channel, DialError> {
    let verifier = PeerVerifier::trusting(&dial.ca_pem, dial.expected)?;
    channel(
        &dial.endpoint,
        client_config(verifier, dial.identity.as_ref())?,
        dial.profile,
    )
}

/// A channel for enrolment: anonymous, to the controller whose authority has this fingerprint. The authority's
/// certificate that comes in the answer must be checked against the same fingerprint ([`check_authority`]).
pub fn connect_pinned(endpoint: &str, ca_fingerprint: Fingerprint) -> Result<Channel, DialError> {
    channel(
        endpoint,
        client_config(PeerVerifier::pinning(ca_fingerprint), None)?,
        Profile::Control,
    )
}

/// Checks that an authority's certificate is the pinned one, and nothing else comes with it.
pub fn check_authority(ca_pem: &str, pinned: Fingerprint) -> Result<(), AuthorityMismatch> {
    let found = Fingerprint::of_pem(ca_pem);
    let alone = ca_pem.matches("-----BEGIN").count() == 1;
    if found == Some(pinned) && alone {
        Ok(())
    } else {
        Err(AuthorityMismatch { pinned, found })
    }
}

/// The controller sent another authority than the enrolment token names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the enrolment token names the authority {pinned}, but the controller sent {}; do not enrol here", describe(.found))]
pub struct AuthorityMismatch {
    /// What the token names.
    pub pinned: Fingerprint,
    /// What came.
    pub found: Option<Fingerprint>,
}

fn describe(found: &Option<Fingerprint>) -> String {
    found.map_or_else(
        || "no certificate".to_string(),
        |fingerprint| format!("{fingerprint} (or more than one)"),
    )
}

fn client_config(verifier: PeerVerifier, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider::provider())
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would present the certificate of the session before, and a renewal would go unnoticed.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn channel(list: &str, config: Arc<ClientConfig>, profile: Profile) -> Result<Channel, DialError> {
    let endpoints = endpoints(list)?;
    let addresses = endpoints
        .iter()
        .map(|e| Address::parse(e))
        .collect::<Result<Vec<_>, _>>()?;
    let invalid = |_| DialError::Endpoint(list.to_string());
    // "http" only tells tonic to leave TLS to us; requests go out with the https origin. Which of several is dialled is up to
    // the connector, and controllers look at neither.
    let name = &endpoints[0];
    let plain = Endpoint::from_shared(format!("http://{name}")).map_err(invalid)?;
    let origin: Uri = format!("https://{name}")
        .parse()
        .map_err(|_| DialError::Endpoint(list.to_string()))?;
    let places = Arc::new(Places {
        addresses,
        last: AtomicUsize::new(0),
    });
    let connector = tower::service_fn(move |_: Uri| places.clone().dial(TlsConnector::from(config.clone())));
    Ok(profile
        .apply(plain)
        .origin(origin)
        .connect_with_connector_lazy(connector))
}

/// Where a channel may lead.
struct Places {
    addresses: Vec<Address>,
    /// The one that answered last.
    last: AtomicUsize,
}

impl Places {
    async fn dial(self: Arc<Self>, tls: TlsConnector) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let count = self.addresses.len();
        let first = self.last.load(Ordering::Relaxed);
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for at in (0..count).map(|n| (first + n) % count) {
            let address = self.addresses[at].clone();
            let dialled = match count {
                1 => dial(address, tls.clone()).await,
                _ => within(dial(address, tls.clone())).await,
            };
            match dialled {
                Ok(stream) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }
}

async fn within<T>(dialling: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = tokio::time::timeout(ONE_OF_SEVERAL, dialling).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn dial(address: Address, tls: TlsConnector) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
    tcp.set_nodelay(true)?;
    Ok(TokioIo::new(tls.connect(address.server_name(), tcp).await?))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
}

impl Address {
    fn parse(endpoint: &str) -> Result<Self, DialError> {
        Self::split(endpoint).ok_or_else(|| DialError::Endpoint(endpoint.to_string()))
    }

    fn split(endpoint: &str) -> Option<Self> {
        let (host, port) = endpoint.rsplit_once(':')?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
            None => plain_host(host)?.to_string(),
        };
        Some(Self { host, port })
    }

    /// What goes into SNI. It is for proxies that route by it; nothing is verified against it.
    fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).unwrap_or_else(|_| {
            // A host that is no DNS name (an underscore at its start, say) still resolves here and there.
            ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]))
        })
    }
}

/// A DNS name or IPv4 address: no user, no path, no second port.
fn plain_host(host: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!host.is_empty() && host.chars().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::peer::CONTROLLER_URI;
    use crate::transport::testing::TestAuthority;

    #[test]
    fn one_endpoint() {
        let host = |text: &str| Address::parse(text).map(|a| (a.host, a.port)).ok();
        assert_eq!(
            host("controller.example.com:7443"),
            Some(("controller.example.com".to_string(), 7443))
        );
        assert_eq!(host("10.0.0.1:7443"), Some(("10.0.0.1".to_string(), 7443)));
        assert_eq!(host("[::1]:7443"), Some(("::1".to_string(), 7443)));
        for bad in [
            "",
            "host",
            "host:",
            "host:0",
            "host:70000",
            ":7443",
            "::1:7443",
            "[::1]",
            "[x]:1",
            "https://h:1",
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
        for bad in ["user@host:1", "host/path:1", "a b:1", "host:1/x"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_list_is_several_endpoints_and_each_is_checked() {
        assert_eq!(endpoints("one:7443").unwrap(), ["one:7443"]);
        assert_eq!(endpoints("one:7443, [::1]:7444").unwrap(), ["one:7443", "[::1]:7444"]);
        for bad in ["", "one:1,", ",one:1", "one:1;two:2", "one:1,two"] {
            assert!(endpoints(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_authority_in_the_answer_must_be_the_pinned_one() {
        let authority = TestAuthority::new();
        let (pem, other) = (
            authority.issue(&[CONTROLLER_URI]).cert_pem,
            authority.issue(&[CONTROLLER_URI]).cert_pem,
        );
        let pinned = Fingerprint::of_pem(&pem).unwrap();
        assert_eq!(check_authority(&pem, pinned), Ok(()));
        assert!(check_authority(&other, pinned).is_err());
        assert!(
            check_authority("", pinned)
                .unwrap_err()
                .to_string()
                .contains("sent no certificate")
        );
        // A second, unpinned authority must not slip in behind the first.
        assert!(check_authority(&format!("{pem}{other}"), pinned).is_err());
    }
}
