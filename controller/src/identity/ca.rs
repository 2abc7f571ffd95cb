//! The authority: makes itself, signs certificates for controllers, agents and operators. It keeps no list of what it
//! issued; there is no revocation list either: agents' certificates are short, and every service asks the store
//! whether that agent or operator may still work.

use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use ring::rand::{SecureRandom, SystemRandom};
use syncferry_proto::transport::peer::{self, CONTROLLER_URI};
use syncferry_proto::transport::{Fingerprint, PeerCertificate, renewal};
use syncferry_shared::secret::Secret;
use syncferry_shared::{AgentId, Millis, OperatorId};
use time::OffsetDateTime;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

/// How long the authority itself lives.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(3650 * 86_400);
/// How long an agent's certificate lives, unless configured otherwise.
pub const AGENT_VALIDITY: Duration = Duration::from_secs(7 * 86_400);
/// How long a controller's certificate lives, unless configured otherwise.
pub const SERVER_VALIDITY: Duration = Duration::from_secs(30 * 86_400);
/// How long an operator's certificate lives, unless configured otherwise: it is not renewed by itself.
pub const OPERATOR_VALIDITY: Duration = Duration::from_secs(365 * 86_400);
/// Certificates start this long before they are issued: hosts' clocks differ.
const CLOCK_SKEW_MS: i64 = 5 * 60 * 1000;
/// A request of ours has about 500 bytes.
const MAX_CSR_BYTES: usize = 16 * 1024;

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key is not one.
    #[error("the authority's key cannot be read: {0}")]
    Key(rcgen::Error),
    /// The certificate is not one.
    #[error("the authority's certificate cannot be read: {0}")]
    Certificate(String),
    /// They are from different authorities.
    #[error("the authority's key does not fit its certificate")]
    Mismatch,
    /// A key or certificate could not be made.
    #[error("the authority could not be made: {0}")]
    Generate(String),
}

/// Why a certificate is not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request cannot be read.
    #[error("the signing request cannot be read: {0}")]
    Request(String),
    /// The requester does not hold the key.
    #[error("the signing request is not signed with the key it names")]
    NotSelfSigned,
    /// The key is of a kind we do not issue for.
    #[error("the signing request has a key that is not ECDSA P-256")]
    KeyKind,
    /// A name cannot stand in a certificate.
    #[error("'{0}' cannot stand in a certificate")]
    Name(String),
    /// The times do not make a validity.
    #[error("a certificate cannot be valid from {0}")]
    Validity(Millis),
    /// Signing failed.
    #[error("the certificate could not be signed: {0}")]
    Sign(#[from] rcgen::Error),
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The leaf certificate, PEM.
    pub cert_pem: String,
    /// What it says: peer, serial, generation, validity, fingerprint.
    pub certificate: PeerCertificate,
}

impl Issued {
    /// When it should be renewed.
    pub fn renew_at(&self) -> Millis {
        renewal::renew_at(self.certificate.not_before, self.certificate.not_after)
    }
}

/// Signs certificates.
pub struct Authority {
    pem: String,
    fingerprint: Fingerprint,
    issuer: Issuer<'static, KeyPair>,
    random: SystemRandom,
}

impl Authority {
    /// A new authority: certificate and key, PEM.
    pub(super) fn generate(now: Millis) -> Result<(String, Secret), AuthorityError> {
        let failed = |e: &dyn std::fmt::Display| AuthorityError::Generate(e.to_string());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| failed(&e))?;
        let random = SystemRandom::new();
        let mut params = CertificateParams::default();
        let serial = serial(&random).map_err(|e| failed(&e))?;
        // The serial also stands in the name: two authorities of one site must not look the same.
        params.distinguished_name = name(&format!("Syncferry authority {}", &hex(&serial)[..8]));
        params.serial_number = Some(serial);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_VALIDITY).map_err(|e| failed(&e))?;
        let certificate = params.self_signed(&key).map_err(|e| failed(&e))?;
        Ok((certificate.pem(), Secret::new(key.serialize_pem())))
    }

    /// The authority of these files.
    pub(super) fn from_pem(cert_pem: &str, key_pem: &Secret) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key_pem.reveal()).map_err(AuthorityError::Key)?;
        if public_key_of(cert_pem)? != key.subject_public_key_info() {
            return Err(AuthorityError::Mismatch);
        }
        let broken = |e: rcgen::Error| AuthorityError::Certificate(e.to_string());
        Ok(Self {
            pem: cert_pem.to_string(),
            fingerprint: Fingerprint::of_pem(cert_pem)
                .ok_or_else(|| AuthorityError::Certificate("not a PEM text".to_string()))?,
            issuer: Issuer::from_ca_cert_pem(cert_pem, key).map_err(broken)?,
            random: SystemRandom::new(),
        })
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the authority's certificate: what enrolment tokens name.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// A certificate and key for a controller. The DNS names and addresses are for other tools (a browser, grpcurl);
    /// our own clients look at the URI only.
    pub fn issue_server(
        &self,
        names: &[String],
        validity: Duration,
        now: Millis,
    ) -> Result<(Issued, Secret), IssueError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names).map_err(|_| IssueError::Name(names.join(", ")))?;
        params.distinguished_name = name("Syncferry controller");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issued = self.sign(params, CONTROLLER_URI, &key, validity, now)?;
        Ok((issued, Secret::new(key.serialize_pem())))
    }

    /// A certificate for the key of an agent's signing request. Only the public key is taken from it; whatever names
    /// and usages it asks for are ignored. It is good for both ends: an agent also serves direct transfers.
    pub fn issue_agent_from_csr(
        &self,
        csr_pem: &str,
        agent: AgentId,
        generation: u32,
        validity: Duration,
        now: Millis,
    ) -> Result<Issued, IssueError> {
        let key = requested_key(csr_pem)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("Syncferry agent {}", agent.short()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, &peer::agent_uri(agent, generation), &key, validity, now)
    }

    /// A certificate and key for an operator.
    pub fn issue_operator(
        &self,
        operator_name: &str,
        operator: OperatorId,
        validity: Duration,
        now: Millis,
    ) -> Result<(Issued, Secret), IssueError> {
        // X.509 limits a common name to 64 characters.
        let fits = (1..=64).contains(&operator_name.chars().count()) && !operator_name.chars().any(char::is_control);
        if !fits {
            return Err(IssueError::Name(operator_name.to_string()));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(operator_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issued = self.sign(params, &peer::operator_uri(operator), &key, validity, now)?;
        Ok((issued, Secret::new(key.serialize_pem())))
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        uri: &str,
        key: &impl PublicKeyData,
        validity: Duration,
        now: Millis,
    ) -> Result<Issued, IssueError> {
        let uri = Ia5String::try_from(uri).map_err(|_| IssueError::Name(uri.to_string()))?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(serial(&self.random)?);
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, validity)?;
        let certificate = params.signed_by(key, &self.issuer)?;
        let read = PeerCertificate::from_der(certificate.der()).map_err(|e| IssueError::Name(e.to_string()))?;
        Ok(Issued {
            cert_pem: certificate.pem(),
            certificate: read,
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// From five minutes ago until `validity` from now. X.509 knows whole seconds only.
fn set_validity(params: &mut CertificateParams, now: Millis, validity: Duration) -> Result<(), IssueError> {
    let at = |ms: i64| OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).map_err(|_| IssueError::Validity(now));
    params.not_before = at(now.plus(-CLOCK_SKEW_MS).0)?;
    params.not_after = at(now.plus(i64::try_from(validity.as_millis()).unwrap_or(i64::MAX)).0)?;
    Ok(())
}

/// 128 random bits, of which the first two are fixed: positive, and of the same length always.
fn serial(random: &SystemRandom) -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    random.fill(&mut bytes).map_err(|_| IssueError::Random)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn hex(serial: &SerialNumber) -> String {
    serial.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// The SubjectPublicKeyInfo of a certificate, DER.
fn public_key_of(cert_pem: &str) -> Result<Vec<u8>, AuthorityError> {
    let (_, pem) = parse_x509_pem(cert_pem.as_bytes()).map_err(|e| AuthorityError::Certificate(e.to_string()))?;
    let certificate = pem
        .parse_x509()
        .map_err(|e| AuthorityError::Certificate(e.to_string()))?;
    Ok(certificate.public_key().raw.to_vec())
}

/// The public key of a signing request, after checking that the requester holds the private one.
fn requested_key(csr_pem: &str) -> Result<SubjectPublicKeyInfo, IssueError> {
    let unreadable = |e: &dyn std::fmt::Display| IssueError::Request(e.to_string());
    if csr_pem.len() > MAX_CSR_BYTES {
        return Err(unreadable(&format!("it is longer than {MAX_CSR_BYTES} bytes")));
    }
    let (_, pem) = parse_x509_pem(csr_pem.as_bytes()).map_err(|e| unreadable(&e))?;
    let (rest, csr) = X509CertificationRequest::from_der(&pem.contents).map_err(|e| unreadable(&e))?;
    if !rest.is_empty() {
        return Err(unreadable(&"something follows it"));
    }
    csr.verify_signature().map_err(|_| IssueError::NotSelfSigned)?;
    let key = SubjectPublicKeyInfo::from_der(csr.certification_request_info.subject_pki.raw)
        .map_err(|_| IssueError::KeyKind)?;
    if key.algorithm() == &PKCS_ECDSA_P256_SHA256 {
        Ok(key)
    } else {
        Err(IssueError::KeyKind)
    }
}

#[cfg(test)]
mod tests;
