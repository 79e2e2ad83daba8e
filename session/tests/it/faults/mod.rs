//! What can go wrong between requests, instances and the network, with the real SDK, a proxy that spoils calls, and an
//! embedded DynamoDB. The tests hold calls to make interleavings; nothing sleeps. Where time is all that matters, the
//! store is a slow or silent one on a paused clock.

use std::time::{Duration, Instant};

use dev::dynamodb::table;
use dev::proxy::{Call, Fault, Proxy};
use lambda_session::DynamoDbStore;

use crate::support::own_table::{Item, Table};
use crate::support::sdk;
use crate::support::site::{Site, keys, sealed};

mod answers;
mod attacks;
mod bound;
mod budget;
mod cookies;
mod deadline;
mod ends;
mod flashes;
mod keeping_alive;
mod keys;
mod late;
mod lifetimes;
mod logins;
mod lost_replies;
mod outages;
mod owners;
mod parallel;
mod proofs;
mod remembered;
mod revival;
mod saves;
mod sealing;
mod several_cookies;
mod size;
mod stragglers;
mod taking;
mod time;
mod updates;
mod version_before;

/// Longer than the deadline of a request, and shorter than two of them.
const WITHIN_DEADLINE: Duration = Duration::from_millis(5_900);

/// Far shorter than an attempt's timeout.
const AT_ONCE: Duration = Duration::from_millis(900);

struct World {
    proxy: Proxy,
    table: Table,
}

impl World {
    async fn new() -> Self {
        let table = Table::embedded().await;
        let proxy = Proxy::start(table.endpoint());
        Self { proxy, table }
    }

    /// A visitor with a session, on one instance. Most tests begin here.
    async fn logged_in() -> (Self, Site, String) {
        let world = Self::new().await;
        let site = world.site();
        let cookie = site.login("admin", None).await;
        (world, site, cookie)
    }

    fn store(&self) -> DynamoDbStore {
        DynamoDbStore::new(&sdk(), table::NAME, Some(&self.proxy.endpoint())).expect("a store")
    }

    /// Another instance of the function: a client and connections of its own.
    fn site(&self) -> Site {
        Site::new(self.store())
    }

    fn site_with_clock(&self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Site {
        Site::with(self.store(), clock, keys())
    }

    /// Makes every call of one operation meet this fault.
    fn spoil(&self, operation: &'static str, fault: impl Fn() -> Fault + Send + 'static) {
        self.proxy.rule(move |call| {
            if call.operation == operation {
                fault()
            } else {
                Fault::Pass
            }
        });
    }

    /// Returns the calls after the first `count`.
    fn calls_since(&self, count: usize) -> Vec<Call> {
        self.proxy.calls().split_off(count)
    }

    /// Returns the operations that `visit` makes.
    async fn cost<T>(&self, visit: impl Future<Output = T>) -> (T, Vec<String>) {
        let before = self.proxy.calls().len();
        let answer = visit.await;
        let calls = self.calls_since(before);
        (answer, calls.into_iter().map(|call| call.operation).collect())
    }

    /// Checks that everything that has to be sealed was sent sealed.
    fn check_sealed(&self) {
        for call in self.proxy.calls() {
            let sent = &call.request;
            let mut values: Vec<_> = sent["Item"]["data"]["M"].as_object().into_iter().flatten().collect();
            values.extend(
                sent["Item"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| *name == "owner"),
            );
            let written = sent["ExpressionAttributeValues"].as_object().into_iter().flatten();
            values.extend(
                written
                    .clone()
                    .filter(|(name, _)| *name == ":owner" || name[1..].starts_with('v')),
            );
            let whole = written
                .filter(|(name, _)| *name == ":data")
                .filter_map(|(_, data)| data["M"].as_object());
            values.extend(whole.flatten());
            for (name, value) in values {
                assert!(value.get("B").is_some(), "{name} is sent as it is: {sent}");
            }
        }
    }

    /// Returns the only item in the table.
    async fn only_item(&self) -> Item {
        let mut items = self.table.items().await;
        assert_eq!(items.len(), 1, "{items:?}");
        items.remove(0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if sealed() && !std::thread::panicking() {
            self.check_sealed();
        }
    }
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (future.await, start.elapsed())
}
