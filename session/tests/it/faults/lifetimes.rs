//! Sessions with a lifetime of their own.

use std::time::Duration;

use super::World;
use crate::support::own_table::number;
use crate::support::site::{IDLE, LIFETIME, Site, keys, layer, now, wait};

const DAY: u64 = 24 * 60 * 60;

/// A site whose sessions may live for two years.
fn long(world: &World) -> Site {
    let most = Duration::from_secs(800 * DAY);
    Site::of(layer(world.store(), keys()).clock(now).max_remembered(most))
}

#[tokio::test]
async fn a_shorter_idle_timeout_and_lifetime_hold_on_read_and_on_write() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit("/lifetime?300=3600", None).await.issued();
    let start = now();
    while now() - start < 3_300 {
        wait(299);
        assert_eq!(site.view(&cookie).await, "a=1", "after {}", now() - start);
    }
    site.visit("/set?b=2", Some(&cookie)).await.assert_done();
    assert_eq!(world.only_item().await["expires_at"], number(start + 3_600));
    wait(3_600 - (now() - start) - 1);
    assert_eq!(site.view(&cookie).await, "a=1 b=2");
    wait(1);
    assert_eq!(site.view(&cookie).await, "");

    let cookie = site.visit("/lifetime?300=3600", None).await.issued();
    wait(300);
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn one_that_lasts_as_long_as_it_is_used_outlives_the_browser_until_its_maximum() {
    let world = World::new().await;
    let site = long(&world);
    let login = site.visit(&format!("/lasting?{}={}", 30 * DAY, 365 * DAY), None).await;
    assert_eq!(login.max_age, Some(365 * DAY));
    let cookie = login.issued();
    for _ in 0..12 {
        wait(30 * DAY - 1);
        assert_eq!(site.view(&cookie).await, "a=1");
    }
    wait(5 * DAY + 11);
    assert_eq!(site.view(&cookie).await, "a=1");
    wait(1);
    assert_eq!(site.view(&cookie).await, "", "a year is over");

    let cookie = site
        .visit(&format!("/lasting?{}={}", 30 * DAY, 365 * DAY), None)
        .await
        .issued();
    wait(30 * DAY);
    assert_eq!(site.view(&cookie).await, "", "a month without a request");
}

#[tokio::test]
async fn max_age_never_passes_400_days() {
    let world = World::new().await;
    let site = long(&world);
    let lasting = site.visit(&format!("/lasting?{}={}", 30 * DAY, 700 * DAY), None).await;
    assert_eq!(lasting.max_age, Some(400 * DAY));
    let remembered = site.visit(&format!("/remember?admin={}", 500 * DAY), None).await;
    assert_eq!(remembered.max_age, Some(400 * DAY));
}

#[tokio::test]
async fn the_layer_s_maximum_holds_for_it() {
    let world = World::new().await;
    let site = world.site();
    let login = site.visit(&format!("/lasting?{}={}", 60 * DAY, 365 * DAY), None).await;
    assert_eq!(login.max_age, Some(30 * DAY));
    let cookie = login.issued();
    wait(30 * DAY - 1);
    assert_eq!(site.view(&cookie).await, "a=1");
    wait(1);
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn a_renewal_begins_it_anew_and_the_layer_s_comes_back_when_asked_or_with_another_login() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site
        .visit(&format!("/lifetime?{}={}", 2 * IDLE, 2 * LIFETIME), None)
        .await
        .issued();
    wait(IDLE);
    let renewed = site.visit("/renew?theme=dark", Some(&cookie)).await.issued();
    wait(2 * IDLE - 1);
    assert_eq!(site.view(&renewed).await, "a=1 theme=dark");
    let back = site.visit("/layers-lifetime", Some(&renewed)).await.issued();
    wait(IDLE - 1);
    assert_eq!(site.view(&back).await, "a=1 theme=dark");
    wait(IDLE);
    assert_eq!(site.view(&back).await, "");

    let cookie = site
        .visit(&format!("/lifetime?{}={}", 2 * IDLE, 2 * LIFETIME), None)
        .await
        .issued();
    let login = site.visit("/log-in?admin", Some(&cookie)).await.issued();
    wait(IDLE);
    assert_eq!(site.view(&login).await, "");
}
