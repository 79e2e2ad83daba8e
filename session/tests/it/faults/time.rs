//! Idle timeout and lifetime, for records that DynamoDB has not deleted; slides, and clocks that differ.

use dev::proxy::Fault;

use super::{AT_ONCE, WITHIN_DEADLINE, World, timed};
use crate::support::own_table::number;
use crate::support::site::{IDLE, LIFETIME, now, wait};

/// The time on a clock that is five minutes ahead of the others.
fn ahead() -> u64 {
    now() + AHEAD
}

const AHEAD: u64 = 300;

#[tokio::test]
async fn a_session_ends_after_the_idle_timeout_though_its_record_is_still_there() {
    let (world, site, cookie) = World::logged_in().await;
    wait(IDLE - 1);
    assert_eq!(site.view(&cookie).await, "username=admin");
    // That view has slid the expiry.
    wait(IDLE - 1);
    assert_eq!(site.view(&cookie).await, "username=admin");
    wait(IDLE);
    assert_eq!(site.view(&cookie).await, "");
    assert_eq!(world.table.items().await.len(), 1);
}

#[tokio::test]
async fn a_session_ends_with_its_lifetime_however_busy_it_is() {
    let (world, site, cookie) = World::logged_in().await;
    let start = now();
    while now() - start < LIFETIME - 100 {
        assert_eq!(site.view(&cookie).await, "username=admin", "after {}", now() - start);
        wait(1_000.min(LIFETIME - 100 - (now() - start)));
    }
    wait(99);
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    assert_eq!(world.only_item().await["expires_at"], number(start + LIFETIME));
    wait(1);
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn a_login_starts_a_new_lifetime() {
    let world = World::new().await;
    let site = world.site();
    let mut cookie = site.login("admin", None).await;
    for _ in 0..60 {
        wait(1_000);
        cookie = site.login("admin", Some(&cookie)).await;
    }
    assert_eq!(site.view(&cookie).await, "username=admin");
}

/// The view reads the session in time and saves after it has expired: by idle timeout, then by lifetime.
#[tokio::test]
async fn every_write_knows_both_timeouts() {
    for (expires_at, wait_in_view) in [(IDLE, IDLE), (10 * LIFETIME, LIFETIME)] {
        let (world, site, cookie) = World::logged_in().await;
        let mut item = world.only_item().await;
        item.insert("expires_at".to_owned(), number(now() + expires_at));
        world.table.put(item.clone()).await;

        let set = site.visit(&format!("/slow-set?{wait_in_view}"), Some(&cookie)).await;
        set.assert_refused(409);
        assert_eq!(world.only_item().await, item, "not touched");

        // A new login gets a new session, with nothing of the old one in it.
        item.insert("expires_at".to_owned(), number(now() + expires_at));
        item.insert("created_at".to_owned(), number(now()));
        world.table.put(item).await;
        let renewed = site
            .visit(&format!("/slow-renew?{wait_in_view}"), Some(&cookie))
            .await
            .issued();
        assert_eq!(site.view(&renewed).await, "username=admin");
        assert_eq!(site.view(&cookie).await, "");
    }
}

#[tokio::test]
async fn a_slide_that_finds_its_session_expired_is_quiet_and_changes_nothing() {
    let (world, site, cookie) = World::logged_in().await;
    let before = world.only_item().await;
    site.visit(&format!("/slow?{IDLE}"), Some(&cookie)).await.assert_done();
    assert_eq!(world.only_item().await, before);
}

/// An expired session stays dead once another session has replaced it, or a logout was answered. Otherwise a delayed
/// slide could extend it.
#[tokio::test]
async fn an_expired_session_is_not_brought_back_by_a_late_slide() {
    for end in ["/login?admin", "/set?theme=dark", "/logout", "/end"] {
        let (world, site, cookie) = World::logged_in().await;
        wait(600);
        let slide = world.proxy.hold("UpdateItem");
        let view = site.start("/", Some(&cookie));
        slide.arrived().await;
        view.await.expect("an answer").assert_done();
        wait(IDLE - 600);
        let (answer, cost) = world.cost(site.visit(end, Some(&cookie))).await;
        assert!(answer.cookie.is_some(), "{end}: {answer:?}");
        assert_eq!(cost.last().map(String::as_str), Some("UpdateItem"), "{end}");
        slide.release();
        slide.delivered().await;
        assert_eq!(site.view(&cookie).await, "", "{end}");
    }
}

/// The same, while the request itself took so long that its session expired.
#[tokio::test]
async fn a_session_that_expired_during_a_login_is_not_brought_back_by_a_late_slide() {
    let (world, site, cookie) = World::logged_in().await;
    wait(600);
    let slide = world.proxy.hold("UpdateItem");
    let view = site.start("/", Some(&cookie));
    slide.arrived().await;
    view.await.expect("an answer").assert_done();
    let slow = format!("/slow-renew?{}", IDLE - 600);
    let renewed = site.visit(&slow, Some(&cookie)).await.issued();
    slide.release();
    slide.delivered().await;
    assert_eq!(site.view(&cookie).await, "");
    assert_eq!(site.view(&renewed).await, "username=admin");
}

#[tokio::test]
async fn an_update_that_was_delayed_never_takes_back_a_slide() {
    let (world, site, cookie) = World::logged_in().await;
    let late = world.proxy.deliver_late("UpdateItem");
    world.spoil("UpdateItem", || Fault::DropCall);
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_refused(503);
    world.proxy.pass_everything();
    wait(600);
    assert_eq!(site.view(&cookie).await, "username=admin");
    let slid = world.only_item().await;
    late.release();
    late.delivered().await;
    assert_eq!(world.only_item().await["expires_at"], slid["expires_at"]);
}

#[tokio::test]
async fn a_thousand_views_in_half_an_hour_write_at_most_a_dozen_times() {
    let (world, site, cookie) = World::logged_in().await;
    let before = world.proxy.calls().len();
    for view in 1..=1_000_u64 {
        wait(view * IDLE / 1_000 - (view - 1) * IDLE / 1_000);
        assert_eq!(site.view(&cookie).await, "username=admin");
    }
    let calls = world.calls_since(before);
    let writes = calls.iter().filter(|call| call.operation != "GetItem").count();
    assert_eq!(calls.len() - writes, 1_000);
    assert!((9..=12).contains(&writes), "{writes}");
}

#[tokio::test]
async fn a_slide_that_fails_or_hangs_does_not_show() {
    let spoil: [fn() -> Fault; 6] = [
        || Fault::Hang,
        || Fault::DropCall,
        || Fault::DropReply,
        || Fault::Garbage,
        || Fault::Error(400, "ProvisionedThroughputExceededException"),
        || Fault::Error(400, "AccessDeniedException"),
    ];
    for fault in spoil {
        let (world, site, cookie) = World::logged_in().await;
        wait(600);
        world.spoil("UpdateItem", fault);
        let ((found, time), cost) = world.cost(timed(site.view(&cookie))).await;
        assert_eq!(found, "username=admin", "{:?}", fault());
        assert!(time < AT_ONCE, "{:?}: {time:?}", fault());
        assert_eq!(cost[..2], ["GetItem", "UpdateItem"], "{:?}", fault());
        world.proxy.pass_everything();
        assert_eq!(site.view(&cookie).await, "username=admin", "{:?}", fault());
    }
}

#[tokio::test]
async fn a_slide_takes_only_what_the_deadline_leaves() {
    let (world, site, cookie) = World::logged_in().await;
    wait(600);
    world.proxy.rule(|call| match (call.operation.as_str(), call.attempt) {
        ("GetItem", 1..=3) | ("UpdateItem", _) => Fault::Hang,
        _ => Fault::Pass,
    });
    let (found, time) = timed(site.view(&cookie)).await;
    assert_eq!(found, "username=admin");
    assert!(time < WITHIN_DEADLINE, "{time:?}");
}

#[tokio::test]
async fn an_older_slide_never_shrinks_what_a_newer_one_wrote() {
    let (world, site, cookie) = World::logged_in().await;
    wait(600);
    let older = world.proxy.hold("UpdateItem");
    let view = site.start("/", Some(&cookie));
    older.arrived().await;
    wait(600);
    assert_eq!(world.site().view(&cookie).await, "username=admin");
    let newer = world.only_item().await;
    assert_eq!(newer["expires_at"], number(now() + IDLE));
    older.release();
    older.delivered().await;
    view.await.expect("an answer").assert_done();
    assert_eq!(world.only_item().await, newer);
}

#[tokio::test]
async fn clocks_that_differ_extend_a_session_by_no_more_than_the_difference() {
    let world = World::new().await;
    let (right, wrong) = (world.site(), world.site_with_clock(ahead));
    let start = now();
    let cookie = right.login("admin", None).await;
    wait(600);
    // The clock that is ahead slides too far by its difference. The right one neither takes this back nor adds to it.
    assert_eq!(wrong.view(&cookie).await, "username=admin");
    assert_eq!(right.view(&cookie).await, "username=admin");
    assert_eq!(world.only_item().await["expires_at"], number(now() + AHEAD + IDLE));
    wait(IDLE + AHEAD);
    assert_eq!(right.view(&cookie).await, "");

    // No clock extends a session beyond the lifetime that began at the login.
    let cookie = right.login("admin", None).await;
    let born = now();
    while now() - born < LIFETIME {
        let view = if (now() - start).is_multiple_of(2) {
            &wrong
        } else {
            &right
        };
        view.view(&cookie).await;
        wait(999);
    }
    assert_eq!(right.view(&cookie).await, "");

    // A login on a clock that is ahead gives a lifetime that is too long by the difference.
    let cookie = wrong.login("admin", None).await;
    let born = now();
    while now() - born < LIFETIME + AHEAD - 999 {
        wait(999);
        assert_eq!(right.view(&cookie).await, "username=admin", "after {}", now() - born);
    }
    wait(LIFETIME + AHEAD - (now() - born));
    assert_eq!(right.view(&cookie).await, "");
}

/// The change is refused before its write is sent. Otherwise an earlier attempt could arrive after an instance whose
/// clock is behind has extended the session.
#[tokio::test]
async fn a_change_that_was_refused_because_the_session_had_expired_is_not_made_later() {
    let (world, site, cookie) = World::logged_in().await;
    let behind = world.site_with_clock(|| now() - 10);
    wait(IDLE - 5);
    let (refused, cost) = world.cost(site.visit("/slow-set?10", Some(&cookie))).await;
    refused.assert_refused(409);
    assert_eq!(cost, ["GetItem"], "no write was sent");
    assert_eq!(
        behind.view(&cookie).await,
        "username=admin",
        "the session is alive to a clock that is behind"
    );
    assert_eq!(world.only_item().await.get("revision"), Some(&number(0)));
}
