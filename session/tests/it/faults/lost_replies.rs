//! A write that was done and whose reply was lost is not done again, over what another request has written since.

use dev::proxy::Fault;

use super::World;
use crate::support::own_table::number;
use crate::support::site::{Answer, Site};

/// The first request's write is done and its reply is lost; before the SDK tries again, another request makes `between`.
async fn overtaken(world: &World, site: &Site, cookie: &str, first: &str, between: &[&str]) -> Answer {
    world.proxy.once("UpdateItem", Fault::DropReply);
    let retry = world.proxy.hold("UpdateItem");
    let first = site.start(first, Some(cookie));
    retry.arrived().await;
    let other = world.site();
    for path in between {
        other.visit(path, Some(cookie)).await.assert_done();
    }
    retry.release();
    first.await.expect("an answer")
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
            "it was counted once, whatever it was told"
        );
    }
}

/// The duplicate comes so late that the request has long been answered.
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
