//! The rules for owners' lists.

use super::steps::{START, key, load};
use crate::{OwnerKey, OwnerList, OwnerStore, RecordKey, Stored};

/// An owner that no other test uses.
fn owner() -> OwnerKey {
    OwnerKey::new(key().as_str())
}

async fn enlist(store: &impl OwnerStore, owner: &OwnerKey, key: &RecordKey, seconds: u64) -> OwnerList {
    let enlisted = store.enlist(owner, key, START + seconds, START + 1_000_000).await;
    enlisted.expect("an answer")
}

async fn list(store: &impl OwnerStore, owner: &OwnerKey) -> OwnerList {
    store.list(owner).await.expect("an answer")
}

async fn strike(store: &impl OwnerStore, owner: &OwnerKey, keys: &[RecordKey]) {
    store.strike(owner, keys).await.expect("an answer");
}

rules! {
    $ owners owner_store_contract OwnerStore

    async fn a_list_names_what_was_put_there_and_when(store) {
        let (owner, first, second) = (owner(), key(), key());
        let expected = OwnerList::from([(first.clone(), START)]);
        assert_eq!(enlist(store, &owner, &first, 0).await, expected);
        let expected = OwnerList::from([(first, START), (second.clone(), START + 60)]);
        assert_eq!(enlist(store, &owner, &second, 60).await, expected);
        assert_eq!(list(store, &owner).await, expected);
    }

    async fn an_owner_without_sessions_has_an_empty_list(store) {
        assert_eq!(list(store, &owner()).await, OwnerList::new());
    }

    async fn a_list_is_its_owners_alone(store) {
        let (one, other) = (owner(), owner());
        enlist(store, &one, &key(), 0).await;
        let expected = OwnerList::from([(key(), START)]);
        let its = expected.keys().next().expect("one");
        assert_eq!(enlist(store, &other, its, 0).await, expected);
    }

    async fn putting_a_key_there_again_is_done(store) {
        let (owner, key) = (owner(), key());
        enlist(store, &owner, &key, 0).await;
        assert_eq!(enlist(store, &owner, &key, 0).await, OwnerList::from([(key, START)]));
    }

    async fn what_is_struck_is_no_longer_named(store) {
        let (owner, first, second) = (owner(), key(), key());
        enlist(store, &owner, &first, 0).await;
        enlist(store, &owner, &second, 0).await;
        for _ in 0..2 {
            strike(store, &owner, &[first.clone(), key()]).await;
            assert_eq!(list(store, &owner).await, OwnerList::from([(second.clone(), START)]));
        }
    }

    async fn striking_what_is_not_there_makes_no_list(store) {
        let owner = owner();
        strike(store, &owner, &[key()]).await;
        strike(store, &owner, &[]).await;
        assert_eq!(list(store, &owner).await, OwnerList::new());
    }

    async fn more_sessions_than_one_write_strikes_are_listed_and_struck(store) {
        let owner = owner();
        let keys: Vec<_> = std::iter::repeat_with(key).take(450).collect();
        for key in &keys {
            enlist(store, &owner, key, 0).await;
        }
        assert_eq!(list(store, &owner).await.len(), 450);
        strike(store, &owner, &keys).await;
        assert_eq!(list(store, &owner).await, OwnerList::new());
    }

    async fn a_list_is_no_session(store) {
        let owner = owner();
        enlist(store, &owner, &key(), 0).await;
        let under_its_key = RecordKey::from_stored(owner.as_str().to_owned());
        let found = load(store, &under_its_key).await;
        assert!(matches!(found, None | Some(Stored::Malformed(_))), "{found:?}");
    }

    async fn a_store_gives_its_lists(store) {
        assert!(store.owners().is_some(), "`Store::owners` must return `Some(self)`");
    }
}
