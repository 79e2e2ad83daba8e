//! Whatever the record is, a logout makes the ID invalid and clears the cookie.

use aws_sdk_dynamodb::types::AttributeValue;

use super::World;
use crate::support::SECRET_KEY;
use crate::support::forge;
use crate::support::own_table::Item;
use crate::support::site::{IDLE, Site, wait};

const ENDS: [&str; 3] = ["/logout", "/end", "/clear"];

#[derive(Clone, Copy, Debug)]
enum State {
    Live,
    Empty,
    Expired,
    Malformed,
    Ended,
    Replaced,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Live,
        Self::Empty,
        Self::Expired,
        Self::Malformed,
        Self::Ended,
        Self::Replaced,
    ];

    /// Brings the session of a logged-in world into this state.
    async fn bring(self, world: &World, site: &Site, cookie: &str) {
        match self {
            Self::Live => {}
            Self::Empty => {
                let mut item = world.only_item().await;
                item.insert("data".to_owned(), AttributeValue::M(Item::new()));
                world.table.put(item).await;
            }
            Self::Expired => wait(IDLE),
            Self::Malformed => {
                let mut item = world.only_item().await;
                item.remove("revision");
                world.table.put(item).await;
            }
            Self::Ended => site.visit("/logout", Some(cookie)).await.assert_logged_out(),
            Self::Replaced => drop(site.login("admin", Some(cookie)).await),
        }
    }
}

/// Returns the item under the cookie's own key.
async fn item(world: &World, cookie: &str) -> Item {
    let id = cookie.split(['=', '.']).nth(1).expect("an ID");
    let key = lambda_session::RecordKey::from_stored(forge::record_key(id));
    world.table.item(&key).await.expect("an item")
}

#[tokio::test]
async fn the_id_is_dead_and_the_cookie_cleared() {
    for state in State::ALL {
        for end in ENDS {
            let (world, site, cookie) = World::logged_in().await;
            state.bring(&world, &site, &cookie).await;
            site.visit(end, Some(&cookie)).await.assert_logged_out();
            let tombstone = item(&world, &cookie).await;
            assert_eq!(tombstone["ended"], AttributeValue::Bool(true), "{state:?} {end}");
            assert_eq!(tombstone["data"], AttributeValue::M(Item::new()), "{state:?} {end}");
            assert_eq!(site.view(&cookie).await, "", "{state:?} {end}");
        }
    }
}

/// Otherwise a write that was under way could extend the expired session.
#[tokio::test]
async fn a_late_slide_brings_back_no_expired_session_that_was_ended() {
    for end in ENDS {
        let (world, site, cookie) = World::logged_in().await;
        wait(600);
        let slide = world.proxy.hold("UpdateItem");
        let view = site.start("/", Some(&cookie));
        slide.arrived().await;
        view.await.expect("an answer").assert_done();
        wait(IDLE - 600);
        site.visit(end, Some(&cookie)).await.assert_logged_out();
        slide.release();
        slide.delivered().await;
        assert_eq!(site.view(&cookie).await, "", "{end}");
    }
}

#[tokio::test]
async fn a_logout_clears_whatever_the_browser_holds() {
    let (world, site, _) = World::logged_in().await;
    let unknown = forge::cookie(SECRET_KEY.as_bytes(), "__Host-session", &forge::id(0));
    let unknown = format!("__Host-session={unknown}");
    let before = world.table.items().await;
    for cookie in [
        None,
        Some("__Host-session=forged"),
        Some("__Host-session="),
        Some("theme=dark"),
        Some(&*unknown),
    ] {
        for end in ["/logout", "/end"] {
            site.visit(end, cookie).await.assert_logged_out();
        }
    }
    // Only a cookie that verifies leaves something: a tombstone under its own key, whatever was stored there.
    let mut after = world.table.items().await;
    after.retain(|item| !item.contains_key("ended"));
    assert_eq!(after, before);
    assert_eq!(world.table.items().await.len(), before.len() + 1);
}

#[tokio::test]
async fn an_ended_session_says_no_times() {
    let (_world, site, cookie) = World::logged_in().await;
    let ended = site.visit("/end-and-times", Some(&cookie)).await;
    ended.assert_logged_out();
    assert_eq!(ended.body, "None None");
}
