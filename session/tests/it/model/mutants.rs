//! Stores that break one rule each. The model must notice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lambda_session::{Changes, Load, MemoryStore, Moment, Record, RecordKey, Slide, Store, StoreFuture, WriteOutcome};

use crate::support::site::IDLE;

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Ended sessions are deleted instead of leaving a tombstone.
    Tombstone,
    /// An update does not ask for the revision. It changes the variables it names and no others.
    UpdateRevision,
    /// A login does not ask for the revision of what it replaces.
    ReplaceRevision,
    /// A create does not ask whether the key is free.
    FreeKey,
    /// An update does not ask whether the session has ended.
    UpdateAlive,
    /// Nothing asks for the idle timeout.
    Idle,
    /// The tokens of earlier writes are not kept.
    Tokens,
}

/// The library's store, but for one rule.
#[derive(Debug)]
pub(crate) struct Mutant {
    memory: MemoryStore,
    broken: Broken,
    /// How often the record under a key was deleted: what is under it now has a key of its own in `memory`.
    deleted: Mutex<HashMap<RecordKey, u32>>,
}

impl Mutant {
    pub(crate) fn new(broken: Broken) -> Self {
        Self {
            memory: MemoryStore::default(),
            broken,
            deleted: Mutex::default(),
        }
    }

    fn delete(&self, key: &RecordKey) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        *deleted.entry(key.clone()).or_default() += 1;
    }

    /// Where the record under `key` is.
    fn at(&self, key: &RecordKey) -> RecordKey {
        let deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        let times = deleted.get(key).copied().unwrap_or_default();
        RecordKey::from_stored(format!("{}-{times}", key.as_str()))
    }

    /// What an update without its condition makes of the record.
    async fn force(&self, key: &RecordKey, next: &Record, changes: &Changes, at: &Moment) -> WriteOutcome {
        let found = self.memory.load(&self.at(key), at).await.expect("memory does not fail");
        let mut forced = next.clone();
        match found {
            Load::Live(current) if self.broken == Broken::UpdateRevision => {
                forced = current;
                forced.revision += 1;
                for (name, value) in changes.iter() {
                    match value {
                        Some(value) => forced.data.insert(name.to_owned(), value.clone()),
                        None => forced.data.remove(name),
                    };
                }
            }
            Load::Ended | Load::Replaced(_) if self.broken == Broken::UpdateAlive => {
                self.delete(key);
                let created = self.memory.create(&self.at(key), next).await;
                return created.expect("memory does not fail");
            }
            _ => {}
        }
        let update = self.memory.update(&self.at(key), &forced, changes, at).await;
        update.expect("memory does not fail")
    }
}

impl Store for Mutant {
    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Load> {
        Box::pin(async move {
            let found = self.memory.load(&self.at(key), at).await?;
            if found == Load::Expired && self.broken == Broken::Idle {
                let timeout = std::time::Duration::from_secs(10 * IDLE);
                let earlier = Moment::new(at.now() - 5 * IDLE, timeout, timeout);
                return self.memory.load(&self.at(key), &earlier).await;
            }
            Ok(found)
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(async move {
            if self.broken == Broken::FreeKey {
                self.delete(key);
            }
            self.memory.create(&self.at(key), record).await
        })
    }

    fn update<'a>(
        &'a self,
        key: &'a RecordKey,
        next: &'a Record,
        changes: &'a Changes,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(async move {
            if self.broken == Broken::Tokens {
                let mut next = next.clone();
                next.writes.clear();
                return self.memory.update(&self.at(key), &next, changes, at).await;
            }
            Ok(self.force(key, next, changes, at).await)
        })
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(async move { self.memory.slide(&self.at(key), slide, at).await })
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(async move {
            let stands = self.at(key);
            let revision = match self.memory.load(&stands, at).await? {
                Load::Live(record) if self.broken == Broken::ReplaceRevision => record.revision,
                _ => revision,
            };
            let outcome = self.memory.replace(&stands, revision, successor, at).await?;
            if self.broken == Broken::Tombstone {
                self.delete(key);
            }
            Ok(outcome)
        })
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(async move {
            let outcome = self.memory.end(&self.at(key), revision, at).await?;
            if self.broken == Broken::Tombstone {
                self.delete(key);
            }
            Ok(outcome)
        })
    }
}
