//! Owners' lists.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Load, OwnerKey, OwnerList, OwnerStore, RecordKey, Store, WriteOutcome};

use super::{START, admin, after, create, created, ended_at, key, load, replace, replaced_at, set};

/// An owner that no other test uses.
fn owner() -> OwnerKey {
    static OWNERS: AtomicU64 = AtomicU64::new(0);
    let number = OWNERS.fetch_add(1, Ordering::Relaxed);
    OwnerKey::new(&format!("{} {number}", key().as_str()))
}

fn owners(store: &dyn Store) -> &dyn OwnerStore {
    store.owners().expect("a store that keeps lists")
}

async fn enlist(store: &dyn Store, owner: &OwnerKey, key: &RecordKey, seconds: u64) -> OwnerList {
    let enlisted = owners(store).enlist(owner, key, &after(seconds)).await;
    enlisted.expect("an answer")
}

async fn list(store: &dyn Store, owner: &OwnerKey) -> OwnerList {
    owners(store).list(owner).await.expect("an answer")
}

async fn revoke(store: &dyn Store, key: &RecordKey, seconds: u64) -> Option<RecordKey> {
    owners(store).revoke(key, &after(seconds)).await.expect("an answer")
}

pub async fn a_list_names_what_was_put_there_and_when(store: &dyn Store) {
    let (owner, first, second) = (owner(), key(), key());
    let expected = OwnerList::from([(first.clone(), START)]);
    assert_eq!(enlist(store, &owner, &first, 0).await, expected);
    let expected = OwnerList::from([(first, START), (second.clone(), START + 60)]);
    assert_eq!(enlist(store, &owner, &second, 60).await, expected);
    assert_eq!(list(store, &owner).await, expected);
}

pub async fn nobody_has_an_empty_list(store: &dyn Store) {
    assert_eq!(list(store, &owner()).await, OwnerList::new());
}

pub async fn a_list_is_its_owners_alone(store: &dyn Store) {
    let (one, other) = (owner(), owner());
    enlist(store, &one, &key(), 0).await;
    let expected = OwnerList::from([(key(), START)]);
    let its = expected.keys().next().expect("one");
    assert_eq!(enlist(store, &other, its, 0).await, expected);
}

pub async fn putting_a_key_there_again_is_done(store: &dyn Store) {
    let (owner, key) = (owner(), key());
    enlist(store, &owner, &key, 0).await;
    assert_eq!(enlist(store, &owner, &key, 0).await, OwnerList::from([(key, START)]));
}

pub async fn what_is_struck_is_no_longer_named(store: &dyn Store) {
    let (owner, first, second) = (owner(), key(), key());
    enlist(store, &owner, &first, 0).await;
    enlist(store, &owner, &second, 0).await;
    for _ in 0..2 {
        owners(store).strike(&owner, &[first.clone(), key()]).await.expect("an answer");
        assert_eq!(list(store, &owner).await, OwnerList::from([(second.clone(), START)]));
    }
}

pub async fn striking_what_is_not_there_makes_no_list(store: &dyn Store) {
    let owner = owner();
    owners(store).strike(&owner, &[key()]).await.expect("an answer");
    owners(store).strike(&owner, &[]).await.expect("an answer");
    assert_eq!(list(store, &owner).await, OwnerList::new());
}

pub async fn more_sessions_than_one_write_strikes_are_listed_and_struck(store: &dyn Store) {
    let owner = owner();
    let keys: Vec<_> = std::iter::repeat_with(key).take(450).collect();
    for key in &keys {
        enlist(store, &owner, key, 0).await;
    }
    assert_eq!(list(store, &owner).await.len(), 450);
    owners(store).strike(&owner, &keys).await.expect("an answer");
    assert_eq!(list(store, &owner).await, OwnerList::new());
}

pub async fn a_revoked_session_has_ended(store: &dyn Store) {
    let (key, _) = created(store).await;
    assert_eq!(revoke(store, &key, 1).await, None);
    assert_eq!(load(store, &key, 1).await, ended_at(0));
}

pub async fn a_revoked_session_tells_its_last_changes(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = set(store, &key, &record, "theme", "dark", 1).await;
    assert_eq!(revoke(store, &key, 2).await, None);
    assert_eq!(load(store, &key, 2).await, ended_at(1));
}

pub async fn a_key_revoked_before_its_record_stands_is_taken(store: &dyn Store) {
    let key = key();
    assert_eq!(revoke(store, &key, 0).await, None);
    assert_eq!(create(store, &key, &admin()).await, WriteOutcome::ConditionFailed);
    assert_eq!(load(store, &key, 1).await, ended_at(0));
}

pub async fn revoking_again_is_done(store: &dyn Store) {
    let (key, _) = created(store).await;
    for seconds in 1..3 {
        assert_eq!(revoke(store, &key, seconds).await, None);
        assert_eq!(load(store, &key, seconds).await, ended_at(0));
    }
}

pub async fn revoking_a_replaced_session_tells_its_successor(store: &dyn Store) {
    let (old, _) = created(store).await;
    let new = key();
    assert_eq!(replace(store, &old, 0, &new, 1).await, WriteOutcome::Applied);
    for seconds in 2..4 {
        assert_eq!(revoke(store, &old, seconds).await.as_ref(), Some(&new));
        assert_eq!(load(store, &old, seconds).await, replaced_at(0));
    }
}

pub async fn a_list_is_no_session(store: &dyn Store) {
    let owner = owner();
    enlist(store, &owner, &key(), 0).await;
    let under_its_key = RecordKey::from_stored(owner.as_str().to_owned());
    let found = load(store, &under_its_key, 0).await;
    assert!(!matches!(found, Load::Live(_)), "{found:?}");
}
