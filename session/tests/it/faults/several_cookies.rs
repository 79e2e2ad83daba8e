//! A request brings several cookies of the layer's name. A neighbour subdomain can plant one. It must neither open the
//! visitor's pages to its planter nor lock the visitor out.

use super::World;
use crate::support::SECRET_KEY;
use crate::support::forge;
use crate::support::site::{IDLE, wait};

fn both(first: &str, second: &str) -> String {
    format!("{first}; {second}")
}

/// A signed cookie of a session that never existed.
fn unknown(seed: u64) -> String {
    let name = "__Host-session";
    format!(
        "{name}={}",
        forge::cookie(SECRET_KEY.as_bytes(), name, &forge::id(seed))
    )
}

#[tokio::test]
async fn of_two_the_one_whose_session_is_alive_counts_with_one_more_read() {
    let (world, site, alive) = World::logged_in().await;
    let ended = site.login("other", None).await;
    site.visit("/logout", Some(&ended)).await.assert_logged_out();
    for dead in [ended, unknown(1)] {
        for cookies in [both(&alive, &dead), both(&dead, &alive)] {
            let (answer, cost) = world.cost(site.visit("/", Some(&cookies))).await;
            answer.assert_done();
            assert_eq!(answer.body, "username=admin");
            assert_eq!(cost, ["GetItem", "GetItem"]);
            site.visit("/set?theme=dark", Some(&cookies)).await.assert_done();
            site.visit("/pop?theme", Some(&cookies)).await.assert_done();
        }
    }
}

#[tokio::test]
async fn one_that_does_not_verify_costs_nothing() {
    let (world, site, alive) = World::logged_in().await;
    let cookies = both("__Host-session=forged", &alive);
    let (answer, cost) = world.cost(site.visit("/", Some(&cookies))).await;
    assert_eq!(
        (answer.body.as_str(), cost),
        ("username=admin", vec!["GetItem".to_owned()])
    );
}

#[tokio::test]
async fn two_that_are_alive_count_as_none_and_a_login_ends_both() {
    let (world, site, first) = World::logged_in().await;
    let second = site.login("other", None).await;
    let cookies = both(&first, &second);
    assert_eq!(site.view(&cookies).await, "");
    let before = world.table.items().await;
    site.visit("/set?theme=dark", Some(&cookies)).await.assert_refused(409);
    assert_eq!(world.table.items().await, before);

    let new = site.login("admin", Some(&cookies)).await;
    assert_eq!(site.view(&new).await, "username=admin");
    for old in [&first, &second] {
        assert_eq!(site.view(old).await, "");
    }
    // The browser still sends the planted cookie, which no longer matters.
    assert_eq!(site.view(&both(&second, &new)).await, "username=admin");
}

#[tokio::test]
async fn a_logout_ends_all() {
    for logout in ["/logout", "/end", "/clear"] {
        let (_world, site, first) = World::logged_in().await;
        let second = site.login("other", None).await;
        let cookies = both(&first, &second);
        site.visit(logout, Some(&cookies)).await.assert_logged_out();
        for old in [&first, &second] {
            assert_eq!(site.view(old).await, "", "{logout}");
        }
    }
}

#[tokio::test]
async fn a_login_or_logout_over_a_live_one_leaves_nothing_alive_under_the_other() {
    for path in ["/login?admin", "/logout"] {
        let (_world, site, alive) = World::logged_in().await;
        let cookies = both(&unknown(2), &alive);
        let answer = site.visit(path, Some(&cookies)).await;
        assert!(answer.cookie.is_some(), "{path}: {answer:?}");
        assert_eq!(site.view(&alive).await, "", "{path}");
    }
}

#[tokio::test]
async fn more_than_four_are_nobodys_and_cost_nothing() {
    let (world, site, alive) = World::logged_in().await;
    let planted: Vec<_> = (0..4).map(unknown).collect();
    let four = both(&planted[..3].join("; "), &alive);
    assert_eq!(site.view(&four).await, "username=admin");
    let five = both(&planted.join("; "), &alive);
    let (answer, cost) = world.cost(site.visit("/", Some(&five))).await;
    assert_eq!((answer.body.as_str(), cost.len()), ("", 0));
    site.visit("/logout", Some(&five)).await.assert_logged_out();
}

#[tokio::test]
async fn a_logout_ends_all_that_verify_however_many_there_are() {
    let (_world, site, first) = World::logged_in().await;
    let mut cookies = vec![first];
    for n in 0..20 {
        cookies.push(site.login(&format!("visitor-{n}"), None).await);
    }
    let all = cookies.join("; ");
    assert_eq!(site.view(&all).await, "", "too many are ignored");
    site.visit("/logout", Some(&all)).await.assert_logged_out();
    for cookie in &cookies {
        assert_eq!(site.view(cookie).await, "");
    }
}

#[tokio::test]
async fn a_login_over_a_live_one_ends_an_expired_one_beside_it() {
    let (world, site, expired) = World::logged_in().await;
    wait(IDLE);
    let alive = site.login("admin", None).await;
    site.login("admin", Some(&both(&alive, &expired))).await;
    let ended = world
        .table
        .items()
        .await
        .iter()
        .filter(|item| item.contains_key("ended"))
        .count();
    assert_eq!(ended, 2);
}

/// One cookie's session has just ended, and the other's has expired.
#[tokio::test]
async fn one_that_ended_just_now_and_one_that_has_expired_are_a_conflict() {
    let (_world, site, expired) = World::logged_in().await;
    wait(IDLE);
    let ended = site.login("admin", None).await;
    site.visit("/logout", Some(&ended)).await.assert_logged_out();
    for cookies in [both(&ended, &expired), both(&expired, &ended)] {
        site.visit("/set?theme=dark", Some(&cookies)).await.assert_refused(409);
    }
}
