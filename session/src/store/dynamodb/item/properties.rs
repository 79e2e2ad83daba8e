//! Properties of any record and any item.

use proptest::collection::{btree_map, hash_map, vec};
use proptest::prelude::*;
use proptest::string::string_regex;

use super::*;
use crate::core::time::{Moment, Timeouts};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_500,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

const NOW: u64 = 1_000_000;
const IDLE: u64 = 1_800;
const LIFETIME: u64 = 43_200;
const REMEMBERED_FOR: u64 = 100_000;
const OWN_IDLE: &str = "idle";
const OWN_LIFETIME: &str = "lifetime";

const AT: Moment = Moment {
    now: NOW,
    timeouts: Timeouts {
        idle: IDLE,
        lifetime: LIFETIME,
        remembered: REMEMBERED_FOR,
    },
};

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..6).prop_map(|chars| chars.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || vec(any::<u8>(), 0..8);
    let number = || any::<i64>().prop_map(|number| number.to_string());
    let leaf = prop_oneof![
        text().prop_map(Kept::S),
        number().prop_map(Kept::N),
        any::<bool>().prop_map(Kept::Bool),
        Just(Kept::Null(true)),
        bytes().prop_map(Kept::B),
        vec(text(), 1..3).prop_map(Kept::Ss),
        vec(number(), 1..4).prop_map(Kept::Ns),
        vec(bytes(), 1..4).prop_map(Kept::Bs),
    ];
    let any = leaf.prop_recursive(2, 6, 3, |inner| {
        let map = hash_map(text(), inner.clone(), 0..4);
        prop_oneof![vec(inner, 0..4).prop_map(Kept::L), map.prop_map(Kept::M)]
    });
    any.prop_map(Value)
}

/// Generates right, nearly right and wrong values for every attribute.
fn attribute() -> impl Strategy<Value = AttributeValue> {
    let wrong_number = string_regex("[-+]?[0-9]{0,22}(\\.[0-9])?(e[0-9])?").expect("a pattern");
    prop_oneof![
        3 => (NOW - LIFETIME - 2..NOW + IDLE).prop_map(number),
        1 => (NOW - REMEMBERED_FOR - 2..NOW - LIFETIME).prop_map(number),
        1 => wrong_number.prop_map(AttributeValue::N),
        1 => any::<bool>().prop_map(AttributeValue::Bool),
        2 => value().prop_map(|value| to_attribute(&value)),
        3 => btree_map(text(), value(), 0..3).prop_map(|data| to_map(&data)),
    ]
}

/// Generates an item that may lack required attributes, and may be a tombstone. In most, all required attributes are
/// right, or all but one.
fn item() -> impl Strategy<Value = Item> {
    let often = |name: &'static str| {
        let present = prop::option::weighted(0.9, attribute());
        present.prop_map(move |value| (name.to_owned(), value))
    };
    // Which of the four required attributes are made right.
    let right = prop_oneof![
        1 => Just([false; 4]),
        2 => Just([true; 4]),
        4 => (0..4_usize).prop_map(|odd| [0, 1, 2, 3].map(|place| place != odd)),
    ];
    let known = (often(DATA), often(CREATED_AT), often(TTL_ATTRIBUTE), often(REVISION));
    let tombstone = prop::option::weighted(0.1, (Just(ENDED.to_owned()), attribute()));
    let others = hash_map(text(), attribute(), 0..3);
    let rare = |name: &'static str, right: BoxedStrategy<AttributeValue>| {
        let value = prop_oneof![3 => right, 1 => attribute()];
        prop::option::weighted(0.2, value).prop_map(move |value| Some((name.to_owned(), value?)))
    };
    let login = (
        rare(REMEMBERED, any::<bool>().prop_map(AttributeValue::Bool).boxed()),
        rare(LABEL, text().prop_map(AttributeValue::S).boxed()),
        rare(SEEN_AT, any::<u64>().prop_map(number).boxed()),
        rare(OWN_IDLE, any::<u64>().prop_map(number).boxed()),
        rare(OWN_LIFETIME, (0..2 * REMEMBERED_FOR).prop_map(number).boxed()),
        rare(BOUND, text().prop_map(AttributeValue::S).boxed()),
    );
    (right, known, tombstone, others, login).prop_map(
        |(right, (data, created, expires, revision), tombstone, others, login)| {
            let mut item = others;
            item.extend(
                [login.0, login.1, login.2, login.3, login.4, login.5]
                    .into_iter()
                    .flatten(),
            );
            for (name, value) in [data, created, expires, revision] {
                item.extend(value.map(|value| (name, value)));
            }
            let required = [
                (DATA, AttributeValue::M(HashMap::new())),
                (CREATED_AT, number(NOW)),
                (TTL_ATTRIBUTE, number(NOW + IDLE)),
                (REVISION, number(1)),
            ];
            for ((name, value), right) in required.into_iter().zip(right) {
                if right {
                    item.insert(name.to_owned(), value);
                }
            }
            item.extend(tombstone);
            item
        },
    )
}

/// Whether the item is a live record by the record's documentation, without the code that reads one.
fn should_live(item: &Item) -> bool {
    let count = |name: &str| match item.get(name) {
        Some(AttributeValue::N(text)) => text.parse::<u64>().ok(),
        _ => None,
    };
    let remembered = item.get("remember") == Some(&AttributeValue::Bool(true));
    let longest = match count("lifetime") {
        _ if remembered && count("idle").is_none() => REMEMBERED_FOR,
        Some(own) => own.min(REMEMBERED_FOR),
        None => LIFETIME,
    };
    let whole = |name: &str| !item.contains_key(name) || count(name).is_some();
    let in_time = count("expires_at").is_some_and(|expiry| expiry > NOW)
        && count("created_at").is_some_and(|created| created > NOW - longest);
    let login = matches!(item.get("remember"), None | Some(AttributeValue::Bool(_)))
        && matches!(item.get("label"), None | Some(AttributeValue::S(_)))
        && matches!(item.get("bound"), None | Some(AttributeValue::S(_)))
        && ["seen_at", "idle", "lifetime"].into_iter().all(whole);
    let data = matches!(item.get("data"), Some(AttributeValue::M(_)));
    in_time && data && login && count("revision").is_some() && !item.contains_key("ended")
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_written_is_read(
        data in btree_map(text(), value(), 0..4),
        created_at in NOW - LIFETIME + 1..=NOW,
        expires_at in NOW + 1..=NOW + IDLE,
        revision in any::<u64>(),
        writes in vec(any::<[u8; 6]>().prop_map(WriteToken::new), 1..4),
        login in (
            any::<bool>(), prop::option::of(value()), prop::option::of(text()), any::<Option<u64>>(), any::<bool>(),
            prop::option::of(text().prop_map(Binding::from_stored)),
        ),
        own in any::<(Option<u64>, Option<u64>)>(),
    ) {
        let (remembered, owner, label, seen_at, sealed, bound) = login;
        let (idle, lifetime) = own;
        let record = Record {
            data, created_at, expires_at, revision, writes, remembered, idle, lifetime, owner, label, seen_at, sealed,
            bound,
        };
        let key = RecordKey::from_stored("key".to_owned());
        let stored = Stored::Record(record);
        prop_assert_eq!(read(write(&key, &stored)), stored);
    }

    #[test]
    fn any_item_is_alive_exactly_when_it_is_one_and_in_time(item in item()) {
        let expected = should_live(&item);
        match read(item) {
            Stored::Record(record) => prop_assert_eq!(record.is_alive(&AT), expected),
            Stored::Malformed(reason) => {
                prop_assert!(!expected);
                let names = [
                    DATA, CREATED_AT, TTL_ATTRIBUTE, REVISION, REMEMBERED, LABEL, SEEN_AT, SEALED, BOUND, OWN_IDLE,
                    OWN_LIFETIME,
                ];
                let named = names.map(|name| format!("attribute `{name}` is missing or of another type"));
                prop_assert!(named.contains(&reason), "{reason} shows nothing of the item");
            }
            Stored::Tombstone(_) => prop_assert!(!expected),
        }
    }
}
