//! The steps of which the rules are made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use serde_dynamo::AttributeValue;

use crate::{Data, Record, RecordKey, Store, Stored, Swap, Tombstone, Value, WriteToken};

/// The seconds from [`START`] to the expiry of [`admin`].
pub const IDLE: u64 = 1_800;
/// Far in the future, so that a store that deletes expired records keeps those of the rules.
pub const START: u64 = 4_000_000_000;

/// A key that no other test uses.
pub fn key() -> RecordKey {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    let started = UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
    RecordKey::from_stored(format!("key {started} {}", KEYS.fetch_add(1, Ordering::Relaxed)))
}

pub fn text(text: &str) -> Value {
    Value::encode(text).expect("a text")
}

pub fn number(text: &str) -> Value {
    Value(AttributeValue::N(text.to_owned()))
}

pub fn data<'a>(variables: impl IntoIterator<Item = (&'a str, Value)>) -> Data {
    let named = |(name, value): (&str, _)| (name.to_owned(), value);
    variables.into_iter().map(named).collect()
}

pub fn admin() -> Record {
    Record::new(data([("username", text("admin"))]), START, START + IDLE)
}

/// Creates this record under a new key, and returns the key.
pub async fn key_of(store: &impl Store, record: &Record) -> RecordKey {
    let key = key();
    assert_eq!(create(store, &key, record).await, Swap::Done);
    key
}

/// Creates a record, and returns its key and the record.
pub async fn created(store: &impl Store) -> (RecordKey, Record) {
    let record = admin();
    (key_of(store, &record).await, record)
}

pub async fn create(store: &impl Store, key: &RecordKey, record: &Record) -> Swap {
    put(store, key, None, &Stored::Record(record.clone())).await
}

pub async fn put(store: &impl Store, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Swap {
    store.swap(key, read, next).await.expect("an answer")
}

/// Swaps `read` for `next`, and checks that it stands there.
pub async fn swap(store: &impl Store, key: &RecordKey, read: &Record, next: &Stored) {
    assert_eq!(put(store, key, Some(read), next).await, Swap::Done);
    assert_eq!(load(store, key).await.as_ref(), Some(next));
}

pub async fn load(store: &impl Store, key: &RecordKey) -> Option<Stored> {
    store.load(key).await.expect("an answer")
}

pub async fn end(store: &impl Store, key: &RecordKey, seconds: u64) -> Tombstone {
    store.end(key, START + seconds).await.expect("an answer")
}

#[track_caller]
pub fn record(found: Option<Stored>) -> Record {
    match found {
        Some(Stored::Record(record)) => record,
        other => panic!("not a record: {other:?}"),
    }
}

/// The record after these changes, by a request that has read `read`.
pub fn changed(read: &Record, changes: &[(&str, Option<Value>)]) -> Record {
    let mut next = read.clone();
    for (name, value) in changes {
        match value {
            Some(value) => next.data.insert((*name).to_owned(), value.clone()),
            None => next.data.remove(*name),
        };
    }
    next.revision += 1;
    next.writes
        .push(WriteToken::from_stored(format!("token-{}", next.revision)));
    next
}

/// Swaps `read` for the record after these changes.
pub async fn change(store: &impl Store, key: &RecordKey, read: &Record, changes: &[(&str, Option<Value>)]) -> Swap {
    let next = Stored::Record(changed(read, changes));
    put(store, key, Some(read), &next).await
}

/// Swaps `read` for the record with another theme.
pub async fn set_theme(store: &impl Store, key: &RecordKey, read: &Record, theme: &str) -> Swap {
    change(store, key, read, &[("theme", Some(text(theme)))]).await
}
