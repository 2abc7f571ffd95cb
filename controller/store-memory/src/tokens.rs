//! Enrolment tokens, in memory.

use async_trait::async_trait;
use syncferry_store::{EnrolmentToken, NewToken, Result, Tokens};

use crate::tx::MemoryTx;

#[async_trait]
impl Tokens for MemoryTx {
    async fn add_token(&mut self, new: &NewToken) -> Result<EnrolmentToken> {
        self.needs_host(new.host)?;
        if self.data.tokens.contains_key(&new.hash) {
            return Err(self.taken("the token"));
        }
        let token = EnrolmentToken {
            hash: new.hash.clone(),
            host: new.host,
            expires_at: new.expires_at,
            uses_left: new.uses,
            actor: new.actor.clone(),
            created_at: self.now,
        };
        self.put(|d| &mut d.tokens, new.hash.clone(), token.clone())?;
        Ok(token)
    }

    async fn consume_token(&mut self, hash: &str) -> Result<Option<EnrolmentToken>> {
        let found = self.data.tokens.get(hash).cloned();
        let Some(mut token) = found.filter(|t| self.is_good(t)) else {
            return Ok(None);
        };
        token.uses_left -= 1;
        self.put(|d| &mut d.tokens, token.hash.clone(), token.clone())?;
        Ok(Some(token))
    }

    async fn tokens(&mut self) -> Result<Vec<EnrolmentToken>> {
        let good = |t: &&EnrolmentToken| self.is_good(t);
        let mut all: Vec<EnrolmentToken> = self.data.tokens.values().filter(good).cloned().collect();
        all.sort_by(|a, b| (a.created_at, &a.hash).cmp(&(b.created_at, &b.hash)));
        Ok(all)
    }
}

impl MemoryTx {
    fn is_good(&self, token: &EnrolmentToken) -> bool {
        token.uses_left > 0 && token.expires_at > self.now
    }
}
