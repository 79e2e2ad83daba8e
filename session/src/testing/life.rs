//! Load and create, and when a session is alive.

use crate::{Load, Record, Store};

use super::{IDLE, LIFETIME, START, admin, after, created, data, end, key, live, load, text};

pub async fn what_was_created_is_loaded(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(load(store, &key, 0).await, Load::Live(record));
}

pub async fn nothing_is_absent(store: &dyn Store) {
    assert_eq!(load(store, &key(), 0).await, Load::Absent);
}

pub async fn a_second_create_is_success_and_changes_nothing(store: &dyn Store) {
    let (key, record) = created(store).await;
    let other = Record::new(data([("username", text("somebody else"))]), &after(60));
    store.create(&key, &other).await.expect("success");
    assert_eq!(load(store, &key, 60).await, Load::Live(record));
}

pub async fn a_late_create_after_the_end_finds_the_tombstone(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = end(store, &key, None, 1).await;
    store.create(&key, &record).await.expect("success");
    assert_eq!(load(store, &key, 2).await, Load::Ended);
}

pub async fn a_late_create_after_an_update_changes_nothing(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = super::set(store, &key, &record, "theme", "dark", 1).await;
    store.create(&key, &record).await.expect("success");
    assert_eq!(live(load(store, &key, 2).await).data["theme"], text("dark"));
}

pub async fn a_session_expires_at_the_second_its_idle_timeout_ends(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(load(store, &key, IDLE - 1).await, Load::Live(record));
    assert_eq!(load(store, &key, IDLE).await, Load::Expired);
}

pub async fn a_session_expires_at_the_second_its_lifetime_ends_whatever_its_expiry_says(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.expires_at = START + 10 * LIFETIME;
    store.create(&key, &record).await.expect("a new record");
    assert_eq!(load(store, &key, LIFETIME - 1).await, Load::Live(record));
    assert_eq!(load(store, &key, LIFETIME).await, Load::Expired);
}
