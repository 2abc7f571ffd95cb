//! The controller's own certificate: made at start, made again in the last third of its life, never written to disk.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use syncferry_proto::transport::{Identity, IdentityError};
use syncferry_shared::{Clock, Millis};

use super::ca::{Authority, IssueError};

/// How often the loop looks at most and at least; in between, twice in the last third of a certificate's life.
const TICK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Why the controller has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateError {
    /// It could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// It could not be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The controller's certificate and what it is renewed from.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    authority: Arc<Authority>,
    names: Vec<String>,
    validity: Duration,
    identity: Identity,
}

impl ServerCertificate {
    /// Issues the first certificate.
    pub fn new(
        authority: Arc<Authority>,
        names: Vec<String>,
        validity: Duration,
        now: Millis,
    ) -> Result<Self, ServerCertificateError> {
        let (issued, key) = authority.issue_server(&names, validity, now)?;
        let identity = Identity::from_pem(&chain(&issued.cert_pem, &authority), &key)?;
        Ok(Self {
            authority,
            names,
            validity,
            identity,
        })
    }

    /// What the listener presents; follows every renewal.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Issues a new certificate if it is time; says whether it was. New connections get it at once.
    pub fn renew_if_due(&self, now: Millis) -> Result<bool, ServerCertificateError> {
        if !self.identity.renewal_due(now) {
            return Ok(false);
        }
        let (issued, key) = self.authority.issue_server(&self.names, self.validity, now)?;
        self.identity.replace(&chain(&issued.cert_pem, &self.authority), &key)?;
        Ok(true)
    }

    /// Renews until `stop` ends.
    pub async fn keep_renewed(&self, clock: &dyn Clock, stop: impl Future<Output = ()>) {
        let renewing = async {
            let mut tick = tokio::time::interval((self.validity / 6).clamp(TICK.0, TICK.1));
            loop {
                tick.tick().await;
                match self.renew_if_due(clock.now()) {
                    Ok(true) => tracing::info!("renewed the controller's certificate"),
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "cannot renew the controller's certificate; trying again"),
                }
            }
        };
        tokio::select! {
            () = stop => {}
            () = renewing => {}
        }
    }
}

/// The authority's certificate goes along: a host that enrols knows only its fingerprint.
fn chain(cert_pem: &str, authority: &Authority) -> String {
    format!("{}\n{}", cert_pem.trim_end(), authority.pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_790_000_000_000);

    #[test]
    fn is_renewed_in_the_last_third_and_not_before() {
        let (cert, key) = Authority::generate(NOW).unwrap();
        let authority = Arc::new(Authority::from_pem(&cert, &key).unwrap());
        let names = vec!["localhost".to_string()];
        let server = ServerCertificate::new(authority, names, Duration::from_secs(86_400), NOW).unwrap();
        let first = server.identity().certificate();
        assert!(!server.renew_if_due(NOW.plus(Millis::DAY / 2)).unwrap());
        assert_eq!(server.identity().certificate(), first);
        assert!(server.renew_if_due(NOW.plus(Millis::DAY * 3 / 4)).unwrap());
        let second = server.identity().certificate();
        assert_ne!(second.fingerprint, first.fingerprint);
        assert_eq!(second.not_after, first.not_after.plus(Millis::DAY * 3 / 4));
    }
}
