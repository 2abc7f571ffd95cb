//! The store's own identity. It is made when the store is first opened, and its incarnation grows when it is restored.

use async_trait::async_trait;
use syncferry_shared::{Millis, StoreId};

use crate::error::Result;
use crate::leases::By;

/// How far every epoch jumps when the store was restored, so that no epoch of the lost tail is ever given out twice.
pub const EPOCH_JUMP: i64 = 1_000_000_000;

/// The store's own identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreMeta {
    /// Which store this is.
    pub id: StoreId,
    /// How often it was restored, from 1.
    pub incarnation: i64,
    /// When it was first opened.
    pub opened_at: Millis,
}

/// The store's own identity.
#[async_trait]
pub trait Meta {
    /// Reads it.
    async fn meta(&mut self) -> Result<StoreMeta>;

    /// The store was restored from a backup: its incarnation grows, every lease is quarantined and its epoch jumps by
    /// [`EPOCH_JUMP`], so that every token in the world is void. Nothing is granted until each resource was fenced.
    async fn begin_incarnation(&mut self, by: &By) -> Result<StoreMeta>;
}
