//! Enrolment tokens: bound to a host, for a while, for a number of uses. Only their hash is stored.

use async_trait::async_trait;
use syncferry_shared::{HostId, Millis};

use crate::error::Result;

/// A token to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The hash of the token.
    pub hash: String,
    /// The host that may enrol with it.
    pub host: HostId,
    /// Until when.
    pub expires_at: Millis,
    /// How often.
    pub uses: i64,
    /// Who made it.
    pub actor: String,
}

/// A token as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// The hash of the token.
    pub hash: String,
    /// The host that may enrol with it.
    pub host: HostId,
    /// Until when.
    pub expires_at: Millis,
    /// How often it can still be used.
    pub uses_left: i64,
    /// Who made it.
    pub actor: String,
    /// When.
    pub created_at: Millis,
}

/// Enrolment tokens.
#[async_trait]
pub trait Tokens {
    /// Adds one.
    async fn add_token(&mut self, new: &NewToken) -> Result<EnrolmentToken>;
    /// Uses one up, if there is such a token, it has not expired and has uses left; `None` otherwise, without saying why.
    async fn consume_token(&mut self, hash: &str) -> Result<Option<EnrolmentToken>>;
    /// Every one that can still be used.
    async fn tokens(&mut self) -> Result<Vec<EnrolmentToken>>;
}
