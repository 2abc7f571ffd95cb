//! The cryptography everything here uses: ring, named explicitly, so that no process-wide default is needed (and no
//! other library's default can change ours).

use std::sync::{Arc, LazyLock};

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;

/// Both ends are ours, so there is nobody to be polite to with TLS 1.2.
pub(super) const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The only protocol spoken: HTTP/2.
pub(super) const ALPN: &[u8] = b"h2";

static RING: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// The ring provider, shared.
pub(super) fn provider() -> Arc<CryptoProvider> {
    RING.clone()
}
