//! Sessions that outlive the browser.

use std::time::Duration;

use super::World;
use crate::support::site::{IDLE, LIFETIME, Site, keys, layer, wait};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn it_outlives_both_timeouts_and_ends_when_it_was_said_to() {
    let world = World::new().await;
    let site = world.site();
    let login = site.visit(&format!("/remember?admin={}", 20 * DAY), None).await;
    assert_eq!(login.max_age, Some(20 * DAY));
    let cookie = login.issued();
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    wait(20 * DAY - 1);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "admin");
    site.visit("/set?theme=light", Some(&cookie)).await.assert_done();
    wait(1);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "");
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn max_age_leaves_once() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit(&format!("/remember?admin={DAY}"), None).await.issued();
    for path in ["/", "/set?theme=dark", "/save-and-set?a=b", "/flash?hello", "/flashes"] {
        wait(IDLE);
        let answer = site.visit(path, Some(&cookie)).await;
        assert_eq!((answer.status, answer.cookie), (200, None), "{path}");
    }
    site.visit("/logout", Some(&cookie)).await.assert_logged_out();
}

#[tokio::test]
async fn no_longer_than_the_layer_allows() {
    let world = World::new().await;
    let most = Duration::from_secs(2 * DAY);
    let site = Site::of(
        layer(world.store(), keys())
            .clock(crate::support::site::now)
            .max_remembered(most),
    );
    let login = site.visit(&format!("/remember?admin={}", u64::MAX), None).await;
    assert_eq!(login.max_age, Some(2 * DAY));
    let cookie = login.issued();
    wait(2 * DAY - 1);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "admin");
    wait(1);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "");
}

#[tokio::test]
async fn a_renewal_keeps_the_day_and_another_login_does_not() {
    let world = World::new().await;
    let site = world.site();
    let cookie = site.visit(&format!("/remember?admin={DAY}"), None).await.issued();
    wait(LIFETIME);
    let renewed = site.visit("/renew?theme=dark", Some(&cookie)).await;
    assert_eq!(renewed.max_age, Some(DAY - LIFETIME));
    let cookie = renewed.issued();
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "admin");
    let other = site.visit("/log-in?other", Some(&cookie)).await;
    assert_eq!(other.max_age, None);
    let cookie = other.issued();
    wait(IDLE);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "");
}

#[tokio::test]
async fn what_ends_in_a_moment_is_remembered_no_longer_than_that() {
    let world = World::new().await;
    let site = world.site();
    let login = site.visit("/remember?admin=60", None).await;
    assert_eq!(login.max_age, Some(60));
    let cookie = login.issued();
    wait(59);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "admin");
    wait(1);
    assert_eq!(site.visit("/owner", Some(&cookie)).await.body, "");
}
