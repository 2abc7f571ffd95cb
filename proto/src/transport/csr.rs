//! The agent's side of enrolment and renewal: a key made on the host, which never leaves it, and a signing request.

use rcgen::{CertificateParams, DnType, KeyPair};
use syncferry_shared::secret::Secret;

/// A new key and the request to sign it.
#[derive(Debug)]
pub struct SigningRequest {
    /// The private key, PEM; stays on this host.
    pub key_pem: Secret,
    /// The request, PEM; proves possession of the key.
    pub csr_pem: String,
}

/// A key or request could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made: {0}")]
pub struct SigningRequestError(#[from] rcgen::Error);

/// Makes a fresh P-256 key and a request for it. The request names nobody: the controller decides whom the
/// certificate is for.
pub fn make() -> Result<SigningRequest, SigningRequestError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "syncferry agent");
    let csr_pem = params.serialize_request(&key)?.pem()?;
    Ok(SigningRequest {
        key_pem: Secret::new(key.serialize_pem()),
        csr_pem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_own_key() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert!(one.csr_pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        assert!(one.key_pem.reveal().starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_ne!(one.csr_pem, other.csr_pem);
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }
}
