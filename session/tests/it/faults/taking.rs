//! Variables that are given to one request.

use dev::proxy::Fault;

use super::World;

/// A visitor whose session holds a variable to take.
async fn with_state() -> (World, crate::support::site::Site, String) {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/set?state=secret", Some(&cookie)).await.assert_done();
    (world, site, cookie)
}

#[tokio::test]
async fn of_two_requests_at_once_one_gets_it() {
    let (world, site, cookie) = with_state().await;
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/take?state", Some(&cookie));
    held.arrived().await;
    let fast = world.site().visit("/take?state", Some(&cookie)).await;
    held.release();
    assert_eq!(fast.body, "secret");
    assert_eq!(slow.await.expect("an answer").body, "");
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn it_costs_one_write_and_nothing_where_there_is_nothing() {
    let (world, site, cookie) = with_state().await;
    let (taken, calls) = world.cost(site.visit("/take?state", Some(&cookie))).await;
    assert_eq!(
        (taken.body.as_str(), &calls[..]),
        ("secret", &["GetItem", "UpdateItem"].map(String::from)[..])
    );
    let (taken, calls) = world.cost(site.visit("/take?state", Some(&cookie))).await;
    assert_eq!(
        (taken.body.as_str(), &calls[..]),
        ("", &["GetItem"].map(String::from)[..])
    );
}

#[tokio::test]
async fn a_lost_reply_gives_it_once() {
    let (world, site, cookie) = with_state().await;
    world.proxy.once("UpdateItem", Fault::DropReply);
    assert_eq!(site.visit("/take?state", Some(&cookie)).await.body, "secret");
    assert_eq!(site.visit("/take?state", Some(&cookie)).await.body, "");
}

#[tokio::test]
async fn a_newer_value_of_another_request_is_taken() {
    let (world, site, cookie) = with_state().await;
    let held = world.proxy.hold("UpdateItem");
    let taking = site.start("/take?state", Some(&cookie));
    held.arrived().await;
    world
        .site()
        .visit("/set?state=newer", Some(&cookie))
        .await
        .assert_done();
    held.release();
    assert_eq!(taking.await.expect("an answer").body, "newer");
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn what_the_request_has_set_itself_is_its_own_and_leaves_nothing() {
    let (_world, site, cookie) = with_state().await;
    assert_eq!(
        site.visit("/set-and-take-it?state=own", Some(&cookie)).await.body,
        "own"
    );
    assert_eq!(
        site.view(&cookie).await,
        "username=admin",
        "the stored one is gone, too"
    );
}

#[tokio::test]
async fn a_value_of_another_type_stays() {
    let (_world, site, cookie) = with_state().await;
    site.visit("/increment?number", Some(&cookie)).await.assert_done();
    site.visit("/take?number", Some(&cookie)).await.assert_refused(500);
    assert_eq!(site.view(&cookie).await, "number=1 state=secret username=admin");
}

#[tokio::test]
async fn an_outage_takes_nothing_and_an_ended_session_has_nothing() {
    let (world, site, cookie) = with_state().await;
    world.spoil("UpdateItem", || Fault::DropCall);
    site.visit("/take?state", Some(&cookie)).await.assert_refused(503);
    world.proxy.pass_everything();
    let held = world.proxy.hold("UpdateItem");
    let taking = site.start("/take?state", Some(&cookie));
    held.arrived().await;
    world.site().visit("/logout", Some(&cookie)).await.assert_logged_out();
    held.release();
    assert_eq!(taking.await.expect("an answer").body, "");
}
