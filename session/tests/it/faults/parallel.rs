//! Many requests at once: in one process through one layer, and in several instances.

use std::collections::BTreeSet;
use std::time::Duration;

use dev::PATIENCE;
use dev::proxy::Call;
use lambda_session::{
    MemoryStore, Record, RecordKey, SessionErrorKind, Store, StoreError, Stored, Swap, Tombstone, WriteToken,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::World;
use crate::support::site::{Answer, Site, keys};
use crate::support::slow::Slow;

/// Makes all requests at once, each to its path with its cookie, and returns their answers.
async fn at_once(requests: impl IntoIterator<Item = (Site, String, Option<String>)>) -> Vec<Answer> {
    let mut visits = JoinSet::new();
    for (site, path, cookie) in requests {
        visits.spawn(async move { site.visit(&path, cookie.as_deref()).await });
    }
    visits.join_all().await
}

/// Makes this many increments at once, through these instances in turn.
async fn incremented(sites: &[Site], cookie: &str, times: usize) -> Told {
    let sites = sites.iter().cycle().take(times).cloned();
    let requests = sites.map(|site| (site, "/increment?visits".to_owned(), Some(cookie.to_owned())));
    let mut told = Told::default();
    for answer in at_once(requests).await {
        assert_eq!(answer.cookie, None, "{answer:?}");
        match (answer.status, answer.failed) {
            (200, None) => told.done += 1,
            (503, Some(SessionErrorKind::Contention)) if !answer.body.contains("to tell") => told.refused += 1,
            (503, Some(SessionErrorKind::Contention | SessionErrorKind::Unavailable)) => told.open += 1,
            _ => panic!("{answer:?}"),
        }
    }
    told
}

/// What visitors were told: how many changes are done, how many are not, and how many are in doubt, because a call took
/// too long or too many other requests came between.
#[derive(Debug, Default)]
struct Told {
    done: usize,
    refused: usize,
    open: usize,
}

impl Told {
    #[track_caller]
    fn assert_counted(&self, counted: usize) {
        let most = self.done + self.open;
        assert!((self.done..=most).contains(&counted), "{counted} for {self:?}");
    }
}

/// Waits until no call is under way, because a call that its request has given up is still done.
async fn settled(world: &World) {
    let under_way = || world.proxy.calls().iter().any(|call| call.status.is_none());
    let settled = async {
        while under_way() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, settled).await.expect("all calls are answered");
}

/// Returns how many visits are counted. On a busy machine it may be none.
#[track_caller]
fn visits(found: &str) -> usize {
    let visits = found.split(' ').find_map(|pair| pair.strip_prefix("visits="));
    visits.map_or(0, |visits| visits.parse().expect("a number of visits"))
}

fn one_layer(store: impl Store) -> Site {
    Site::with(store, || 1_800_000_000, keys())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_through_one_layer_on_one_session_are_all_counted() {
    let memory = one_layer(MemoryStore::default());
    let cookie = memory.login("admin", None).await;
    let told = incremented(std::slice::from_ref(&memory), &cookie, 16).await;
    assert_eq!((told.done, visits(&memory.view(&cookie).await)), (16, 16), "{told:?}");

    let world = World::new().await;
    let site = one_layer(world.store());
    let cookie = site.login("admin", None).await;
    let told = incremented(std::slice::from_ref(&site), &cookie, 16).await;
    settled(&world).await;
    told.assert_counted(visits(&site.view(&cookie).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_at_once_through_one_layer_on_many_sessions_keep_out_of_each_others_way() {
    let world = World::new().await;
    for site in [one_layer(MemoryStore::default()), one_layer(world.store())] {
        let logins = (0..16).map(|n| (site.clone(), format!("/login?visitor-{n}"), None));
        let cookies: Vec<_> = at_once(logins).await.into_iter().map(Answer::issued).collect();
        let requests = cookies
            .iter()
            .map(|cookie| (site.clone(), "/increment?visits".to_owned(), Some(cookie.clone())));
        for answer in at_once(requests).await {
            answer.assert_done();
        }
        let views = cookies
            .iter()
            .map(|cookie| (site.clone(), "/".to_owned(), Some(cookie.clone())));
        let mut found: Vec<_> = at_once(views).await.into_iter().map(|answer| answer.body).collect();
        found.sort_unstable();
        let mut expected: Vec<_> = (0..16).map(|n| format!("username=visitor-{n} visits=1")).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// An impatient visitor's clicks reach several instances. How many are in time depends on the machine. A change that
/// was acknowledged counts once, a change that was refused does not count, and nothing counts twice.
#[tokio::test]
async fn parallel_increments_through_four_instances_count_once_each() {
    for times in [20, 100] {
        let world = World::new().await;
        let sites: [Site; 4] = std::array::from_fn(|_| world.site());
        let cookie = sites[0].login("admin", None).await;
        let told = incremented(&sites, &cookie, times).await;
        settled(&world).await;
        let counted = visits(&sites[1].view(&cookie).await);
        told.assert_counted(counted);

        let landed = world.proxy.calls().into_iter().filter(|call| {
            let update = call.operation == "UpdateItem";
            update && call.status == Some(200)
        });
        let tokens: Vec<_> = landed.filter_map(|call| token(&call)).collect();
        let requests: BTreeSet<_> = tokens.iter().collect();
        assert_eq!((counted, requests.len()), (tokens.len(), tokens.len()), "{told:?}");
    }
}

/// The same on a clock that only the store's calls advance, so that each answer says what was done.
#[tokio::test(start_paused = true)]
async fn of_a_hundred_increments_at_once_those_count_whose_visitors_are_told_so() {
    for call in [5, 50] {
        let store = Slow::new(Duration::from_millis(call));
        let sites: [Site; 4] = std::array::from_fn(|_| Site::new(store.clone()));
        let cookie = sites[0].login("admin", None).await;
        let told = incremented(&sites, &cookie, 100).await;
        assert_eq!(told.open, 0, "{told:?}");
        // With a slow store, not all increments are in time.
        assert!(told.done > 0 && (told.refused > 0) == (call == 50), "{told:?}");
        assert_eq!(visits(&sites[1].view(&cookie).await), told.done, "{told:?}");
    }
}

/// A store in which another request writes before each change.
#[derive(Clone, Debug)]
struct Busy(Slow);

impl Store for Busy {
    fn pause(&self, conflicts: u32) -> Duration {
        self.0.pause(conflicts)
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        self.0.load(key).await
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        if let (Some(_), Some(Stored::Record(stands))) = (read, self.0.memory.load(key).await?) {
            let mut other = stands.clone();
            other.revision += 1;
            other.writes = vec![WriteToken::from_stored(format!("other-{}", other.revision))];
            let written = self.0.memory.swap(key, Some(&stands), &Stored::Record(other)).await?;
            assert_eq!(written, Swap::Done);
        }
        self.0.swap(key, read, next).await
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        self.0.end(key, at).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_others_overtake_each_time_is_not_made_and_its_visitor_is_told_to_come_again() {
    let site = Site::new(Busy(Slow::new(Duration::from_millis(10))));
    for path in [
        "/increment?visits",
        "/renew?theme=dark",
        "/pop?username",
        "/login?other",
    ] {
        let cookie = site.login("admin", None).await;
        let answer = site.visit(path, Some(&cookie)).await;
        answer.assert_refused(503);
        assert_eq!(answer.failed, Some(SessionErrorKind::Contention), "{path}: {answer:?}");
        assert!(answer.store_calls.is_some_and(|calls| calls > 3), "{path}: {answer:?}");
        assert_eq!(site.view(&cookie).await, "username=admin", "{path}");
    }
}

/// A conflict costs one more write, and no read.
#[tokio::test]
async fn a_change_that_another_overtook_costs_one_write_more() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let before = world.proxy.calls().len();
    let slow = site.start("/increment?visits", Some(&cookie));
    held.arrived().await;
    world.site().visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    held.release();
    slow.await.expect("an answer").assert_done();
    let calls = world.calls_since(before).into_iter().map(|call| call.operation);
    let mut calls: Vec<_> = calls.collect();
    calls.sort_unstable();
    let expected = ["GetItem", "GetItem", "UpdateItem", "UpdateItem", "UpdateItem"];
    assert_eq!(calls, expected, "two reads, two writes, and the one that was refused");
}

/// Returns the token of the request that made this write.
fn token(call: &Call) -> Option<String> {
    let writes = call.request["ExpressionAttributeValues"][":writes"]["S"].as_str()?;
    writes.rsplit(' ').next().map(str::to_owned)
}
