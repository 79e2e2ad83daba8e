//! Answers that the SDK misreads: an empty answer as a success, and a passing conflict as a final error.

use std::collections::HashMap;

use dev::proxy::Fault;

use super::World;
use crate::support::site::Site;

const ATTEMPTS: usize = 4;

/// Visits, each with the operation that it does first.
const VISITS: [(&str, &str); 4] = [
    ("/", "GetItem"),
    ("/set?theme=dark", "UpdateItem"),
    ("/login?admin", "PutItem"),
    ("/logout", "UpdateItem"),
];

/// The errors of a write that meets another transaction, or a write in another region.
const CONFLICTS: [&str; 2] = ["TransactionConflictException", "ReplicatedWriteConflictException"];

/// Spoils the first attempt of every call of the operation.
async fn spoiled_once(operation: &'static str, fault: impl Fn() -> Fault + Send + 'static) -> (World, Site, String) {
    let (world, site, cookie) = World::logged_in().await;
    world.proxy.forget_calls();
    world.proxy.rule(move |call| {
        if call.operation == operation && call.attempt == 1 {
            fault()
        } else {
            Fault::Pass
        }
    });
    (world, site, cookie)
}

/// Spoils every attempt of a visit's operation. The visit is refused after the last one, and the session still exists.
async fn assert_refused(operations: &[&str], fault: impl Fn() -> Fault + Copy + Send + 'static) {
    for (path, operation) in VISITS
        .into_iter()
        .filter(|(_, operation)| operations.contains(operation))
    {
        let (world, site, cookie) = World::logged_in().await;
        world.proxy.forget_calls();
        world.spoil(operation, fault);
        site.visit(path, Some(&cookie)).await.assert_refused(503);
        let mut attempts: HashMap<String, usize> = HashMap::new();
        for call in world.proxy.calls() {
            if call.operation == operation {
                *attempts.entry(call.invocation).or_default() += 1;
            }
        }
        assert!(!attempts.is_empty(), "{path}");
        assert!(
            attempts.values().all(|count| *count == ATTEMPTS),
            "{path}: {attempts:?}"
        );
        world.proxy.pass_everything();
        assert_eq!(site.view(&cookie).await, "username=admin", "{path}");
    }
}

async fn assert_set(site: &Site, cookie: &str) {
    site.visit("/set?theme=dark", Some(cookie)).await.assert_done();
    assert_eq!(site.view(cookie).await, "theme=dark username=admin");
}

/// Otherwise the visitor would be told that there is no session.
#[tokio::test]
async fn an_empty_answer_to_a_read_is_asked_again() {
    let (_world, site, cookie) = spoiled_once("GetItem", || Fault::Empty).await;
    assert_eq!(site.view(&cookie).await, "username=admin");
}

/// Otherwise the visitor would be told that the change is done.
#[tokio::test]
async fn an_empty_answer_to_a_write_is_asked_again() {
    let (_world, site, cookie) = spoiled_once("UpdateItem", || Fault::Empty).await;
    assert_set(&site, &cookie).await;
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
    assert_eq!(site.view(&cookie).await, "");
    let (_world, site, _) = spoiled_once("PutItem", || Fault::Empty).await;
    let cookie = site.login("admin", None).await;
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn nothing_but_empty_answers_is_an_outage() {
    assert_refused(&["GetItem", "PutItem", "UpdateItem"], || Fault::Empty).await;
}

/// The server behind this connection may be broken.
#[tokio::test]
async fn after_an_empty_answer_the_next_attempt_takes_another_connection() {
    let (world, site, cookie) = spoiled_once("GetItem", || Fault::Empty).await;
    assert_eq!(site.view(&cookie).await, "username=admin");
    let connections: Vec<_> = world.proxy.calls().iter().map(|call| call.connection).collect();
    assert_ne!(connections[0], connections[1]);
}

#[tokio::test]
async fn a_write_that_met_a_transaction_is_made_again() {
    for conflict in CONFLICTS {
        let (_world, site, cookie) = spoiled_once("UpdateItem", move || Fault::Error(400, conflict)).await;
        assert_set(&site, &cookie).await;
        let (_world, site, _) = spoiled_once("PutItem", move || Fault::Error(400, conflict)).await;
        let cookie = site.login("admin", None).await;
        assert_eq!(site.view(&cookie).await, "username=admin");
    }
}

#[tokio::test]
async fn a_conflict_that_does_not_pass_is_an_outage() {
    for conflict in CONFLICTS {
        assert_refused(&["PutItem", "UpdateItem"], move || Fault::Error(400, conflict)).await;
    }
}

/// The connection works, because DynamoDB has answered.
#[tokio::test]
async fn after_a_conflict_the_next_attempt_takes_the_same_connection() {
    let (world, site, cookie) = spoiled_once("UpdateItem", || Fault::Error(400, CONFLICTS[0])).await;
    assert_set(&site, &cookie).await;
    let calls = world.proxy.calls();
    let writes: Vec<_> = calls.iter().filter(|call| call.operation == "UpdateItem").collect();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].connection, writes[1].connection);
}
