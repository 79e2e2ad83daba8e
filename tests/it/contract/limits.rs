//! DynamoDB's limits: what `Session` lets through is really stored, and what it cannot know about is an error that
//! names the limit.

use std::collections::BTreeMap;

use lambda_session::session::store::Update;
use lambda_session::session::{
    Data, MAX_DATA_BYTES, MAX_DEPTH, Record, Session, Store as _, StoreError, StoreErrorKind, Value,
};

use super::{admin, after, created, data, key, live, load, text};
use crate::support::own_table::Table;

/// Stores a new session's variables and gives back what comes out.
async fn stored(table: &Table, data: Data) -> Result<Data, StoreError> {
    let key = key();
    table.store.create(&key, &Record::new(data, &after(0))).await?;
    Ok(live(load(&table.store, &key, 1).await).data)
}

fn all(session: &Session) -> Data {
    session.iter().collect()
}

fn nested(depth: usize, deeper: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(text("innermost"), |value, _| deeper(value))
}

/// `Session` takes anything serializable; this is a value of DynamoDB's already.
fn insert(session: &Session, name: &str, value: &Value) -> bool {
    let value: serde_json::Value = serde_dynamo::from_attribute_value(value.clone()).expect("a plain value");
    session.insert(name, value).is_ok()
}

#[tokio::test]
async fn the_deepest_value_a_session_takes_is_stored_and_changed() {
    let table = Table::new().await;
    let list = |value| Value::L(vec![value]);
    let map = |value| Value::M([("inner".to_owned(), value)].into());
    for deepest in [nested(MAX_DEPTH, list), nested(MAX_DEPTH, map)] {
        let session = Session::default();
        assert!(insert(&session, "deep", &deepest));
        let expected = data([("deep", deepest.clone())]);
        assert_eq!(stored(&table, all(&session)).await.expect("stored"), expected);

        let (key, record) = created(&table.store).await;
        let update = Update::new(&record, [("deep", Some(&deepest))]);
        table
            .store
            .update(&key, &update, &after(1))
            .await
            .map(drop)
            .expect("an answer");
        assert_eq!(live(load(&table.store, &key, 1).await).data["deep"], deepest);
    }
    let session = Session::default();
    assert!(!insert(&session, "deep", &nested(MAX_DEPTH + 1, list)));
    assert!(session.is_empty());
}

#[tokio::test]
async fn the_numbers_a_session_takes_are_stored_to_the_last_digit() {
    let table = Table::new().await;
    let session = Session::default();
    session.insert("u64", u64::MAX).expect("a number");
    session.insert("i64", i64::MIN).expect("a number");
    session.insert("f64", 0.1_f64 + 0.2).expect("a number");
    session.insert("small", 1e-130_f64).expect("a number");
    session.insert("large", 9.9e125_f64).expect("a number");
    let digits = "9".repeat(38);
    let longest = Value::N(digits.clone());
    let mut expected = all(&session);
    expected.insert("longest".to_owned(), longest);
    let found = stored(&table, expected).await.expect("stored");
    assert_eq!(found["longest"], Value::N(digits));
    assert_eq!(found["u64"], Value::N(u64::MAX.to_string()));
    let read: f64 = serde_dynamo::from_attribute_value(found["small"].clone()).expect("a number");
    assert!((read / 1e-130 - 1.0).abs() < 1e-9, "{read}");

    for refused in [f64::NAN, f64::INFINITY, 1e126, 1e-131, f64::MAX, f64::MIN_POSITIVE] {
        assert!(session.insert("number", refused).is_err(), "{refused}");
    }
}

#[tokio::test]
async fn names_are_taken_up_to_what_dynamodb_takes() {
    let table = Table::new().await;
    let session = Session::default();
    assert!(session.insert("", 1).is_err());
    let longest = "n".repeat(65_535);
    session.insert(&longest, 1).expect("a name");
    assert_eq!(stored(&table, all(&session)).await.expect("stored").len(), 1);
    let (key, record) = created(&table.store).await;
    let value = text("x");
    let update = Update::new(&record, [(longest.as_str(), Some(&value))]);
    table
        .store
        .update(&key, &update, &after(1))
        .await
        .map(drop)
        .expect("an answer");

    assert!(session.insert(&"n".repeat(65_536), 1).is_err());
    assert!(session.insert("map", BTreeMap::from([("", 1)])).is_err());
}

#[tokio::test]
async fn the_largest_session_is_stored_and_a_larger_one_is_refused_before_the_call() {
    let table = Table::new().await;
    let session = Session::default();
    let name = "text";
    // A name and one byte more count beside the text.
    let room = MAX_DATA_BYTES - name.len() - 1;
    let error = session
        .insert(name, "x".repeat(room + 1))
        .expect_err("one byte too many");
    assert!(error.to_string().contains("400 KB"), "{error}");
    session.insert(name, "x".repeat(room)).expect("room for it");
    let found = stored(&table, all(&session)).await.expect("stored");
    assert_eq!(found, all(&session));
}

#[track_caller]
fn assert_too_large<T>(result: Result<T, StoreError>) {
    let error = result.map(drop).expect_err("more than 400 KB");
    assert_eq!(error.kind(), StoreErrorKind::TooLarge, "{error:?}");
    assert!(error.to_string().contains("400 KB"), "{error}");
}

#[tokio::test]
async fn an_item_that_is_too_large_is_an_error_that_names_the_limit() {
    let table = Table::new().await;
    let large = text(&"x".repeat(410 * 1024));
    assert_too_large(stored(&table, data([("text", large.clone())])).await);

    // Each is small enough; another request set the first.
    let half = text(&"x".repeat(205 * 1024));
    let key = key();
    let record = Record::new(data([("one", half.clone())]), &after(0));
    table.store.create(&key, &record).await.expect("a new record");
    let read = admin();
    for changes in [vec![("two", Some(&half))], vec![("one", Some(&large))]] {
        let update = Update::new(&read, changes);
        assert_too_large(table.store.update(&key, &update, &after(1)).await);
    }
    assert_eq!(live(load(&table.store, &key, 1).await), record);
}
