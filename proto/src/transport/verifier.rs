//! How a client knows its server: the chain ends at our authority, and the certificate's URI names whom we meant.
//!
//! DNS names are not looked at. A site reaches the controller under whatever name or address its network offers
//! (NAT, a jump host, an address typed from a ticket), and the agent-to-agent transfer goes to bare addresses; a name
//! would have to be guessed when the certificate is issued, and a certificate of the right name but the wrong role
//! would be taken. Our authority signs nothing but Syncferry identities, so the URI is both: stricter and enough.
//! Signatures, validity and key usage stay with rustls and webpki; only the comparison of names is ours.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use syncferry_shared::AgentId;

use super::fingerprint::Fingerprint;
use super::peer::{Peer, PeerCertificate, PeerError};
use super::provider;

/// Whom we want to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedPeer {
    /// A controller.
    Controller,
    /// This agent: the source of a direct transfer.
    Agent(AgentId),
}

impl From<ExpectedPeer> for Peer {
    fn from(expected: ExpectedPeer) -> Self {
        match expected {
            ExpectedPeer::Controller => Peer::Controller,
            ExpectedPeer::Agent(id) => Peer::Agent(id),
        }
    }
}

/// Why a server is not the one that was meant.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its certificate names no peer.
    #[error("the server's certificate was refused: {0}")]
    Peer(#[from] PeerError),
    /// It is somebody else.
    #[error("expected {expected}, but {found} answered: the address leads to another Syncferry process")]
    OtherPeer {
        /// Whom we meant.
        expected: Peer,
        /// Who answered.
        found: Peer,
    },
    /// The pinned authority is not among the presented certificates.
    #[error(
        "the server does not present the authority {pinned} that the enrolment token names: the address is wrong, \
         something between intercepts TLS, or the controller was set up anew; check the address, or get a new token"
    )]
    NotPinned {
        /// What the token names.
        pinned: Fingerprint,
    },
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        Error::Other(OtherError(Arc::new(error)))
    }
}

/// Why a PEM text is not an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the authority's certificate cannot be used: {0}")]
pub struct InvalidAuthority(String);

/// The certificates of a PEM text, as what we trust. Several are allowed: the old and the new one while an authority
/// is being replaced.
pub(super) fn roots(ca_pem: &str) -> Result<RootCertStore, InvalidAuthority> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| InvalidAuthority(e.to_string()))?;
        roots.add(certificate).map_err(|e| InvalidAuthority(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(InvalidAuthority("no '-----BEGIN CERTIFICATE-----' in it".to_string()));
    }
    Ok(roots)
}

/// What the chain must end at.
#[derive(Debug)]
enum Trust {
    Roots(RootCertStore),
    /// The authority is not known yet, only its fingerprint: the server sends it along.
    Pinned(Fingerprint),
}

/// The verifier that rustls calls.
pub(super) struct PeerVerifier {
    trust: Trust,
    expected: ExpectedPeer,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    /// Trusts a known authority.
    pub(super) fn trusting(ca_pem: &str, expected: ExpectedPeer) -> Result<Self, InvalidAuthority> {
        Ok(Self {
            trust: Trust::Roots(roots(ca_pem)?),
            expected,
            provider: provider::provider(),
        })
    }

    /// Trusts the presented authority with this fingerprint, for a controller only.
    pub(super) fn pinning(fingerprint: Fingerprint) -> Self {
        Self {
            trust: Trust::Pinned(fingerprint),
            expected: ExpectedPeer::Controller,
            provider: provider::provider(),
        }
    }

    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let pinned;
        let roots = match &self.trust {
            Trust::Roots(roots) => roots,
            Trust::Pinned(fingerprint) => {
                pinned = pinned_root(*fingerprint, others)?;
                &pinned
            }
        };
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&ParsedCertificate::try_from(leaf)?, roots, others, now, algorithms)
    }

    fn verify_peer(&self, leaf: &CertificateDer<'_>) -> Result<(), VerifyError> {
        let (expected, found) = (Peer::from(self.expected), PeerCertificate::from_der(leaf)?.peer);
        if found == expected {
            Ok(())
        } else {
            Err(VerifyError::OtherPeer { expected, found })
        }
    }
}

/// The authority with this fingerprint, from what the server presented besides its own certificate.
fn pinned_root(pinned: Fingerprint, presented: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
    let authority = presented
        .iter()
        .find(|certificate| Fingerprint::of_der(certificate) == pinned)
        .ok_or(VerifyError::NotPinned { pinned })?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned())?;
    Ok(roots)
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier")
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify_chain(leaf, intermediates, now)?;
        self.verify_peer(leaf)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_needs_a_certificate() {
        let error = roots("hello").unwrap_err().to_string();
        assert_eq!(
            error,
            "the authority's certificate cannot be used: no '-----BEGIN CERTIFICATE-----' in it"
        );
        assert!(roots("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
