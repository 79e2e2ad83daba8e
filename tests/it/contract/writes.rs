//! Update and slide: what they change, and when they are refused.

use lambda_session::session::store::{Found, Slide, Update, Written};
use lambda_session::session::{Data, Record, RecordKey, Store, Value};

use super::{IDLE, LIFETIME, START, admin, after, created, data, end, key, live, load, replace, set, text};

rules!(
    an_update_changes_what_it_names_counts_and_moves_the_expiry,
    an_update_sets_and_removes_at_once,
    an_update_is_refused_when_the_revision_moved,
    an_update_never_passes_the_lifetime,
    a_slide_between_read_and_update_does_no_harm,
    an_update_never_shrinks_the_expiry,
    variables_with_hard_names_are_set_and_removed,
    a_thousand_variables_change_at_once,
    a_slide_moves_the_expiry_and_nothing_else,
    a_slide_is_refused_when_the_expiry_moved,
    nothing_that_is_not_alive_is_updated_or_slid,
);

async fn an_update_changes_what_it_names_counts_and_moves_the_expiry(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(set(store, &key, &record, "theme", "dark", 100).await, Written::Done);
    let expected = Record {
        data: data([("username", text("admin")), ("theme", text("dark"))]),
        expires_at: START + 100 + IDLE,
        revision: 1,
        ..record
    };
    assert_eq!(load(store, &key, 100).await, Found::Live(expected));
}

async fn an_update_sets_and_removes_at_once(store: &dyn Store) {
    let (key, record) = created(store).await;
    let number = Value::N("3".to_owned());
    let update = Update::new(&record, [("username", None), ("visits", Some(&number))]);
    assert_eq!(
        store.update(&key, &update, &after(1)).await.expect("an answer"),
        Written::Done
    );
    assert_eq!(live(load(store, &key, 1).await).data, data([("visits", number)]));
}

async fn an_update_is_refused_when_the_revision_moved(store: &dyn Store) {
    let (key, first) = created(store).await;
    assert_eq!(set(store, &key, &first, "theme", "dark", 1).await, Written::Done);
    let second = live(load(store, &key, 1).await);
    assert_eq!(set(store, &key, &first, "language", "en", 2).await, Written::Refused);
    assert_eq!(load(store, &key, 2).await, Found::Live(second));
}

async fn an_update_never_passes_the_lifetime(store: &dyn Store) {
    let key = key();
    let record = Record {
        expires_at: START + LIFETIME,
        ..admin()
    };
    store.create(&key, &record).await.expect("a new record");
    assert_eq!(
        set(store, &key, &record, "theme", "dark", LIFETIME - 5).await,
        Written::Done
    );
    assert_eq!(live(load(store, &key, LIFETIME - 1).await).expires_at, START + LIFETIME);
}

async fn a_slide_between_read_and_update_does_no_harm(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = slide(store, &key, record.expires_at, 200).await;
    assert_eq!(set(store, &key, &record, "theme", "dark", 201).await, Written::Done);
}

async fn an_update_never_shrinks_the_expiry(store: &dyn Store) {
    // A clock that is behind keeps what it read.
    let (key, record) = created(store).await;
    let _ = slide(store, &key, record.expires_at, 400).await;
    let slid = live(load(store, &key, 400).await);
    assert_eq!(set(store, &key, &slid, "theme", "dark", 300).await, Written::Done);
    assert_eq!(live(load(store, &key, 400).await).expires_at, slid.expires_at);

    // An update that was delayed while the session was slid finds it moved.
    let (key, record) = created(store).await;
    let _ = slide(store, &key, record.expires_at, 400).await;
    assert_eq!(set(store, &key, &record, "theme", "dark", 300).await, Written::Refused);
    assert_eq!(load(store, &key, 400).await, Found::Live(slid));
}

async fn variables_with_hard_names_are_set_and_removed(store: &dyn Store) {
    const NAMES: [&str; 18] = [
        "a.b",
        "a b",
        " ",
        "#",
        "#data",
        ":v0",
        ":now",
        "data",
        "ttl",
        "size",
        "a[0]",
        "'\"`\\",
        "%",
        "naïve",
        "名前",
        "🦀",
        "\u{0}\n",
        "__proto__",
    ];
    let (key, record) = created(store).await;
    let values: Vec<Value> = NAMES.iter().map(|name| text(&format!("value of {name}"))).collect();
    let update = Update::new(&record, NAMES.into_iter().zip(values.iter().map(Some)));
    assert_eq!(
        store.update(&key, &update, &after(1)).await.expect("an answer"),
        Written::Done
    );
    let record = live(load(store, &key, 1).await);
    for (name, value) in NAMES.iter().zip(&values) {
        assert_eq!(record.data.get(*name), Some(value), "{name:?}");
    }
    let update = Update::new(&record, NAMES.map(|name| (name, None)));
    assert_eq!(
        store.update(&key, &update, &after(2)).await.expect("an answer"),
        Written::Done
    );
    assert_eq!(live(load(store, &key, 2).await).data, admin().data);
}

async fn a_thousand_variables_change_at_once(store: &dyn Store) {
    let (key, mut record) = created(store).await;
    let names: Vec<String> = (0..1_000)
        .map(|n| format!("a rather long variable name, number {n}"))
        .collect();
    // The sizes around which the way it is written may change, too.
    for (round, count) in [1_000, 99, 100, 101, 300].into_iter().enumerate() {
        let value = Value::N(round.to_string());
        let changes = names[..count].iter().map(|name| (name.as_str(), Some(&value)));
        let update = Update::new(&record, changes);
        let expected: Data = update.data();
        assert_eq!(
            store.update(&key, &update, &after(1)).await.expect("an answer"),
            Written::Done
        );
        record = live(load(store, &key, 1).await);
        assert_eq!(record.data, expected, "{count}");
    }
    let update = Update::new(&record, names.iter().map(|name| (name.as_str(), None)));
    assert_eq!(
        store.update(&key, &update, &after(2)).await.expect("an answer"),
        Written::Done
    );
    assert_eq!(live(load(store, &key, 2).await).data, admin().data);
}

async fn slide(store: &dyn Store, key: &RecordKey, from: u64, seconds: u64) -> Written {
    let slide = Slide {
        from,
        to: START + seconds + IDLE,
    };
    store.slide(key, slide, &after(seconds)).await.expect("an answer")
}

async fn a_slide_moves_the_expiry_and_nothing_else(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(slide(store, &key, record.expires_at, 200).await, Written::Done);
    let expected = Record {
        expires_at: START + 200 + IDLE,
        ..record
    };
    assert_eq!(load(store, &key, 200).await, Found::Live(expected));
}

async fn a_slide_is_refused_when_the_expiry_moved(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(slide(store, &key, record.expires_at, 400).await, Written::Done);
    assert_eq!(slide(store, &key, record.expires_at, 200).await, Written::Refused);
    assert_eq!(live(load(store, &key, 400).await).expires_at, START + 400 + IDLE);

    let (key, record) = created(store).await;
    let _ = set(store, &key, &record, "theme", "dark", 400).await;
    assert_eq!(slide(store, &key, record.expires_at, 200).await, Written::Refused);
}

/// Expired by either timeout, ended, replaced, absent.
async fn nothing_that_is_not_alive_is_updated_or_slid(store: &dyn Store) {
    let aged = Record {
        expires_at: START + 2 * LIFETIME,
        ..admin()
    };
    let old = key();
    store.create(&old, &aged).await.expect("a new record");
    let (idle, _) = created(store).await;
    let (ended, _) = created(store).await;
    let _ = end(store, &ended, None, 0).await;
    let (replaced, _) = created(store).await;
    let _ = replace(store, &replaced, 0, &key(), 0).await;
    let absent = key();
    for (what, key, read, seconds) in [
        ("idle", &idle, admin(), IDLE),
        ("old", &old, aged, LIFETIME),
        ("ended", &ended, admin(), 1),
        ("replaced", &replaced, admin(), 1),
        ("absent", &absent, admin(), 1),
    ] {
        let before = load(store, key, seconds).await;
        assert_eq!(
            set(store, key, &read, "theme", "dark", seconds).await,
            Written::Refused,
            "{what}"
        );
        assert_eq!(
            slide(store, key, read.expires_at, seconds).await,
            Written::Refused,
            "{what}"
        );
        // Nor by a request that was made before, and arrives only now.
        if !matches!(what, "idle" | "old") {
            assert_eq!(
                set(store, key, &read, "theme", "dark", 0).await,
                Written::Refused,
                "{what}"
            );
        }
        assert_eq!(load(store, key, seconds).await, before, "{what}");
    }
    // Nothing is left where nothing was.
    store.create(&absent, &admin()).await.expect("a new record");
    assert_eq!(load(store, &absent, 1).await, Found::Live(admin()));
}
