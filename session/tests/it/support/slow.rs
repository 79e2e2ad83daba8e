//! A store whose calls take time, on a clock that advances when there is nothing else to do. What depends on time is
//! then the same on every machine. A test pauses Tokio's clock for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambda_session::{
    AnyOwnerStore, MemoryStore, OwnerKey, OwnerList, OwnerStore, Record, RecordKey, Store, StoreError, Stored, Swap,
    Tombstone,
};
use tokio::time::sleep;

/// A memory store whose calls take time. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Slow {
    pub(crate) memory: MemoryStore,
    call: Duration,
    pauses: Arc<AtomicU32>,
}

impl Slow {
    pub(crate) fn new(call: Duration) -> Self {
        Self {
            memory: MemoryStore::default(),
            call,
            pauses: Arc::default(),
        }
    }
}

impl Store for Slow {
    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Some(self)
    }

    /// Pauses as DynamoDB's store does, by numbers that are the same in each run.
    fn pause(&self, conflicts: u32) -> Duration {
        let mixed = self.pauses.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9);
        let fraction = f64::from(mixed) / f64::from(u32::MAX);
        let longest = |before: u32| Duration::from_millis(100).saturating_mul(1 << before.min(4));
        conflicts
            .checked_sub(2)
            .map_or(Duration::ZERO, |before| longest(before).mul_f64(fraction))
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        sleep(self.call).await;
        self.memory.load(key).await
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        sleep(self.call).await;
        self.memory.swap(key, read, next).await
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        sleep(self.call).await;
        self.memory.end(key, at).await
    }
}

impl OwnerStore for Slow {
    async fn enlist(&self, owner: &OwnerKey, key: &RecordKey, at: u64, until: u64) -> Result<OwnerList, StoreError> {
        sleep(self.call).await;
        self.memory.enlist(owner, key, at, until).await
    }

    async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, StoreError> {
        sleep(self.call).await;
        self.memory.list(owner).await
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), StoreError> {
        sleep(self.call).await;
        self.memory.strike(owner, keys).await
    }
}
