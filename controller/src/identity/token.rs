//! New enrolment tokens. The text goes to a person once; only the hash is stored. Expiry, uses and site are the
//! store's.

use ring::rand::{SecureRandom, SystemRandom};
use syncferry_proto::transport::EnrolmentToken;
use syncferry_shared::secret::Secret;

use super::ca::{Authority, IssueError};

/// A token that was just made.
#[derive(Debug)]
pub struct NewToken {
    /// What the operator carries to the host; cannot be shown again.
    pub text: Secret,
    /// What is stored; equal to [`EnrolmentToken::hash`] of the token that comes back.
    pub hash: String,
}

/// Makes a token with a 256-bit random secret that names this authority.
pub fn new_token(authority: &Authority) -> Result<NewToken, IssueError> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).map_err(|_| IssueError::Random)?;
    let token = EnrolmentToken::new(&secret, authority.fingerprint());
    Ok(NewToken {
        text: token.text(),
        hash: token.hash(),
    })
}

#[cfg(test)]
mod tests {
    use syncferry_shared::Millis;

    use super::*;

    #[test]
    fn what_comes_back_is_found_by_its_hash() {
        let (cert, key) = Authority::generate(Millis(0)).unwrap();
        let authority = Authority::from_pem(&cert, &key).unwrap();
        let (one, other) = (new_token(&authority).unwrap(), new_token(&authority).unwrap());
        let presented: EnrolmentToken = one.text.reveal().parse().unwrap();
        assert_eq!(presented.hash(), one.hash);
        assert_ne!(other.hash, one.hash);
        assert_eq!(presented.ca_fingerprint, authority.fingerprint());
        assert!(!one.text.reveal().contains(&one.hash));
    }
}
