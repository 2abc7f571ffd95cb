//! Enrolment tokens as text: `sft1.<secret>.<fingerprint of the authority>`.
//!
//! One text carries both proofs: the secret tells the controller that the host may enrol, the fingerprint tells the
//! host that it talks to the right controller before it says the secret. Issuing and counting uses is the
//! controller's part.

use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use syncferry_shared::secret::Secret;

use super::fingerprint::Fingerprint;

const PREFIX: &str = "sft1";
const SECRET_BYTES: usize = 32;

/// A one-time token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    secret: Secret,
    /// The authority of the controller that issued it.
    pub ca_fingerprint: Fingerprint,
}

/// Why a text is not an enrolment token. The text is not repeated: it may be one, with a slip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Starts differently.
    #[error("not an enrolment token: it should start with '{PREFIX}.'; copy the whole line the controller printed")]
    Prefix,
    /// Not three parts.
    #[error("not an enrolment token: expected 3 parts separated by dots, found {0}; was the whole line copied?")]
    Parts(usize),
    /// The secret is damaged.
    #[error("the enrolment token is damaged: its secret should be 43 characters of A-Z a-z 0-9 - _, found {0}")]
    Secret(usize),
    /// The fingerprint is damaged.
    #[error("the enrolment token is damaged: its last part should be 64 hexadecimal digits, found {0} characters")]
    Fingerprint(usize),
}

impl EnrolmentToken {
    /// A token with this secret.
    pub fn new(secret: &[u8; SECRET_BYTES], ca_fingerprint: Fingerprint) -> Self {
        Self {
            secret: Secret::new(BASE64URL_NOPAD.encode(secret)),
            ca_fingerprint,
        }
    }

    /// The whole token, for the person who carries it to the host.
    pub fn text(&self) -> Secret {
        Secret::new(format!("{PREFIX}.{}.{}", self.secret.reveal(), self.ca_fingerprint))
    }

    /// What the controller stores and looks up: SHA-256 of the secret, hexadecimal. A plain hash is enough, because
    /// nobody can try 2^256 secrets.
    pub fn hash(&self) -> String {
        HEXLOWER.encode(digest(&SHA256, self.secret.reveal().as_bytes()).as_ref())
    }
}

impl FromStr for EnrolmentToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        let parts: Vec<_> = text.split('.').collect();
        let [prefix, secret, fingerprint] = parts[..] else {
            return Err(if parts[0] == PREFIX {
                InvalidToken::Parts(parts.len())
            } else {
                InvalidToken::Prefix
            });
        };
        if prefix != PREFIX {
            return Err(InvalidToken::Prefix);
        }
        let bytes = BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap_or_default();
        let bytes: [u8; SECRET_BYTES] = bytes
            .try_into()
            .map_err(|_| InvalidToken::Secret(secret.chars().count()))?;
        let fingerprint = fingerprint
            .parse()
            .map_err(|_| InvalidToken::Fingerprint(fingerprint.chars().count()))?;
        Ok(Self::new(&bytes, fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> EnrolmentToken {
        EnrolmentToken::new(&[7; 32], Fingerprint([9; 32]))
    }

    #[test]
    fn says_what_is_wrong() {
        let parse = |text: &str| text.parse::<EnrolmentToken>().unwrap_err();
        let text = token().text().reveal().to_string();
        assert_eq!(parse(""), InvalidToken::Prefix);
        assert_eq!(parse("sft2.a.b"), InvalidToken::Prefix);
        assert_eq!(parse("sft1.abc"), InvalidToken::Parts(2));
        assert_eq!(parse("sft1.abc.def"), InvalidToken::Secret(3));
        assert_eq!(parse(&text[..text.len() - 1]), InvalidToken::Fingerprint(63));
        assert_eq!(parse(&format!("{text}.")), InvalidToken::Parts(4));
    }

    #[test]
    fn forgives_the_blanks_of_copying() {
        assert_eq!(format!("  {}\n", token().text().reveal()).parse(), Ok(token()));
    }

    #[test]
    fn is_not_printed_and_its_hash_is_not_the_secret() {
        assert!(!format!("{:?}", token()).contains(token().secret.reveal()));
        assert_eq!(token().hash().len(), 64);
    }

    proptest! {
        #[test]
        fn survives_a_round_trip(secret: [u8; 32], authority: [u8; 32]) {
            let token = EnrolmentToken::new(&secret, Fingerprint(authority));
            let read: EnrolmentToken = token.text().reveal().parse().unwrap();
            prop_assert_eq!(read.hash(), token.hash());
            prop_assert_eq!(read, token);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = text.parse::<EnrolmentToken>();
            let _ = format!("sft1.{text}").parse::<EnrolmentToken>();
        }
    }
}
