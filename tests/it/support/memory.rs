//! A store in memory: the contract in forty lines, to hold the others against and to build models on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lambda_session::session::store::{Found, Slide, StoreFuture, Update, Written};
use lambda_session::session::{Moment, Record, RecordKey, Store};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Live(Record),
    Tombstone {
        revision: u64,
        successor: Option<RecordKey>,
    },
}

#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<RecordKey, Kept>>);

impl Memory {
    /// Edits the record under `key` by hand.
    pub(crate) fn edit<T>(&self, key: &RecordKey, edit: impl FnOnce(&mut Option<Kept>) -> T) -> T {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = records.remove(key);
        let result = edit(&mut kept);
        records.extend(kept.map(|kept| (key.clone(), kept)));
        result
    }

    /// Does `write` to the record if it is alive and `condition` holds.
    fn if_alive(
        &self,
        key: &RecordKey,
        at: &Moment,
        condition: impl FnOnce(&Record) -> bool,
        write: impl FnOnce(&mut Kept),
    ) -> Written {
        self.edit(key, |kept| match kept {
            Some(Kept::Live(record)) if record.is_alive(at) && condition(record) => {
                kept.as_mut().map(write);
                Written::Done
            }
            _ => Written::Refused,
        })
    }
}

impl Store for Memory {
    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Found> {
        let found = self.edit(key, |kept| match kept {
            Some(Kept::Live(record)) if record.is_alive(at) => Found::Live(record.clone()),
            Some(Kept::Live(_)) => Found::Expired,
            Some(Kept::Tombstone {
                successor: Some(_),
                revision,
            }) => Found::Replaced(*revision),
            _ => Found::Gone,
        });
        Box::pin(async { Ok(found) })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, ()> {
        self.edit(key, |kept| {
            kept.get_or_insert_with(|| Kept::Live(record.clone()));
        });
        Box::pin(async { Ok(()) })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, update: &'a Update<'a>, at: &'a Moment) -> StoreFuture<'a, Written> {
        let read = update.read();
        let written = self.if_alive(
            key,
            at,
            |record| record.revision == read.revision && record.expires_at <= update.expires_at(at),
            |kept| {
                *kept = Kept::Live(Record {
                    data: update.data(),
                    created_at: read.created_at,
                    expires_at: update.expires_at(at),
                    revision: read.revision + 1,
                });
            },
        );
        Box::pin(async move { Ok(written) })
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, Written> {
        let written = self.if_alive(
            key,
            at,
            |record| record.expires_at == slide.from,
            |kept| {
                if let Kept::Live(record) = kept {
                    record.expires_at = slide.to;
                }
            },
        );
        Box::pin(async move { Ok(written) })
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, Written> {
        let tombstone = Kept::Tombstone {
            revision,
            successor: Some(successor.clone()),
        };
        let already = self.edit(
            key,
            |kept| matches!(kept, Some(Kept::Tombstone { successor: Some(named), .. }) if named == successor),
        );
        let written = if already {
            Written::Done
        } else {
            self.if_alive(key, at, |record| record.revision == revision, |kept| *kept = tombstone)
        };
        Box::pin(async move { Ok(written) })
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, _: &'a Moment) -> StoreFuture<'a, Written> {
        let written = self.edit(key, |kept| {
            let (stands, successor) = match &*kept {
                None => return Written::Refused,
                Some(Kept::Live(record)) => (record.revision, None),
                Some(Kept::Tombstone { revision, successor }) => (*revision, successor.clone()),
            };
            if revision.is_some_and(|read| read != stands || successor.is_some()) {
                return Written::Refused;
            }
            *kept = Some(Kept::Tombstone {
                revision: stands,
                successor,
            });
            Written::Done
        });
        Box::pin(async move { Ok(written) })
    }
}
