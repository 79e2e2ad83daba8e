//! Stores that break one rule each. The model must notice.

use lambda_session::session::store::{Found, Slide, StoreFuture, Update, Written};
use lambda_session::session::{Moment, Record, RecordKey, Store};

use crate::support::memory::{Kept, Memory};

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
}

pub(crate) struct Mutant {
    pub(crate) memory: Memory,
    pub(crate) broken: Broken,
}

impl Mutant {
    fn delete(&self, key: &RecordKey) {
        self.memory.edit(key, |kept| *kept = None);
    }
}

impl Store for Mutant {
    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Found> {
        if self.broken == Broken::Idle {
            let found = self.memory.edit(key, |kept| match kept {
                Some(Kept::Live(record)) => Some(Found::Live(record.clone())),
                _ => None,
            });
            if let Some(found) = found {
                return Box::pin(async { Ok(found) });
            }
        }
        self.memory.load(key, at)
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, ()> {
        if self.broken == Broken::FreeKey {
            self.delete(key);
        }
        self.memory.create(key, record)
    }

    fn update<'a>(&'a self, key: &'a RecordKey, update: &'a Update<'a>, at: &'a Moment) -> StoreFuture<'a, Written> {
        let revived = self.broken == Broken::UpdateAlive;
        if !revived && self.broken != Broken::UpdateRevision {
            return self.memory.update(key, update, at);
        }
        let written = self.memory.edit(key, |kept| {
            let current = match kept {
                Some(Kept::Live(record)) if record.is_alive(at) => record.clone(),
                Some(Kept::Tombstone { .. }) if revived => update.read().clone(),
                _ => return Written::Refused,
            };
            if revived && current.revision != update.read().revision {
                return Written::Refused;
            }
            let data = Update::new(&current, update.changes().iter().copied()).data();
            *kept = Some(Kept::Live(Record {
                data,
                revision: update.read().revision + 1,
                expires_at: at.expiry(current.created_at),
                ..current
            }));
            Written::Done
        });
        Box::pin(async move { Ok(written) })
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, Written> {
        self.memory.slide(key, slide, at)
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        mut revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, Written> {
        if self.broken == Broken::ReplaceRevision {
            self.memory.edit(key, |kept| {
                if let Some(Kept::Live(record)) = kept {
                    revision = record.revision;
                }
            });
        }
        let written = self.memory.replace(key, revision, successor, at);
        if self.broken == Broken::Tombstone {
            self.delete(key);
        }
        written
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, Written> {
        let written = self.memory.end(key, revision, at);
        if self.broken == Broken::Tombstone {
            self.delete(key);
        }
        written
    }
}
