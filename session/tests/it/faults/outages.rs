//! During an outage a request makes few attempts within one deadline and gets a 503. Afterwards the session still
//! exists.

use std::collections::HashMap;

use dev::proxy::{Call, Ending, Fault};
use tokio::task::JoinSet;

use super::{AT_ONCE, WITHIN_DEADLINE, World, timed};
use crate::support::site::wait;

const ATTEMPTS: usize = 4;

const VISITS: [&str; 4] = ["/", "/set?theme=dark", "/login?admin", "/logout"];

type Spoil = fn() -> Fault;

/// Checks that during the outage each visit is refused with this status within the deadline, after this many attempts,
/// and that the session exists afterwards.
async fn assert_outage(fault: Spoil, status: u16, attempts: usize) {
    let (world, site, cookie) = World::logged_in().await;
    let before = world.proxy.calls().len();
    world.proxy.rule(move |_| fault());
    let visits = VISITS.map(|path| tokio::spawn(timed(site.visit(path, Some(&cookie)))));
    for (path, visit) in VISITS.into_iter().zip(visits) {
        let (answer, time) = visit.await.expect("an answer");
        answer.assert_refused(status);
        assert!(time < WITHIN_DEADLINE, "{path}: {time:?}");
    }
    assert_eq!(attempts_of_calls(world.calls_since(before)), [attempts; VISITS.len()]);
    world.proxy.pass_everything();
    assert_eq!(site.view(&cookie).await, "username=admin");
}

/// How often each call was attempted.
fn attempts_of_calls(attempts: Vec<Call>) -> Vec<usize> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for attempt in attempts {
        *counts.entry(attempt.invocation).or_default() += 1;
    }
    counts.into_values().collect()
}

#[tokio::test]
async fn a_throttled_store() {
    for fault in [
        || Fault::Error(400, "ProvisionedThroughputExceededException"),
        || Fault::Error(400, "ThrottlingException"),
        || Fault::Error(400, "RequestLimitExceeded"),
    ] {
        assert_outage(fault, 503, ATTEMPTS).await;
    }
}

#[tokio::test]
async fn a_broken_store() {
    for fault in [
        || Fault::Error(500, "InternalServerError"),
        || Fault::Error(503, "ServiceUnavailable"),
        || Fault::DropCall,
        || Fault::Garbage,
    ] {
        assert_outage(fault, 503, ATTEMPTS).await;
    }
}

#[tokio::test]
async fn a_store_that_hangs() {
    assert_outage(|| Fault::Hang, 503, ATTEMPTS).await;
}

#[tokio::test]
async fn a_store_that_rejects_us_is_a_fault_of_configuration() {
    for fault in [
        || Fault::Error(400, "AccessDeniedException"),
        || Fault::Error(400, "ResourceNotFoundException"),
        || Fault::Error(400, "ValidationException"),
        || Fault::Error(400, "UnrecognizedClientException"),
    ] {
        assert_outage(fault, 500, 1).await;
    }
}

#[tokio::test]
async fn a_store_that_is_not_there() {
    let mut world = World::new().await;
    let site = world.site();
    let cookie = site.login("admin", None).await;
    world.proxy.refuse().await;
    for path in VISITS {
        let (answer, time) = timed(site.visit(path, Some(&cookie))).await;
        answer.assert_refused(503);
        assert!(time < WITHIN_DEADLINE, "{path}: {time:?}");
    }
    world.proxy.resume();
    assert_eq!(site.view(&cookie).await, "username=admin");
}

/// The first attempt of every call is spoiled, at every step of every visit.
#[tokio::test]
async fn one_spoiled_attempt_is_survived() {
    let spoil: [Spoil; 6] = [
        || Fault::DropCall,
        || Fault::DropReply,
        || Fault::Garbage,
        || Fault::Error(500, "InternalServerError"),
        || Fault::Error(400, "ThrottlingException"),
        || Fault::Hang,
    ];
    let mut cases = JoinSet::new();
    for fault in spoil {
        cases.spawn(assert_survived(fault));
    }
    cases.join_all().await;
}

async fn assert_survived(fault: Spoil) {
    let world = World::new().await;
    let site = world.site();
    world.proxy.rule(move |call| match call.attempt {
        1 => fault(),
        _ => Fault::Pass,
    });
    let first = site.login("admin", None).await;
    site.visit("/set?theme=dark", Some(&first)).await.assert_done();
    let second = site.login("admin", Some(&first)).await;
    assert_eq!(site.view(&second).await, "theme=dark username=admin", "{:?}", fault());
    assert_eq!(site.view(&first).await, "");
    site.visit("/logout", Some(&second)).await.assert_logged_out();
    assert_eq!(site.view(&second).await, "", "{:?}", fault());
}

/// The SDK has a quota of retries, and an outage must not use it up.
#[tokio::test]
async fn after_a_long_outage_one_lost_attempt_is_survived_as_before() {
    let (world, site, cookie) = World::logged_in().await;
    world.proxy.rule(|_| Fault::DropCall);
    let before = world.proxy.calls().len();
    let mut visits = JoinSet::new();
    for _ in 0..40 {
        visits.spawn(site.visit("/", Some(&cookie)));
    }
    for answer in visits.join_all().await {
        answer.assert_refused(503);
    }
    assert_eq!(attempts_of_calls(world.calls_since(before)), [ATTEMPTS; 40]);
    world.proxy.rule(|call| match call.attempt {
        1..=3 => Fault::DropCall,
        _ => Fault::Pass,
    });
    assert_eq!(site.view(&cookie).await, "username=admin");
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
}

#[tokio::test]
async fn one_deadline_covers_all_calls_of_a_request() {
    let (world, site, cookie) = World::logged_in().await;
    // Each call alone would succeed, with its third attempt.
    world.proxy.rule(|call| match call.attempt {
        1 | 2 => Fault::Hang,
        _ => Fault::Pass,
    });
    let (answer, time) = timed(site.visit("/login?admin", Some(&cookie))).await;
    answer.assert_refused(503);
    assert!(time < WITHIN_DEADLINE, "{time:?}");
}

/// The server has closed the connection and the client has not noticed, as after a sandbox was frozen.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_timeout() {
    for ending in [Ending::Close, Ending::Reset] {
        let (world, site, cookie) = World::logged_in().await;
        for _ in 0..3 {
            wait(600);
            world.proxy.close_idle(ending).await;
            let (found, time) = timed(site.view(&cookie)).await;
            assert_eq!(found, "username=admin");
            assert!(time < AT_ONCE, "{ending:?}: {time:?}");
        }
    }
}

/// The server behind this connection may be broken.
#[tokio::test]
async fn after_a_broken_answer_the_next_attempt_takes_another_connection() {
    let (world, site, cookie) = World::logged_in().await;
    world.proxy.forget_calls();
    world.proxy.once("GetItem", Fault::Error(500, "InternalServerError"));
    assert_eq!(site.view(&cookie).await, "username=admin");
    let [first, second] = &world.proxy.calls()[..] else {
        panic!("{:?}", world.proxy.operations());
    };
    assert_ne!(first.connection, second.connection);
}

#[tokio::test]
async fn attempts_of_one_call_say_the_same_and_back_off() {
    let (world, site, cookie) = World::logged_in().await;
    let before = world.proxy.calls().len();
    world.proxy.rule(|_| Fault::Error(400, "ThrottlingException"));
    site.visit("/login?admin", Some(&cookie)).await.assert_refused(503);
    site.visit("/logout", Some(&cookie)).await.assert_refused(503);
    let mut attempts: HashMap<String, Vec<Call>> = HashMap::new();
    for call in world.calls_since(before) {
        attempts.entry(call.invocation.clone()).or_default().push(call);
    }
    assert_eq!(attempts.len(), 2, "a read and a logout");
    for attempts in attempts.values() {
        assert_eq!(attempts.len(), ATTEMPTS);
        assert!(attempts.iter().all(|call| call.request == attempts[0].request));
    }
}
