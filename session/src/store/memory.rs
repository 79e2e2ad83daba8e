//! Sessions in this process's memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::changes::Changes;
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::moment::Moment;
use crate::core::record::{Record, Slide, Tombstone};
use crate::store::{Load, OwnerList, OwnerStore, Store, StoreFuture, WriteOutcome};

/// A [`Store`] in memory, for tests and for a program that is one process: its sessions end with it, and no other process
/// sees them. A Lambda function runs in many.
///
/// Clones share one memory. Ended sessions stay as tombstones, and expired ones as they are, until the process ends.
///
/// ```
/// use lambda_session::{Keys, MemoryStore, SessionLayer};
///
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    records: HashMap<RecordKey, Kept>,
    owners: HashMap<OwnerKey, OwnerList>,
}

#[derive(Clone)]
enum Kept {
    Record(Record),
    Tombstone(Tombstone, Option<RecordKey>),
}

impl Kept {
    /// What ends with it, and its successor.
    fn ended(self) -> (Tombstone, Option<RecordKey>) {
        match self {
            Self::Record(record) => (Tombstone::new(record.revision, record.writes), None),
            Self::Tombstone(tombstone, successor) => (tombstone, successor),
        }
    }
}

/// How many records there are.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.memory().records.len();
        f.debug_struct("MemoryStore").field("records", &records).finish()
    }
}

impl MemoryStore {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One atomic step on what is kept under `key`.
    fn step<'a, T: Send + 'a>(
        &'a self,
        key: &'a RecordKey,
        step: impl FnOnce(&mut Option<Kept>) -> T + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let records = &mut self.memory().records;
            let mut kept = records.remove(key);
            let result = step(&mut kept);
            records.extend(kept.map(|kept| (key.clone(), kept)));
            Ok(result)
        })
    }

    /// Puts what `write` makes in the place of the record, if that is alive and `condition` holds.
    fn write<'a>(
        &'a self,
        key: &'a RecordKey,
        at: &'a Moment,
        condition: impl FnOnce(&Record) -> bool + Send + 'a,
        write: impl FnOnce(Record) -> Kept + Send + 'a,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.step(key, |kept| match kept.take() {
            Some(Kept::Record(record)) if record.is_alive(at) && condition(&record) => {
                *kept = Some(write(record));
                WriteOutcome::Applied
            }
            other => {
                *kept = other;
                WriteOutcome::ConditionFailed
            }
        })
    }
}

impl Store for MemoryStore {
    fn owners(&self) -> Option<&dyn OwnerStore> {
        Some(self)
    }

    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Load> {
        self.step(key, |kept| match kept {
            Some(Kept::Record(record)) if record.is_alive(at) => Load::Live(record.clone()),
            Some(Kept::Record(_)) => Load::Expired,
            Some(Kept::Tombstone(tombstone, Some(_))) => Load::Replaced(tombstone.clone()),
            Some(Kept::Tombstone(tombstone, None)) => Load::Ended(tombstone.clone()),
            None => Load::Absent,
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, WriteOutcome> {
        self.step(key, |kept| {
            if kept.is_some() {
                return WriteOutcome::ConditionFailed;
            }
            *kept = Some(Kept::Record(record.clone()));
            WriteOutcome::Applied
        })
    }

    fn update<'a>(
        &'a self,
        key: &'a RecordKey,
        next: &'a Record,
        _: &'a Changes,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        let in_time = |record: &Record| {
            record.revision.checked_add(1) == Some(next.revision) && record.expires_at <= next.expires_at
        };
        self.write(key, at, in_time, |_| Kept::Record(next.clone()))
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        self.write(
            key,
            at,
            move |record| record.expires_at == slide.from,
            move |record| Kept::Record(record.slid(slide)),
        )
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.step(key, move |kept| match kept {
            Some(Kept::Tombstone(_, Some(named))) if named == successor => WriteOutcome::Applied,
            Some(Kept::Record(record)) if record.is_alive(at) && record.revision == revision => {
                let tombstone = Tombstone::new(revision, std::mem::take(&mut record.writes));
                *kept = Some(Kept::Tombstone(tombstone, Some(successor.clone())));
                WriteOutcome::Applied
            }
            _ => WriteOutcome::ConditionFailed,
        })
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, _: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        self.step(key, move |kept| {
            let Some((tombstone, successor)) = kept.clone().map(Kept::ended) else {
                return WriteOutcome::ConditionFailed;
            };
            if revision.is_some_and(|read| read != tombstone.revision || successor.is_some()) {
                return WriteOutcome::ConditionFailed;
            }
            *kept = Some(Kept::Tombstone(tombstone, successor));
            WriteOutcome::Applied
        })
    }
}

impl OwnerStore for MemoryStore {
    fn enlist<'a>(&'a self, owner: &'a OwnerKey, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, OwnerList> {
        Box::pin(async move {
            let mut memory = self.memory();
            let list = memory.owners.entry(owner.clone()).or_default();
            list.insert(key.clone(), at.now());
            Ok(list.clone())
        })
    }

    fn list<'a>(&'a self, owner: &'a OwnerKey) -> StoreFuture<'a, OwnerList> {
        Box::pin(async move { Ok(self.memory().owners.get(owner).cloned().unwrap_or_default()) })
    }

    fn strike<'a>(&'a self, owner: &'a OwnerKey, keys: &'a [RecordKey]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if let Some(list) = self.memory().owners.get_mut(owner) {
                list.retain(|key, _| !keys.contains(key));
            }
            Ok(())
        })
    }

    fn revoke<'a>(&'a self, key: &'a RecordKey, _: &'a Moment) -> StoreFuture<'a, Option<RecordKey>> {
        self.step(key, |kept| {
            let (tombstone, successor) = kept.take().map(Kept::ended).unwrap_or_default();
            *kept = Some(Kept::Tombstone(tombstone, successor.clone()));
            successor
        })
    }
}
