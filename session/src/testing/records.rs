//! The rules for the record under a key.

use super::steps::{
    IDLE, START, admin, change, changed, create, created, end, key, key_of, load, number, put, record, set_theme, swap,
    text,
};
use crate::{Binding, Record, Store, Stored, Swap, Tombstone, Value, WriteToken};

rules! {
    $ records store_contract Store

    async fn nothing_stands_under_a_new_key(store) {
        assert_eq!(load(store, &key()).await, None);
    }

    async fn what_was_put_there_is_loaded(store) {
        let mut whole = admin();
        whole.remembered = true;
        (whole.idle, whole.lifetime) = (Some(600), Some(6_000));
        whole.owner = Some(text("user-4711"));
        whole.label = Some("Firefox on Linux".to_owned());
        whole.seen_at = Some(START);
        whole.sealed = true;
        whole.bound = Some(Binding::from_stored("1800000060.BJ2xwg"));
        whole.writes = vec![WriteToken::from_stored("one"), WriteToken::from_stored("two")];
        for record in [admin(), whole] {
            let key = key_of(store, &record).await;
            assert_eq!(load(store, &key).await, Some(Stored::Record(record)));
        }
    }

    async fn a_second_record_is_refused_and_told_what_stands(store) {
        let (key, first) = created(store).await;
        let second = changed(&admin(), &[("username", Some(text("somebody else")))]);
        let found = Swap::Found(Some(Stored::Record(first.clone())));
        assert_eq!(create(store, &key, &second).await, found);
        assert_eq!(load(store, &key).await, Some(Stored::Record(first)));
    }

    async fn a_swap_puts_the_next_record_there(store) {
        let (key, read) = created(store).await;
        let mut next = changed(&read, &[("username", None), ("visits", Some(number("3")))]);
        next.expires_at += 100;
        swap(store, &key, &read, &Stored::Record(next)).await;
    }

    async fn a_swap_moves_times_alone(store) {
        let read = Record { seen_at: Some(START), ..admin() };
        let key = key_of(store, &read).await;
        let next = Record { expires_at: read.expires_at + 200, seen_at: Some(START + 200), ..read.clone() };
        swap(store, &key, &read, &Stored::Record(next)).await;
    }

    async fn a_swap_of_another_version_is_refused_and_told_what_stands(store) {
        let stands = Record { revision: 5, seen_at: Some(START), ..admin() };
        let key = key_of(store, &stands).await;
        for (revision, expires_at, seen_at) in [
            (4, 0, Some(START)),
            (6, 0, Some(START)),
            (u64::MAX, 0, Some(START)),
            (5, 1, Some(START)),
            (5, 0, Some(START + 1)),
            (5, 0, None),
        ] {
            let expires_at = stands.expires_at + expires_at;
            let read = Record { expires_at, revision, seen_at, ..stands.clone() };
            let mut next = Stored::Record(read.clone());
            for _ in 0..2 {
                let found = Swap::Found(Some(Stored::Record(stands.clone())));
                assert_eq!(put(store, &key, Some(&read), &next).await, found, "{:?}", read.version());
                next = Stored::Tombstone(Tombstone::of(Some(&next), START));
            }
        }
        assert_eq!(load(store, &key).await, Some(Stored::Record(stands)));
        let (key, unseen) = created(store).await;
        let seen = Record { seen_at: Some(START), ..unseen.clone() };
        let refused = put(store, &key, Some(&seen), &Stored::Record(seen.clone())).await;
        assert_eq!(refused, Swap::Found(Some(Stored::Record(unseen))));
    }

    async fn a_swap_that_is_made_again_finds_what_it_wrote(store) {
        let (key, read) = created(store).await;
        let next = Stored::Record(changed(&read, &[("theme", Some(text("dark")))]));
        assert_eq!(put(store, &key, Some(&read), &next).await, Swap::Done);
        assert_eq!(put(store, &key, Some(&read), &next).await, Swap::Found(Some(next)));
    }

    async fn a_swap_where_nothing_stands_is_refused_and_leaves_nothing(store) {
        let key = key();
        assert_eq!(set_theme(store, &key, &admin(), "dark").await, Swap::Found(None));
        assert_eq!(load(store, &key).await, None);
    }

    async fn a_store_judges_no_times(store) {
        let long_ago = Record { created_at: 1, expires_at: 1, ..admin() };
        // A store may delete an expired record at any time, but not hide it.
        let key = key_of(store, &long_ago).await;
        if load(store, &key).await.is_some() {
            assert_eq!(set_theme(store, &key, &long_ago, "dark").await, Swap::Done);
        }
    }

    async fn a_swap_may_seal_a_record_and_its_owner(store) {
        let read = Record { owner: Some(text("user-4711")), ..admin() };
        let key = key_of(store, &read).await;
        let mut next = changed(&read, &[("username", Some(text("sealed")))]);
        (next.sealed, next.owner) = (true, Some(text("sealed, too")));
        swap(store, &key, &read, &Stored::Record(next)).await;
    }

    async fn the_tokens_of_the_last_changes_come_back(store) {
        let (key, mut read) = created(store).await;
        for n in 0..20 {
            let mut next = changed(&read, &[("n", Some(number(&n.to_string())))]);
            next.writes.drain(..next.writes.len().saturating_sub(16));
            swap(store, &key, &read, &Stored::Record(next.clone())).await;
            read = next;
        }
    }

    async fn variables_with_hard_names_are_set_and_removed(store) {
        const NAMES: [&str; 18] = [
            "a.b", "a b", " ", "#", "#data", ":v0", ":now", "data", "ttl", "size", "a[0]", "'\"`\\", "%", "naïve",
            "名前", "🦀", "\u{0}\n", "__proto__",
        ];
        let (key, read) = created(store).await;
        let values: Vec<Value> = NAMES.iter().map(|name| text(&format!("value of {name}"))).collect();
        let sets: Vec<_> = NAMES.into_iter().zip(values.iter().cloned().map(Some)).collect();
        assert_eq!(change(store, &key, &read, &sets).await, Swap::Done);
        let read = record(load(store, &key).await);
        for (name, value) in NAMES.iter().zip(&values) {
            assert_eq!(read.data.get(*name), Some(value), "{name:?}");
        }
        assert_eq!(change(store, &key, &read, &NAMES.map(|name| (name, None))).await, Swap::Done);
        assert_eq!(record(load(store, &key).await).data, admin().data);
    }

    async fn a_thousand_variables_change_at_once(store) {
        let (key, mut read) = created(store).await;
        let names: Vec<String> = (0..1_000).map(|n| format!("a rather long variable name, number {n}")).collect();
        // A store may write variables differently below and above some of these counts.
        for (round, count) in [1_000, 99, 100, 101, 300].into_iter().enumerate() {
            let value = number(&round.to_string());
            let sets: Vec<_> = names[..count].iter().map(|name| (name.as_str(), Some(value.clone()))).collect();
            assert_eq!(change(store, &key, &read, &sets).await, Swap::Done, "{count}");
            let next = changed(&read, &sets);
            read = record(load(store, &key).await);
            assert_eq!(read, next, "{count}");
        }
        let removals: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        assert_eq!(change(store, &key, &read, &removals).await, Swap::Done);
        assert_eq!(record(load(store, &key).await).data, admin().data);
    }

    async fn a_swap_may_leave_a_tombstone(store) {
        for renewed in [None, Some(false), Some(true)] {
            let (key, first) = created(store).await;
            let read = changed(&first, &[("theme", Some(text("dark")))]);
            let stands = Stored::Record(read.clone());
            swap(store, &key, &first, &stands).await;
            let mut left = Tombstone::of(Some(&stands), START + 7);
            left.replaced_by = renewed.map(|_| super::steps::key());
            left.renewed = renewed.unwrap_or_default();
            let left = Stored::Tombstone(left);
            swap(store, &key, &read, &left).await;
            assert_eq!(set_theme(store, &key, &read, "light").await, Swap::Found(Some(left.clone())));
            assert_eq!(create(store, &key, &first).await, Swap::Found(Some(left.clone())));
            assert_eq!(Stored::Tombstone(end(store, &key, 60).await), left, "it stays as it is");
        }
    }

    async fn an_end_leaves_a_tombstone_whatever_stands_there(store) {
        let (key, read) = created(store).await;
        assert_eq!(set_theme(store, &key, &read, "dark").await, Swap::Done);
        let stands = load(store, &key).await;
        let left = Tombstone::of(stands.as_ref(), START + IDLE + 1);
        assert_eq!(left.revision, 1, "although the session has expired");
        for _ in 0..2 {
            assert_eq!(end(store, &key, IDLE + 1).await, left);
            assert_eq!(load(store, &key).await, Some(Stored::Tombstone(left.clone())));
        }
        assert_eq!(end(store, &key, IDLE + 90).await, left, "the first end counts");
    }

    async fn an_end_takes_a_key_where_nothing_stands(store) {
        let key = key();
        let left = Tombstone::of(None, START);
        assert_eq!(end(store, &key, 0).await, left);
        assert_eq!(create(store, &key, &admin()).await, Swap::Found(Some(Stored::Tombstone(left))));
    }

    async fn what_was_under_way_when_a_session_ended_finds_the_tombstone(store) {
        let (key, read) = created(store).await;
        let left = Some(Stored::Tombstone(end(store, &key, 1).await));
        assert_eq!(set_theme(store, &key, &read, "dark").await, Swap::Found(left.clone()));
        assert_eq!(create(store, &key, &read).await, Swap::Found(left.clone()));
        assert_eq!(load(store, &key).await, left);
    }
}
