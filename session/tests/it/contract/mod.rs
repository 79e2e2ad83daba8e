//! The contract of `Store` on every store there is. `records` and `limits` are about the items in DynamoDB, which
//! `DYNAMODB_TEST_ENDPOINT` may name another one of.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lambda_session::{Changes, Data, Load, Moment, Record, RecordKey, Store, Value, WriteOutcome, WriteToken};
use serde_json::json;

mod limits;
mod records;

mod memory {
    lambda_session::store_contract!(lambda_session::MemoryStore::default());
}

mod dynamodb {
    // The table ends with its value, after the rule.
    lambda_session::store_contract!(crate::support::own_table::Table::new().await.store);
}

const IDLE: u64 = 1_800;
const LIFETIME: u64 = 43_200;
const START: u64 = 1_800_000_000;

/// So many seconds after the start.
fn after(seconds: u64) -> Moment {
    Moment::new(
        START + seconds,
        Duration::from_secs(IDLE),
        Duration::from_secs(LIFETIME),
    )
}

/// A key that no other test uses.
fn key() -> RecordKey {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    RecordKey::from_stored(format!("key {}", KEYS.fetch_add(1, Ordering::Relaxed)))
}

fn text(text: &str) -> Value {
    Value::encode(text).expect("a text")
}

/// A value in DynamoDB's own notation, as in `{"N": "1"}`.
fn raw(value: serde_json::Value) -> Value {
    serde_json::from_value(value).expect("DynamoDB's notation")
}

fn number(text: &str) -> Value {
    raw(json!({ "N": text }))
}

fn data<'a>(variables: impl IntoIterator<Item = (&'a str, Value)>) -> Data {
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn admin() -> Record {
    Record::new(data([("username", text("admin"))]), &after(0))
}

/// A live record, and its key.
async fn created(store: &dyn Store) -> (RecordKey, Record) {
    let (key, record) = (key(), admin());
    store.create(&key, &record).await.expect("a new record");
    (key, record)
}

#[track_caller]
fn live(found: Load) -> Record {
    match found {
        Load::Live(record) => record,
        other => panic!("not alive: {other:?}"),
    }
}

async fn load(store: &dyn Store, key: &RecordKey, seconds: u64) -> Load {
    store.load(key, &after(seconds)).await.expect("an answer")
}

/// The whole record after these changes, by somebody who has read `read`, and the changes themselves.
fn changed(read: &Record, changes: &[(&str, Option<Value>)], seconds: u64) -> (Record, Changes) {
    let mut next = read.clone();
    for (name, value) in changes {
        match value {
            Some(value) => next.data.insert((*name).to_owned(), value.clone()),
            None => next.data.remove(*name),
        };
    }
    next.revision += 1;
    next.expires_at = next.expires_at.max(after(seconds).expiry(read.created_at));
    next.writes
        .push(WriteToken::from_stored(format!("token-{}", next.revision)));
    let changes = Changes::between(&read.data, &next.data);
    (next, changes)
}

async fn update(
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
async fn set(store: &dyn Store, key: &RecordKey, read: &Record, name: &str, value: &str, seconds: u64) -> WriteOutcome {
    update(store, key, read, &[(name, Some(text(value)))], seconds).await
}

async fn end(store: &dyn Store, key: &RecordKey, revision: Option<u64>, seconds: u64) -> WriteOutcome {
    store.end(key, revision, &after(seconds)).await.expect("an answer")
}

async fn replace(
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
