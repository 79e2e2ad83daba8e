//! Messages that are shown once.

use dev::proxy::Fault;

use super::World;
use crate::support::site::wait;

#[tokio::test]
async fn messages_are_shown_once_in_their_order_with_the_request_s_own_last() {
    let (_world, site, cookie) = World::logged_in().await;
    site.visit("/flash?first", Some(&cookie)).await.assert_done();
    site.visit("/flash?second", Some(&cookie)).await.assert_done();
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "first,second");
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "");
    assert_eq!(site.view(&cookie).await, "username=admin", "nothing else was touched");
}

#[tokio::test]
async fn a_page_without_messages_costs_no_write() {
    let (world, site, cookie) = World::logged_in().await;
    let (_, calls) = world.cost(site.visit("/flashes", Some(&cookie))).await;
    assert_eq!(calls, ["GetItem"]);
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    let (_, calls) = world.cost(site.visit("/flashes", Some(&cookie))).await;
    assert_eq!(calls, ["GetItem", "UpdateItem"]);
}

#[tokio::test]
async fn of_two_requests_at_once_one_gets_the_message() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/flashes", Some(&cookie));
    held.arrived().await;
    let fast = world.site().visit("/flashes", Some(&cookie)).await;
    held.release();
    assert_eq!(
        (fast.body.as_str(), slow.await.expect("an answer").body.as_str()),
        ("hello", "")
    );
}

#[tokio::test]
async fn a_message_whose_taking_lost_its_reply_is_shown_once() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    world.proxy.once("UpdateItem", Fault::DropReply);
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "hello");
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "");
}

#[tokio::test]
async fn a_message_that_comes_while_others_are_taken_is_shown_next() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/flash?first", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let taking = site.start("/flashes", Some(&cookie));
    held.arrived().await;
    world.site().visit("/flash?second", Some(&cookie)).await.assert_done();
    held.release();
    assert_eq!(taking.await.expect("an answer").body, "first,second");
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "");
}

#[tokio::test]
async fn an_outage_takes_no_message() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    world.spoil("UpdateItem", || Fault::DropCall);
    site.visit("/flashes", Some(&cookie)).await.assert_refused(503);
    world.proxy.pass_everything();
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "hello");
}

#[tokio::test]
async fn a_session_that_ends_while_messages_are_taken_has_none() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let taking = site.start("/flashes", Some(&cookie));
    held.arrived().await;
    world.site().visit("/logout", Some(&cookie)).await.assert_logged_out();
    held.release();
    let answer = taking.await.expect("an answer");
    answer.assert_done();
    assert_eq!(answer.body, "");
}

#[tokio::test]
async fn a_message_after_the_logout_is_in_a_session_of_its_own() {
    let (world, site, cookie) = World::logged_in().await;
    let (answer, calls) = world.cost(site.visit("/goodbye?bye", Some(&cookie))).await;
    assert_eq!(calls, ["GetItem", "UpdateItem", "PutItem"]);
    let new = answer.issued();
    assert_ne!(new, cookie);
    assert_eq!(site.view(&cookie).await, "", "the old session has ended");
    assert_eq!(site.visit("/flashes", Some(&new)).await.body, "bye");
    assert_eq!(site.view(&new).await, "");
}

#[tokio::test]
async fn a_visitor_without_a_session_gets_one_for_a_message() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/flash?hello", None).await.issued();
    wait(600);
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "hello");
    // The session that is left is empty, and works like any other.
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    assert_eq!(site.view(&cookie).await, "theme=dark");
}

/// A handler writes a value that is already stored and takes messages, while another request changes that variable.
#[tokio::test]
async fn a_write_of_no_consequence_undoes_nothing_after_messages_were_taken() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    site.visit("/flash?hello", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/set-and-take?theme=dark", Some(&cookie));
    held.arrived().await;
    world
        .site()
        .visit("/set?theme=light", Some(&cookie))
        .await
        .assert_done();
    held.release();
    assert_eq!(slow.await.expect("an answer").body, "hello");
    assert_eq!(site.view(&cookie).await, "theme=light username=admin");
}
