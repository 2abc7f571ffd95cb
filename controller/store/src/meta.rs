//! The store's own identity and standing. The identity is made when the store is first opened; its incarnation grows when it
//! is restored. The standing says whether a controller may run on it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use syncferry_shared::lease::Resource;
use syncferry_shared::{Millis, StoreId};

use crate::error::Result;
use crate::leases::By;

/// How far every epoch jumps at least when the store was restored, so that no epoch of the lost tail is ever given out twice.
/// The seconds of the clock come on top, so that two stores restored from one backup do not meet.
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

/// The highest that anybody has seen of a store that is behind. What comes next must be above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Highest {
    /// The incarnation.
    pub incarnation: i64,
    /// The epochs.
    pub epochs: BTreeMap<Resource, i64>,
}

impl Highest {
    /// Takes in what somebody else saw.
    pub fn see(&mut self, incarnation: i64, epochs: impl IntoIterator<Item = (Resource, i64)>) {
        self.incarnation = self.incarnation.max(incarnation);
        for (resource, epoch) in epochs {
            let highest = self.epochs.entry(resource).or_insert(epoch);
            *highest = epoch.max(*highest);
        }
    }
}

/// Whether a controller may run on a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// It may.
    Live,
    /// It was loaded from a backup, and its tokens are not void yet.
    Restoring,
    /// It is being copied to another store.
    Moving,
    /// It was copied to another store, for ever.
    Moved,
}

impl StoreState {
    /// Every state.
    pub const ALL: &'static [StoreState] = &[Self::Live, Self::Restoring, Self::Moving, Self::Moved];
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Restoring => "restoring",
            Self::Moving => "moving",
            Self::Moved => "moved",
        }
    }
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str() == text)
    }
}

/// The standing of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether a controller may run on it.
    pub state: StoreState,
    /// Where it was, or is, copied to.
    pub moved_to: Option<String>,
}

impl Standing {
    /// A store that a controller may run on.
    pub fn live() -> Self {
        Self {
            state: StoreState::Live,
            moved_to: None,
        }
    }
}

/// How far a store has come: its newest event. A store without this event, or with another one in its place, went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The event's place in the order in which the store saw events, of all streams.
    pub position: i64,
    /// Its hash.
    pub hash: String,
}

/// The store's own identity.
#[async_trait]
pub trait Meta {
    /// Reads it.
    async fn meta(&mut self) -> Result<StoreMeta>;

    /// The store is behind: it was restored from a backup. Its incarnation grows, every lease is quarantined and its epoch
    /// jumps ([`lease_rules::voided`](crate::lease_rules::voided)), both above what was seen, so that every token in the world
    /// is void. Nothing is granted until each resource was fenced, or its holder was seen to go on.
    async fn begin_incarnation(&mut self, above: &Highest, by: &By) -> Result<StoreMeta>;

    /// Whether a controller may run on it.
    async fn standing(&mut self) -> Result<Standing>;

    /// Says so. A store that was moved stays so: a guard refuses anything else.
    async fn stand(&mut self, standing: &Standing) -> Result<()>;

    /// How far it has come; `None` before the first event.
    async fn newest_event(&mut self) -> Result<Option<Mark>>;

    /// The hash of the event at a place.
    async fn event_hash_at(&mut self, position: i64) -> Result<Option<String>>;
}
