//! Once a logout was answered, or a login that replaces a session, nothing revives the session.

use dev::proxy::Fault;

use super::World;
use crate::support::site::{Site, wait};

/// The ways in which a session can end.
const ENDS: [&str; 5] = ["/logout", "/end", "/clear", "/login?admin", "/login?other"];

/// Ends the session with `cookie`, and checks the answer.
async fn finish(site: &Site, end: &str, cookie: &str) {
    let answer = site.visit(end, Some(cookie)).await;
    assert_eq!(answer.status, 200, "{end}: {answer:?}");
    assert!(answer.cookie.is_some_and(|issued| issued != cookie), "{end}");
}

/// Checks that the old cookie opens nothing, here and on another instance, and that the old record holds no variable.
async fn assert_dead(world: &World, cookie: &str, end: &str) {
    for site in [world.site(), world.site()] {
        assert_eq!(site.view(cookie).await, "", "after {end}");
    }
}

#[tokio::test]
async fn by_a_slide_that_lands_after_the_end() {
    for end in ENDS {
        let (world, site, cookie) = World::logged_in().await;
        wait(600);
        let slide = world.proxy.hold("UpdateItem");
        let view = site.start("/", Some(&cookie));
        slide.arrived().await;
        view.await.expect("an answer").assert_done();
        finish(&world.site(), end, &cookie).await;
        slide.release();
        slide.delivered().await;
        assert_dead(&world, &cookie, end).await;
    }
}

#[tokio::test]
async fn by_an_update_that_lands_after_the_end() {
    for end in ENDS {
        let (world, site, cookie) = World::logged_in().await;
        let update = world.proxy.hold("UpdateItem");
        let set = site.start("/set?theme=dark", Some(&cookie));
        update.arrived().await;
        finish(&world.site(), end, &cookie).await;
        update.release();
        set.await.expect("an answer").assert_refused(409);
        assert_dead(&world, &cookie, end).await;
    }
}

#[tokio::test]
async fn by_a_duplicate_of_an_update_that_was_delayed() {
    for end in ENDS {
        let (world, site, cookie) = World::logged_in().await;
        let late = world.proxy.deliver_late("UpdateItem");
        site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
        finish(&site, end, &cookie).await;
        late.release();
        late.delivered().await;
        assert_dead(&world, &cookie, end).await;
    }
}

#[tokio::test]
async fn by_a_duplicate_of_the_create_that_was_delayed() {
    for end in ENDS {
        let world = World::new().await;
        let site = world.site();
        let late = world.proxy.deliver_late("PutItem");
        let cookie = site.login("admin", None).await;
        finish(&site, end, &cookie).await;
        late.release();
        late.delivered().await;
        assert_dead(&world, &cookie, end).await;
    }
}

#[tokio::test]
async fn by_a_duplicate_of_the_create_of_a_login_over_a_session() {
    for end in ENDS {
        let world = World::new().await;
        let site = world.site();
        let first = site.login("admin", None).await;
        let late = world.proxy.deliver_late("PutItem");
        let second = site.login("admin", Some(&first)).await;
        finish(&site, end, &second).await;
        late.release();
        late.delivered().await;
        assert_dead(&world, &first, end).await;
        assert_dead(&world, &second, end).await;
    }
}

#[tokio::test]
async fn by_a_create_whose_client_gave_up() {
    let world = World::new().await;
    let site = world.site();
    let first = world.proxy.deliver_late("PutItem");
    world.spoil("PutItem", || Fault::DropCall);
    // All attempts are lost, so nobody learns the ID of the record that is written afterwards.
    site.visit("/login?admin", None).await.assert_refused(503);
    first.release();
    first.delivered().await;
    world.proxy.pass_everything();
    assert_eq!(world.table.items().await.len(), 1);
    assert_eq!(site.visit("/", None).await.body, "");
}

#[tokio::test]
async fn by_a_retry_of_the_end_itself() {
    for end in ENDS {
        let (world, site, cookie) = World::logged_in().await;
        world.proxy.once("UpdateItem", Fault::DropReply);
        finish(&site, end, &cookie).await;
        assert_dead(&world, &cookie, end).await;
    }
}

#[tokio::test]
async fn by_a_login_that_was_on_its_way_when_the_session_was_ended() {
    for held in ["PutItem", "UpdateItem"] {
        let (world, site, cookie) = World::logged_in().await;
        site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
        let gate = world.proxy.hold(held);
        let login = site.start("/login?admin", Some(&cookie));
        gate.arrived().await;
        site.visit("/logout", Some(&cookie)).await.assert_logged_out();
        gate.release();
        let new = login.await.expect("an answer").issued();
        // The login makes a session of its own, without the variables of the ended one.
        assert_eq!(site.view(&new).await, "username=admin", "{held}");
        assert_dead(&world, &cookie, held).await;
    }
}
