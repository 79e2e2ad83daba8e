//! Requests that do not keep a session alive, why there is none, and requests that show nobody a page.

use http::{Method, Request};
use lambda_session::MemoryStore;

use super::World;
use crate::support::site::{IDLE, Site, keys, layer, now, wait};

#[tokio::test]
async fn a_peek_reads_and_does_not_keep_alive() {
    let (world, site, cookie) = World::logged_in().await;
    wait(IDLE - 1);
    let (peeked, calls) = world.cost(site.visit("/peek", Some(&cookie))).await;
    assert_eq!(
        (peeked.body.as_str(), &calls[..]),
        ("username=admin", &["GetItem".to_owned()][..])
    );
    wait(1);
    assert_eq!(site.visit("/peek", Some(&cookie)).await.body, "");
}

#[tokio::test]
async fn polling_does_not_keep_alive_unless_it_changes_something() {
    let world = World::new().await;
    let polling = layer(world.store(), keys())
        .clock(now)
        .polling(|uri| uri.path() != "/login");
    let site = Site::of(polling);
    let cookie = site.login("admin", None).await;
    wait(IDLE - 1);
    let (answer, calls) = world.cost(site.visit("/", Some(&cookie))).await;
    assert_eq!(
        (answer.body.as_str(), &calls[..]),
        ("username=admin", &["GetItem".to_owned()][..])
    );
    let (equal, calls) = world.cost(site.visit("/set?username=admin", Some(&cookie))).await;
    equal.assert_done();
    assert_eq!(calls, ["GetItem"], "an equal value is no change");
    site.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    wait(IDLE - 1);
    assert_eq!(site.view(&cookie).await, "theme=dark username=admin");
    wait(1);
    assert_eq!(site.view(&cookie).await, "");
}

#[tokio::test]
async fn an_absence_has_its_reason() {
    let (world, site, cookie) = World::logged_in().await;
    let absence = async |cookie: Option<&str>| site.visit("/absence", cookie).await.body;
    assert_eq!(absence(Some(&cookie)).await, "");
    assert_eq!(absence(None).await, "Never");
    assert_eq!(absence(Some(&format!("{cookie}x"))).await, "Never");
    let renewed = site.visit("/renew?theme=dark", Some(&cookie)).await.issued();
    assert_eq!(absence(Some(&cookie)).await, "Replaced");
    site.visit("/logout", Some(&renewed)).await.assert_logged_out();
    assert_eq!(absence(Some(&renewed)).await, "Ended");
    let idle = world.site().login("admin", None).await;
    wait(IDLE);
    assert_eq!(absence(Some(&idle)).await, "Expired");
    let two = [
        world.site().login("admin", None).await,
        world.site().login("alice", None).await,
    ];
    assert_eq!(absence(Some(&two.join("; "))).await, "Never", "nobody knows which");
    let empty = World::new().await;
    let deleted = empty.site().visit("/absence", Some(&idle)).await.body;
    assert_eq!(deleted, "Expired", "the table has deleted the record");
}

#[tokio::test]
async fn head_and_a_prefetch_take_no_messages() {
    let site = Site::new(MemoryStore::default());
    let cookie = site.visit("/flash?hello", None).await.issued();
    let request = || Request::builder().uri("/flashes");
    for unseen in [
        request().method(Method::HEAD),
        request().header("sec-purpose", "prefetch;prerender"),
        request().header("purpose", "prefetch"),
    ] {
        assert_eq!(site.ask(unseen, Some(&cookie)).await.body, "");
    }
    assert_eq!(site.visit("/flashes", Some(&cookie)).await.body, "hello");
}

#[tokio::test]
async fn a_proof_is_kept_by_a_renewal_and_the_same_owner_and_dropped_for_anybody_else() {
    let site = Site::new(MemoryStore::default());
    let confirmed = async |cookie: &str| site.visit("/confirmed?password", Some(cookie)).await.body;
    let cookie = site.visit("/log-in?alice", None).await.issued();
    assert_eq!(confirmed(&cookie).await, "");
    let proved = now().to_string();
    site.visit("/confirm?password", Some(&cookie)).await.assert_done();
    site.visit("/confirm?passkey", Some(&cookie)).await.assert_done();
    wait(60);
    let renewed = site.visit("/renew?theme=dark", Some(&cookie)).await.issued();
    assert_eq!(confirmed(&renewed).await, proved);
    let again = site.visit("/log-in?alice", Some(&renewed)).await.issued();
    assert_eq!(confirmed(&again).await, proved);
    let other = site.visit("/log-in?bob", Some(&again)).await.issued();
    assert_eq!(confirmed(&other).await, "");
    for path in ["/set?_confirmed=x", "/increment?_confirmed"] {
        assert_eq!(
            site.visit(path, Some(&other)).await.status,
            422,
            "nobody makes up a proof: {path}"
        );
    }
}
