//! The steps that the rules are made of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_dynamo::AttributeValue;

use crate::{Changes, Data, Load, Moment, Record, RecordKey, Slide, Store, Tombstone, Value, WriteOutcome, WriteToken};

pub const IDLE: u64 = 1_800;
pub const LIFETIME: u64 = 43_200;
pub const START: u64 = 1_800_000_000;

/// So many seconds after the start.
pub fn after(seconds: u64) -> Moment {
    Moment::new(
        START + seconds,
        Duration::from_secs(IDLE),
        Duration::from_secs(LIFETIME),
    )
}

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
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub fn admin() -> Record {
    Record::new(data([("username", text("admin"))]), &after(0))
}

/// A live record, and its key.
pub async fn created(store: &dyn Store) -> (RecordKey, Record) {
    let (key, record) = (key(), admin());
    let _ = create(store, &key, &record).await;
    (key, record)
}

pub async fn create(store: &dyn Store, key: &RecordKey, record: &Record) -> WriteOutcome {
    store.create(key, record).await.expect("an answer")
}

#[track_caller]
pub fn live(found: Load) -> Record {
    match found {
        Load::Live(record) => record,
        other => panic!("not alive: {other:?}"),
    }
}

/// What is loaded of a session that ended after so many of [`changed`].
pub fn ended_at(revision: u64) -> Load {
    Load::Ended(tombstone(revision))
}

/// The same of one that a login replaced.
pub fn replaced_at(revision: u64) -> Load {
    Load::Replaced(tombstone(revision))
}

fn tombstone(revision: u64) -> Tombstone {
    Tombstone::new(revision, (1..=revision).map(token).collect())
}

fn token(revision: u64) -> WriteToken {
    WriteToken::from_stored(format!("token-{revision}"))
}

pub async fn load(store: &dyn Store, key: &RecordKey, seconds: u64) -> Load {
    store.load(key, &after(seconds)).await.expect("an answer")
}

/// The whole record after these changes, by somebody who has read `read`, and the changes themselves.
pub fn changed(read: &Record, changes: &[(&str, Option<Value>)], seconds: u64) -> (Record, Changes) {
    let mut next = read.clone();
    for (name, value) in changes {
        match value {
            Some(value) => next.data.insert((*name).to_owned(), value.clone()),
            None => next.data.remove(*name),
        };
    }
    next.revision += 1;
    next.expires_at = next.expires_at.max(after(seconds).expiry(read.created_at));
    next.writes.push(token(next.revision));
    let changes = Changes::between(&read.data, &next.data);
    (next, changes)
}

pub async fn update(
    store: &dyn Store,
    key: &RecordKey,
    read: &Record,
    changes: &[(&str, Option<Value>)],
    seconds: u64,
) -> WriteOutcome {
    let (next, changes) = changed(read, changes, seconds);
    let written = store.update(key, &next, &changes, &after(seconds)).await;
    written.expect("an answer")
}

/// Sets one variable, as somebody would who has read `read`.
pub async fn set(
    store: &dyn Store,
    key: &RecordKey,
    read: &Record,
    name: &str,
    value: &str,
    seconds: u64,
) -> WriteOutcome {
    update(store, key, read, &[(name, Some(text(value)))], seconds).await
}

pub fn slide_of(from: u64, to: u64) -> Slide {
    Slide {
        from,
        to,
        seen_at: None,
    }
}

pub async fn end(store: &dyn Store, key: &RecordKey, revision: Option<u64>, seconds: u64) -> WriteOutcome {
    store.end(key, revision, &after(seconds)).await.expect("an answer")
}

pub async fn replace(
    store: &dyn Store,
    key: &RecordKey,
    revision: u64,
    successor: &RecordKey,
    seconds: u64,
) -> WriteOutcome {
    let at = after(seconds);
    let replaced = store.replace(key, revision, successor, &at);
    replaced.await.expect("an answer")
}
