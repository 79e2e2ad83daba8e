//! Replace and end: what leaves a tombstone, and what it keeps.

use crate::{Load, Store, WriteOutcome};

use super::{IDLE, LIFETIME, START, admin, create, created, end, ended_at, key, live, load, replace, replaced_at, set};

pub async fn a_replaced_session_tells_the_revision_it_was_replaced_at(store: &dyn Store) {
    let (old, _) = created(store).await;
    let new = key();
    assert_eq!(replace(store, &old, 0, &new, 1).await, WriteOutcome::Applied);
    assert_eq!(load(store, &old, 1).await, replaced_at(0));
}

pub async fn replacing_again_by_the_same_successor_is_done(store: &dyn Store) {
    let (old, _) = created(store).await;
    let new = key();
    let _ = replace(store, &old, 0, &new, 1).await;
    assert_eq!(replace(store, &old, 0, &new, 2).await, WriteOutcome::Applied);
    assert_eq!(load(store, &old, 2).await, replaced_at(0));

    let _ = end(store, &old, None, 3).await;
    assert_eq!(
        replace(store, &old, 0, &new, 4).await,
        WriteOutcome::Applied,
        "after a logout, too"
    );
}

pub async fn of_two_logins_the_first_replaces(store: &dyn Store) {
    let (old, _) = created(store).await;
    let (first, second) = (key(), key());
    let _ = replace(store, &old, 0, &first, 1).await;
    assert_eq!(replace(store, &old, 0, &second, 2).await, WriteOutcome::ConditionFailed);
    assert_eq!(replace(store, &old, 0, &first, 2).await, WriteOutcome::Applied);
}

pub async fn a_session_that_changed_is_not_replaced(store: &dyn Store) {
    let (old, record) = created(store).await;
    let _ = set(store, &old, &record, "theme", "dark", 1).await;
    assert_eq!(replace(store, &old, 0, &key(), 2).await, WriteOutcome::ConditionFailed);
    assert_eq!(live(load(store, &old, 2).await).revision, 1);
    assert_eq!(replace(store, &old, 1, &key(), 3).await, WriteOutcome::Applied);
    assert_eq!(load(store, &old, 3).await, replaced_at(1));
}

pub async fn what_is_not_alive_is_not_replaced(store: &dyn Store) {
    let (ended, _) = created(store).await;
    let _ = end(store, &ended, None, 0).await;
    assert_eq!(
        replace(store, &ended, 0, &key(), 1).await,
        WriteOutcome::ConditionFailed
    );
    assert_eq!(load(store, &ended, 1).await, ended_at(0), "no successor");

    let (idle, _) = created(store).await;
    assert_eq!(
        replace(store, &idle, 0, &key(), IDLE).await,
        WriteOutcome::ConditionFailed
    );

    let old = key();
    let mut record = admin();
    record.expires_at = START + 2 * LIFETIME;
    let _ = create(store, &old, &record).await;
    assert_eq!(
        replace(store, &old, 0, &key(), LIFETIME).await,
        WriteOutcome::ConditionFailed
    );

    let absent = key();
    assert_eq!(
        replace(store, &absent, 0, &key(), 1).await,
        WriteOutcome::ConditionFailed
    );
    assert_eq!(load(store, &absent, 1).await, Load::Absent);
}

pub async fn an_ended_session_is_told_as_ended(store: &dyn Store) {
    let (key, _) = created(store).await;
    assert_eq!(end(store, &key, None, 1).await, WriteOutcome::Applied);
    assert_eq!(load(store, &key, 1).await, ended_at(0));
}

pub async fn a_session_is_ended_whatever_its_revision(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = set(store, &key, &record, "theme", "dark", 1).await;
    assert_eq!(end(store, &key, None, 2).await, WriteOutcome::Applied);
    assert_eq!(load(store, &key, 2).await, ended_at(1));
}

pub async fn a_session_is_ended_at_its_revision_only(store: &dyn Store) {
    let (key, record) = created(store).await;
    let _ = set(store, &key, &record, "theme", "dark", 1).await;
    assert_eq!(end(store, &key, Some(0), 2).await, WriteOutcome::ConditionFailed);
    assert_eq!(live(load(store, &key, 2).await).revision, 1);
    assert_eq!(end(store, &key, Some(1), 3).await, WriteOutcome::Applied);
    assert_eq!(load(store, &key, 3).await, ended_at(1));
}

pub async fn ending_twice_is_done(store: &dyn Store) {
    for revision in [None, Some(0)] {
        let (key, _) = created(store).await;
        assert_eq!(end(store, &key, revision, 1).await, WriteOutcome::Applied);
        assert_eq!(
            end(store, &key, revision, 2).await,
            WriteOutcome::Applied,
            "{revision:?}"
        );
        assert_eq!(load(store, &key, 2).await, ended_at(0));
    }
}

pub async fn ending_what_is_not_there_is_refused_and_writes_nothing(store: &dyn Store) {
    let key = key();
    assert_eq!(end(store, &key, None, 1).await, WriteOutcome::ConditionFailed);
    assert_eq!(end(store, &key, Some(0), 1).await, WriteOutcome::ConditionFailed);
    let _ = create(store, &key, &admin()).await;
    assert_eq!(load(store, &key, 1).await, Load::Live(admin()));
}

pub async fn an_expired_session_can_be_ended(store: &dyn Store) {
    let (key, _) = created(store).await;
    assert_eq!(end(store, &key, None, IDLE + 1).await, WriteOutcome::Applied);
    assert_eq!(
        load(store, &key, 0).await,
        ended_at(0),
        "for a clock that is behind, too"
    );
}

pub async fn a_logout_after_a_login_keeps_the_successor(store: &dyn Store) {
    let (old, _) = created(store).await;
    let new = key();
    let _ = replace(store, &old, 0, &new, 1).await;
    assert_eq!(end(store, &old, None, 2).await, WriteOutcome::Applied);
    assert_eq!(load(store, &old, 2).await, replaced_at(0));
}

pub async fn a_session_replaced_by_a_login_is_not_ended_for_being_empty(store: &dyn Store) {
    let (old, _) = created(store).await;
    let _ = replace(store, &old, 0, &key(), 1).await;
    assert_eq!(end(store, &old, Some(0), 2).await, WriteOutcome::ConditionFailed);
}

pub async fn a_tombstone_tells_the_last_changes(store: &dyn Store) {
    for (revision, replaced) in [(None, false), (Some(2), false), (None, true)] {
        let (key, mut record) = created(store).await;
        for value in ["dark", "light"] {
            let _ = set(store, &key, &record, "theme", value, 1).await;
            record = live(load(store, &key, 1).await);
        }
        let expected = if replaced {
            let _ = replace(store, &key, 2, &super::key(), 2).await;
            replaced_at(2)
        } else {
            let _ = end(store, &key, revision, 2).await;
            ended_at(2)
        };
        assert_eq!(load(store, &key, 2).await, expected);
        let _ = end(store, &key, None, 3).await;
        assert_eq!(load(store, &key, 3).await, expected, "after another end, too");
    }
}
