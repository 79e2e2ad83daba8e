//! An owner's sessions are listed and ended, while other requests run.

use std::time::Duration;

use dev::proxy::{Fault, Gate};
use lambda_session::{
    AnyOwnerStore, Data, MemoryStore, OwnerKey, OwnerList, OwnerStore, Record, RecordKey, Store, StoreError,
    StoreErrorKind, Stored, Swap, Tombstone,
};

use super::World;
use crate::support::own_table::Item;
use crate::support::site::{Answer, IDLE, LIFETIME, Site, keys, layer, now, wait};
use crate::support::slow::Slow;

const DAY: u64 = 24 * 60 * 60;

/// The labels of admin's sessions, with a star after the one that asks.
async fn labels(site: &Site, cookie: Option<&str>) -> Vec<String> {
    let listed = site.visit("/sessions?admin", cookie).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let labels = listed.body.lines().filter_map(|line| line.split(' ').next());
    labels.map(str::to_owned).collect()
}

async fn handle(site: &Site, label: &str) -> String {
    let listed = site.visit("/sessions?admin", None).await.body;
    let line = listed
        .lines()
        .find(|line| line.starts_with(&format!("{label} ")))
        .expect("it is listed");
    line.split(' ').nth(1).expect("a handle").to_owned()
}

async fn log_in(site: &Site, label: &str, cookie: Option<&str>) -> String {
    site.visit(&format!("/log-in?admin={label}"), cookie).await.issued()
}

async fn owner(site: &Site, cookie: &str) -> String {
    let answer = site.visit("/owner", Some(cookie)).await;
    answer.assert_done();
    answer.body
}

/// Returns the item of the owner's list.
async fn list_item(world: &World) -> Item {
    let mut items = world.table.items().await;
    items.retain(|item| !item.contains_key("created_at") && !item.contains_key("ended"));
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

#[tokio::test]
async fn a_login_costs_one_write_more_and_a_view_nothing() {
    let world = World::new().await;
    let site = world.site();
    let (answer, calls) = world.cost(site.visit("/log-in?admin", None)).await;
    assert_eq!(calls, ["UpdateItem", "PutItem"]);
    let cookie = answer.issued();
    let (_, calls) = world.cost(site.visit("/", Some(&cookie))).await;
    assert_eq!(calls, ["GetItem"]);
    let (answer, calls) = world.cost(site.visit("/log-in?admin", Some(&cookie))).await;
    assert_eq!(calls, ["GetItem", "UpdateItem", "PutItem", "UpdateItem"]);
    let (_, calls) = world.cost(site.visit("/logout", answer.cookie.as_deref())).await;
    assert_eq!(calls, ["UpdateItem"]);
}

#[tokio::test]
async fn a_list_shows_what_is_alive_newest_first_and_which_one_asks() {
    let world = World::new().await;
    let site = world.site();
    let phone = log_in(&site, "phone", None).await;
    wait(1);
    let laptop = log_in(&site, "laptop", None).await;
    wait(1);
    site.visit("/log-in?other=elsewhere", None).await.issued();
    assert_eq!(labels(&site, Some(&phone)).await, ["laptop", "phone*"]);
    site.visit("/logout", Some(&phone)).await.assert_logged_out();
    assert_eq!(labels(&site, Some(&laptop)).await, ["laptop*"]);
    // A login over a session ends that session.
    let renewed = log_in(&site, "renewed", Some(&laptop)).await;
    assert_eq!(labels(&site, None).await, ["renewed"]);
    wait(IDLE);
    assert_eq!(owner(&site, &renewed).await, "");
    assert!(labels(&site, None).await.is_empty());
}

#[tokio::test]
async fn a_session_is_last_seen_when_its_expiry_moved() {
    let world = World::new().await;
    let site = world.site();
    for login in ["/log-in?admin".to_owned(), format!("/remember?admin={}", 2 * LIFETIME)] {
        let cookie = site.visit(&login, None).await.issued();
        wait(IDLE / 10 - 1);
        site.visit("/", Some(&cookie)).await.assert_done();
        let seen = |listed: Answer| {
            listed
                .body
                .lines()
                .next()
                .and_then(|line| line.rsplit(' ').next()?.parse().ok())
        };
        assert_eq!(
            seen(site.visit("/sessions?admin", None).await),
            Some(now() - (IDLE / 10 - 1)),
            "{login}"
        );
        wait(1);
        site.visit("/", Some(&cookie)).await.assert_done();
        assert_eq!(seen(site.visit("/sessions?admin", None).await), Some(now()), "{login}");
        wait(1);
    }
}

#[tokio::test]
async fn one_is_ended_and_nobody_else_s() {
    let world = World::new().await;
    let site = world.site();
    let (phone, laptop) = (log_in(&site, "phone", None).await, log_in(&site, "laptop", None).await);
    let handle = handle(&site, "phone").await;
    for (other, not) in [
        ("other", handle.as_str()),
        ("admin", "nothing"),
        ("admin", "expires_at"),
        ("admin", "id"),
    ] {
        let answer = site.visit(&format!("/end-one?{other}={not}"), None).await;
        assert_eq!(answer.body, "false", "{other} {not}");
    }
    assert_eq!(owner(&site, &phone).await, "admin");
    assert_eq!(
        site.visit(&format!("/end-one?admin={handle}"), Some(&laptop))
            .await
            .body,
        "true"
    );
    assert_eq!(
        (owner(&site, &phone).await, owner(&site, &laptop).await),
        (String::new(), "admin".to_owned())
    );
    assert_eq!(
        site.visit(&format!("/end-one?admin={handle}"), None).await.body,
        "false",
        "it has ended"
    );
    assert_eq!(labels(&site, Some(&laptop)).await, ["laptop*"]);
}

#[tokio::test]
async fn all_or_all_others_are_ended() {
    let world = World::new().await;
    let site = world.site();
    let mut cookies = Vec::new();
    for _ in 0..3 {
        cookies.push(log_in(&site, "one", None).await);
    }
    let other = site.visit("/log-in?other", None).await.issued();
    site.visit("/end-others", Some(&cookies[1])).await.assert_done();
    for (n, cookie) in cookies.iter().enumerate() {
        assert_eq!(owner(&site, cookie).await == "admin", n == 1, "{n}");
    }
    site.visit("/end-all?admin", Some(&cookies[1]))
        .await
        .assert_logged_out();
    assert_eq!(owner(&site, &cookies[1]).await, "");
    assert_eq!(owner(&site, &other).await, "other");
    site.visit("/end-others", None).await.assert_done();
}

/// All sessions are ended between two steps of a login. The login fails, or is in the next list.
#[tokio::test]
async fn a_login_that_all_are_ended_under_fails_or_is_in_the_next_list() {
    for (operation, nth, expected) in [
        // The list does not name the login yet, so the login comes after the end.
        ("UpdateItem", 0, 200),
        // The list names the login, and its record does not exist yet.
        ("PutItem", 0, 409),
    ] {
        let world = World::new().await;
        let site = world.site();
        let gate = nth_call(&world, operation, nth);
        let login = site.start("/log-in?admin=late", None);
        gate.arrived().await;
        world.site().visit("/end-all?admin", None).await.assert_done();
        gate.release();
        let answer = login.await.expect("an answer");
        if expected == 200 {
            let cookie = answer.issued();
            assert_eq!(labels(&site, Some(&cookie)).await, ["late*"]);
        } else {
            answer.assert_refused(expected);
            assert!(labels(&site, None).await.is_empty());
        }
    }
}

/// All sessions are ended between two steps of a login over a session of the same owner, which ends with them.
#[tokio::test]
async fn a_login_over_a_session_that_all_are_ended_under_fails_or_is_in_the_next_list() {
    for (path, operation, nth) in [
        ("/log-in?admin=late", "UpdateItem", 0),
        ("/log-in?admin=late", "PutItem", 0),
        ("/log-in?admin=late", "UpdateItem", 1),
        ("/renew?theme=dark", "UpdateItem", 0),
        ("/renew?theme=dark", "PutItem", 0),
        ("/renew?theme=dark", "UpdateItem", 1),
    ] {
        let world = World::new().await;
        let site = world.site();
        let old = log_in(&site, "old", None).await;
        let gate = nth_call(&world, operation, nth);
        let login = site.start(path, Some(&old));
        gate.arrived().await;
        world.site().visit("/end-all?admin", None).await.assert_done();
        gate.release();
        let answer = login.await.expect("an answer");
        let listed = labels(&site, None).await;
        let case = format!("{path} {operation} {nth}: {answer:?} {listed:?}");
        assert_eq!(owner(&site, &old).await, "", "{case}");
        if answer.status == 409 {
            assert!(listed.is_empty() && answer.cookie.is_none(), "{case}");
        } else {
            // Only a login, which has proved who the owner is, succeeds.
            assert!(path.starts_with("/log-in"), "{case}");
            assert_eq!(listed, ["late"], "{case}");
            assert_eq!(owner(&site, &answer.issued()).await, "admin", "{case}");
        }
    }
}

/// The session is renewed while `end_all` reads the list. The renewal is ended, too.
#[tokio::test]
async fn a_session_that_is_renewed_while_all_are_ended_is_ended_too() {
    let world = World::new().await;
    let site = world.site();
    let old = log_in(&site, "old", None).await;
    let gate = world.proxy.hold("UpdateItem");
    let ending = site.start("/end-all?admin", None);
    gate.arrived().await;
    let new = world.site().visit("/renew?theme=dark", Some(&old)).await.issued();
    assert_eq!(owner(&site, &new).await, "admin");
    gate.release();
    ending.await.expect("an answer").assert_done();
    assert_eq!(owner(&site, &new).await, "");
    assert!(labels(&site, None).await.is_empty());
}

/// The same with very many sessions, whose keys are struck from the list in pieces.
#[tokio::test]
async fn one_of_very_many_that_is_renewed_while_all_are_ended_is_ended_too() {
    let world = World::new().await;
    let site = world.site();
    let mut cookies = Vec::new();
    for n in 0..150 {
        cookies.push(log_in(&site, &n.to_string(), None).await);
    }
    let listed = site.visit("/sessions?admin", None).await.body;
    let by_handle = listed.lines().map(|line| {
        let mut words = line.split(' ');
        let label: usize = words.next().expect("a label").parse().expect("a number");
        (words.next().expect("a handle"), label)
    });
    let (_, first) = by_handle.min().expect("many are listed");

    let gate = Gate::new();
    let held = gate.clone();
    world.proxy.rule(move |call| match call.operation.as_str() {
        "UpdateItem" => Fault::Hold(held.clone()),
        _ => Fault::Pass,
    });
    let ending = site.start("/end-all?admin", None);
    gate.arrived().await;
    world.proxy.pass_everything();
    let new = world
        .site()
        .visit("/renew?theme=dark", Some(&cookies[first]))
        .await
        .issued();
    assert_eq!(owner(&site, &new).await, "admin");
    gate.release();
    ending.await.expect("an answer").assert_done();
    assert_eq!(owner(&site, &new).await, "");
    assert!(labels(&site, None).await.is_empty());
}

/// A login of another owner in the same browser is not ended.
#[tokio::test]
async fn another_owner_s_login_over_the_session_is_not_ended_with_it() {
    let world = World::new().await;
    let site = world.site();
    let old = log_in(&site, "old", None).await;
    let gate = world.proxy.hold("UpdateItem");
    let ending = site.start("/end-all?admin", None);
    gate.arrived().await;
    let new = world.site().visit("/log-in?other", Some(&old)).await.issued();
    gate.release();
    ending.await.expect("an answer").assert_done();
    assert_eq!(owner(&site, &new).await, "other");
}

/// Holds the call of this operation that comes after `nth` others.
fn nth_call(world: &World, operation: &'static str, nth: usize) -> Gate {
    for _ in 0..nth {
        world.proxy.once(operation, Fault::Pass);
    }
    world.proxy.hold(operation)
}

#[tokio::test]
async fn lost_replies_and_late_duplicates_of_each_step_change_nothing() {
    for (operation, nth) in [("UpdateItem", 0), ("PutItem", 0), ("UpdateItem", 1)] {
        let world = World::new().await;
        let site = world.site();
        let old = log_in(&site, "old", None).await;
        let mut seen = 0;
        world.proxy.rule(move |call| {
            if call.operation != operation {
                return Fault::Pass;
            }
            seen += 1;
            if seen == nth + 1 { Fault::DropReply } else { Fault::Pass }
        });
        let new = log_in(&site, "new", Some(&old)).await;
        assert_eq!(labels(&site, Some(&new)).await, ["new*"], "{operation} {nth}");
        world.proxy.pass_everything();
        site.visit("/end-all?admin", None).await.assert_done();
        assert_eq!(owner(&site, &new).await, "", "{operation} {nth}");
    }
    for operation in ["UpdateItem", "PutItem"] {
        let world = World::new().await;
        let site = world.site();
        let late = world.proxy.deliver_late(operation);
        let cookie = log_in(&site, "late", None).await;
        site.visit("/end-all?admin", None).await.assert_done();
        late.release();
        late.delivered().await;
        assert_eq!(owner(&site, &cookie).await, "", "{operation}");
        assert!(labels(&site, None).await.is_empty(), "{operation}");
    }
}

#[tokio::test]
async fn an_instance_that_dies_after_any_step_leaves_nothing_that_a_list_shows_or_that_stays() {
    for (operation, nth) in [("UpdateItem", 0), ("PutItem", 0)] {
        let world = World::new().await;
        let site = world.site();
        let gate = nth_call(&world, operation, nth);
        let login = site.start("/log-in?admin=dead", None);
        gate.arrived().await;
        login.abort();
        assert!(login.await.is_err(), "it died, and the call never arrives");
        assert!(labels(&site, None).await.is_empty(), "{operation}");
        // When no write can be under way any more, the entry is struck.
        wait(24 * 60 * 60 + 1);
        log_in(&site, "alive", None).await;
        assert_eq!(labels(&site, None).await, ["alive"]);
        let item = list_item(&world).await;
        assert_eq!(item.len(), 3, "id, expires_at and one session: {item:?}");
    }
}

/// An instance whose clock is ahead sees sessions as expired that others see as alive. They stay in the list.
#[tokio::test]
async fn clocks_that_differ_by_seconds_strike_nobody() {
    let world = World::new().await;
    let site = world.site();
    let cookie = log_in(&site, "one", None).await;
    let start = now();
    let ahead = world.site_with_clock(move || start + IDLE + 5);
    assert!(labels(&ahead, None).await.is_empty());
    assert_eq!(labels(&site, Some(&cookie)).await, ["one*"]);
    let behind = world.site_with_clock(move || start - 5);
    behind.visit("/end-all?admin", None).await.assert_done();
    assert_eq!(owner(&site, &cookie).await, "");
}

fn at_most(store: impl Store, most: usize) -> Site {
    Site::of(layer(store, keys()).clock(now).max_sessions_per_owner(most))
}

#[tokio::test]
async fn of_too_many_sessions_the_oldest_ends() {
    let world = World::new().await;
    let site = at_most(world.store(), 2);
    let mut cookies = Vec::new();
    for label in ["a", "b", "c"] {
        cookies.push(log_in(&site, label, None).await);
        wait(1);
    }
    assert_eq!(labels(&site, None).await, ["c", "b"]);
    assert_eq!(owner(&site, &cookies[0]).await, "");
    // Neither ended sessions nor the one that is replaced count.
    site.visit("/logout", Some(&cookies[2])).await.assert_logged_out();
    let d = log_in(&site, "d", None).await;
    assert_eq!(labels(&site, None).await, ["d", "b"]);
    wait(1);
    log_in(&site, "e", Some(&d)).await;
    assert_eq!(labels(&site, None).await, ["e", "b"]);
}

#[tokio::test]
async fn two_logins_at_once_are_not_two_where_one_is_allowed() {
    let world = World::new().await;
    let site = at_most(world.store(), 1);
    let gate = world.proxy.hold("PutItem");
    let first = site.start("/log-in?admin=first", None);
    gate.arrived().await;
    wait(1);
    let second = at_most(world.store(), 1).visit("/log-in?admin=second", None).await;
    gate.release();
    first.await.expect("an answer").assert_refused(409);
    let second = second.issued();
    assert_eq!(labels(&site, Some(&second)).await, ["second*"]);
}

#[tokio::test]
async fn many_logins_of_one_owner_leave_a_list_of_those_that_are_alive() {
    let admin = OwnerKey::new("admin");
    // A browser may also send the cookie of its last session.
    for brings in [false, true] {
        let store = MemoryStore::default();
        let site = Site::new(store.clone());
        let mut brought = None;
        for n in 0..40 {
            let cookie = log_in(&site, "one", brought.as_deref()).await;
            brought = None;
            if n % 4 != 0 {
                site.visit("/logout", Some(&cookie)).await.assert_logged_out();
                brought = Some(cookie).filter(|_| brings);
            }
        }
        // The 32nd looked at the list, and left the session whose cookie it brought to the next look.
        let left = store.list(&admin).await.expect("a list").len();
        assert_eq!(left, 8 + 9 + usize::from(brings), "{brings}");
        assert_eq!(labels(&site, None).await.len(), 10);
        assert_eq!(store.list(&admin).await.expect("a list").len(), 10);
    }
}

#[tokio::test]
async fn an_owner_that_cannot_be_kept_is_an_error_and_a_long_label_is_cut() {
    let world = World::new().await;
    let site = world.site();
    for query in [String::new(), "x".repeat(513)] {
        site.visit(&format!("/log-in?{query}"), None).await.assert_refused(500);
    }
    assert!(world.table.items().await.is_empty());
    let cookie = log_in(&site, &"x".repeat(266), None).await;
    assert_eq!(labels(&site, Some(&cookie)).await, [format!("{}*", "x".repeat(256))]);
}

#[tokio::test]
async fn a_thousand_logins_of_one_owner_are_listed_and_ended_and_two_thousand_are_enough() {
    let store = MemoryStore::default();
    let site = Site::new(store.clone());
    let mut cookies = Vec::new();
    for _ in 0..1_000 {
        cookies.push(log_in(&site, "one", None).await);
    }
    assert_eq!(labels(&site, None).await.len(), 1_000);

    for n in 0..1_000 {
        let key = RecordKey::from_stored(format!("key {n}"));
        let owner = OwnerKey::new("admin");
        store.enlist(&owner, &key, now(), now() + 1).await.expect("a list");
        let record = Stored::Record(Record::new(Data::new(), now(), now() + IDLE));
        let created = store.swap(&key, None, &record).await;
        assert_eq!(created.expect("an answer"), Swap::Done);
    }
    let refused = site.visit("/log-in?admin", None).await;
    assert_eq!((refused.status, &refused.cookie), (429, &None), "{refused:?}");

    site.visit("/end-all?admin", None).await.assert_done();
    assert!(labels(&site, None).await.is_empty());
    for cookie in cookies.iter().step_by(111) {
        assert_eq!(owner(&site, cookie).await, "");
    }
    log_in(&site, "one", None).await;
}

/// A list with entries of sessions that ended long ago, or of logins that failed.
#[tokio::test]
async fn a_list_of_dead_entries_fails_no_login_and_shrinks() {
    for stands in [false, true] {
        let store = MemoryStore::default();
        let site = Site::new(store.clone());
        let admin = OwnerKey::new("admin");
        for n in 0..2_100 {
            let key = RecordKey::from_stored(format!("key {n}"));
            // Half an hour is too short for an entry to be struck because of its age.
            store.enlist(&admin, &key, now() - IDLE, now()).await.expect("a list");
            if stands {
                let expired = Stored::Record(Record::new(Data::new(), now() - IDLE, now()));
                let created = store.swap(&key, None, &expired).await;
                assert_eq!(created.expect("an answer"), Swap::Done);
            }
        }
        log_in(&site, "one", None).await;
        let left = store.list(&admin).await.expect("a list").len();
        assert!(left <= 2_000, "{left} are left, records: {stands}");
    }
}

/// Adds entries without records, as logins leave them that failed this long ago.
async fn dead_entries(memory: &MemoryStore, count: usize, age: u64) {
    for n in 0..count {
        let key = RecordKey::from_stored(format!("key {n}"));
        let enlisted = memory.enlist(&OwnerKey::new("admin"), &key, now() - age, now()).await;
        enlisted.expect("a list");
    }
}

/// A listing that takes longer than a request may take leaves the list shorter.
#[tokio::test(start_paused = true)]
async fn a_list_that_is_too_long_for_one_request_is_shown_to_a_later_one() {
    let store = Slow::new(Duration::from_millis(50));
    let site = Site::new(store.clone());
    log_in(&site, "one", None).await;
    dead_entries(&store.memory, 3_000, 2 * DAY).await;
    let mut failed = 0;
    let listed = loop {
        let answer = site.visit("/sessions?admin", None).await;
        if answer.status == 200 {
            break answer.body;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        failed += 1;
        assert!(failed < 20, "the list does not get shorter");
    };
    assert_eq!((failed > 0, listed.lines().count()), (true, 1), "{listed}");
}

/// A memory store whose lists have room for this many entries.
#[derive(Clone, Debug)]
struct Cramped(MemoryStore, usize);

impl Store for Cramped {
    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Some(self)
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        self.0.load(key).await
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        self.0.swap(key, read, next).await
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        self.0.end(key, at).await
    }
}

impl OwnerStore for Cramped {
    async fn enlist(&self, owner: &OwnerKey, key: &RecordKey, at: u64, until: u64) -> Result<OwnerList, StoreError> {
        if self.0.list(owner).await?.len() >= self.1 {
            return Err(StoreError::new(StoreErrorKind::TooLarge, "the list is full"));
        }
        self.0.enlist(owner, key, at, until).await
    }

    async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, StoreError> {
        self.0.list(owner).await
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), StoreError> {
        self.0.strike(owner, keys).await
    }
}

#[tokio::test]
async fn a_login_makes_room_in_a_list_that_is_full_of_dead_entries() {
    for (room, age) in [(3_000, 2 * DAY), (3_000, IDLE), (100, 2 * DAY)] {
        let store = Cramped(MemoryStore::default(), room);
        let site = Site::new(store.clone());
        dead_entries(&store.0, room, age).await;
        let cookie = log_in(&site, "one", None).await;
        assert_eq!(owner(&site, &cookie).await, "admin", "{room} {age}");
    }
    // No entry can be struck.
    let store = Cramped(MemoryStore::default(), 3);
    let site = Site::new(store.clone());
    for _ in 0..3 {
        log_in(&site, "one", None).await;
    }
    let refused = site.visit("/log-in?admin", None).await;
    assert_eq!((refused.status, &refused.cookie), (429, &None), "{refused:?}");
}

/// The maximum may be set when an owner already has more sessions.
#[tokio::test]
async fn an_owner_of_very_many_sessions_gets_down_to_as_many_as_are_allowed() {
    let store = MemoryStore::default();
    let many = Site::new(store.clone());
    for _ in 0..2_000 {
        log_in(&many, "old", None).await;
    }
    wait(1);
    let site = at_most(store.clone(), 10);
    let new = log_in(&site, "new", None).await;
    assert_eq!(labels(&site, Some(&new)).await.len(), 10);
}

#[tokio::test]
async fn a_login_that_is_refused_leaves_no_entry() {
    let store = MemoryStore::default();
    let site = Site::new(store.clone());
    let admin = OwnerKey::new("admin");
    for n in 0..2_000 {
        let key = RecordKey::from_stored(format!("key {n}"));
        store.enlist(&admin, &key, now(), now() + 1).await.expect("a list");
        let record = Stored::Record(Record::new(Data::new(), now(), now() + IDLE));
        assert_eq!(store.swap(&key, None, &record).await.expect("an answer"), Swap::Done);
    }
    let before = store.list(&admin).await.expect("a list");
    let refused = site.visit("/log-in?admin", None).await;
    assert_eq!((refused.status, &refused.cookie), (429, &None), "{refused:?}");
    assert_eq!(store.list(&admin).await.expect("a list"), before);
}

#[tokio::test]
async fn logins_that_fail_end_no_device_of_an_owner_who_has_as_many_as_allowed() {
    let world = World::new().await;
    let site = Site::of(layer(world.store(), keys()).clock(now).max_sessions_per_owner(2));
    let phone = log_in(&site, "phone", None).await;
    wait(1);
    let laptop = log_in(&site, "laptop", None).await;
    for _ in 0..2 {
        world.spoil("PutItem", || Fault::Error(400, "ThrottlingException"));
        site.visit("/log-in?admin=third", None).await.assert_refused(503);
        world.proxy.pass_everything();
    }
    assert_eq!(labels(&site, None).await, ["laptop", "phone"]);
    // The oldest session is ended after the new record was created.
    wait(1);
    log_in(&site, "third", None).await;
    assert_eq!(labels(&site, None).await, ["third", "laptop"]);
    assert_eq!(
        (owner(&site, &phone).await, owner(&site, &laptop).await),
        (String::new(), "admin".to_owned())
    );
}

#[tokio::test]
async fn a_login_that_cannot_end_the_oldest_session_is_a_login_and_the_next_one_ends_it() {
    let world = World::new().await;
    let site = at_most(world.store(), 2);
    for label in ["a", "b"] {
        log_in(&site, label, None).await;
        wait(1);
    }
    let mut stands = false;
    world.proxy.rule(move |call| {
        stands |= call.operation == "PutItem";
        if stands && call.operation == "UpdateItem" {
            Fault::Error(400, "AccessDeniedException")
        } else {
            Fault::Pass
        }
    });
    let c = log_in(&site, "c", None).await;
    world.proxy.pass_everything();
    assert_eq!(labels(&site, Some(&c)).await, ["c*", "b", "a"]);
    wait(1);
    log_in(&site, "d", None).await;
    assert_eq!(labels(&site, None).await, ["d", "c"]);
}

#[tokio::test]
async fn a_device_that_has_renewed_since_the_list_was_shown_is_ended_by_its_old_handle() {
    let world = World::new().await;
    for site in [world.site(), Site::new(MemoryStore::default())] {
        let phone = log_in(&site, "phone", None).await;
        let laptop = log_in(&site, "laptop", None).await;
        let shown = handle(&site, "phone").await;
        let once = site.visit("/renew?", Some(&phone)).await.issued();
        let twice = site.visit("/renew?", Some(&once)).await.issued();
        let end = format!("/end-one?admin={shown}");
        assert_eq!(site.visit(&end, Some(&laptop)).await.body, "true");
        assert_eq!(
            (owner(&site, &twice).await, owner(&site, &laptop).await),
            (String::new(), "admin".to_owned())
        );
        assert_eq!(site.visit(&end, Some(&laptop)).await.body, "false", "it has ended");
        let foreign = log_in(&site, "foreign", None).await;
        let handle = handle(&site, "foreign").await;
        let renewed = site.visit("/renew?", Some(&foreign)).await.issued();
        assert_eq!(
            site.visit(&format!("/end-one?other={handle}"), None).await.body,
            "false",
            "it is not theirs"
        );
        assert_eq!(owner(&site, &renewed).await, "admin");
    }
}

/// One of the others is renewed while `end_others` reads the list. The renewal is ended, too.
#[tokio::test]
async fn a_session_that_is_renewed_while_all_others_are_ended_is_ended_too() {
    let world = World::new().await;
    let site = world.site();
    let phone = log_in(&site, "phone", None).await;
    let laptop = log_in(&site, "laptop", None).await;
    let gate = world.proxy.hold("UpdateItem");
    let ending = site.start("/end-others", Some(&laptop));
    gate.arrived().await;
    let renewed = world.site().visit("/renew?theme=dark", Some(&phone)).await.issued();
    assert_eq!(owner(&site, &renewed).await, "admin");
    gate.release();
    ending.await.expect("an answer").assert_done();
    assert_eq!(
        (owner(&site, &renewed).await, owner(&site, &laptop).await),
        (String::new(), "admin".to_owned())
    );
    assert_eq!(labels(&site, Some(&laptop)).await, ["laptop*"]);
}

#[tokio::test]
async fn a_login_that_ends_all_others_of_its_owner_stays() {
    let world = World::new().await;
    let site = world.site();
    let phone = log_in(&site, "phone", None).await;
    let laptop = log_in(&site, "laptop", None).await;
    for cookie in [None, Some(laptop.as_str())] {
        let new = site.visit("/end-all-and-log-in?admin", cookie).await.issued();
        assert_eq!(owner(&site, &new).await, "admin");
        assert_eq!(
            (owner(&site, &phone).await, owner(&site, &laptop).await),
            (String::new(), String::new())
        );
    }
}
