//! A request that began before a login or a logout in another tab, and comes after it: it changes nothing, makes no session
//! and never touches the cookie.

use super::World;

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
