//! Who does the duties. A controller that is alone does; where several share a store, the one that has the term. The term is
//! checked again in each duty's own transaction.

use syncferry_store::{Term, Tx};

use crate::core::Core;
use crate::problem::Problem;

/// For how long a term lasts, unless it is extended: the most that passes before another controller takes over.
const TTL_MS: i64 = 15_000;
/// It is extended when less than this is left of it.
const EXTEND_MS: i64 = 10_000;

/// The right to do the duties now.
pub(super) enum Right {
    /// No other controller can have the store open.
    Alone,
    /// This controller has the term.
    Term(Term),
}

/// Whether this controller does the duties now. Takes the term where nobody has it.
pub(super) async fn right(core: &Core) -> Result<Option<Right>, Problem> {
    if !core.store.is_shared() {
        return Ok(Some(Right::Alone));
    }
    let mut tx = core.store.read("duty.term").await?;
    let now = tx.now();
    if let Some(term) = tx.term().await? {
        let left = term.expires_at.since(now);
        let mine = term.controller == core.id;
        if mine && left > EXTEND_MS {
            return Ok(Some(Right::Term(term)));
        }
        if !mine && left > 0 {
            return Ok(None);
        }
    }
    drop(tx);
    let mut tx = core.store.begin("duty.lead").await?;
    let before = tx.term().await?.map(|t| t.epoch);
    let term = tx.lead(core.id, TTL_MS).await?;
    tx.commit().await?;
    if term.controller != core.id {
        return Ok(None);
    }
    if before != Some(term.epoch) {
        tracing::info!(term = term.epoch, "this controller does the duties now");
    }
    Ok(Some(Right::Term(term)))
}

/// Begins a duty's transaction, in the term in which the duty was decided on.
pub(super) async fn begin(core: &Core, name: &'static str, right: &Right) -> Result<Box<dyn Tx>, Problem> {
    let mut tx = core.store.begin(name).await?;
    if let Right::Term(term) = right {
        tx.in_term(term).await?;
    }
    Ok(tx)
}

/// Gives the term back, so that another controller need not wait for its end.
pub(super) async fn resign(core: &Core) {
    if !core.store.is_shared() {
        return;
    }
    let done = async {
        let mut tx = core.store.begin("duty.resign").await?;
        tx.resign(core.id).await?;
        tx.commit().await
    };
    if let Err(error) = done.await {
        tracing::debug!(%error, "the term was not given back; it runs out by itself");
    }
}
