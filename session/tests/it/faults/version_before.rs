//! What an instance of 0.3 has left in the table, and what one that still runs writes there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_session::{OwnerKey, RecordKey, Store as _};

use super::World;
use crate::support::own_table::{Item, number, string};
use crate::support::site::{IDLE, now, wait};
use crate::support::{SECRET_KEY, forge};

/// A cookie, and the key of its session.
fn given(seed: u64) -> (String, RecordKey) {
    let (name, id) = ("__Host-session", forge::id(seed));
    let cookie = format!("{name}={}", forge::cookie(SECRET_KEY.as_bytes(), name, &id));
    (cookie, RecordKey::from_stored(forge::record_key(&id)))
}

fn item<const N: usize>(key: &str, attributes: [(&str, AttributeValue); N]) -> Item {
    let mut item = HashMap::from(attributes.map(|(name, value)| (name.to_owned(), value)));
    item.insert("id".to_owned(), string(key));
    item
}

/// A session's item after two changes.
fn record(key: &RecordKey) -> Item {
    let data = HashMap::from([("username".to_owned(), string("admin"))]);
    item(
        key.as_str(),
        [
            ("data", AttributeValue::M(data)),
            ("created_at", number(now())),
            ("expires_at", number(now() + IDLE)),
            ("revision", number(2)),
            ("writes", string("AAAAAAAA BBBBBBBB")),
        ],
    )
}

/// The tombstone of the session, which says neither when it ended nor whether its successor is a renewal.
fn tombstone(key: &RecordKey, successor: Option<&RecordKey>) -> Item {
    let mut item = record(key);
    item.extend([
        ("data".to_owned(), AttributeValue::M(HashMap::new())),
        ("expires_at".to_owned(), number(now() + 3_600)),
        ("ended".to_owned(), AttributeValue::Bool(true)),
    ]);
    item.extend(successor.map(|key| ("replaced_by".to_owned(), string(key.as_str()))));
    item
}

#[tokio::test]
async fn a_session_is_viewed_changed_renewed_and_ended() {
    let world = World::new().await;
    let site = world.site();
    let (cookie, key) = given(1);
    world.table.put(record(&key)).await;
    wait(IDLE - 1);
    assert_eq!(site.view(&cookie).await, "username=admin");
    wait(IDLE - 1);
    site.visit("/increment?visits", Some(&cookie)).await.assert_done();
    assert_eq!(site.view(&cookie).await, "username=admin visits=1");
    let renewed = site.visit("/renew?theme=dark", Some(&cookie)).await.issued();
    assert_eq!(site.view(&renewed).await, "theme=dark username=admin visits=1");
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
    for dead in [&cookie, &renewed] {
        assert_eq!(site.view(dead).await, "");
    }
}

#[tokio::test]
async fn an_owners_sessions_are_listed_and_ended() {
    let world = World::new().await;
    let site = world.site();
    let mut list = item(
        OwnerKey::new("admin").as_str(),
        [("expires_at", number(now() + 100_000))],
    );
    let given: Vec<_> = (1..4).map(given).collect();
    for (_, key) in &given {
        let mut record = record(key);
        record.extend([
            ("owner".to_owned(), string("admin")),
            ("label".to_owned(), string("phone")),
            ("seen_at".to_owned(), number(now())),
        ]);
        // The first change seals the record. The list shows it unsealed.
        world.table.put(record).await;
        list.insert(key.as_str().to_owned(), number(now()));
    }
    world.table.put(list).await;
    let listed = async |asks: Option<&str>| site.visit("/sessions?admin", asks).await.body.lines().count();
    assert_eq!(listed(None).await, 3);
    let end = format!("/end-one?admin={}", given[0].1.as_str());
    assert_eq!(site.visit(&end, None).await.body, "true");
    assert_eq!(listed(None).await, 2);
    let new = site.visit("/log-in?admin", Some(&given[1].0)).await.issued();
    assert_eq!(listed(Some(&new)).await, 2);
    site.visit("/end-others", Some(&new)).await.assert_done();
    assert_eq!(listed(Some(&new)).await, 1);
    for (cookie, _) in &given {
        assert_eq!(site.visit("/owner", Some(cookie)).await.body, "");
    }
    assert_eq!(site.visit("/owner", Some(&new)).await.body, "admin");
}

#[tokio::test]
async fn a_change_within_a_minute_of_the_end_is_a_conflict_and_a_later_one_begins_a_session() {
    let (other, successor) = given(2);
    for successor in [None, Some(&successor)] {
        let world = World::new().await;
        let site = world.site();
        let (cookie, key) = given(1);
        world.table.put(tombstone(&key, successor)).await;
        assert_eq!(site.view(&cookie).await, "");
        wait(59);
        site.visit("/set?theme=dark", Some(&cookie)).await.assert_refused(409);
        wait(2);
        let new = site.visit("/set?theme=dark", Some(&cookie)).await.issued();
        assert_eq!(site.view(&new).await, "theme=dark");
        assert_eq!(site.view(&other).await, "", "it is another's");
    }
}

/// Nothing says whether the successor is a renewal. So a logout may end too much, but never too little.
#[tokio::test]
async fn a_logout_ends_what_took_the_sessions_place() {
    for logout in ["/logout", "/end", "/clear"] {
        let world = World::new().await;
        let site = world.site();
        let ((old, old_key), (new, new_key)) = (given(1), given(2));
        world.table.put(tombstone(&old_key, Some(&new_key))).await;
        world.table.put(record(&new_key)).await;
        assert_eq!(site.view(&new).await, "username=admin", "{logout}");
        site.visit(logout, Some(&old)).await.assert_logged_out();
        assert_eq!(site.view(&new).await, "", "{logout}");
    }
}

/// The session that replaced it may belong to another person.
#[tokio::test]
async fn to_end_an_owners_sessions_ends_no_other_owners() {
    let (old, new) = (given(1), given(2));
    for end in [
        "/end-all?admin".to_owned(),
        format!("/end-one?admin={}", old.1.as_str()),
    ] {
        let world = World::new().await;
        let site = world.site();
        world.table.put(tombstone(&old.1, Some(&new.1))).await;
        let mut others = record(&new.1);
        others.insert("owner".to_owned(), string("bob"));
        world.table.put(others).await;
        let list = [("expires_at", number(now() + 100_000)), (old.1.as_str(), number(now()))];
        world.table.put(item(OwnerKey::new("admin").as_str(), list)).await;
        assert_eq!(site.visit(&end, None).await.status, 200, "{end}");
        assert_eq!(site.visit("/owner", Some(&new.0)).await.body, "bob", "{end}");
    }
}

#[tokio::test]
async fn a_tombstone_stays_as_it_is() {
    let world = World::new().await;
    let (_, key) = given(1);
    let before = tombstone(&key, None);
    world.table.put(before.clone()).await;
    let ended = now();
    wait(1_000);
    let tombstone = world.store().end(&key, now()).await.expect("an answer");
    assert_eq!(tombstone.ended_at, ended);
    assert_eq!(world.table.item(&key).await, Some(before));
}

/// A write that was answered is not made again, whether an instance of 0.3 made it or one of this version.
#[tokio::test]
async fn the_tokens_of_both_versions_are_kept() {
    let world = World::new().await;
    let site = world.site();
    let (cookie, key) = given(1);
    world.table.put(record(&key)).await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let item = world.table.item(&key).await.expect("a record");
    let Some(AttributeValue::S(writes)) = item.get("writes") else {
        panic!("{item:?}");
    };
    assert!(writes.starts_with("AAAAAAAA BBBBBBBB "), "{writes}");
    assert_eq!((writes.split(' ').count(), &item["revision"]), (3, &number(3)));
}
