//! A process's own certificate and key: checked when loaded, replaceable while connections are open.
//!
//! tonic's `Identity` cannot be exchanged; here rustls asks a resolver at every handshake, and the resolver looks into
//! an `ArcSwap`. So a renewed certificate is used from the next connection on, without a restart.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use syncferry_shared::Millis;
use syncferry_shared::secret::Secret;

use super::peer::{Peer, PeerCertificate, PeerError};
use super::private_file::{self, PrivateFileError};
use super::{provider, renewal};

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No certificate in the PEM text.
    #[error("no certificate found: expected PEM text with '-----BEGIN CERTIFICATE-----'")]
    NoCertificate,
    /// No private key in the PEM text.
    #[error("no private key found: expected PEM text with '-----BEGIN PRIVATE KEY-----'")]
    NoKey,
    /// The certificate names no peer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Key and certificate do not belong together, or the key is of an unknown kind.
    #[error("the private key does not fit the certificate of {peer}: {source}; they must be from the same issue")]
    KeyMismatch {
        /// Whom the certificate names.
        peer: Peer,
        /// What rustls says.
        source: rustls::Error,
    },
    /// A replacement that names somebody else.
    #[error("refused to replace the certificate of {current} by one of {offered}")]
    OtherPeer {
        /// Who we are.
        current: Peer,
        /// Whom the new certificate names.
        offered: Peer,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

/// A certificate chain with its key. Clones share it: replacing it in one replaces it in all.
#[derive(Clone)]
pub struct Identity(Arc<ArcSwap<Current>>);

struct Current {
    key: Arc<CertifiedKey>,
    certificate: PeerCertificate,
}

impl Identity {
    /// From PEM texts: the leaf certificate first, then what the other side needs to build the chain.
    pub fn from_pem(cert_pem: &str, key_pem: &Secret) -> Result<Self, IdentityError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(Current::from_pem(
            cert_pem, key_pem,
        )?))))
    }

    /// From one private file with certificate and key. One file, so that a crash between two writes cannot leave a
    /// new certificate beside an old key.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let text = Secret::new(private_file::read(path)?);
        Self::from_pem(text.reveal(), &text)
    }

    /// Writes what [`Identity::load`] reads, after checking that it is usable.
    pub fn save(path: &Path, cert_pem: &str, key_pem: &Secret) -> Result<(), IdentityError> {
        Current::from_pem(cert_pem, key_pem)?;
        Ok(private_file::write(
            path,
            &format!("{}\n{}", cert_pem.trim_end(), key_pem.reveal()),
        )?)
    }

    /// Uses another certificate and key from the next handshake on. It must name the same peer.
    pub fn replace(&self, cert_pem: &str, key_pem: &Secret) -> Result<(), IdentityError> {
        let next = Current::from_pem(cert_pem, key_pem)?;
        let (current, offered) = (self.certificate().peer, next.certificate.peer);
        if current != offered {
            return Err(IdentityError::OtherPeer { current, offered });
        }
        self.0.store(Arc::new(next));
        Ok(())
    }

    /// The certificate in use.
    pub fn certificate(&self) -> PeerCertificate {
        self.0.load().certificate.clone()
    }

    /// Whether the certificate is in the last third of its life.
    pub fn renewal_due(&self, now: Millis) -> bool {
        let current = self.0.load();
        renewal::is_due(current.certificate.not_before, current.certificate.not_after, now)
    }

    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::new(Resolver(self.clone()))
    }
}

impl Current {
    fn from_pem(cert_pem: &str, key_pem: &Secret) -> Result<Self, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(cert_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::NoCertificate)?;
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let certificate = PeerCertificate::from_der(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.reveal().as_bytes()).map_err(|_| IdentityError::NoKey)?;
        // This also compares the public keys.
        let key =
            CertifiedKey::from_der(chain, key, &provider::provider()).map_err(|source| IdentityError::KeyMismatch {
                peer: certificate.peer,
                source,
            })?;
        Ok(Self {
            key: Arc::new(key),
            certificate,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.certificate()).finish()
    }
}

/// What rustls asks for a certificate, on either side.
#[derive(Debug)]
pub(super) struct Resolver(Identity);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.0.load().key.clone())
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _root_hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.0.load().key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::peer::{CONTROLLER_URI, agent_uri};
    use crate::transport::testing::TestAuthority;

    #[test]
    fn key_and_certificate_must_match() {
        let authority = TestAuthority::new();
        let (one, other) = (authority.issue(&[CONTROLLER_URI]), authority.issue(&[CONTROLLER_URI]));
        assert!(Identity::from_pem(&one.cert_pem, &one.key_pem).is_ok());
        let error = Identity::from_pem(&one.cert_pem, &other.key_pem).unwrap_err();
        assert!(matches!(error, IdentityError::KeyMismatch { .. }), "{error}");
    }

    #[test]
    fn says_what_is_missing() {
        let issued = TestAuthority::new().issue(&[CONTROLLER_URI]);
        let no_certificate = Identity::from_pem("hello", &issued.key_pem).unwrap_err();
        assert!(matches!(no_certificate, IdentityError::NoCertificate));
        let no_key = Identity::from_pem(&issued.cert_pem, &Secret::new("hello")).unwrap_err();
        assert!(matches!(no_key, IdentityError::NoKey));
    }

    #[test]
    fn is_replaced_only_by_the_same_peer() {
        let authority = TestAuthority::new();
        let agent = "01932c5e-7d3a-7c1b-9f3e-0242ac120002".parse().unwrap();
        let (first, second) = (
            authority.issue(&[&agent_uri(agent, 1)]),
            authority.issue(&[&agent_uri(agent, 2)]),
        );
        let identity = Identity::from_pem(&first.cert_pem, &first.key_pem).unwrap();
        let clone = identity.clone();
        identity.replace(&second.cert_pem, &second.key_pem).unwrap();
        assert_eq!(clone.certificate().generation, 2);

        let controller = authority.issue(&[CONTROLLER_URI]);
        let error = identity.replace(&controller.cert_pem, &controller.key_pem).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("refused to replace the certificate of agent"),
            "{error}"
        );
        assert_eq!(identity.certificate().generation, 2);
    }

    #[test]
    fn lives_in_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.pem");
        let issued = TestAuthority::new().issue(&[CONTROLLER_URI]);
        Identity::save(&path, &issued.cert_pem, &issued.key_pem).unwrap();
        let identity = Identity::load(&path).unwrap();
        assert_eq!(identity.certificate(), PeerCertificate::from_der(&issued.der).unwrap());
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
