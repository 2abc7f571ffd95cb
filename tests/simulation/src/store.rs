//! What happens around the store's commits: they take a moment, some fail, and some answers are lost after the deed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use syncferry_store::{Cause, Result, StoreError};
use syncferry_store_memory::Commits;

use crate::world::lock;

/// The weather around commits.
pub(crate) struct Weather {
    random: Mutex<StdRng>,
    /// So many commits are refused before anything is written.
    pub(crate) refuse: AtomicU32,
    /// So many happen and nobody hears of it.
    pub(crate) lose: AtomicU32,
}

impl Weather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(StdRng::seed_from_u64(seed ^ 0xC0117)),
            refuse: AtomicU32::new(0),
            lose: AtomicU32::new(0),
        }
    }

    async fn moment(&self) {
        let ms = lock(&self.random).random_range(0..4);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn takes(left: &AtomicU32) -> bool {
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
    }
}

#[async_trait]
impl Commits for Weather {
    async fn before(&self, name: &'static str) -> Result<()> {
        self.moment().await;
        match Self::takes(&self.refuse) {
            true => Err(StoreError::new(name, Cause::Unavailable("the disk is away".into()))),
            false => Ok(()),
        }
    }

    async fn after(&self, name: &'static str) -> Result<()> {
        self.moment().await;
        match Self::takes(&self.lose) {
            true => Err(StoreError::new(name, Cause::Unavailable("the answer is lost".into()))),
            false => Ok(()),
        }
    }
}
