//! Sessions that are too large, and changes that are large but fit.

use lambda_session::SessionErrorKind;

use super::World;
use crate::support::site::{Site, keys, layer, now, sealed};

/// An instance whose sessions may be as large as DynamoDB allows.
fn unbounded(world: &World) -> Site {
    Site::of(layer(world.store(), keys()).max_bytes(usize::MAX).clock(now))
}

#[tokio::test]
async fn a_variable_that_does_not_fit_is_refused_before_any_write() {
    let world = World::new().await;
    let site = world.site();
    let (answer, cost) = world.cost(site.visit("/fill?text=409600", None)).await;
    answer.assert_refused(422);
    assert_eq!(cost, [""; 0]);

    let cookie = site.login("admin", None).await;
    let (answer, cost) = world.cost(site.visit("/fill?text=409600", Some(&cookie))).await;
    answer.assert_refused(422);
    assert_eq!(cost, ["GetItem"]);
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn unless_more_is_asked_for_a_session_takes_16_kilobytes() {
    let world = World::new().await;
    let site = world.site();
    let added = if sealed() { r#"{"S":""}"#.len() + 40 } else { 0 };
    let fits = 16 * 1024 - "text".len() - 1 - added;
    let cookie = site.visit(&format!("/fill?text={fits}"), None).await.issued();
    for more in [format!("/fill?text={}", fits + 1), "/set?a=b".to_owned()] {
        let (answer, cost) = world.cost(site.visit(&more, Some(&cookie))).await;
        answer.assert_refused(422);
        assert_eq!(cost, ["GetItem"], "{more}");
    }
    assert_eq!(site.view(&cookie).await.len(), "text=".len() + fits);
}

#[tokio::test]
async fn many_requests_together_make_a_session_no_larger_than_one_does() {
    let (world, site, cookie) = World::logged_in().await;
    let held = world.proxy.hold("UpdateItem");
    let second = site.start("/fill?b=9000", Some(&cookie));
    held.arrived().await;
    site.visit("/fill?a=9000", Some(&cookie)).await.assert_done();
    held.release();
    let second = second.await.expect("an answer");
    second.assert_refused(500);
    assert_eq!(second.failed, Some(SessionErrorKind::TooLarge));
    let found = site.view(&cookie).await;
    assert!(found.contains("a=xxx") && !found.contains("b=xxx"), "{found}");
}

#[tokio::test]
async fn a_session_from_before_the_limit_lives_on_and_may_become_smaller() {
    let world = World::new().await;
    let cookie = unbounded(&world).visit("/fill?a=30000", None).await.issued();
    let cookie = unbounded(&world)
        .visit("/fill?b=30000", Some(&cookie))
        .await
        .cookie
        .unwrap_or(cookie);
    let site = world.site();
    assert!(site.view(&cookie).await.len() > 60_000);
    site.visit("/set?c=d", Some(&cookie)).await.assert_refused(422);
    site.visit("/fill?a=20000", Some(&cookie)).await.assert_done();
    let cookie = site.visit("/renew", Some(&cookie)).await.issued();
    site.visit("/pop?a", Some(&cookie)).await.assert_done();
    site.visit("/pop?b", Some(&cookie)).await.assert_logged_out();
}

#[tokio::test]
async fn two_changes_that_fit_only_alone_are_told_apart() {
    let world = World::new().await;
    let site = unbounded(&world);
    let cookie = site.login("admin", None).await;
    let held = world.proxy.hold("UpdateItem");
    let second = site.start("/fill?b=300000", Some(&cookie));
    held.arrived().await;
    site.visit("/fill?a=300000", Some(&cookie)).await.assert_done();
    held.release();
    let second = second.await.expect("an answer");
    second.assert_refused(500);
    assert_eq!(second.body, "something went wrong\n");
    assert!(site.view(&cookie).await.len() > 300_000);
    site.visit("/pop?a", Some(&cookie)).await.assert_done();
    assert_eq!(site.view(&cookie).await, "username=admin");
}

#[tokio::test]
async fn a_login_over_a_session_that_grew_too_large_meanwhile_leaves_it_as_it_was() {
    let world = World::new().await;
    let site = unbounded(&world);
    let cookie = site.visit("/fill?a=1", None).await.issued();
    let held = world.proxy.hold("UpdateItem");
    let filled = format!("/renew?b={}", "x".repeat(60_000));
    let login = site.start(&filled, Some(&cookie));
    held.arrived().await;
    site.visit("/fill?a=380000", Some(&cookie)).await.assert_done();
    held.release();
    login.await.expect("an answer").assert_refused(500);
    assert!(site.view(&cookie).await.len() > 380_000);
}

#[tokio::test]
async fn a_thousand_variables_change_in_one_request() {
    let world = World::new().await;
    let site = unbounded(&world);
    let cookie = site.login("admin", None).await;
    let (answer, cost) = world.cost(site.visit("/many?1000=first", Some(&cookie))).await;
    answer.assert_done();
    assert_eq!(cost, ["GetItem", "UpdateItem"]);
    site.visit("/many?1000=second", Some(&cookie)).await.assert_done();
    let found = site.view(&cookie).await;
    assert_eq!(found.matches("=second").count(), 1_000);
    assert!(found.contains("username=admin"));
}
