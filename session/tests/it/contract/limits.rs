//! DynamoDB's limits: what `Session` accepts is really stored, and what `Session` cannot check is a store error.

use std::collections::BTreeMap;
use std::convert::Infallible;

use http::{HeaderMap, Request, Response};
use lambda_session::{
    Data, Limits, MemoryStore, Session, Store as _, StoreError, StoreErrorKind, Stored, Swap, Value, ValueErrorKind,
};
use serde_json::json;
use tokio::sync::mpsc;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{admin, change, changed, create, created, data, key, load, number, raw, record, text};
use crate::support::own_table::Table;
use crate::support::site::{keys, layer};

/// Returns a new visitor's session, which has the store's limits and no smaller ones. Its request is dropped half-way,
/// so it is not saved.
async fn session(table: &Table) -> Session {
    let (loaded, mut sessions) = mpsc::unbounded_channel();
    let layer = layer(table.store.clone(), keys())
        .max_bytes(usize::MAX)
        .build()
        .expect("a layer");
    let visit = layer.layer(service_fn(move |request: Request<String>| {
        let loaded = loaded.clone();
        async move {
            let _ = loaded.send(Session::of(&request).await.expect("a session"));
            std::future::pending::<Result<Response<String>, Infallible>>().await
        }
    }));
    tokio::select! {
        _ = visit.oneshot(Request::new(String::new())) => unreachable!("it never answers"),
        session = sessions.recv() => session.expect("a session"),
    }
}

/// Stores a new session's variables, and returns what is read back.
async fn stored(table: &Table, data: Data) -> Result<Data, StoreError> {
    let (key, mut next) = (key(), admin());
    next.data = data;
    let _ = table.store.swap(&key, None, &Stored::Record(next)).await?;
    Ok(record(load(&table.store, &key).await).data)
}

fn all(session: &Session) -> Data {
    session.iter().collect()
}

fn nested(depth: usize, deeper: impl Fn(serde_json::Value) -> serde_json::Value) -> Value {
    raw((0..depth).fold(json!({ "S": "innermost" }), |value, _| deeper(value)))
}

#[tokio::test]
async fn the_deepest_value_a_session_takes_is_stored_and_changed() {
    let table = Table::new().await;
    let depth = table.store.limits().depth;
    let list = |value| json!({ "L": [value] });
    let map = |value| json!({ "M": { "inner": value } });
    for deepest in [nested(depth, list), nested(depth, map)] {
        let session = session(&table).await;
        session.insert_value("deep", deepest.clone()).expect("not too deep");
        let expected = data([("deep", deepest.clone())]);
        assert_eq!(stored(&table, all(&session)).await.expect("stored"), expected);

        let (key, read) = created(&table.store).await;
        let written = change(&table.store, &key, &read, &[("deep", Some(deepest.clone()))]).await;
        assert_eq!(written, Swap::Done);
        assert_eq!(record(load(&table.store, &key).await).data["deep"], deepest);
    }
    let session = session(&table).await;
    let error = session.insert_value("deep", nested(depth + 1, list));
    assert_eq!(error.expect_err("too deep").kind(), ValueErrorKind::NotStorable);
    assert!(session.is_empty());
}

#[tokio::test]
async fn the_numbers_a_session_takes_are_stored_to_the_last_digit() {
    let table = Table::new().await;
    let session = session(&table).await;
    session.insert("u64", u64::MAX).expect("a number");
    session.insert("i64", i64::MIN).expect("a number");
    session.insert("u128", 10_u128.pow(38) - 1).expect("a number");
    session.insert("f64", 0.1_f64 + 0.2).expect("a number");
    session.insert("small", 1e-130_f64).expect("a number");
    session.insert("large", 9.9e125_f64).expect("a number");
    let longest = number(&"9".repeat(38));
    session.insert_value("longest", longest.clone()).expect("a number");
    let found = stored(&table, all(&session)).await.expect("stored");
    assert_eq!(found["longest"], longest);
    assert_eq!(found["u64"], number(&u64::MAX.to_string()));
    assert_eq!(found["u128"], longest);
    let read: f64 = found["small"].decode().expect("a number");
    assert!((read / 1e-130 - 1.0).abs() < 1e-9, "{read}");

    for refused in [f64::NAN, f64::INFINITY, 1e126, 1e-131, f64::MAX, f64::MIN_POSITIVE] {
        assert!(session.insert("number", refused).is_err(), "{refused}");
    }
    assert!(session.insert_value("number", number(&"9".repeat(39))).is_err());
    assert!(session.insert("number", u128::MAX).is_err());
}

#[tokio::test]
async fn names_are_taken_up_to_what_dynamodb_takes() {
    let table = Table::new().await;
    let session = session(&table).await;
    assert!(session.insert("", 1).is_err());
    let longest = "n".repeat(65_535);
    session.insert(&longest, 1).expect("a name");
    assert_eq!(stored(&table, all(&session)).await.expect("stored").len(), 1);
    let (key, read) = created(&table.store).await;
    let written = change(&table.store, &key, &read, &[(&longest, Some(text("x")))]).await;
    assert_eq!(written, Swap::Done);

    assert!(session.insert(&"n".repeat(65_536), 1).is_err());
    assert!(session.insert("map", BTreeMap::from([("", 1)])).is_err());
}

#[tokio::test]
async fn the_largest_session_is_stored_and_a_larger_one_is_refused_before_the_call() {
    let table = Table::new().await;
    let session = session(&table).await;
    let name = "text";
    // The name and one more byte count as well.
    let room = table.store.limits().bytes - name.len() - 1;
    let error = session.insert(name, "x".repeat(room + 1));
    assert_eq!(error.expect_err("one byte too many").kind(), ValueErrorKind::TooLarge);
    session.insert(name, "x".repeat(room)).expect("room for it");
    let found = stored(&table, all(&session)).await.expect("stored");
    assert_eq!(found, all(&session));
}

#[tokio::test]
async fn a_memory_store_refuses_what_dynamodb_refuses_unless_told_otherwise() {
    let deep = (1..31).fold(json!([]), |inner, _| json!([inner]));
    let values = [("deep", deep), ("large", json!("x".repeat(400 * 1024))), ("", json!(1))];
    for (store, refuses) in [
        (MemoryStore::default(), true),
        (MemoryStore::with_limits(Limits::NONE), false),
    ] {
        let layer = layer(store, keys()).max_bytes(usize::MAX).build().expect("a layer");
        for (name, value) in &values {
            let opened = layer.open(&HeaderMap::new());
            let session = opened.session().load().await.expect("a session");
            // No store takes a variable without a name.
            let refused = refuses || name.is_empty();
            assert_eq!(session.insert(name, value).is_err(), refused, "{name:?}");
        }
    }
}

#[track_caller]
fn assert_too_large<T>(result: Result<T, StoreError>) {
    let error = result.map(drop).expect_err("more than 400 KB");
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error:?}");
}

#[tokio::test]
async fn an_item_that_is_too_large_is_an_error_that_says_so() {
    let table = Table::new().await;
    let large = text(&"x".repeat(410 * 1024));
    assert_too_large(stored(&table, data([("text", large.clone())])).await);

    // Each is small enough; together they are not.
    let half = text(&"x".repeat(205 * 1024));
    let (key, mut first) = (key(), admin());
    first.data = data([("one", half.clone())]);
    assert_eq!(create(&table.store, &key, &first).await, Swap::Done);
    for change in [("two", Some(half)), ("one", Some(large))] {
        let next = Stored::Record(changed(&first, &[change]));
        assert_too_large(table.store.swap(&key, Some(&first), &next).await);
    }
    assert_eq!(record(load(&table.store, &key).await), first);
}
