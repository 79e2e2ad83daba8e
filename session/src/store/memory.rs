//! Sessions in this process's memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AnyOwnerStore, OwnerList, OwnerStore, Store, StoreError, Swap};
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::limits::Limits;
use crate::core::record::{Record, Stored, Tombstone};

/// A [`Store`] in memory, for tests and for a program that runs as one process: its sessions end with the process, and
/// no other process sees them. A Lambda function runs in many processes.
///
/// Clones share one memory. Ended sessions stay as tombstones, and expired ones as they are, until the process ends. It
/// has [DynamoDB's limits](Limits::DYNAMODB), so that what a test stores can be stored in production, too.
///
/// ```
/// use lambda_session::{Keys, MemoryStore, SessionLayer};
///
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    memory: Arc<Mutex<Memory>>,
    limits: Limits,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_limits(Limits::DYNAMODB)
    }
}

#[derive(Default)]
struct Memory {
    records: HashMap<RecordKey, Stored>,
    owners: HashMap<OwnerKey, OwnerList>,
}

/// `Debug` shows the number of records.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.memory().records.len();
        f.debug_struct("MemoryStore").field("records", &records).finish()
    }
}

impl MemoryStore {
    /// Makes a store with other limits than DynamoDB's, such as [`Limits::NONE`].
    ///
    /// ```
    /// use lambda_session::{Limits, MemoryStore, Store as _};
    ///
    /// let store = MemoryStore::with_limits(Limits::NONE);
    /// assert_eq!(store.limits().bytes, usize::MAX);
    /// ```
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        let memory = Arc::default();
        Self { memory, limits }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Some(self)
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.memory().records.get(key).cloned())
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        let records = &mut self.memory().records;
        let found = records.get(key);
        let as_read = match (found, read) {
            (None, None) => true,
            (Some(Stored::Record(found)), Some(read)) => found.version() == read.version(),
            _ => false,
        };
        if !as_read {
            return Ok(Swap::Found(found.cloned()));
        }
        records.insert(key.clone(), next.clone());
        Ok(Swap::Done)
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        let records = &mut self.memory().records;
        let tombstone = Tombstone::of(records.get(key), at);
        records.insert(key.clone(), Stored::Tombstone(tombstone.clone()));
        Ok(tombstone)
    }
}

impl OwnerStore for MemoryStore {
    async fn enlist(&self, owner: &OwnerKey, key: &RecordKey, at: u64, _: u64) -> Result<OwnerList, StoreError> {
        let mut memory = self.memory();
        let list = memory.owners.entry(owner.clone()).or_default();
        list.insert(key.clone(), at);
        Ok(list.clone())
    }

    async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, StoreError> {
        Ok(self.memory().owners.get(owner).cloned().unwrap_or_default())
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), StoreError> {
        if let Some(list) = self.memory().owners.get_mut(owner) {
            list.retain(|key, _| !keys.contains(key));
        }
        Ok(())
    }
}
