//! Transfer tickets: the controller's word that one agent may fetch one artifact from another, until a given time.
//!
//! `sfx1.<claims>.<signature>`, both base64url. The claims are 56 bytes of fixed layout (artifact, source, target,
//! expiry), so there is one encoding only; the signature is ECDSA P-256 over a domain label and the claims. The
//! source agent verifies it without asking the controller. Signing is the controller's part.

use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use syncferry_shared::{AgentId, ArtifactId, Millis};
use uuid::Uuid;

const PREFIX: &str = "sfx1";
/// So that no signature of this key can be taken for one over something else.
const DOMAIN: &[u8] = b"syncferry transfer ticket 1\0";
const CLAIMS_BYTES: usize = 16 * 3 + 8;
const KEY_BYTES: usize = 65;
const SIGNATURE_BYTES: usize = 64;

/// What a ticket says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketClaims {
    /// What may be fetched.
    pub artifact: ArtifactId,
    /// Who hands it out.
    pub source_agent: AgentId,
    /// Who may fetch it.
    pub target_agent: AgentId,
    /// Until when.
    pub expires_at: Millis,
}

/// Why a ticket is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not the text of a ticket.
    #[error("not a transfer ticket: {0}")]
    Malformed(&'static str),
    /// Not signed by this controller.
    #[error("the transfer ticket's signature does not match: it is not from this controller, or was altered")]
    Signature,
    /// Too late.
    #[error("the transfer ticket expired at {0}: ask the controller for a new one")]
    Expired(Millis),
    /// Valid, but for another transfer.
    #[error("the transfer ticket is for another {what}: it names {named}, not {asked}")]
    OtherTransfer {
        /// artifact, source agent or target agent.
        what: &'static str,
        /// What the ticket names.
        named: String,
        /// What was asked for.
        asked: String,
    },
}

impl TicketClaims {
    fn to_bytes(self) -> [u8; CLAIMS_BYTES] {
        let mut bytes = [0; CLAIMS_BYTES];
        bytes[..16].copy_from_slice(self.artifact.0.as_bytes());
        bytes[16..32].copy_from_slice(self.source_agent.0.as_bytes());
        bytes[32..48].copy_from_slice(self.target_agent.0.as_bytes());
        bytes[48..].copy_from_slice(&self.expires_at.0.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; CLAIMS_BYTES]) -> Self {
        let id = |at: usize| {
            let mut id = [0; 16];
            id.copy_from_slice(&bytes[at..at + 16]);
            Uuid::from_bytes(id)
        };
        let mut expires_at = [0; 8];
        expires_at.copy_from_slice(&bytes[48..]);
        Self {
            artifact: ArtifactId(id(0)),
            source_agent: AgentId(id(16)),
            target_agent: AgentId(id(32)),
            expires_at: Millis(i64::from_be_bytes(expires_at)),
        }
    }

    /// The bytes that are signed.
    pub fn signed_bytes(self) -> Vec<u8> {
        [DOMAIN, &self.to_bytes()].concat()
    }

    /// The ticket with its signature (fixed-length r and s, 64 bytes).
    pub fn ticket(self, signature: &[u8]) -> String {
        format!(
            "{PREFIX}.{}.{}",
            BASE64URL_NOPAD.encode(&self.to_bytes()),
            BASE64URL_NOPAD.encode(signature)
        )
    }

    /// Checks that this ticket is for the transfer that is asked for. The target is the agent in the certificate of
    /// the connection, never one that somebody says to be.
    pub fn check(&self, artifact: ArtifactId, source: AgentId, target: AgentId) -> Result<(), TicketError> {
        same("artifact", self.artifact, artifact)?;
        same("source agent", self.source_agent, source)?;
        same("target agent", self.target_agent, target)
    }
}

fn same<Id: PartialEq + std::fmt::Display>(what: &'static str, named: Id, asked: Id) -> Result<(), TicketError> {
    if named == asked {
        return Ok(());
    }
    Err(TicketError::OtherTransfer {
        what,
        named: named.to_string(),
        asked: asked.to_string(),
    })
}

/// The controller's public key for tickets: an uncompressed P-256 point. Its text form is hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TicketPublicKey([u8; KEY_BYTES]);

/// The bytes are not a ticket key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket key: expected the 65 bytes of an uncompressed P-256 point")]
pub struct InvalidTicketKey;

impl TicketPublicKey {
    /// The bytes, for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for TicketPublicKey {
    type Error = InvalidTicketKey;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidTicketKey> {
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| InvalidTicketKey)?;
        if bytes[0] == 4 {
            Ok(Self(bytes))
        } else {
            Err(InvalidTicketKey)
        }
    }
}

impl std::fmt::Display for TicketPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl std::fmt::Debug for TicketPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TicketPublicKey({self})")
    }
}

impl FromStr for TicketPublicKey {
    type Err = InvalidTicketKey;

    fn from_str(text: &str) -> Result<Self, InvalidTicketKey> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| InvalidTicketKey)?;
        Self::try_from(bytes.as_slice())
    }
}

/// Reads a ticket and checks signature and expiry; [`TicketClaims::check`] then compares it with what is asked for.
pub fn verify(ticket: &str, key: &TicketPublicKey, now: Millis) -> Result<TicketClaims, TicketError> {
    let (claims, signature) = parse(ticket)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_bytes())
        .verify(&claims.signed_bytes(), &signature)
        .map_err(|_| TicketError::Signature)?;
    if now >= claims.expires_at {
        return Err(TicketError::Expired(claims.expires_at));
    }
    Ok(claims)
}

fn parse(ticket: &str) -> Result<(TicketClaims, [u8; SIGNATURE_BYTES]), TicketError> {
    let parts: Vec<_> = ticket.split('.').collect();
    let [PREFIX, claims, signature] = parts[..] else {
        return Err(TicketError::Malformed("expected 'sfx1.' and two parts"));
    };
    let claims = decode(claims, "its claims are damaged")?;
    Ok((
        TicketClaims::from_bytes(&claims),
        decode(signature, "its signature is damaged")?,
    ))
}

fn decode<const N: usize>(text: &str, damaged: &'static str) -> Result<[u8; N], TicketError> {
    let bytes = BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| TicketError::Malformed(damaged))?;
    bytes.try_into().map_err(|_| TicketError::Malformed(damaged))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
        }
        fn key(&self) -> TicketPublicKey {
            self.0.public_key().as_ref().try_into().unwrap()
        }
        fn sign(&self, claims: TicketClaims) -> String {
            claims.ticket(
                self.0
                    .sign(&SystemRandom::new(), &claims.signed_bytes())
                    .unwrap()
                    .as_ref(),
            )
        }
    }

    fn signer() -> &'static Signer {
        static SIGNER: std::sync::LazyLock<Signer> = std::sync::LazyLock::new(Signer::new);
        &SIGNER
    }

    fn claims(id: u128, expires_at: i64) -> TicketClaims {
        TicketClaims {
            artifact: ArtifactId(Uuid::from_u128(id)),
            source_agent: AgentId(Uuid::from_u128(id.wrapping_add(1))),
            target_agent: AgentId(Uuid::from_u128(id.wrapping_add(2))),
            expires_at: Millis(expires_at),
        }
    }

    #[test]
    fn a_valid_ticket_is_for_one_transfer() {
        let claims = claims(10, 1_000);
        let read = verify(&signer().sign(claims), &signer().key(), Millis(999)).unwrap();
        assert_eq!(read, claims);
        let (artifact, source, target) = (claims.artifact, claims.source_agent, claims.target_agent);
        assert_eq!(read.check(artifact, source, target), Ok(()));
        let error = read.check(artifact, source, source).unwrap_err().to_string();
        assert!(
            error.starts_with("the transfer ticket is for another target agent: it names"),
            "{error}"
        );
        assert!(read.check(artifact, target, target).is_err());
        assert!(read.check(ArtifactId(source.0), source, target).is_err());
    }

    #[test]
    fn expiry_is_the_first_instant_it_is_refused() {
        let ticket = signer().sign(claims(10, 1_000));
        assert!(verify(&ticket, &signer().key(), Millis(999)).is_ok());
        assert_eq!(
            verify(&ticket, &signer().key(), Millis(1_000)),
            Err(TicketError::Expired(Millis(1_000)))
        );
    }

    #[test]
    fn another_controllers_ticket_is_refused() {
        let ticket = Signer::new().sign(claims(10, 1_000));
        assert_eq!(verify(&ticket, &signer().key(), Millis(0)), Err(TicketError::Signature));
    }

    #[test]
    fn keys_have_a_text_form() {
        let key = signer().key();
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!(TicketPublicKey::try_from([4; 64].as_slice()).is_err());
        assert!(TicketPublicKey::try_from([2; 65].as_slice()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_is_read(id: u128, expires_at in 1i64..) {
            let claims = claims(id, expires_at);
            prop_assert_eq!(verify(&signer().sign(claims), &signer().key(), Millis(0)), Ok(claims));
        }

        #[test]
        fn any_altered_character_is_refused(at in any::<prop::sample::Index>(), by in proptest::char::range('0', 'z')) {
            let ticket = signer().sign(claims(77, i64::MAX));
            let mut altered: Vec<char> = ticket.chars().collect();
            let at = at.index(altered.len());
            prop_assume!(altered[at] != by);
            altered[at] = by;
            let altered: String = altered.into_iter().collect();
            prop_assert!(verify(&altered, &signer().key(), Millis(0)).is_err());
        }

        #[test]
        fn a_signature_holds_for_its_own_claims_only(id: u128, other: u128) {
            prop_assume!(id != other);
            let signed = signer().sign(claims(id, i64::MAX));
            let signature = BASE64URL_NOPAD.decode(signed.rsplit('.').next().unwrap().as_bytes()).unwrap();
            let forged = claims(other, i64::MAX).ticket(&signature);
            prop_assert_eq!(verify(&forged, &signer().key(), Millis(0)), Err(TicketError::Signature));
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            prop_assert!(verify(&text, &signer().key(), Millis(0)).is_err());
            let _ = verify(&format!("sfx1.{text}.{text}"), &signer().key(), Millis(0));
        }
    }
}
