//! A cookie is sent only with a session, an answer claims only what was written, and views never change the cookie.

use dev::proxy::Fault;

use super::World;
use crate::support::site::wait;

const STEPS: [&str; 3] = ["GetItem", "PutItem", "UpdateItem"];

/// The faults that a step can meet. With the last two, DynamoDB does what was asked.
const LOST: [fn() -> Fault; 4] = [
    || Fault::DropCall,
    || Fault::Error(500, "InternalServerError"),
    || Fault::DropReply,
    || Fault::DropReply,
];

#[tokio::test]
async fn a_login_whose_reply_is_lost_once_is_the_same_session() {
    let world = World::new().await;
    let site = world.site();
    world.proxy.once("PutItem", Fault::DropReply);
    let cookie = site.login("admin", None).await;
    assert_eq!(world.table.items().await.len(), 1);
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn a_login_that_may_not_be_written_is_a_503_without_a_cookie() {
    for lost in LOST {
        let world = World::new().await;
        let site = world.site();
        world.proxy.rule(move |_| lost());
        site.visit("/login?admin", None).await.assert_refused(503);
    }
}

#[tokio::test]
async fn each_step_of_a_login_over_a_session_survives_one_loss() {
    for step in STEPS {
        for lost in LOST {
            let world = World::new().await;
            let site = world.site();
            let old = site.login("admin", None).await;
            site.visit("/set?theme=dark", Some(&old)).await.assert_done();
            world.proxy.once(step, lost());
            let new = site.login("admin", Some(&old)).await;
            assert_eq!(
                site.view(&new).await,
                "theme=dark username=admin",
                "{step} {:?}",
                lost()
            );
            assert_eq!(site.view(&old).await, "", "{step} {:?}", lost());
            assert_eq!(
                world.table.items().await.len(),
                2,
                "the old session's tombstone and the new record"
            );
        }
    }
}

#[tokio::test]
async fn a_login_over_a_session_that_fails_at_any_step_hands_out_no_cookie() {
    for step in STEPS {
        for lost in LOST {
            let world = World::new().await;
            let site = world.site();
            let old = site.login("admin", None).await;
            world.spoil(step, lost);
            site.visit("/login?admin", Some(&old)).await.assert_refused(503);
            world.proxy.pass_everything();
            let found = site.view(&old).await;
            let replaced = step == "UpdateItem" && matches!(lost(), Fault::DropReply);
            assert_eq!(found.is_empty(), replaced, "{step} {:?}", lost());
        }
    }
}

#[tokio::test]
async fn a_double_clicked_login_leaves_two_sound_cookies() {
    let world = World::new().await;
    let site = world.site();
    let held = world.proxy.hold("PutItem");
    let first = site.start("/login?admin", None);
    held.arrived().await;
    let second = site.login("admin", None).await;
    held.release();
    let first = first.await.expect("an answer").issued();
    assert_ne!(first, second);
    for cookie in [first, second] {
        assert_eq!(site.view(&cookie).await, "username=admin");
    }
}

#[tokio::test]
async fn a_double_clicked_login_over_a_session_leaves_two_sound_cookies_and_a_dead_one() {
    for held in ["PutItem", "UpdateItem"] {
        let world = World::new().await;
        let site = world.site();
        let old = site.login("admin", None).await;
        site.visit("/set?theme=dark", Some(&old)).await.assert_done();
        let gate = world.proxy.hold(held);
        let first = site.start("/login?admin", Some(&old));
        gate.arrived().await;
        let second = site.login("admin", Some(&old)).await;
        gate.release();
        let first = first.await.expect("an answer").issued();
        for cookie in [first, second] {
            assert_eq!(site.view(&cookie).await, "theme=dark username=admin", "{held}");
        }
        assert_eq!(site.view(&old).await, "", "{held}");
    }
}

#[tokio::test]
async fn a_logout_that_could_not_be_written_keeps_the_cookie_and_the_session() {
    for logout in ["/logout", "/end", "/clear"] {
        let (world, site, cookie) = World::logged_in().await;
        world.spoil("UpdateItem", || Fault::DropCall);
        site.visit(logout, Some(&cookie)).await.assert_refused(503);
        world.proxy.pass_everything();
        assert_eq!(site.view(&cookie).await, "username=admin", "{logout}");
    }
}

#[tokio::test]
async fn a_slow_view_leaves_the_cookie_to_the_login_or_logout_that_overtook_it() {
    for other in ["/logout", "/login?admin", "/login?other"] {
        for (held, path) in [("GetItem", "/"), ("UpdateItem", "/"), ("UpdateItem", "/set?theme=dark")] {
            let (world, site, cookie) = World::logged_in().await;
            wait(600);
            let gate = world.proxy.hold(held);
            let view = site.start(path, Some(&cookie));
            gate.arrived().await;
            world.site().visit(other, Some(&cookie)).await;
            gate.release();
            let view = view.await.expect("an answer");
            assert_eq!(view.cookie, None, "{other} {held} {path}");
        }
    }
}

#[tokio::test]
async fn a_view_without_a_session_leaves_the_cookie_alone() {
    let (_world, site, cookie) = World::logged_in().await;
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
    for cookie in [None, Some(cookie.as_str()), Some("__Host-session=forged")] {
        site.visit("/", cookie).await.assert_done();
        site.visit("/pop?username", cookie).await.assert_done();
    }
}
