//! An authority for the unit tests of this module; the controller's own is tested against the real one.

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use syncferry_shared::secret::Secret;

/// An authority that signs what it is told.
pub(super) struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(super) struct TestIssued {
    pub(super) der: Vec<u8>,
    pub(super) cert_pem: String,
    pub(super) key_pem: Secret,
}

impl TestAuthority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with these URIs.
    pub(super) fn issue(&self, uris: &[&str]) -> TestIssued {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| SanType::URI(Ia5String::try_from(*uri).unwrap()))
            .collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        TestIssued {
            der: certificate.der().to_vec(),
            cert_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
        }
    }
}
