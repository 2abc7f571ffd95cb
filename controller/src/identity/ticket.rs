//! Signs transfer tickets. Their layout and their verification are `syncferry_proto::transport::ticket`.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use syncferry_proto::transport::ticket::InvalidTicketKey;
use syncferry_proto::transport::{TicketClaims, TicketPublicKey};
use syncferry_shared::secret::Secret;

/// Why the ticket key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TicketKeyError {
    /// It cannot be read or made.
    #[error("the ticket key cannot be used: {0}")]
    Key(#[from] rcgen::Error),
    /// It is of another kind.
    #[error("the ticket key is not an ECDSA P-256 key: {0}")]
    Kind(String),
    /// Its public half is not a point.
    #[error(transparent)]
    Public(#[from] InvalidTicketKey),
}

/// The operating system gave no random bytes, which a signature needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ticket could not be signed: the operating system gave no random bytes")]
pub struct SignError;

/// The key that signs tickets. It is apart from the authority's: a slip here must not become a certificate.
pub struct TicketSigner {
    key: EcdsaKeyPair,
    public: TicketPublicKey,
    random: SystemRandom,
}

impl TicketSigner {
    /// A new key, PEM.
    pub(super) fn generate() -> Result<Secret, TicketKeyError> {
        Ok(Secret::new(
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem(),
        ))
    }

    /// The signer of a key file.
    pub(super) fn from_pem(pem: &Secret) -> Result<Self, TicketKeyError> {
        let pkcs8 = KeyPair::from_pem(pem.reveal())?;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.serialized_der(), &random)
            .map_err(|e| TicketKeyError::Kind(e.to_string()))?;
        let public = TicketPublicKey::try_from(key.public_key().as_ref())?;
        Ok(Self { key, public, random })
    }

    /// What agents verify with.
    pub fn public_key(&self) -> TicketPublicKey {
        self.public
    }

    /// A ticket with these claims.
    pub fn issue(&self, claims: TicketClaims) -> Result<String, SignError> {
        let signature = self
            .key
            .sign(&self.random, &claims.signed_bytes())
            .map_err(|_| SignError)?;
        Ok(claims.ticket(signature.as_ref()))
    }
}

impl std::fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketSigner")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use syncferry_proto::transport::{TicketError, ticket};
    use syncferry_shared::{AgentId, ArtifactId, Millis};
    use uuid::Uuid;

    use super::*;

    fn signer() -> TicketSigner {
        TicketSigner::from_pem(&TicketSigner::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_it_signs_agents_accept() {
        let (signer, other) = (signer(), signer());
        let claims = TicketClaims {
            artifact: ArtifactId(Uuid::from_u128(1)),
            source_agent: AgentId(Uuid::from_u128(2)),
            target_agent: AgentId(Uuid::from_u128(3)),
            expires_at: Millis(1_000),
        };
        let text = signer.issue(claims).unwrap();
        assert_eq!(ticket::verify(&text, &signer.public_key(), Millis(0)), Ok(claims));
        assert_eq!(
            ticket::verify(&text, &other.public_key(), Millis(0)),
            Err(TicketError::Signature)
        );
    }

    #[test]
    fn is_not_printed() {
        assert!(format!("{:?}", signer()).starts_with("TicketSigner { public: TicketPublicKey("));
    }
}
