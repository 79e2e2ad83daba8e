//! The contract of `Store`, rule by rule, for every store there is.
//!
//! The rules in `life`, `writes` and `ends` know nothing but the trait. `records` and `limits` are about the items in
//! DynamoDB, which `DYNAMODB_TEST_ENDPOINT` may name another one of.

use lambda_session::session::store::{Found, Update, Written};
use lambda_session::session::{Data, Moment, Record, RecordKey, SessionId, Store, Timeouts, Value};

/// Makes each of these functions over a store a test, once for each store.
macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        mod dynamodb {
            $(#[tokio::test]
            async fn $rule() {
                let table = crate::support::own_table::Table::new().await;
                super::$rule(&table.store).await;
            })*
        }

        mod memory {
            $(#[tokio::test]
            async fn $rule() {
                super::$rule(&crate::support::memory::Memory::default()).await;
            })*
        }
    };
}

mod ends;
mod life;
mod limits;
mod records;
mod writes;

const IDLE: u64 = 1_800;
const LIFETIME: u64 = 43_200;
const START: u64 = 1_800_000_000;

/// So many seconds after the start.
fn after(seconds: u64) -> Moment {
    Moment {
        now: START + seconds,
        timeouts: Timeouts {
            idle_seconds: IDLE,
            lifetime_seconds: LIFETIME,
        },
    }
}

fn key() -> RecordKey {
    SessionId::generate().expect("random numbers").record_key()
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
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
fn live(found: Found) -> Record {
    match found {
        Found::Live(record) => record,
        other => panic!("not alive: {other:?}"),
    }
}

async fn load(store: &dyn Store, key: &RecordKey, seconds: u64) -> Found {
    store.load(key, &after(seconds)).await.expect("an answer")
}

/// Sets one variable, as somebody would who has read `read`.
async fn set(store: &dyn Store, key: &RecordKey, read: &Record, name: &str, value: &str, seconds: u64) -> Written {
    let value = text(value);
    let update = Update::new(read, [(name, Some(&value))]);
    store.update(key, &update, &after(seconds)).await.expect("an answer")
}

async fn end(store: &dyn Store, key: &RecordKey, revision: Option<u64>, seconds: u64) -> Written {
    store.end(key, revision, &after(seconds)).await.expect("an answer")
}

async fn replace(store: &dyn Store, key: &RecordKey, revision: u64, successor: &RecordKey, seconds: u64) -> Written {
    let at = after(seconds);
    let replaced = store.replace(key, revision, successor, &at);
    replaced.await.expect("an answer")
}
