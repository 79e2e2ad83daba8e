//! A rotation of the secret key logs nobody out.

use lambda_session::session::Keys;

use super::World;
use crate::support::site::{Site, now};

const OLD: &[u8] = b"the secret key before the rotation, long enough";
const NEW: &[u8] = b"the secret key after the rotation, long enough, too";

fn site(world: &World, keys: Keys) -> Site {
    Site::with(world.store(), now, keys)
}

#[tokio::test]
async fn a_cookie_signed_before_a_rotation_opens_its_session_after_it() {
    let world = World::new().await;
    let before = site(&world, Keys::new(OLD).expect("a key"));
    let cookie = before.login("admin", None).await;
    let rotated = Keys::new(NEW).and_then(|keys| keys.with_fallback(OLD)).expect("keys");
    let after = site(&world, rotated);
    assert_eq!(after.view(&cookie).await, "username=admin");
    after.visit("/set?theme=dark", Some(&cookie)).await.assert_done();
    let renewed = after.login("admin", Some(&cookie)).await;

    let dropped = site(&world, Keys::new(NEW).expect("a key"));
    assert_eq!(dropped.view(&renewed).await, "theme=dark username=admin");
    let (answer, cost) = world.cost(dropped.visit("/", Some(&cookie))).await;
    assert_eq!(
        (answer.body.as_str(), cost.len()),
        ("", 0),
        "without its key a cookie is a forged one"
    );
}

#[tokio::test]
async fn during_a_rotation_both_instances_serve_the_same_visitor() {
    let world = World::new().await;
    let old = site(
        &world,
        Keys::new(OLD).and_then(|keys| keys.with_fallback(NEW)).expect("keys"),
    );
    let new = site(
        &world,
        Keys::new(NEW).and_then(|keys| keys.with_fallback(OLD)).expect("keys"),
    );
    for (first, second) in [(&old, &new), (&new, &old)] {
        let cookie = first.login("admin", None).await;
        assert_eq!(second.view(&cookie).await, "username=admin");
        second.visit("/logout", Some(&cookie)).await.assert_logged_out();
        assert_eq!(first.view(&cookie).await, "");
    }
}
