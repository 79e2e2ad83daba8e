//! Update and slide: what they change, and when they are refused.

use crate::{Load, RecordKey, Slide, Store, Value, WriteOutcome, WriteToken};

use super::{
    IDLE, LIFETIME, START, admin, after, changed, create, created, data, end, key, live, load, number, replace, set, text,
    update,
};

pub async fn an_update_changes_what_it_names_counts_and_moves_the_expiry(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(
        set(store, &key, &record, "theme", "dark", 100).await,
        WriteOutcome::Applied
    );
    let mut expected = record;
    expected.data = data([("username", text("admin")), ("theme", text("dark"))]);
    expected.expires_at = START + 100 + IDLE;
    expected.revision = 1;
    expected.writes = vec![WriteToken::from_stored("token-1")];
    assert_eq!(load(store, &key, 100).await, Load::Live(expected));
}

pub async fn an_update_sets_and_removes_at_once(store: &dyn Store) {
    let (key, record) = created(store).await;
    let changes = [("username", None), ("visits", Some(number("3")))];
    assert_eq!(update(store, &key, &record, &changes, 1).await, WriteOutcome::Applied);
    assert_eq!(live(load(store, &key, 1).await).data, data([("visits", number("3"))]));
}

pub async fn an_update_is_refused_when_the_revision_moved(store: &dyn Store) {
    let (key, first) = created(store).await;
    assert_eq!(
        set(store, &key, &first, "theme", "dark", 1).await,
        WriteOutcome::Applied
    );
    let second = live(load(store, &key, 1).await);
    assert_eq!(
        set(store, &key, &first, "language", "en", 2).await,
        WriteOutcome::ConditionFailed
    );
    assert_eq!(load(store, &key, 2).await, Load::Live(second));
}

pub async fn an_update_whose_revision_does_not_follow_is_refused(store: &dyn Store) {
    let (key, record) = created(store).await;
    let (mut next, changes) = changed(&record, &[("theme", Some(text("dark")))], 1);
    for revision in [2, 3, u64::MAX] {
        next.revision = revision;
        let written = store.update(&key, &next, &changes, &after(1)).await;
        assert_eq!(written.expect("an answer"), WriteOutcome::ConditionFailed, "{revision}");
    }
    assert_eq!(load(store, &key, 1).await, Load::Live(record));
}

pub async fn the_tokens_of_the_last_sixteen_changes_come_back(store: &dyn Store) {
    let (key, mut record) = created(store).await;
    for n in 0..40 {
        let (mut next, changes) = changed(&record, &[("n", Some(number(&n.to_string())))], 1);
        next.writes.drain(..next.writes.len().saturating_sub(16));
        let written = store.update(&key, &next, &changes, &after(1)).await;
        assert_eq!(written.expect("an answer"), WriteOutcome::Applied);
        record = live(load(store, &key, 1).await);
        assert_eq!(record, next, "{n}");
    }
    let tokens: Vec<_> = record.writes.iter().map(WriteToken::as_str).collect();
    let expected: Vec<_> = (25..=40).map(|revision| format!("token-{revision}")).collect();
    assert_eq!(tokens, expected);
}

pub async fn an_update_never_passes_the_lifetime(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.expires_at = START + LIFETIME;
    let _ = create(store, &key, &record).await;
    assert_eq!(
        set(store, &key, &record, "theme", "dark", LIFETIME - 5).await,
        WriteOutcome::Applied
    );
    assert_eq!(live(load(store, &key, LIFETIME - 1).await).expires_at, START + LIFETIME);
}

pub async fn a_slide_between_read_and_update_does_no_harm(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = slide(store, &key, record.expires_at, 200).await;
    assert_eq!(
        set(store, &key, &record, "theme", "dark", 201).await,
        WriteOutcome::Applied
    );
}

pub async fn an_update_never_shrinks_the_expiry(store: &dyn Store) {
    // A clock that is behind keeps what it read.
    let (key, record) = created(store).await;
    let _ = slide(store, &key, record.expires_at, 400).await;
    let slid = live(load(store, &key, 400).await);
    assert_eq!(
        set(store, &key, &slid, "theme", "dark", 300).await,
        WriteOutcome::Applied
    );
    assert_eq!(live(load(store, &key, 400).await).expires_at, slid.expires_at);

    // An update that was delayed while the session was slid finds it moved.
    let (key, record) = created(store).await;
    let _ = slide(store, &key, record.expires_at, 400).await;
    assert_eq!(
        set(store, &key, &record, "theme", "dark", 300).await,
        WriteOutcome::ConditionFailed
    );
    assert_eq!(load(store, &key, 400).await, Load::Live(slid));
}

pub async fn variables_with_hard_names_are_set_and_removed(store: &dyn Store) {
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
    let sets: Vec<_> = NAMES.into_iter().zip(values.iter().cloned().map(Some)).collect();
    assert_eq!(update(store, &key, &record, &sets, 1).await, WriteOutcome::Applied);
    let record = live(load(store, &key, 1).await);
    for (name, value) in NAMES.iter().zip(&values) {
        assert_eq!(record.data.get(*name), Some(value), "{name:?}");
    }
    let removals = NAMES.map(|name| (name, None));
    assert_eq!(update(store, &key, &record, &removals, 2).await, WriteOutcome::Applied);
    assert_eq!(live(load(store, &key, 2).await).data, admin().data);
}

pub async fn a_thousand_variables_change_at_once(store: &dyn Store) {
    let (key, mut record) = created(store).await;
    let names: Vec<String> = (0..1_000)
        .map(|n| format!("a rather long variable name, number {n}"))
        .collect();
    // The sizes around which the way it is written may change, too.
    for (round, count) in [1_000, 99, 100, 101, 300].into_iter().enumerate() {
        let value = number(&round.to_string());
        let sets: Vec<_> = names[..count]
            .iter()
            .map(|name| (name.as_str(), Some(value.clone())))
            .collect();
        let (next, changes) = changed(&record, &sets, 1);
        let written = store.update(&key, &next, &changes, &after(1)).await;
        assert_eq!(written.expect("an answer"), WriteOutcome::Applied, "{count}");
        record = live(load(store, &key, 1).await);
        assert_eq!(record, next, "{count}");
    }
    let removals: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
    assert_eq!(update(store, &key, &record, &removals, 2).await, WriteOutcome::Applied);
    assert_eq!(live(load(store, &key, 2).await).data, admin().data);
}

async fn slide(store: &dyn Store, key: &RecordKey, from: u64, seconds: u64) -> WriteOutcome {
    let slide = Slide {
        from,
        to: START + seconds + IDLE,
        seen_at: None,
    };
    store.slide(key, slide, &after(seconds)).await.expect("an answer")
}

pub async fn a_slide_moves_the_expiry_and_nothing_else(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(slide(store, &key, record.expires_at, 200).await, WriteOutcome::Applied);
    let mut expected = record;
    expected.expires_at = START + 200 + IDLE;
    assert_eq!(load(store, &key, 200).await, Load::Live(expected));
}

pub async fn a_slide_is_refused_when_the_expiry_moved(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(slide(store, &key, record.expires_at, 400).await, WriteOutcome::Applied);
    assert_eq!(
        slide(store, &key, record.expires_at, 200).await,
        WriteOutcome::ConditionFailed
    );
    assert_eq!(live(load(store, &key, 400).await).expires_at, START + 400 + IDLE);

    let (key, record) = created(store).await;
    let _ = set(store, &key, &record, "theme", "dark", 400).await;
    assert_eq!(
        slide(store, &key, record.expires_at, 200).await,
        WriteOutcome::ConditionFailed
    );
}

/// Expired by either timeout, ended, replaced, absent.
pub async fn nothing_that_is_not_alive_is_updated_or_slid(store: &dyn Store) {
    let mut aged = admin();
    aged.expires_at = START + 2 * LIFETIME;
    let old = key();
    let _ = create(store, &old, &aged).await;
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
            WriteOutcome::ConditionFailed,
            "{what}"
        );
        assert_eq!(
            slide(store, key, read.expires_at, seconds).await,
            WriteOutcome::ConditionFailed,
            "{what}"
        );
        // Nor by a request that was made before, and arrives only now.
        if !matches!(what, "idle" | "old") {
            assert_eq!(
                set(store, key, &read, "theme", "dark", 0).await,
                WriteOutcome::ConditionFailed,
                "{what}"
            );
        }
        assert_eq!(load(store, key, seconds).await, before, "{what}");
    }
    // Nothing is left where nothing was.
    let _ = create(store, &absent, &admin()).await;
    assert_eq!(load(store, &absent, 1).await, Load::Live(admin()));
}
