//! Terms, in memory.

use async_trait::async_trait;
use syncferry_shared::ControllerId;
use syncferry_store::{Result, Term, Terms};

use crate::tx::MemoryTx;

#[async_trait]
impl Terms for MemoryTx {
    async fn term(&mut self) -> Result<Option<Term>> {
        Ok(self.data.term)
    }

    async fn lead(&mut self, controller: ControllerId, ttl_ms: i64) -> Result<Term> {
        let now = self.now;
        let epoch = match self.data.term {
            Some(t) if t.expires_at > now && t.controller != controller => return Ok(t),
            Some(t) if t.expires_at > now => t.epoch,
            Some(t) => t.epoch + 1,
            None => 1,
        };
        let mine = Term {
            controller,
            epoch,
            expires_at: now.plus(ttl_ms),
        };
        self.change()?.term = Some(mine);
        Ok(mine)
    }

    async fn in_term(&mut self, term: &Term) -> Result<()> {
        let what = format!("term {}", term.epoch);
        match self.data.term {
            None => Err(self.missing(what)),
            Some(t) if (t.controller, t.epoch) == (term.controller, term.epoch) && t.expires_at > self.now => Ok(()),
            Some(t) => Err(self.moved(what, "going on", &format!("over: the newest is {}", t.epoch))),
        }
    }

    async fn resign(&mut self, controller: ControllerId) -> Result<()> {
        let now = self.now;
        if let Some(term) = self.change()?.term.as_mut().filter(|t| t.controller == controller) {
            term.expires_at = term.expires_at.min(now);
        }
        Ok(())
    }
}
