//! A write that was done and whose reply was lost is not done again over what another request has written since.

use dev::proxy::Fault;

use super::World;
use crate::support::own_table::number;
use crate::support::site::{Answer, Site};

/// The first request's write is done, and its reply is lost. Before the SDK tries again, another request makes
/// `between`.
async fn overtaken(world: &World, site: &Site, cookie: &str, first: &str, between: &[&str]) -> Answer {
    let (first, between) = overtaken_by(world, site, cookie, first, between).await;
    between.iter().for_each(Answer::assert_done);
    first
}

/// Does the same, and returns the answers to `between` as well.
pub(super) async fn overtaken_by(
    world: &World,
    site: &Site,
    cookie: &str,
    first: &str,
    between: &[&str],
) -> (Answer, Vec<Answer>) {
    world.proxy.once("UpdateItem", Fault::DropReply);
    let retry = world.proxy.hold("UpdateItem");
    let first = site.start(first, Some(cookie));
    retry.arrived().await;
    let other = world.site();
    let mut answers = Vec::new();
    for path in between {
        answers.push(other.visit(path, Some(cookie)).await);
    }
    retry.release();
    (first.await.expect("an answer"), answers)
}

/// A login has taken the change over, or the change was done before the session ended. Neither is a conflict.
#[tokio::test]
async fn what_was_done_before_its_session_ended_is_done() {
    for (end, then) in [
        ("/login?admin", "username=admin visits=1"),
        ("/login?other", "username=other"),
        ("/logout", ""),
        ("/clear", ""),
    ] {
        let (world, site, cookie) = World::logged_in().await;
        let (first, between) = overtaken_by(&world, &site, &cookie, "/increment?visits", &[end]).await;
        first.assert_done();
        let now = between[0].cookie.as_ref().expect("a cookie");
        assert_eq!(site.view(now).await, then, "{end}");
    }
}

#[tokio::test]
async fn what_was_done_before_all_sessions_of_an_owner_ended_is_done() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/log-in?admin", None).await.issued();
    let (first, _) = overtaken_by(&world, &site, &cookie, "/increment?visits", &["/end-all?admin"]).await;
    first.assert_done();
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn messages_that_were_taken_before_their_session_ended_are_shown() {
    for end in ["/login?admin", "/logout"] {
        let (world, site, cookie) = World::logged_in().await;
        site.visit("/flash?hello", Some(&cookie)).await.assert_done();
        let (first, between) = overtaken_by(&world, &site, &cookie, "/flashes", &[end]).await;
        first.assert_done();
        assert_eq!(first.body, "hello", "{end}");
        let now = between[0].cookie.as_deref();
        assert_eq!(site.visit("/flashes", now).await.body, "", "{end}");
    }
}

#[tokio::test]
async fn a_later_value_of_the_same_variable_stays() {
    let (world, site, cookie) = World::logged_in().await;
    let first = overtaken(&world, &site, &cookie, "/set?n=6", &["/set?n=7"]).await;
    first.assert_done();
    assert_eq!(site.view(&cookie).await, "n=7 username=admin");
    assert_eq!(world.only_item().await["revision"], number(2));
}

#[tokio::test]
async fn what_was_put_back_is_not_taken_out_again() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/set?basket=tea", Some(&cookie)).await.assert_done();
    let first = overtaken(&world, &site, &cookie, "/pop?basket", &["/set?basket=milk"]).await;
    first.assert_done();
    assert_eq!(site.view(&cookie).await, "basket=milk username=admin");
}

#[tokio::test]
async fn an_increment_counts_once() {
    let (world, site, cookie) = World::logged_in().await;
    let first = overtaken(&world, &site, &cookie, "/increment?visits", &["/increment?visits"]).await;
    first.assert_done();
    assert_eq!(site.view(&cookie).await, "username=admin visits=2");
}

#[tokio::test]
async fn an_increment_that_did_not_land_counts_once_over_the_newer_value() {
    let (world, site, cookie) = World::logged_in().await;
    world.proxy.once("UpdateItem", Fault::DropCall);
    let retry = world.proxy.hold("UpdateItem");
    let first = site.start("/increment?visits", Some(&cookie));
    retry.arrived().await;
    world
        .site()
        .visit("/increment?visits", Some(&cookie))
        .await
        .assert_done();
    retry.release();
    first.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "username=admin visits=2");
}

#[tokio::test]
async fn the_record_tells_for_fifteen_later_writes_and_after_more_it_is_an_honest_error() {
    for (writes, status) in [(15, 200), (16, 503)] {
        let (world, site, cookie) = World::logged_in().await;
        let between = vec!["/increment?visits"; writes];
        let first = overtaken(&world, &site, &cookie, "/increment?visits", &between).await;
        assert_eq!((first.status, first.cookie), (status, None), "{writes}");
        let expected = format!("username=admin visits={}", writes + 1);
        assert_eq!(
            site.view(&cookie).await,
            expected,
            "the visit was counted once, whatever the answer was"
        );
    }
}

/// The duplicate arrives long after the request was answered.
#[tokio::test]
async fn a_late_duplicate_of_an_increment_is_not_counted() {
    let (world, site, cookie) = World::logged_in().await;
    let late = world.proxy.deliver_late("UpdateItem");
    site.visit("/increment?visits", Some(&cookie)).await.assert_done();
    late.release();
    late.delivered().await;
    site.visit("/increment?visits", Some(&cookie)).await.assert_done();
    assert_eq!(site.view(&cookie).await, "username=admin visits=2");
}
