//! The store alone, with the session of tower-sessions over it. `tests/tower_sessions_15.rs` runs the same tests with
//! tower-sessions 0.15.

use std::sync::Arc;

use lambda_session::{Keys, MemoryStore, OwnerKey, OwnerStore, SessionLayer, Store as _, Stored};
use tower_sessions::cookie::time::{Duration, OffsetDateTime};
use tower_sessions::{Expiry, Session, SessionStore as _};

use crate::store::TowerStore;

fn store() -> Arc<TowerStore<MemoryStore>> {
    let store = MemoryStore::default();
    let keys = Keys::new(b"a key for tests that is longer than thirty-two bytes").expect("a key");
    let layer = SessionLayer::builder(store.clone(), keys).build().expect("a layer");
    let sessions = layer.sessions();
    Arc::new(TowerStore { store, sessions })
}

/// The session of another request with the same cookie.
fn again(session: &Session, store: &Arc<TowerStore<MemoryStore>>) -> Session {
    Session::new(session.id(), Arc::clone(store), None)
}

/// A session with the variable `a` in the store.
async fn begin(store: &Arc<TowerStore<MemoryStore>>, expiry: Option<Expiry>) -> Session {
    let session = Session::new(None, Arc::clone(store), expiry);
    session.insert("a", 1).await.expect("an insert");
    session.save().await.expect("a save");
    session
}

async fn number(session: &Session, name: &str) -> Option<u32> {
    session.get(name).await.expect("a number")
}

#[tokio::test]
async fn a_request_that_saves_twice_can_take_back_what_it_saved_first() {
    let store = store();
    let begun = Session::new(None, Arc::clone(&store), None);
    begun.insert("kept", 1).await.expect("an insert");
    begun.save().await.expect("a save");
    for until in [
        None,
        Some(Expiry::AtDateTime(OffsetDateTime::now_utc() + Duration::HOUR)),
    ] {
        let session = again(&begun, &store);
        session.set_expiry(until);
        session.insert("running", true).await.expect("an insert");
        session.save().await.expect("a save");
        session.remove::<bool>("running").await.expect("a removal");
        session.save().await.expect("a save");
        let read = again(&begun, &store);
        assert_eq!(read.get::<bool>("running").await.expect("no variable"), None);
        assert_eq!(number(&read, "kept").await, Some(1));
    }
}

#[tokio::test]
async fn a_second_save_leaves_what_another_request_wrote_meanwhile() {
    let store = store();
    let begun = begin(&store, None).await;
    let (one, other) = (again(&begun, &store), again(&begun, &store));
    one.insert("a", 2).await.expect("an insert");
    other.insert("b", 1).await.expect("an insert");
    other.save().await.expect("a save");
    for _ in 0..2 {
        one.save().await.expect("a save");
        let read = again(&begun, &store);
        assert_eq!((number(&read, "a").await, number(&read, "b").await), (Some(2), Some(1)));
    }
}

#[tokio::test]
async fn clear_removes_what_was_there_without_reading_it() {
    let store = store();
    let begun = begin(&store, None).await;
    let session = again(&begun, &store);
    session.clear().await;
    session.insert("b", 1).await.expect("an insert");
    session.save().await.expect("a save");
    let read = again(&begun, &store);
    assert_eq!((number(&read, "a").await, number(&read, "b").await), (None, Some(1)));
}

#[tokio::test]
async fn a_session_that_begins_in_the_request_of_a_logout_gets_an_id_of_its_own() {
    let store = store();
    let session = begin(&store, None).await;
    let ended = again(&session, &store);
    session.flush().await.expect("a logout");
    session.insert("message", 1).await.expect("an insert");
    session.save().await.expect("a save");
    assert_ne!(session.id(), ended.id());
    assert_eq!(number(&ended, "message").await, None);
    assert_eq!(number(&again(&session, &store), "message").await, Some(1));
}

#[tokio::test]
async fn a_new_id_takes_the_variables_along_and_no_save_revives_the_old_one() {
    let store = store();
    let begun = begin(&store, None).await;
    let (cycled, other) = (again(&begun, &store), again(&begun, &store));
    other.insert("b", 1).await.expect("an insert");
    cycled.cycle_id().await.expect("a new ID");
    cycled.save().await.expect("a save");
    assert_ne!(cycled.id(), begun.id());
    for late in [&other, &begun] {
        assert!(late.save().await.is_err(), "the session has ended");
    }
    assert_eq!(number(&again(&begun, &store), "a").await, None);
    let read = again(&cycled, &store);
    assert_eq!((number(&read, "a").await, number(&read, "b").await), (Some(1), None));
}

#[tokio::test]
async fn a_session_that_begins_takes_no_id_that_exists() {
    let store = store();
    let begun = begin(&store, None).await;
    let id = begun.id().expect("an ID");
    let mut record = store.load(&id).await.expect("an answer").expect("a record");
    record.data.insert("a".to_owned(), 2.into());
    store.create(&mut record).await.expect("a session");
    assert_ne!(record.id, id);
    assert_eq!(number(&again(&begun, &store), "a").await, Some(1));
}

#[tokio::test]
async fn a_session_lives_as_long_as_its_expiry_says_and_thirty_days_at_most() {
    let store = store();
    let now = OffsetDateTime::now_utc();
    let at = |expiry| Some(Expiry::AtDateTime(expiry));
    let inactive = |expiry| Some(Expiry::OnInactivity(expiry));
    let (hour, day, most) = (Duration::HOUR, Duration::DAY, Duration::days(30));
    for (expiry, expected) in [
        (None, Duration::weeks(2)),
        (Some(Expiry::OnSessionEnd), Duration::weeks(2)),
        (inactive(hour), hour),
        (inactive(Duration::MAX), most),
        (at(now + day), day),
        (at(now + Duration::days(400)), most),
    ] {
        let begun = begin(&store, expiry).await;
        let expires_at = async || {
            let record = store.load(&begun.id().expect("an ID")).await.expect("an answer");
            record.expect("a record").expiry_date
        };
        let lives = expires_at().await - now;
        assert!((lives - expected).abs() < Duration::seconds(10), "{expiry:?}: {lives}");

        // A request may want another end, sooner or later. One that wants none moves it forward.
        for (wanted, expected) in [(hour, hour), (day, day), (Duration::days(400), most)] {
            let session = again(&begun, &store);
            session.load().await.expect("a load");
            session.set_expiry(at(now + wanted));
            session.save().await.expect("a save");
            let lives = expires_at().await - now;
            assert!((lives - expected).abs() < Duration::seconds(10), "{expiry:?}: {lives}");
        }
    }
}

#[tokio::test]
async fn an_expired_session_opens_nothing_and_is_not_continued_by_a_save() {
    let store = store();
    let now = OffsetDateTime::now_utc();
    for past in [now - Duration::SECOND, OffsetDateTime::UNIX_EPOCH - Duration::DAY] {
        let begun = begin(&store, None).await;
        let (session, late) = (again(&begun, &store), again(&begun, &store));
        assert_eq!(number(&late, "a").await, Some(1));
        session.load().await.expect("a load");
        session.set_expiry(Some(Expiry::AtDateTime(past)));
        log_in(&session, "alice".into()).await;
        for late in [&begun, &late] {
            late.insert("a", 2).await.expect("an insert");
            assert!(late.save().await.is_err());
        }
        assert_eq!(number(&again(&begun, &store), "a").await, None);

        // DynamoDB deletes no item whose time is more than five years past.
        let list = OwnerStore::list(&store.store, &OwnerKey::new("alice")).await;
        for key in list.expect("a list").keys() {
            let Some(Stored::Record(record)) = store.store.load(key).await.expect("an answer") else {
                panic!("no record");
            };
            assert!(record.expires_at >= record.created_at, "{}", record.expires_at);
        }
    }
}

#[tokio::test]
async fn numbers_and_texts_come_back_as_they_were() {
    let store = store();
    let begun = Session::new(None, Arc::clone(&store), None);
    let (numbers, others) = ((0.1, 1e20, -7, u64::MAX), ("", (), serde_json::json!({ "a": [true] })));
    begun.insert("numbers", numbers).await.expect("an insert");
    begun.insert("others", &others).await.expect("an insert");
    begun.save().await.expect("a save");
    let read = again(&begun, &store);
    let read_numbers: Option<(f64, f64, i64, u64)> = read.get("numbers").await.expect("numbers");
    assert_eq!(read_numbers, Some(numbers));
    let read_others: Option<(String, (), serde_json::Value)> = read.get("others").await.expect("others");
    assert_eq!(read_others, Some((String::new(), (), others.2)));
}

async fn log_in(session: &Session, user: serde_json::Value) {
    let login = serde_json::json!({ "user_id": user, "auth_hash": [1] });
    session.insert("axum-login.data", login).await.expect("an insert");
    session.save().await.expect("a save");
}

#[tokio::test]
async fn the_list_of_an_owner_follows_the_user_and_is_tidied() {
    let store = store();
    let listed = async |owner: &str| store.sessions.list(owner).await.expect("a list").len();
    let session = Session::new(None, Arc::clone(&store), None);
    log_in(&session, 7.into()).await;
    assert_eq!((listed("7").await, listed("alice").await), (1, 0));
    let session = again(&session, &store);
    log_in(&session, "alice".into()).await;
    assert_eq!(listed("alice").await, 1);
    store.sessions.end_all("alice").await.expect("an end");
    assert_eq!(number(&again(&session, &store), "anything").await, None);
    assert_eq!(listed("alice").await, 0);

    let key = OwnerKey::new("robot");
    for _ in 0..100 {
        let session = Session::new(None, Arc::clone(&store), None);
        log_in(&session, "robot".into()).await;
        session.flush().await.expect("a logout");
        let list = OwnerStore::list(&store.store, &key).await.expect("a list");
        assert!(list.len() <= 32, "{}", list.len());
    }
}
