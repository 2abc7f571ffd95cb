//! What a store is, and what a transaction is: the sum of the repositories. A transaction is dropped to roll back.

use async_trait::async_trait;
use syncferry_shared::Millis;

use crate::error::Result;
use crate::{
    Acceptances, Agents, Alarms, Artifacts, Attempts, Attestations, Audit, Catalogues, Databases, Events, Gates, Hosts,
    Inspections, ItemWords, Jobs, Leases, Meta, Migrations, Operators, Orgs, Proofs, Recoveries, Sites, Steps, Terms,
    Tokens, Watches,
};

/// A store. Everything the controller knows is in it; there is no truth in memory.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins a transaction that may write. There is one writer at a time: it waits for the one before it, and is refused
    /// with [`Cause::Busy`](crate::Cause::Busy) when that takes too long. The name, for example `dispatch.report`, stands
    /// in traces and errors. Never begin a second one while holding the first.
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Tx>>;

    /// Begins a transaction that only reads, from one snapshot; it waits for nobody. Writing through it is refused with
    /// [`Cause::ReadOnly`](crate::Cause::ReadOnly). It needs no commit.
    async fn read(&self, name: &'static str) -> Result<Box<dyn Tx>>;

    /// As [`begin`](Self::begin), also where the store is behind what this process saw of it: a failover lost what was
    /// committed last. Everything else is refused then, until a new incarnation was begun in a transaction of this kind.
    async fn begin_recovery(&self) -> Result<Box<dyn Tx>> {
        self.begin("store.recover").await
    }

    /// The store's clock, which leases are measured by. Never decreases.
    async fn now(&self) -> Result<Millis>;

    /// Closes every connection, once the transactions that run have ended. Nothing can be begun any more.
    async fn shut_down(&self) {}

    /// Whether several controllers may have it open at once. Then one of them does the duties ([`Terms`]).
    fn is_shared(&self) -> bool {
        false
    }

    /// Tells every controller on this store that something changed. A hint: it may be lost, and carries no truth. Nothing to
    /// do for a store that only one process has open.
    async fn tell(&self, hint: &str) -> Result<()> {
        let _ = hint;
        Ok(())
    }

    /// What every controller on this store tells, this one included; `None` where there can be no other.
    async fn hints(&self) -> Result<Option<Box<dyn Hints>>> {
        Ok(None)
    }
}

/// Somebody who listens to hints.
#[async_trait]
pub trait Hints: Send {
    /// The next hint, as it was told. `None`: some may have been missed, so look at everything. After an error, ask again a
    /// little later.
    async fn next(&mut self) -> Result<Option<String>>;
}

/// A transaction: every repository, and the clock.
#[async_trait]
pub trait Tx:
    Meta
    + Orgs
    + Sites
    + Hosts
    + Agents
    + Tokens
    + Operators
    + Databases
    + Leases
    + Proofs
    + Attestations
    + Acceptances
    + ItemWords
    + Catalogues
    + Inspections
    + Migrations
    + Jobs
    + Attempts
    + Steps
    + Gates
    + Artifacts
    + Events
    + Alarms
    + Watches
    + Terms
    + Recoveries
    + Audit
    + Send
{
    /// The name it was begun with.
    fn name(&self) -> &'static str;

    /// The store's clock. One instant for the whole transaction, taken when it got its turn to write.
    fn now(&self) -> Millis;

    /// The incarnation of the store: grows when it is restored, and stands in every token.
    fn incarnation(&self) -> i64;

    /// Makes everything it did durable. An error here means that the outcome is *unknown* unless it is
    /// [`Cause::Busy`](crate::Cause::Busy): look again before acting on it.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Undoes everything it did, now. Dropping it does the same, a little later.
    async fn rollback(self: Box<Self>) -> Result<()>;
}
