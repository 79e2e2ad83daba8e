//! Sessions that are too large, and changes that are large but fit.

use super::World;

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
async fn two_changes_that_fit_only_alone_are_told_apart() {
    let (world, site, cookie) = World::logged_in().await;
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
    let site = world.site();
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
    let (world, site, cookie) = World::logged_in().await;
    let (answer, cost) = world.cost(site.visit("/many?1000=first", Some(&cookie))).await;
    answer.assert_done();
    assert_eq!(cost, ["GetItem", "UpdateItem"]);
    site.visit("/many?1000=second", Some(&cookie)).await.assert_done();
    let found = site.view(&cookie).await;
    assert_eq!(found.matches("=second").count(), 1_000);
    assert!(found.contains("username=admin"));
}
