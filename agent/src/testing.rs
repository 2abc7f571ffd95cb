//! An authority for tests.

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair, SanType,
};
use syncferry_proto::transport::Identity;
use syncferry_proto::transport::peer::{CONTROLLER_URI, agent_uri};
use syncferry_shared::AgentId;
use syncferry_shared::secret::Secret;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// An agent's identity.
    pub(crate) fn agent(&self, id: AgentId) -> Identity {
        let (cert, key) = self.issue(&agent_uri(id, 1));
        Identity::from_pem(&cert, &key).unwrap()
    }

    /// A controller's identity.
    pub(crate) fn controller(&self) -> Identity {
        let (cert, key) = self.issue(CONTROLLER_URI);
        // With the authority, which enrolment looks for.
        Identity::from_pem(&format!("{cert}{}", self.pem()), &key).unwrap()
    }

    /// A certificate for somebody else's key.
    pub(crate) fn sign(&self, csr_pem: &str, uri: &str) -> String {
        let mut csr = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        csr.params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri).unwrap())];
        csr.signed_by(&self.0).unwrap().pem()
    }

    /// A certificate and its key, PEM.
    pub(crate) fn issue(&self, uri: &str) -> (String, Secret) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri).unwrap())];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        (cert.pem(), Secret::new(key.serialize_pem()))
    }
}
