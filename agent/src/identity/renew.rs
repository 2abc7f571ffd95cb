//! The certificate renews itself in the last third of its life, with a new key, and without a restart: connections made from
//! then on use the new one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use syncferry_proto::transport::{Identity, csr, renewal};
use syncferry_proto::v1;
use syncferry_shared::Millis;

use crate::clocks::Clocks;
use crate::controller::Controller;

use super::identity_path;

/// How often it is looked at least.
const LONGEST: Duration = Duration::from_secs(3600);
/// The pause after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Renews the certificate whenever that is due.
pub async fn renew_for_ever(
    identity: Identity,
    data_dir: &Path,
    controller: Arc<dyn Controller>,
    clocks: Arc<dyn Clocks>,
) -> std::convert::Infallible {
    loop {
        let certificate = identity.certificate();
        let due = renewal::renew_at(certificate.not_before, certificate.not_after);
        tokio::time::sleep(until(due, clocks.now())).await;
        if !identity.renewal_due(clocks.now()) {
            continue;
        }
        match renew(&identity, data_dir, controller.as_ref()).await {
            Ok(generation) => tracing::info!(generation, "the certificate was renewed"),
            Err(e) => {
                let ends = identity.certificate().not_after;
                tracing::warn!(%ends, "the certificate could not be renewed: {e}");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

fn until(due: Millis, now: Millis) -> Duration {
    let ms = u64::try_from(due.since(now)).unwrap_or(0);
    Duration::from_millis(ms).min(LONGEST)
}

async fn renew(identity: &Identity, data_dir: &Path, controller: &dyn Controller) -> anyhow::Result<i64> {
    let request = csr::make()?;
    let csr_pem = request.csr_pem.clone();
    let answer = controller
        .renew_certificate(v1::RenewCertificateRequest { csr_pem })
        .await?;
    // On the disk first: the controller counts the old certificate as used up from now on.
    Identity::save(&identity_path(data_dir), &answer.certificate_pem, &request.key_pem)?;
    identity.replace(&answer.certificate_pem, &request.key_pem)?;
    Ok(answer.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_until_it_is_due_but_never_too_long() {
        assert_eq!(until(Millis(5_000), Millis(2_000)), Duration::from_secs(3));
        assert_eq!(until(Millis(2_000), Millis(5_000)), Duration::ZERO);
        assert_eq!(until(Millis(i64::MAX), Millis(0)), LONGEST);
    }
}
