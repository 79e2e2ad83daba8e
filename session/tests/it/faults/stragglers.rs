//! A request that began before a login or a logout in another tab comes after it. It changes nothing, makes no session
//! and leaves the cookie alone.

use lambda_session::MemoryStore;

use super::World;
use crate::support::site::{Site, wait};

const ENDS: [&str; 3] = ["/login?admin", "/login?other", "/logout"];

const WRITES: [&str; 5] = [
    "/set?theme=dark",
    "/increment?visits",
    "/both?theme=dark&colour=blue",
    "/many?200=x",
    "/fill?text=100",
];

#[tokio::test]
async fn a_write_with_the_cookie_of_before_is_a_conflict() {
    for end in ENDS {
        let (world, site, old) = World::logged_in().await;
        site.visit(end, Some(&old)).await;
        let before = world.table.items().await;
        for write in WRITES {
            site.visit(write, Some(&old)).await.assert_refused(409);
            assert_eq!(world.table.items().await, before, "{end} {write}");
        }
    }
}

#[tokio::test]
async fn a_write_whose_read_was_overtaken_is_a_conflict() {
    for end in ENDS {
        let (world, site, old) = World::logged_in().await;
        let read = world.proxy.hold("GetItem");
        let slow = site.start("/set?theme=dark", Some(&old));
        read.arrived().await;
        let new = world.site().visit(end, Some(&old)).await;
        let before = world.table.items().await;
        read.release();
        slow.await.expect("an answer").assert_refused(409);
        assert_eq!(world.table.items().await, before, "{end}");
        let cookie = new.cookie.expect("a cookie");
        assert!(!site.view(&cookie).await.contains("dark"), "{end}");
    }
}

#[tokio::test]
async fn a_view_with_the_cookie_of_before_is_nobodys_and_leaves_the_cookie_alone() {
    for end in ENDS {
        let (_world, site, old) = World::logged_in().await;
        site.visit(end, Some(&old)).await;
        for view in ["/", "/pop?username", "/renew"] {
            let answer = site.visit(view, Some(&old)).await;
            answer.assert_done();
            assert_eq!(answer.body, "", "{end} {view}");
        }
    }
}

#[tokio::test]
async fn a_login_with_the_cookie_of_before_is_a_login() {
    for end in ENDS {
        let (_world, site, old) = World::logged_in().await;
        site.visit(end, Some(&old)).await;
        let new = site.login("third", Some(&old)).await;
        assert_eq!(site.view(&new).await, "username=third", "{end}");
        assert_eq!(site.view(&old).await, "", "{end}");
    }
}

/// A visitor who was logged out elsewhere and comes back later is shown a message, not a conflict.
#[tokio::test]
async fn a_write_more_than_a_minute_after_the_end_begins_a_new_session() {
    for end in ENDS {
        let (_world, site, old) = World::logged_in().await;
        site.visit(end, Some(&old)).await;
        wait(59);
        site.visit("/flash?hello", Some(&old)).await.assert_refused(409);
        wait(1);
        let new = site.visit("/flash?hello", Some(&old)).await.issued();
        assert_eq!(site.visit("/flashes", Some(&new)).await.body, "hello", "{end}");
        assert_eq!(site.view(&old).await, "", "{end}");
    }
}

/// Another tab logs out with the old cookie, before the answer to a renewal has arrived.
#[tokio::test]
async fn a_logout_ends_what_a_renewal_made() {
    let world = World::new().await;
    for site in [world.site(), Site::new(MemoryStore::default())] {
        for logout in ["/logout", "/end", "/clear"] {
            let old = site.login("admin", None).await;
            let once = site.visit("/renew?theme=dark", Some(&old)).await.issued();
            let twice = site.visit("/renew?", Some(&once)).await.issued();
            site.visit(logout, Some(&old)).await.assert_logged_out();
            assert_eq!(site.view(&twice).await, "", "{logout}");
        }
    }
}

#[tokio::test]
async fn a_logout_ends_no_login_that_took_the_sessions_place() {
    let world = World::new().await;
    for site in [world.site(), Site::new(MemoryStore::default())] {
        for login in ["/log-in?somebody", "/login?other"] {
            let old = site.login("admin", None).await;
            let new = site.visit(login, Some(&old)).await.issued();
            let before = site.view(&new).await;
            site.visit("/logout", Some(&old)).await.assert_logged_out();
            assert_eq!(site.view(&new).await, before, "{login}");
            assert!(!before.is_empty(), "{login}");
        }
    }
}
