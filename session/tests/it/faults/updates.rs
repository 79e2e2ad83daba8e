//! No update is lost, and a change whose session has ended is refused.

use dev::proxy::Fault;

use super::World;
use crate::support::own_table::number;
use crate::support::site::wait;

#[tokio::test]
async fn two_requests_that_change_different_variables_both_win() {
    for change in ["/set?language=en", "/pop?theme", "/many?200=x"] {
        let (world, site, cookie) = World::logged_in().await;
        site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
        let held = world.proxy.hold("UpdateItem");
        let first = site.start("/set?colour=blue", Some(&cookie));
        held.arrived().await;
        world.site().visit(change, Some(&cookie)).await.assert_done();
        held.release();
        first.await.expect("an answer").assert_done();
        let found = site.view(&cookie).await;
        assert!(
            found.contains("colour=blue") && found.contains("username=admin"),
            "{found}"
        );
        assert_eq!(found.contains("language=en"), change == "/set?language=en");
        assert_eq!(found.contains("theme=dark"), change != "/pop?theme");
        assert_eq!(found.contains("variable number 199=x"), change == "/many?200=x");
    }
}

#[tokio::test]
async fn of_the_same_variable_the_later_write_wins() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let later = site.start("/set?theme=later", Some(&cookie));
    held.arrived().await;
    site.visit("/set?theme=earlier", Some(&cookie)).await.assert_done();
    held.release();
    later.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "theme=later username=admin");
}

#[tokio::test]
async fn a_change_that_finds_its_session_gone_is_told_so() {
    for end in ["/logout", "/end", "/login?admin", "/login?other"] {
        for change in ["/set?theme=dark", "/pop?theme", "/many?200=x", "/renew"] {
            let (world, site, cookie) = World::logged_in().await;
            site.visit("/set?theme=light", Some(&cookie)).await.assert_done();
            let held = world.proxy.hold("UpdateItem");
            let changed = site.start(change, Some(&cookie));
            held.arrived().await;
            let ended = world.site().visit(end, Some(&cookie)).await;
            held.release();
            let changed = changed.await.expect("an answer");
            changed.assert_refused(409);
            let cookie = ended.cookie.expect("a cookie");
            let found = site.view(&cookie).await;
            assert!(
                !found.contains("dark") && !found.contains("=x"),
                "{end} {change}: {found}"
            );
        }
    }
}

#[tokio::test]
async fn a_slide_that_finds_its_session_gone_is_quiet() {
    let (world, site, cookie) = World::logged_in().await;
    wait(600);
    let slide = world.proxy.hold("UpdateItem");
    let view = site.start("/", Some(&cookie));
    slide.arrived().await;
    world.site().visit("/logout", Some(&cookie)).await.assert_logged_out();
    slide.release();
    view.await.expect("an answer").assert_done();
}

#[tokio::test]
async fn a_late_duplicate_does_not_undo_a_later_write() {
    let (world, site, cookie) = World::logged_in().await;
    let late = world.proxy.deliver_late("UpdateItem");
    site.visit("/set?theme=first", Some(&cookie)).await.assert_done();
    site.visit("/set?theme=second", Some(&cookie)).await.assert_done();
    let before = world.only_item().await;
    late.release();
    late.delivered().await;
    assert_eq!(world.only_item().await, before);
}

#[tokio::test]
async fn a_late_attempt_of_a_failed_request_changes_nothing_after_a_later_write() {
    for (attempt, operation) in [
        ("/set?theme=late", "UpdateItem"),
        ("/pop?theme", "UpdateItem"),
        ("/clear", "UpdateItem"),
        ("/login?admin", "UpdateItem"),
        ("/many?200=x", "UpdateItem"),
    ] {
        let (world, site, cookie) = World::logged_in().await;
        site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
        let late = world.proxy.deliver_late(operation);
        world.spoil(operation, || Fault::DropCall);
        site.visit(attempt, Some(&cookie)).await.assert_refused(503);
        world.proxy.pass_everything();
        // The late attempt does not write this variable.
        site.visit("/set?colour=blue", Some(&cookie)).await.assert_done();
        late.release();
        late.delivered().await;
        assert_eq!(
            site.view(&cookie).await,
            "colour=blue theme=dark username=admin",
            "{attempt}"
        );
    }
}

#[tokio::test]
async fn an_update_whose_reply_was_lost_is_written_once() {
    let (world, site, cookie) = World::logged_in().await;
    world.proxy.once("UpdateItem", Fault::DropReply);
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    assert_eq!(world.only_item().await["revision"], number(1));
    assert_eq!(site.view(&cookie).await, "theme=dark username=admin");
}

#[tokio::test]
async fn a_session_that_another_request_filled_meanwhile_is_not_ended_for_being_empty() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let pop = site.start("/pop?username", Some(&cookie));
    held.arrived().await;
    world.site().visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    held.release();
    pop.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "theme=dark");
}

#[tokio::test]
async fn emptying_a_session_that_a_login_replaced_is_told_so_and_leaves_the_new_cookie() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/set?theme=dark", None).await.issued();
    let held = world.proxy.hold("UpdateItem");
    let pop = site.start("/pop?theme", Some(&cookie));
    held.arrived().await;
    let new = world
        .site()
        .visit("/renew?username=admin", Some(&cookie))
        .await
        .issued();
    held.release();
    pop.await.expect("an answer").assert_refused(409);
    assert_eq!(site.view(&new).await, "theme=dark username=admin");
}

#[tokio::test]
async fn writing_an_equal_value_does_not_undo_what_another_request_wrote_meanwhile() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/both?theme=dark&colour=blue", Some(&cookie));
    held.arrived().await;
    world
        .site()
        .visit("/set?theme=light", Some(&cookie))
        .await
        .assert_done();
    held.release();
    slow.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "colour=blue theme=light username=admin");
}

#[tokio::test]
async fn two_requests_that_take_out_the_last_two_variables_end_the_session() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/pop?theme", Some(&cookie));
    held.arrived().await;
    world.site().visit("/pop?username", Some(&cookie)).await.assert_done();
    held.release();
    slow.await.expect("an answer").assert_logged_out();
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn taking_out_the_last_variable_of_a_session_that_changed_and_ended_meanwhile_is_refused() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/pop?username", Some(&cookie));
    held.arrived().await;
    let other = world.site();
    other.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    other.visit("/logout", Some(&cookie)).await.assert_logged_out();
    held.release();
    slow.await.expect("an answer").assert_refused(409);
}

#[tokio::test]
async fn renewing_a_session_that_two_requests_emptied_together_ends_it() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/renew-and-pop?theme", Some(&cookie));
    held.arrived().await;
    world.site().visit("/pop?username", Some(&cookie)).await.assert_done();
    held.release();
    slow.await.expect("an answer").assert_logged_out();
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn of_two_defaults_at_once_the_first_stays() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/setdefault?theme=dark", Some(&cookie));
    held.arrived().await;
    site.visit("/setdefault?theme=light", Some(&cookie)).await.assert_done();
    held.release();
    slow.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "theme=light username=admin");
}

#[tokio::test]
async fn a_value_that_another_request_mended_is_not_discarded() {
    for (path, alone, beside) in [
        ("/discard?visits", "username=admin", "username=admin visits=5"),
        (
            "/discard-and-count?visits",
            "username=admin visits=1",
            "username=admin visits=6",
        ),
    ] {
        let (world, site, cookie) = World::logged_in().await;
        site.visit("/set?visits=many", Some(&cookie)).await.assert_done();
        site.visit(path, Some(&cookie)).await.assert_done();
        assert_eq!(site.view(&cookie).await, alone);

        site.visit("/set?visits=many", Some(&cookie)).await.assert_done();
        let held = world.proxy.hold("UpdateItem");
        let slow = site.start(path, Some(&cookie));
        held.arrived().await;
        site.visit("/pop?visits", Some(&cookie)).await.assert_done();
        for _ in 0..5 {
            site.visit("/increment?visits", Some(&cookie)).await.assert_done();
        }
        held.release();
        slow.await.expect("an answer").assert_done();
        assert_eq!(site.view(&cookie).await, beside);
    }
}

#[tokio::test]
async fn what_is_cleared_and_set_to_its_old_value_stays_and_nothing_else() {
    let (world, site, cookie) = World::logged_in().await;
    site.visit("/both?theme=dark&colour=blue", Some(&cookie))
        .await
        .assert_done();
    let held = world.proxy.hold("UpdateItem");
    let slow = site.start("/clear-and-set?theme=dark", Some(&cookie));
    held.arrived().await;
    world
        .site()
        .visit("/both?theme=light&size=big", Some(&cookie))
        .await
        .assert_done();
    held.release();
    slow.await.expect("an answer").assert_done();
    assert_eq!(site.view(&cookie).await, "theme=dark");
}
