//! Load and create, and when a session is alive.

use crate::{Load, Record, Slide, Store, Value, WriteOutcome};

use super::{IDLE, LIFETIME, START, admin, after, create, created, data, end, ended_at, key, live, load, text};

pub async fn what_was_created_is_loaded(store: &dyn Store) {
    let (key, record) = created(store).await;
    assert_eq!(load(store, &key, 0).await, Load::Live(record));
}

pub async fn nothing_is_absent(store: &dyn Store) {
    assert_eq!(load(store, &key(), 0).await, Load::Absent);
}

pub async fn a_second_create_is_refused_and_changes_nothing(store: &dyn Store) {
    let (key, record) = created(store).await;
    let other = Record::new(data([("username", text("somebody else"))]), &after(60));
    assert_eq!(create(store, &key, &other).await, WriteOutcome::ConditionFailed);
    assert_eq!(load(store, &key, 60).await, Load::Live(record));
}

pub async fn a_late_create_after_the_end_finds_the_tombstone(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = end(store, &key, None, 1).await;
    assert_eq!(create(store, &key, &record).await, WriteOutcome::ConditionFailed);
    assert_eq!(load(store, &key, 2).await, ended_at(0));
}

pub async fn a_late_create_after_an_update_changes_nothing(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = super::set(store, &key, &record, "theme", "dark", 1).await;
    assert_eq!(create(store, &key, &record).await, WriteOutcome::ConditionFailed);
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
    assert_eq!(create(store, &key, &record).await, WriteOutcome::Applied);
    assert_eq!(load(store, &key, LIFETIME - 1).await, Load::Live(record));
    assert_eq!(load(store, &key, LIFETIME).await, Load::Expired);
}

pub async fn what_a_login_said_comes_back(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.remembered = true;
    record.owner = Some(Value::encode("user-4711").expect("a text"));
    record.label = Some("Firefox on Linux".to_owned());
    record.seen_at = Some(START);
    record.sealed = true;
    assert_eq!(create(store, &key, &record).await, WriteOutcome::Applied);
    assert_eq!(load(store, &key, 0).await, Load::Live(record));
}

pub async fn an_update_may_seal_a_record_and_its_owner(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.owner = Some(text("user-4711"));
    assert_eq!(create(store, &key, &record).await, WriteOutcome::Applied);
    let (mut next, changes) = super::changed(&record, &[("username", Some(text("sealed")))], 1);
    next.sealed = true;
    next.owner = Some(text("sealed, too"));
    let written = store.update(&key, &next, &changes, &after(1)).await;
    assert_eq!(written.expect("an answer"), WriteOutcome::Applied);
    assert_eq!(load(store, &key, 1).await, Load::Live(next));
}

pub async fn a_remembered_session_outlives_the_lifetime_and_ends_at_its_expiry(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.remembered = true;
    record.expires_at = START + 10 * LIFETIME;
    assert_eq!(create(store, &key, &record).await, WriteOutcome::Applied);
    assert_eq!(load(store, &key, 10 * LIFETIME - 1).await, Load::Live(record.clone()));
    assert_eq!(load(store, &key, 10 * LIFETIME).await, Load::Expired);
    let written = super::set(store, &key, &record, "theme", "dark", 9 * LIFETIME).await;
    assert_eq!(written, WriteOutcome::Applied, "every write's condition says the same");
}

pub async fn a_remembered_session_ends_at_the_longest_time_that_is_allowed(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.remembered = true;
    record.expires_at = START + 100 * LIFETIME;
    assert_eq!(create(store, &key, &record).await, WriteOutcome::Applied);
    let most = std::time::Duration::from_secs(20 * LIFETIME);
    let at = |seconds| after(seconds).with_max_remembered(most);
    let load = async |seconds| store.load(&key, &at(seconds)).await.expect("an answer");
    assert_eq!(load(20 * LIFETIME - 1).await, Load::Live(record.clone()));
    assert_eq!(load(20 * LIFETIME).await, Load::Expired);
    let (next, changes) = super::changed(&record, &[("theme", Some(text("dark")))], 1);
    for (seconds, expected) in [
        (20 * LIFETIME, WriteOutcome::ConditionFailed),
        (20 * LIFETIME - 1, WriteOutcome::Applied),
    ] {
        let written = store.update(&key, &next, &changes, &at(seconds)).await;
        assert_eq!(written.expect("an answer"), expected, "{seconds}");
    }
}

pub async fn writes_and_slides_move_when_the_owner_was_seen(store: &dyn Store) {
    let key = key();
    let mut record = admin();
    record.seen_at = Some(START);
    assert_eq!(create(store, &key, &record).await, WriteOutcome::Applied);
    let slide = Slide {
        from: record.expires_at,
        to: record.expires_at,
        seen_at: Some(START + 200),
    };
    let slid = store.slide(&key, slide, &after(200)).await.expect("an answer");
    assert_eq!(slid, WriteOutcome::Applied, "though the expiry stays");
    assert_eq!(live(load(store, &key, 200).await).seen_at, Some(START + 200));
    record.seen_at = Some(START + 300);
    assert_eq!(super::set(store, &key, &record, "theme", "dark", 300).await, WriteOutcome::Applied);
    assert_eq!(live(load(store, &key, 300).await).seen_at, Some(START + 300));
}
