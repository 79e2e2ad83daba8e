//! Records as items in DynamoDB: their attributes, and attributes that another program wrote or spoiled.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_session::{Data, Record, RecordKey, Stored, Swap, Tombstone};
use serde_json::json;

use super::{IDLE, START, admin, changed, create, created, data, end, key, load, put, raw, record, set_theme, text};
use crate::support::own_table::{Item, Table, number, string};

fn empty_map() -> AttributeValue {
    AttributeValue::M(HashMap::new())
}

fn attributes(item: &Item) -> Vec<&str> {
    let mut names: Vec<&str> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_record_has_the_documented_attributes() {
    let table = Table::new().await;
    let (key, read) = created(&table.store).await;
    assert_eq!(set_theme(&table.store, &key, &read, "dark").await, Swap::Done);
    let variables = [("username", "admin"), ("theme", "dark")].map(|(name, value)| (name.to_owned(), string(value)));
    let expected = HashMap::from([
        ("id".to_owned(), string(key.as_str())),
        ("data".to_owned(), AttributeValue::M(HashMap::from(variables))),
        ("created_at".to_owned(), number(START)),
        ("expires_at".to_owned(), number(START + IDLE)),
        ("revision".to_owned(), number(1)),
        ("writes".to_owned(), string("token-1")),
    ]);
    assert_eq!(table.item(&key).await, Some(expected));
}

#[tokio::test]
async fn a_record_of_the_first_version_which_remembers_no_writes_is_read_and_changed() {
    let table = Table::new().await;
    for writes in [None, Some(number(1)), Some(AttributeValue::Null(true))] {
        let (key, read) = created(&table.store).await;
        table.edit(&key, "writes", writes).await;
        assert_eq!(load(&table.store, &key).await, Some(Stored::Record(read.clone())));
        assert_eq!(set_theme(&table.store, &key, &read, "dark").await, Swap::Done);
        let item = table.item(&key).await.expect("an item");
        assert_eq!(item["writes"], string("token-1"));
    }
}

#[tokio::test]
async fn a_tombstone_keeps_no_variable_and_stays_for_an_hour() {
    let table = Table::new().await;
    let mut owned = admin();
    (owned.owner, owned.label, owned.seen_at) = (Some(text("user-4711")), Some("a browser".to_owned()), Some(START));
    let (ended, replaced, new) = (key(), key(), key());
    for key in [&ended, &replaced] {
        assert_eq!(create(&table.store, key, &owned).await, Swap::Done);
    }
    end(&table.store, &ended, 60).await;
    let mut left = Tombstone::of(Some(&Stored::Record(owned.clone())), START + 60);
    (left.replaced_by, left.renewed) = (Some(new.clone()), true);
    let swapped = put(&table.store, &replaced, Some(&owned), &Stored::Tombstone(left)).await;
    assert_eq!(swapped, Swap::Done);
    for (key, successor) in [(ended, None), (replaced, Some(string(new.as_str())))] {
        let item = table.item(&key).await.expect("a tombstone");
        assert_eq!(item["ended"], AttributeValue::Bool(true));
        assert_eq!(item["data"], empty_map());
        assert_eq!(item["expires_at"], number(START + 60 + 3_600));
        assert_eq!(item["ended_at"], number(START + 60));
        assert_eq!(item.get("replaced_by"), successor.as_ref());
        assert_eq!(item.contains_key("renewed"), successor.is_some());
        for gone in ["owner", "label", "seen_at"] {
            assert!(!item.contains_key(gone), "{gone}");
        }
    }
}

/// A tombstone of 0.3 says neither when its session ended nor whether its successor is a renewal.
#[tokio::test]
async fn a_tombstone_of_the_version_before_is_read() {
    let table = Table::new().await;
    for successor in [None, Some("the key of its successor")] {
        let (key, _) = created(&table.store).await;
        let mut expected = end(&table.store, &key, 60).await;
        table.edit(&key, "ended_at", None).await;
        if let Some(successor) = successor {
            table.edit(&key, "replaced_by", Some(string(successor))).await;
            expected.replaced_by = Some(RecordKey::from_stored(successor.to_owned()));
            // A logout may then end too much, but never too little.
            expected.renewed = true;
        }
        assert_eq!(load(&table.store, &key).await, Some(Stored::Tombstone(expected)));
    }
}

/// Every way to spoil one attribute, and what `load` then says is wrong.
fn spoiled() -> Vec<(&'static str, Option<AttributeValue>)> {
    let list = AttributeValue::L(vec![]);
    let time = START.to_string();
    vec![
        ("data", None),
        ("data", Some(string("{}"))),
        ("data", Some(list.clone())),
        ("data", Some(AttributeValue::Null(true))),
        ("created_at", None),
        ("created_at", Some(string(time))),
        ("created_at", Some(AttributeValue::Null(true))),
        ("created_at", Some(empty_map())),
        ("expires_at", None),
        ("expires_at", Some(string((START + 10 * IDLE).to_string()))),
        ("expires_at", Some(AttributeValue::Bool(true))),
        ("expires_at", Some(list)),
        ("revision", None),
        ("revision", Some(string("0"))),
        ("revision", Some(AttributeValue::Null(true))),
    ]
}

#[tokio::test]
async fn a_malformed_record_is_named_and_no_write_brings_it_to_life() {
    let table = Table::new().await;
    for (attribute, value) in spoiled() {
        let (key, read) = created(&table.store).await;
        table.edit(&key, attribute, value.clone()).await;
        let before = table.item(&key).await;
        let spoiled = format!("{attribute} = {value:?}");

        let malformed = Stored::Malformed(format!("attribute `{attribute}` is missing or of another type"));
        assert_eq!(load(&table.store, &key).await, Some(malformed.clone()), "{spoiled}");
        assert_untouched(&table, &key, &read, &malformed, &spoiled).await;
        assert_eq!(table.item(&key).await, before, "{spoiled}");

        let left = Stored::Tombstone(end(&table.store, &key, 1).await);
        assert_eq!(load(&table.store, &key).await, Some(left), "{spoiled}");
    }
}

/// Checks that no write takes effect whose request has read the record before it was spoiled.
async fn assert_untouched(table: &Table, key: &RecordKey, read: &Record, stands: &Stored, spoiled: &str) {
    let names: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), Some(text("dark")))).collect();
    let mut slid = read.clone();
    slid.expires_at += 1;
    let left = Tombstone::of(Some(&Stored::Record(read.clone())), START);
    for next in [
        Stored::Record(changed(read, &many[..1])),
        Stored::Record(changed(read, &many)),
        Stored::Record(slid),
        Stored::Tombstone(left),
    ] {
        let found = put(&table.store, key, Some(read), &next).await;
        assert_eq!(found, Swap::Found(Some(stands.clone())), "{spoiled}: {next:?}");
    }
}

#[tokio::test]
async fn numbers_that_are_no_seconds_are_malformed() {
    let table = Table::new().await;
    for (attribute, value) in [
        ("created_at", "-1"),
        ("created_at", "1800000000.5"),
        ("expires_at", "-1800000000"),
        ("expires_at", "1900000000.5"),
        ("expires_at", "1e30"),
        ("revision", "-1"),
        ("revision", "0.5"),
    ] {
        let (key, _) = created(&table.store).await;
        table.edit(&key, attribute, Some(number(value))).await;
        let found = load(&table.store, &key).await;
        assert!(
            matches!(found, Some(Stored::Malformed(_))),
            "{attribute} = {value}: {found:?}"
        );
    }
}

#[tokio::test]
async fn attributes_of_a_newer_version_are_ignored_and_kept() {
    let table = Table::new().await;
    let (key, read) = created(&table.store).await;
    table.edit(&key, "version", Some(number(2))).await;
    table.edit(&key, "device", Some(empty_map())).await;
    assert_eq!(load(&table.store, &key).await, Some(Stored::Record(read.clone())));

    assert_eq!(set_theme(&table.store, &key, &read, "dark").await, Swap::Done);
    let read = record(load(&table.store, &key).await);
    let mut slid = read.clone();
    slid.expires_at += 200;
    assert_eq!(
        put(&table.store, &key, Some(&read), &Stored::Record(slid)).await,
        Swap::Done
    );
    let item = table.item(&key).await.expect("an item");
    assert_eq!((&item["version"], &item["device"]), (&number(2), &empty_map()));

    end(&table.store, &key, 500).await;
    assert!(attributes(&table.item(&key).await.expect("a tombstone")).contains(&"version"));
}

#[tokio::test]
async fn any_mark_of_an_end_is_an_end() {
    let table = Table::new().await;
    for mark in [AttributeValue::Bool(false), AttributeValue::Null(true), number(0)] {
        let (key, read) = created(&table.store).await;
        table.edit(&key, "ended", Some(mark)).await;
        let stands = load(&table.store, &key).await.expect("a tombstone");
        assert!(matches!(stands, Stored::Tombstone(_)), "{stands:?}");
        assert_untouched(&table, &key, &read, &stands, "ended").await;
    }
}

#[tokio::test]
async fn a_tombstone_with_a_spoiled_successor_is_an_end() {
    let table = Table::new().await;
    for successor in [string(""), number(1), AttributeValue::Null(true)] {
        let (key, _) = created(&table.store).await;
        let left = end(&table.store, &key, 1).await;
        table.edit(&key, "replaced_by", Some(successor)).await;
        assert_eq!(load(&table.store, &key).await, Some(Stored::Tombstone(left)));
    }
}

#[tokio::test]
async fn every_type_dynamodb_has_comes_back_as_it_was() {
    let table = Table::new().await;
    let data = data([
        ("string", text("")),
        ("number", raw(json!({ "N": "-12.5" }))),
        ("binary", raw(json!({ "B": "AP8=" }))),
        ("boolean", raw(json!({ "BOOL": false }))),
        ("null", raw(json!({ "NULL": true }))),
        ("list", raw(json!({ "L": [{ "S": "a" }, { "L": [] }] }))),
        ("map", raw(json!({ "M": { "a.b": { "BOOL": true } } }))),
        ("strings", raw(json!({ "SS": ["a", "b"] }))),
        ("numbers", raw(json!({ "NS": ["1", "2"] }))),
        ("binaries", raw(json!({ "BS": ["AQ==", "Ag=="] }))),
    ]);
    // A store other than DynamoDB keeps values in their serde form.
    let form = serde_json::to_string(&data).expect("serde's form");
    assert_eq!(serde_json::from_str::<Data>(&form).expect("serde's form"), data);

    let (key, mut stored) = (key(), admin());
    stored.data = data;
    assert_eq!(create(&table.store, &key, &stored).await, Swap::Done);
    let mut found = record(load(&table.store, &key).await);
    // DynamoDB keeps a set's members in an order of its own.
    for name in ["strings", "numbers", "binaries"] {
        let same_set = serde_json::to_value(&found.data[name]).expect("a value");
        found.data.insert(name.to_owned(), raw(sorted(same_set)));
    }
    assert_eq!(found, stored);
}

/// Sorts the members of a set.
fn sorted(mut set: serde_json::Value) -> serde_json::Value {
    for members in set.as_object_mut().expect("a set").values_mut() {
        let members = members.as_array_mut().expect("members");
        members.sort_by_key(ToString::to_string);
    }
    set
}
