//! The server's self-signed certificate, which stays the same for an instance, and the TLS settings.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

const CERTIFICATE: &str = "tls-certificate.pem";
const KEY: &str = "tls-key.pem";

/// An instance's certificate and key, ready for handshakes.
#[derive(Clone)]
pub struct Identity {
    in_packets: TlsAcceptor,
    strict: TlsAcceptor,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Identity")
    }
}

impl Identity {
    /// Loads the certificate from the instance's folder, or makes one for `server_name` there.
    pub fn open(dir: &Path, server_name: &str) -> io::Result<Self> {
        let (certificate_path, key_path) = (dir.join(CERTIFICATE), dir.join(KEY));
        if !certificate_path.exists() || !key_path.exists() {
            let (certificate, key) = generate(server_name).map_err(io::Error::other)?;
            write_private(&key_path, &key)?;
            fs::write(&certificate_path, certificate)?;
        }
        let certificate = CertificateDer::from_pem_file(&certificate_path).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_file(&key_path).map_err(io::Error::other)?;
        Self::new(certificate, key).map_err(io::Error::other)
    }

    fn new(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        // TDS 7.x ends its handshake inside TDS packets; TLS 1.3 sends tickets after it, which SQL Server never
        // does there. So TLS 1.3 is for strict connections only, as on SQL Server.
        let in_packets = config(&[&rustls::version::TLS12], certificate.clone(), key.clone_key())?;
        let mut strict = config(rustls::ALL_VERSIONS, certificate, key)?;
        strict.alpn_protocols = vec![b"tds/8.0".to_vec()];
        Ok(Self {
            in_packets: TlsAcceptor::from(Arc::new(in_packets)),
            strict: TlsAcceptor::from(Arc::new(strict)),
        })
    }

    /// For a handshake inside TDS packets (TDS 7.x).
    pub(crate) fn in_packets(&self) -> &TlsAcceptor {
        &self.in_packets
    }

    /// For a handshake before any TDS packet (TDS 8.0).
    pub(crate) fn strict(&self) -> &TlsAcceptor {
        &self.strict
    }
}

fn config(
    versions: &[&'static rustls::SupportedProtocolVersion],
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
}

/// SQL Server's own fallback certificate is named `SSL_Self_Signed_Fallback`; ours also carries names, so that a
/// client may check it.
fn generate(server_name: &str) -> Result<(String, String), rcgen::Error> {
    let machine = server_name.split('\\').next().unwrap_or(server_name);
    let mut names = vec!["localhost".to_string()];
    if !machine.is_empty() {
        names.push(machine.to_ascii_lowercase());
    }
    let mut params = CertificateParams::new(names)?;
    params
        .subject_alt_names
        .push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    params
        .distinguished_name
        .push(DnType::CommonName, "SSL_Self_Signed_Fallback");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        Identity::open(dir.path(), "SQL01\\INST").unwrap();
        let first = fs::read(dir.path().join(CERTIFICATE)).unwrap();
        Identity::open(dir.path(), "SQL01\\INST").unwrap();
        assert_eq!(fs::read(dir.path().join(CERTIFICATE)).unwrap(), first);
    }
}
